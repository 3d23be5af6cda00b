//! What is told of a received backup.

use super::front::Captured;
use super::journal::Journal;
use super::naming::is_wal;
use super::options::Options;
use super::shared::Progress;
use crate::manifest::{ManifestSummary, WalRange};
use crate::{Error, Result};
use std::os::unix::fs::MetadataExt;

/// A backup that was received completely and agrees with PostgreSQL's manifest.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// Regular files of the image; PostgreSQL's manifest is not among them.
    pub files: u64,
    pub plain_bytes: u64,
    /// As stored, files linked to the previous backup included.
    pub stored_bytes: u64,
    /// Size of the largest file when it is restored.
    pub biggest_file: u64,
    /// What `data/` takes: stored sizes, each rounded up to whole blocks of the file system.
    pub backup_size: u64,
    /// What `data/` takes when restored, without `pg_wal`, rounded in the same way.
    pub restore_size: u64,
    /// The same two for all tablespaces together.
    pub tablespace_backup_size: u64,
    pub tablespace_restore_size: u64,
    /// Names of the WAL segments in the backup, ascending.
    pub wal_files: Vec<String>,
    /// Text of `backup_label`.
    pub backup_label: String,
    /// Content of `global/pg_control`.
    pub pg_control: Vec<u8>,
    /// Files of changed blocks.
    pub incremental_files: u64,
    pub linked_files: u64,
    pub linked_bytes: u64,
    /// Why nothing could be linked although it was asked for.
    pub link_refused: Option<String>,
    /// Manifests of version 2 have it.
    pub system_identifier: Option<u64>,
    pub wal_ranges: Vec<WalRange>,
}

/// Adds up the journal. A file of changed blocks counts for a restore with the size of what is made of it.
pub fn summarise(
    options: &Options,
    journal: &Journal,
    manifest: ManifestSummary,
    manifest_size: u64,
    tablespaces: u64,
    captured: Captured,
    progress: Progress,
) -> Result<Received> {
    let (directory, shape) = (&options.directory, options.incremental);
    let found = directory
        .metadata()
        .map_err(|error| Error::io("look at", directory, &error))?;
    let block = found.blksize().max(512);
    let rounded = |size: u64| size.div_ceil(block) * block;
    let mut sum = Received {
        // The links in pg_tblspc count one block each.
        backup_size: rounded(manifest_size) + tablespaces * block,
        backup_label: String::from_utf8_lossy(&captured.label.unwrap_or_default()).into_owned(),
        pg_control: captured.control.unwrap_or_default(),
        linked_files: progress.linked_files,
        linked_bytes: progress.linked_bytes,
        system_identifier: manifest.system_identifier,
        wal_ranges: manifest.wal_ranges,
        ..Received::default()
    };
    let mut reader = journal.read()?;
    while let Some(record) = reader.next_record()? {
        sum.files += 1;
        sum.plain_bytes += record.size;
        sum.stored_bytes += record.stored_size;
        let blocks = record.block_length.zip(shape);
        let restored = blocks.map_or(record.size, |(length, shape)| {
            u64::from(length) * u64::from(shape.block_size)
        });
        sum.incremental_files += u64::from(blocks.is_some());
        sum.biggest_file = sum.biggest_file.max(restored);
        if !record.stored.starts_with(b"data/") {
            sum.tablespace_backup_size += rounded(record.stored_size);
            sum.tablespace_restore_size += rounded(restored);
            continue;
        }
        sum.backup_size += rounded(record.stored_size);
        if is_wal(&record.path) {
            sum.wal_files.extend(segment_name(&record.path));
        } else {
            sum.restore_size += rounded(restored);
        }
    }
    sum.wal_files.sort_unstable();
    Ok(sum)
}

fn segment_name(path: &[u8]) -> Option<String> {
    let name = path.strip_prefix(b"pg_wal/")?;
    let usable = name.len() == 24 && name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'A'..=b'F'));
    usable.then(|| String::from_utf8_lossy(name).into_owned())
}

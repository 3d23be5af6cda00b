//! The manifest of a combined cluster: that of the newest backup, with what became of its files of changed blocks.

use super::super::inventory::BackupFile;
use super::super::manifest_copy::{LEFT_OUT, copy_manifest};
use super::{Chain, CombinedDigests, LABEL};
use crate::block::whole_path;
use crate::fs::create_new;
use crate::manifest::{ManifestFile, PgManifestReader, PgManifestWriter};
use crate::{Code, Error, Result};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes the manifest of the cluster that was restored; `left_out` tells whether files of the image were left out.
///
/// # Errors
/// `IO`, `NO_SPACE`; `CORRUPT` when the stored manifest is damaged.
pub fn write_manifest(chain: &Chain, digests: &CombinedDigests, to: &Path, left_out: bool) -> Result<()> {
    let from = chain.inventory().directory.join("data/backup_manifest");
    if chain.length() == 1 {
        return copy_manifest(&from, to, left_out);
    }
    let output = write_entries(chain, digests, BufWriter::new(create_new(to)?), to, &LEFT_OUT)?;
    output
        .into_inner()
        .map_err(|error| Error::io("write", to, error.error()))?;
    Ok(())
}

/// Writes the manifest of what a chain becomes, without some of its entries; `path` is for messages.
///
/// # Errors
/// As [`write_manifest`].
pub fn write_entries<W: Write>(
    chain: &Chain,
    digests: &CombinedDigests,
    output: W,
    path: &Path,
    without: &[&[u8]],
) -> Result<W> {
    let from = chain.inventory().directory.join("data/backup_manifest");
    // the system identifier may stand behind the files: it is wanted before the first one is written
    let summary = PgManifestReader::open(&from)?.finish()?;
    let mut writer = PgManifestWriter::new(output, path, summary.system_identifier)?;
    let mut reader = PgManifestReader::open(&from)?;
    let files = &chain.inventory().files;
    let find = |path: &[u8]| {
        let index = files.binary_search_by(|one| (*one.path).cmp(path)).ok()?;
        files.get(index).filter(|file| file.sources.is_some())
    };
    while let Some(mut file) = reader.next_file()? {
        if without.contains(&file.path.as_slice()) {
            continue;
        }
        if let Some(label) = chain.label().filter(|_| file.path == LABEL) {
            file.size = label.len() as u64;
            file.checksum = match file.algorithm.digest_kind() {
                Some(kind) => kind.of(label).as_bytes().to_vec(),
                None => Vec::new(),
            };
        } else if let Some(whole) = whole_path(&file.path) {
            let made = find(&whole).or_else(|| find(&file.path));
            combined_entry(&mut file, made, digests)?;
        }
        writer.file(&file)?;
    }
    writer.finish(&summary.wal_ranges)
}

/// Makes the entry of a combined file of that of its changed blocks.
fn combined_entry(
    file: &mut ManifestFile,
    made: Option<&BackupFile>,
    digests: &CombinedDigests,
) -> Result<()> {
    let found = made.and_then(|made| Some((made, digests.get(made.sources?)?)));
    let (entry, made) = found.ok_or_else(|| {
        let name = file.path.escape_ascii();
        Error::corrupt(format!("the manifest names {name}, which was not combined"))
    })?;
    file.path = entry.path.to_vec();
    file.size = made.size;
    file.checksum = Vec::new();
    if let Some(kind) = file.algorithm.digest_kind() {
        let digest = made
            .digest
            .filter(|digest| digest.as_bytes().len() == kind.size());
        let digest = digest.ok_or_else(|| {
            let message = "the manifest of the newest backup has checksums of several kinds";
            Error::new(Code::Corrupt, message)
                .hint("restore another backup: PostgreSQL writes no such manifest")
        })?;
        file.checksum = digest.as_bytes().to_vec();
    }
    Ok(())
}

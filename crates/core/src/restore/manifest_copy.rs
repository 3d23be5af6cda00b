//! The manifest of the restored cluster: that of the backup, without the files that a restore leaves out.

use crate::fs::create_new;
use crate::manifest::{PgManifestReader, PgManifestWriter};
use crate::{Error, Result};
use std::fs::File;
use std::io::{BufWriter, copy};
use std::path::Path;

/// Files of the image that have no place in a restored cluster: links of tablespaces are made by the restore, and the
/// old label is of no use to anyone.
pub const LEFT_OUT: [&[u8]; 2] = [b"tablespace_map", b"backup_label.old"];

/// Writes the manifest; byte for byte when nothing was left out.
///
/// # Errors
/// `IO`, `NO_SPACE`; `CORRUPT` when the stored manifest is damaged.
pub fn copy_manifest(from: &Path, to: &Path, left_out: bool) -> Result<()> {
    let write = |error: &std::io::Error| Error::io("write", to, error);
    if !left_out {
        let mut source = File::open(from).map_err(|error| Error::io("open", from, &error))?;
        copy(&mut source, &mut create_new(to)?).map_err(|error| write(&error))?;
        // what was written is what is checked, so that no change between two reads goes unseen
        PgManifestReader::open(to)?.finish()?;
        return Ok(());
    }
    // the system identifier may stand behind the files: it is wanted before the first one is written
    let summary = PgManifestReader::open(from)?.finish()?;
    let output = BufWriter::new(create_new(to)?);
    let mut writer = PgManifestWriter::new(output, to, summary.system_identifier)?;
    let mut reader = PgManifestReader::open(from)?;
    while let Some(file) = reader.next_file()? {
        if !LEFT_OUT.contains(&file.path.as_slice()) {
            writer.file(&file)?;
        }
    }
    writer
        .finish(&summary.wal_ranges)?
        .into_inner()
        .map_err(|error| write(error.error()))?;
    Ok(())
}

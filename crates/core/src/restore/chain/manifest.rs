//! The manifest of a combined cluster: that of the newest backup, with what became of its files of changed blocks.

use super::super::inventory::BackupFile;
use super::super::manifest_copy::{LEFT_OUT, copy_manifest};
use super::{Chain, CombinedDigests, LABEL};
use crate::block::whole_path;
use crate::fs::create_new;
use crate::manifest::{ManifestFile, PgManifestReader, PgManifestWriter};
use crate::{Code, Error, Result};
use std::io::BufWriter;
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
    // the system identifier may stand behind the files: it is wanted before the first one is written
    let summary = PgManifestReader::open(&from)?.finish()?;
    let output = BufWriter::new(create_new(to)?);
    let mut writer = PgManifestWriter::new(output, to, summary.system_identifier)?;
    let mut reader = PgManifestReader::open(&from)?;
    while let Some(mut file) = reader.next_file()? {
        if LEFT_OUT.contains(&file.path.as_slice()) {
            continue;
        }
        if let Some(label) = chain.label().filter(|_| file.path == LABEL) {
            file.size = label.len() as u64;
            file.checksum = match file.algorithm.digest_kind() {
                Some(kind) => kind.of(label).as_bytes().to_vec(),
                None => Vec::new(),
            };
        } else if let Some(path) = whole_path(&file.path) {
            let files = &chain.inventory().files;
            let made = files
                .binary_search_by(|one| (*one.path).cmp(path.as_slice()))
                .ok()
                .map(|index| &files[index]);
            combined_entry(&mut file, path, made, digests)?;
        }
        writer.file(&file)?;
    }
    let output = writer.finish(&summary.wal_ranges)?;
    output
        .into_inner()
        .map_err(|error| Error::io("write", to, error.error()))?;
    Ok(())
}

/// Makes the entry of a combined file of that of its changed blocks.
fn combined_entry(
    file: &mut ManifestFile,
    path: Vec<u8>,
    made: Option<&BackupFile>,
    digests: &CombinedDigests,
) -> Result<()> {
    let made = made.and_then(|made| Some((made.size?, made.sources?)));
    let (size, index) = made.ok_or_else(|| {
        let name = path.escape_ascii();
        Error::corrupt(format!("the manifest names {name}, which was not restored"))
    })?;
    file.path = path;
    file.size = size;
    file.checksum = Vec::new();
    if let Some(kind) = file.algorithm.digest_kind() {
        let digest = digests
            .get(index)
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

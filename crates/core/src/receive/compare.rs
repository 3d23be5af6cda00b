//! PostgreSQL's manifest against what was received: every entry has to be there with its size and checksum, and
//! nothing but WAL may be there without an entry.

use super::journal::{FileRecord, Journal, JournalReader};
use super::naming::is_wal;
use crate::digest::DigestKind;
use crate::manifest::{ChecksumAlgorithm, ManifestFile, ManifestSummary, PgManifestReader};
use crate::{Error, Result};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

/// Most paths that a message names.
const NAMED: usize = 10;

/// Compares and returns what the manifest says of the whole backup. The manifest's own checksum is verified.
///
/// # Errors
/// `CORRUPT` with the number of wrong files and the first ten of them.
pub fn compare(journal: &Journal, manifest: &Path, wanted: Option<DigestKind>) -> Result<ManifestSummary> {
    if let Some(summary) = in_order(journal, manifest, wanted)? {
        return Ok(summary);
    }
    by_name(journal, manifest, wanted)
}

/// PostgreSQL writes the manifest in the order of the stream. `None` at the first thing that does not fit.
fn in_order(
    journal: &Journal,
    manifest: &Path,
    wanted: Option<DigestKind>,
) -> Result<Option<ManifestSummary>> {
    let mut entries = PgManifestReader::open(manifest)?;
    let mut received = journal.read()?;
    let mut record = received.next_record()?;
    while let Some(entry) = entries.next_file()? {
        while record
            .as_ref()
            .is_some_and(|record| record.path != entry.path && is_wal(&record.path))
        {
            record = received.next_record()?;
        }
        match &record {
            Some(found) if found.path == entry.path && difference(found, &entry, wanted).is_none() => {}
            _ => return Ok(None),
        }
        record = received.next_record()?;
    }
    while let Some(found) = record {
        if !is_wal(&found.path) {
            return Ok(None);
        }
        record = received.next_record()?;
    }
    entries.finish().map(Some)
}

/// The same in any order, and to the end, to name what is wrong. Takes 17 bytes a file.
fn by_name(journal: &Journal, manifest: &Path, wanted: Option<DigestKind>) -> Result<ManifestSummary> {
    let mut received = journal.read()?;
    let mut index = Vec::new();
    loop {
        let position = received.position();
        let Some(record) = received.next_record()? else {
            break;
        };
        index.push((hash(&record.path), position));
    }
    index.sort_unstable();
    let mut seen = vec![false; index.len()];
    let mut wrong = Wrong::default();
    let mut entries = PgManifestReader::open(manifest)?;
    while let Some(entry) = entries.next_file()? {
        match find(&mut received, &index, &entry.path)? {
            None => wrong.note(&entry.path, "was not received"),
            Some((at, _)) if seen[at] => wrong.note(&entry.path, "is listed twice"),
            Some((at, record)) => {
                seen[at] = true;
                if let Some(why) = difference(&record, &entry, wanted) {
                    wrong.note(&entry.path, &why);
                }
            }
        }
    }
    for (seen, (_, position)) in seen.iter().zip(&index) {
        if !seen {
            received.seek(*position)?;
            match received.next_record()? {
                Some(record) if !is_wal(&record.path) => wrong.note(&record.path, "is not in the manifest"),
                _ => {}
            }
        }
    }
    let summary = entries.finish()?;
    wrong.into_result(manifest).map(|()| summary)
}

fn find(
    received: &mut JournalReader,
    index: &[(u64, u64)],
    path: &[u8],
) -> Result<Option<(usize, FileRecord)>> {
    let name = hash(path);
    let first = index.partition_point(|(other, _)| *other < name);
    for (at, (_, position)) in index
        .iter()
        .enumerate()
        .skip(first)
        .take_while(|(_, (other, _))| *other == name)
    {
        received.seek(*position)?;
        if let Some(record) = received.next_record()?.filter(|record| record.path == path) {
            return Ok(Some((at, record)));
        }
    }
    Ok(None)
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

/// What is wrong with a received file, if anything is.
fn difference(record: &FileRecord, entry: &ManifestFile, wanted: Option<DigestKind>) -> Option<String> {
    if record.size != entry.size {
        return Some(format!("has {} bytes instead of {}", record.size, entry.size));
    }
    let asked = wanted.map_or("NONE".to_owned(), |kind| kind.name().to_uppercase());
    if entry.algorithm != ChecksumAlgorithm::None && entry.algorithm.name() != asked {
        return Some(format!(
            "has a checksum of {} where {asked} was asked for",
            entry.algorithm.name()
        ));
    }
    if entry.algorithm == ChecksumAlgorithm::None && wanted.is_some() {
        return Some(format!("has no checksum where {asked} was asked for"));
    }
    (record.checksum.as_bytes() != entry.checksum).then(|| format!("does not match its {asked} checksum"))
}

#[derive(Default)]
struct Wrong {
    count: u64,
    named: Vec<String>,
}

impl Wrong {
    fn note(&mut self, path: &[u8], why: &str) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named
                .push(format!("{} {why}", String::from_utf8_lossy(path)));
        }
    }

    fn into_result(self, manifest: &Path) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let more = if self.count > NAMED as u64 { ", ..." } else { "" };
        let message = format!(
            "what was received differs from PostgreSQL's manifest in {} files: {}{more}",
            self.count,
            self.named.join("; ")
        );
        Err(Error {
            path: Some(manifest.to_path_buf()),
            ..Error::corrupt(message)
        }
        .hint("take the backup again; if it happens again, check the server's disks and the network"))
    }
}

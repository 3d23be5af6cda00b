//! The inventory of a backup with `backup.json`.

use super::evidence::Evidence;
use super::facts::BackupFacts;
use super::inventory::{BackupFile, Inventory, ManifestFacts, StoredTablespace, split_tablespace};
use super::suffix::Wrapping;
use crate::digest::{Blake3Pieces, DigestKind, DigestValue, PieceHash};
use crate::manifest::{
    BackupJsonReader, BackupRecord, ChecksumAlgorithm, HashListReader, PIECE, PgManifestReader, StoredFile,
    read_file_record,
};
use crate::{Code, Error, Result};
use std::collections::HashSet;
use std::path::Path;

/// Reads `backup.json`, checks it against its line in `backup.sha512` and against PostgreSQL's manifest.
///
/// # Errors
/// `IO`; `CORRUPT` when one of the lists is damaged.
pub fn read(directory: &Path) -> Result<Inventory> {
    let path = directory.join("backup.json");
    let mut reader = BackupJsonReader::open(&path)?;
    let facts = BackupFacts::of_header(reader.header());
    let mut inventory = Inventory {
        directory: directory.to_path_buf(),
        ours: true,
        facts,
        files: Vec::new(),
        directories: Vec::new(),
        tablespaces: Vec::new(),
        links: Vec::new(),
        missing: Vec::new(),
        surplus: Vec::new(),
        manifest: None,
        warnings: Vec::new(),
    };
    let mut listed = PathSet::default();
    while let Some(record) = reader.next_record()? {
        match record {
            BackupRecord::File(file) => {
                if !Inventory::is_unlisted(&file.path) {
                    listed.add(&file.path, file.size);
                }
                if file.path != b"backup_manifest" {
                    let place = reader.place();
                    let entry = entry(&mut inventory, &file, place).map_err(|error| error.at(&path))?;
                    inventory.files.push(entry);
                }
            }
            BackupRecord::Directory { path, .. } => inventory.directories.push(path.into_boxed_slice()),
            BackupRecord::Link { path, target } => inventory.links.push((path, target)),
        }
    }
    add_empty_tablespaces(&mut inventory);
    check_lists(directory, &["backup.json", "data/backup_manifest"])?;
    check_manifest(&mut inventory, listed)?;
    Ok(inventory)
}

/// `place` is that of its record.
fn entry(inventory: &mut Inventory, file: &StoredFile, place: u64) -> Result<BackupFile> {
    let tablespace = match (split_tablespace(&file.path), file.stored.starts_with(b"data/")) {
        (Some((oid, _)), false) => Some(tablespace_of(inventory, oid, &file.stored)?),
        _ => None,
    };
    let base = inventory.stored_base(tablespace, &file.path);
    let wrapping = file
        .stored
        .strip_prefix(base.as_slice())
        .and_then(Wrapping::parse)
        .ok_or_else(|| {
            let (path, stored) = (file.path.escape_ascii(), file.stored.escape_ascii());
            Error::corrupt(format!(
                "the file {path} is said to be stored as {stored}, which is no name for it"
            ))
        })?;
    check_pieces(file)?;
    Ok(BackupFile {
        path: file.path.clone().into_boxed_slice(),
        tablespace,
        wrapping,
        mode: file.mode,
        size: Some(file.size),
        stored_size: file.stored_size,
        block_length: file.block_length,
        sources: None,
        evidence: whole_digest(file),
        record: Some(place),
        has_pieces: !file.pieces.is_empty(),
    })
}

fn whole_digest(file: &StoredFile) -> Evidence {
    DigestValue::new(&file.blake3).map_or(Evidence::None, |value| Evidence::Plain(DigestKind::Blake3, value))
}

/// Reads the record of a file again, for [`BackupFile::size`], [`BackupFile::stored_size`] and the evidence: pieces where
/// it has values of them. `file` tells what is known of it.
///
/// # Errors
/// `IO`; `CORRUPT` when the record at this place is not that of this file.
pub fn read_again(inventory: &Inventory, place: u64, file: &mut BackupFile) -> Result<()> {
    let path = inventory.directory.join("backup.json");
    let found = read_file_record(&path, place).and_then(|record| {
        if record.path != *file.path || record.stored != inventory.stored_path(file) {
            let message = format!(
                "the record at byte {place} is another one: the file changed while it was being read"
            );
            return Err(Error::corrupt(message).at(&path));
        }
        check_pieces(&record).map_err(|error| error.at(&path))?;
        Ok(record)
    });
    let record = found.map_err(|error| {
        let advice =
            "try again; if it is still so, take another backup, or this file from another copy of this one";
        if error.code == Code::Corrupt {
            error.hint(advice)
        } else {
            error
        }
    })?;
    file.size = Some(record.size);
    file.stored_size = record.stored_size;
    file.evidence = if record.pieces.is_empty() {
        whole_digest(&record)
    } else {
        Evidence::Pieces(record.pieces.into())
    };
    Ok(())
}

/// The values of the pieces, where there are any, have to make the digest of the whole.
fn check_pieces(file: &StoredFile) -> Result<()> {
    if file.pieces.is_empty() {
        return Ok(());
    }
    let mut whole = Blake3Pieces::new();
    for value in &file.pieces {
        whole.push(PieceHash::Part(*value));
    }
    if file.pieces.len() as u64 != file.size.div_ceil(PIECE) || whole.finish() != Some(file.blake3) {
        let path = file.path.escape_ascii();
        return Err(
            Error::corrupt(format!("the pieces of {path} do not make its digest"))
                .hint("take another backup, or this file from another copy of the backup"),
        );
    }
    Ok(())
}

/// The tablespace with this OID, which the first of its files tells the directory of.
fn tablespace_of(inventory: &mut Inventory, oid: &str, stored: &[u8]) -> Result<u16> {
    if let Some(index) = inventory.tablespace_index(oid) {
        return Ok(index);
    }
    let directory = stored.split(|byte| *byte == b'/').next().unwrap_or_default();
    if !directory.starts_with(b"tblspc_") {
        return Err(Error::corrupt(format!(
            "{} is not in a directory of a tablespace",
            stored.escape_ascii()
        )));
    }
    inventory.tablespaces.push(StoredTablespace {
        oid: oid.to_owned(),
        directory: directory.to_vec(),
    });
    u16::try_from(inventory.tablespaces.len() - 1)
        .map_err(|_| Error::corrupt("there are too many tablespaces"))
}

/// Tablespaces of the header that have no files at all.
fn add_empty_tablespaces(inventory: &mut Inventory) {
    for (oid, directory) in inventory.facts.tablespaces.clone() {
        if inventory.tablespace_index(&oid).is_none() {
            inventory.tablespaces.push(StoredTablespace {
                oid,
                directory: directory.into_bytes(),
            });
        }
    }
}

/// Compares small files of the backup with their lines in `backup.sha512`, where there are any.
pub fn check_lists(directory: &Path, names: &[&str]) -> Result<()> {
    let list = directory.join("backup.sha512");
    if !list.exists() {
        return Ok(());
    }
    let mut reader = HashListReader::open(&list)?;
    while let Some(line) = reader.next_line()? {
        let Some(name) = names.iter().find(|name| name.as_bytes() == line.path) else {
            continue;
        };
        let path = directory.join(name);
        if !path.exists() {
            continue;
        }
        if crate::fs::hash_file_sha512(&path)? != crate::digest::to_hex(&line.digest) {
            return Err(
                Error::corrupt("the file does not match its SHA-512 in backup.sha512")
                    .at(&path)
                    .hint("take another backup, or this file from another copy of the backup"),
            );
        }
    }
    Ok(())
}

/// A set of paths and sizes that can be compared without being kept: a sum of their digests.
#[derive(Default, PartialEq, Eq)]
struct PathSet {
    sum: u128,
    count: u64,
}

impl PathSet {
    fn add(&mut self, path: &[u8], size: u64) {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&size.to_le_bytes());
        hasher.update(path);
        let mut first = [0; 16];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        self.sum = self.sum.wrapping_add(u128::from_le_bytes(first));
        self.count += 1;
    }
}

/// Both lists have to name the same files with the same sizes.
fn check_manifest(inventory: &mut Inventory, listed: PathSet) -> Result<()> {
    let path = inventory.directory.join("data/backup_manifest");
    if !path.exists() {
        inventory.warnings.push(format!(
            "{} is missing: pg_verifybackup cannot be used",
            path.display()
        ));
        return Ok(());
    }
    let mut named = PathSet::default();
    let mut algorithm = None;
    let mut reader = PgManifestReader::open(&path)?;
    while let Some(file) = reader.next_file()? {
        algorithm.get_or_insert(file.algorithm);
        // The server lists the status files that it makes up for the WAL of the backup; WAL has its own evidence.
        if !Inventory::is_unlisted(&file.path) {
            named.add(&file.path, file.size);
        }
    }
    let summary = reader.finish()?;
    inventory.facts.system_identifier = summary.system_identifier.or(inventory.facts.system_identifier);
    inventory.manifest = Some(ManifestFacts {
        version: summary.version,
        algorithm: algorithm.unwrap_or(ChecksumAlgorithm::None),
    });
    if named == listed {
        return Ok(());
    }
    let mut known: HashSet<(Vec<u8>, u64)> = HashSet::new();
    known.extend(
        inventory
            .files
            .iter()
            .map(|file| (file.path.to_vec(), file.size.unwrap_or_default())),
    );
    let mut missing = Vec::new();
    let mut reader = PgManifestReader::open(&path)?;
    while let Some(file) = reader.next_file()? {
        let entry = (file.path, file.size);
        if !known.remove(&entry) {
            missing.push(entry.0);
        }
    }
    let surplus = known
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !Inventory::is_unlisted(path));
    let surplus: Vec<_> = surplus.collect();
    let names = |paths: &[Vec<u8>]| {
        let first: Vec<_> = paths
            .iter()
            .take(5)
            .map(|path| path.escape_ascii().to_string())
            .collect();
        format!("{} ({})", paths.len(), first.join(", "))
    };
    Err(Error::corrupt(format!(
        "backup.json and PostgreSQL's manifest do not list the same files: only in the manifest {}, only in \
         backup.json {}",
        names(&missing),
        names(&surplus)
    ))
    .at(&inventory.directory)
    .hint("take another backup: one of the two lists was changed"))
}

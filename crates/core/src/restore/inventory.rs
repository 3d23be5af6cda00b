//! What a stored backup holds, one entry for each file of the cluster, whoever made the backup.

use super::evidence::Evidence;
use super::facts::BackupFacts;
use super::suffix::Wrapping;
use crate::manifest::ChecksumAlgorithm;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// One file of the cluster and how it is stored. About 170 bytes with its name: a backup has many.
#[derive(Debug, Clone)]
pub struct BackupFile {
    /// In the cluster, relative to the data directory.
    pub path: Box<[u8]>,
    /// Index into [`Inventory::tablespaces`], for files that are stored beside `data/`.
    pub tablespace: Option<u16>,
    pub(crate) wrapping: Wrapping,
    /// Permission bits in the source cluster.
    pub mode: u32,
    /// Plain bytes, where a list tells.
    pub size: Option<u64>,
    /// Stored bytes as recorded, or as found for backups that record none.
    pub stored_size: u64,
    /// Of a file of changed blocks, where a list tells: blocks of the file that a restore makes of it.
    pub block_length: Option<u32>,
    /// Of a file that a chain combines: which of its lists tells the sources.
    pub sources: Option<u32>,
    pub evidence: Evidence,
    /// Where in `backup.json` its record is, for [`crate::manifest::read_file_record`].
    pub record: Option<u64>,
    /// Whether the record has values of its pieces, see [`crate::manifest::StoredFile::pieces`].
    pub has_pieces: bool,
}

/// A tablespace that is stored beside `data/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTablespace {
    pub oid: String,
    /// Name of its directory in the backup: `tblspc_<name>`.
    pub directory: Vec<u8>,
}

/// What PostgreSQL's manifest says of the backup as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ManifestFacts {
    /// 1 (PostgreSQL 13 to 16) or 2.
    pub version: u32,
    /// Of its entries; the server gives the same to all of them.
    pub algorithm: ChecksumAlgorithm,
}

/// Everything that a backup holds.
#[derive(Debug)]
pub struct Inventory {
    /// The directory of the backup.
    pub directory: PathBuf,
    /// Whether it has a `backup.json`.
    pub ours: bool,
    pub facts: BackupFacts,
    /// In no particular order.
    pub files: Vec<BackupFile>,
    /// Directories of the cluster, empty ones too.
    pub directories: Vec<Box<[u8]>>,
    pub tablespaces: Vec<StoredTablespace>,
    /// Symbolic links of the cluster and their targets there, where a list tells.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Files that a list names and that are not stored.
    pub missing: Vec<Vec<u8>>,
    /// Stored files that no list names (outside `pg_wal`), relative to the directory of the backup.
    pub surplus: Vec<Vec<u8>>,
    /// What `data/backup_manifest` says, when it is there and intact.
    pub manifest: Option<ManifestFacts>,
    /// What is odd and does not stop a restore.
    pub warnings: Vec<String>,
}

/// The OID in `pg_tblspc/<oid>/…`, and what follows it.
pub fn split_tablespace(path: &[u8]) -> Option<(&str, &[u8])> {
    let rest = path.strip_prefix(b"pg_tblspc/")?;
    let slash = rest.iter().position(|byte| *byte == b'/')?;
    let oid = std::str::from_utf8(&rest[..slash]).ok()?;
    oid.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some((oid, &rest[slash + 1..]))
}

impl Inventory {
    /// Index of the tablespace with this OID, if it is stored beside `data/`.
    pub fn tablespace_index(&self, oid: &str) -> Option<u16> {
        self.tablespaces
            .iter()
            .position(|space| space.oid == oid)
            .and_then(|index| u16::try_from(index).ok())
    }

    /// Path of the stored file, relative to the directory of the backup.
    #[must_use]
    pub fn stored_path(&self, file: &BackupFile) -> Vec<u8> {
        let mut stored = self.stored_base(file.tablespace, &file.path);
        stored.extend_from_slice(file.wrapping.suffix().as_bytes());
        stored
    }

    /// The same without the endings.
    pub(crate) fn stored_base(&self, tablespace: Option<u16>, path: &[u8]) -> Vec<u8> {
        match (
            tablespace.and_then(|index| self.tablespaces.get(usize::from(index))),
            split_tablespace(path),
        ) {
            (Some(space), Some((_, rest))) => [&space.directory, &b"/"[..], rest].concat(),
            _ => [b"data/", path].concat(),
        }
    }

    /// Where the stored file is on disk.
    #[must_use]
    pub fn stored_file(&self, file: &BackupFile) -> PathBuf {
        self.directory.join(OsStr::from_bytes(&self.stored_path(file)))
    }

    /// The name under which a file that is missing was stored, as far as `known` stored names tell.
    pub(crate) fn missing_name(&self, path: &[u8], known: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let tablespace = split_tablespace(path).and_then(|(oid, _)| self.tablespace_index(oid));
        let base = self.stored_base(tablespace, path);
        let mut names = Wrapping::all().map(|wrapping| [&base, wrapping.suffix().as_bytes()].concat());
        names.find(|name| known(name)).unwrap_or(base)
    }

    /// The file of the cluster with this path.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<&BackupFile> {
        self.files.iter().find(|file| &*file.path == path)
    }

    /// Directories of the data directory whose files are listed in no manifest.
    pub fn is_unlisted(path: &[u8]) -> bool {
        path.starts_with(b"pg_wal/") || path == b"backup_manifest"
    }
}

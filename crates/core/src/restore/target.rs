//! Where the files of a cluster are written: the data directory and the directories of its tablespaces.

use super::inventory::{Inventory, split_tablespace};
use crate::fs::sync_directory;
use crate::{Code, Error, Result};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Directories that PostgreSQL does not start without, though backups leave them empty or out.
const NEEDED: [&str; 23] = [
    "base",
    "global",
    "pg_commit_ts",
    "pg_dynshmem",
    "pg_logical",
    "pg_logical/mappings",
    "pg_logical/snapshots",
    "pg_multixact",
    "pg_multixact/members",
    "pg_multixact/offsets",
    "pg_notify",
    "pg_replslot",
    "pg_serial",
    "pg_snapshots",
    "pg_stat",
    "pg_stat_tmp",
    "pg_subtrans",
    "pg_tblspc",
    "pg_twophase",
    "pg_wal",
    "pg_wal/archive_status",
    "pg_xact",
    "pg_wal/summaries",
];

/// Where one tablespace goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub oid: String,
    /// Where its files are written.
    pub directory: PathBuf,
    /// What `pg_tblspc/<oid>` points to.
    pub link: PathBuf,
}

/// The destinations of a restore.
pub struct Target<'a> {
    root: &'a Path,
    spaces: &'a [Destination],
    group_access: bool,
}

impl<'a> Target<'a> {
    /// Checks that every tablespace has a destination.
    ///
    /// # Errors
    /// `USAGE`.
    pub fn new(root: &'a Path, spaces: &'a [Destination], inventory: &Inventory) -> Result<Self> {
        let usage = |message: String| Error::new(Code::Usage, message);
        for space in &inventory.tablespaces {
            if !spaces.iter().any(|destination| destination.oid == space.oid) {
                let name = space.directory.escape_ascii();
                return Err(usage(format!(
                    "the tablespace {} ({name}) has no destination",
                    space.oid
                ))
                .hint("say where it is to be restored"));
            }
        }
        for (index, space) in spaces.iter().enumerate() {
            if space.oid.is_empty() || !space.oid.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(usage(format!("\"{}\" is not the OID of a tablespace", space.oid)));
            }
            let same = |other: &Destination| other.directory == space.directory || other.oid == space.oid;
            if space.directory == root || spaces[..index].iter().any(same) {
                let path = space.directory.display();
                return Err(usage(format!(
                    "the tablespace {} shares the directory {path}",
                    space.oid
                )));
            }
        }
        let group_access = inventory
            .find(b"global/pg_control")
            .is_some_and(|file| file.mode & 0o040 != 0);
        Ok(Self {
            root,
            spaces,
            group_access,
        })
    }

    /// 0700 and 0600, or with group access for clusters that had it.
    pub fn modes(&self) -> (u32, u32) {
        if self.group_access {
            (0o750, 0o640)
        } else {
            (0o700, 0o600)
        }
    }

    /// All roots that are written to: the data directory first.
    pub fn roots(&self) -> impl Iterator<Item = &Path> {
        std::iter::once(self.root).chain(self.spaces.iter().map(|space| space.directory.as_path()))
    }

    /// Where a path of the cluster is written.
    pub fn place(&self, path: &[u8]) -> PathBuf {
        if let Some((oid, rest)) = split_tablespace(path)
            && let Some(space) = self.spaces.iter().find(|space| space.oid == oid)
        {
            return space.directory.join(OsStr::from_bytes(rest));
        }
        self.root.join(OsStr::from_bytes(path))
    }

    /// Creates the roots, which must be empty if they exist.
    ///
    /// # Errors
    /// `USAGE` when one is not empty; `IO`.
    pub fn create_roots(&self) -> Result<()> {
        for root in self.roots() {
            match std::fs::read_dir(root) {
                Ok(mut entries) => {
                    if entries.next().is_some() {
                        let message = format!("the directory {} is not empty", root.display());
                        return Err(Error::new(Code::Usage, message)
                            .at(root)
                            .hint("choose another directory, or remove what is in it"));
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let made = DirBuilder::new().mode(0o700).recursive(true).create(root);
                    made.map_err(|error| Error::io("create the directory", root, &error))?;
                }
                Err(error) => return Err(Error::io("look into", root, &error)),
            }
            self.set_directory_mode(root)?;
        }
        Ok(())
    }

    fn set_directory_mode(&self, path: &Path) -> Result<()> {
        let mode = std::fs::Permissions::from_mode(self.modes().0);
        std::fs::set_permissions(path, mode).map_err(|error| Error::io("set the mode of", path, &error))
    }

    /// Creates every directory: those of the image, those of files, those that PostgreSQL needs.
    ///
    /// # Errors
    /// `IO`, `NO_SPACE`.
    pub fn create_directories(&self, inventory: &Inventory) -> Result<()> {
        let mut wanted: BTreeSet<&[u8]> = BTreeSet::new();
        let modern = inventory.facts.major_version.is_none_or(|major| major >= 17);
        for name in NEEDED {
            if name != "pg_wal/summaries" || modern {
                add(&mut wanted, name.as_bytes());
            }
        }
        for directory in &inventory.directories {
            add(&mut wanted, directory);
        }
        for file in &inventory.files {
            if let Some(slash) = memchr::memrchr(b'/', &file.path) {
                add(&mut wanted, &file.path[..slash]);
            }
        }
        for path in wanted {
            // the directory of a tablespace is a root, and a link in the data directory
            let linked = path
                .strip_prefix(b"pg_tblspc/")
                .is_some_and(|oid| self.is_linked(oid));
            if linked {
                continue;
            }
            let directory = self.place(path);
            let made = DirBuilder::new().mode(self.modes().0).create(&directory);
            made.map_err(|error| Error::io("create the directory", &directory, &error))?;
            self.set_directory_mode(&directory)?;
        }
        Ok(())
    }

    fn is_linked(&self, oid: &[u8]) -> bool {
        self.spaces.iter().any(|space| space.oid.as_bytes() == oid)
    }

    /// Creates `pg_tblspc/<oid>` for each tablespace.
    ///
    /// # Errors
    /// `IO`.
    pub fn create_links(&self) -> Result<()> {
        for space in self.spaces {
            let path = self.root.join("pg_tblspc").join(&space.oid);
            symlink(&space.link, &path).map_err(|error| Error::io("create the link", &path, &error))?;
        }
        sync_directory(&self.root.join("pg_tblspc"))
    }
}

/// Adds a directory and those above it.
fn add<'p>(wanted: &mut BTreeSet<&'p [u8]>, path: &'p [u8]) {
    let mut path = path;
    while wanted.insert(path) {
        match memchr::memrchr(b'/', path) {
            Some(slash) => path = &path[..slash],
            None => return,
        }
    }
}

//! The existing tree: found by the paths of the cluster, read without following links.

use super::super::inventory::{Inventory, split_tablespace};
use super::super::manifest_copy::LEFT_OUT;
use super::super::tree::{TreeKind, walk};
use super::tally::{Fate, Tallies};
use crate::fs::create_new;
use crate::{Code, Error, Result};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Files that every restore writes anew: those that the restore or its caller edits, and what must not come from
/// another recovery.
const WRITTEN: [&[u8]; 8] = [
    b"global/pg_control",
    b"backup_label",
    b"tablespace_map",
    b"backup_manifest",
    b"postgresql.auto.conf",
    b"recovery.signal",
    b"standby.signal",
    b"postmaster.pid",
];

/// Where a cluster is whose files may be taken. No server may run on it.
#[derive(Debug, Clone, Default)]
pub struct Existing {
    /// The data directory.
    pub directory: PathBuf,
    /// OID and directory of each of its tablespaces that is not in place.
    pub tablespaces: Vec<(String, PathBuf)>,
    /// What is known of it beforehand.
    pub base: Option<Base>,
}

/// Says that the cluster was made by a restore of a backup of the chain, and no server ran on it since.
#[derive(Debug, Clone)]
pub struct Base {
    /// Directory of that backup.
    pub backup: PathBuf,
    /// A file that was changed later than this was touched by somebody, in nanoseconds since 1970.
    pub stamp: i64,
}

/// Whether the file with this path may be one that was there before.
pub fn may_reuse(path: &[u8]) -> bool {
    !path.starts_with(b"pg_wal/") && !WRITTEN.contains(&path)
}

/// What stands at a path of the existing tree.
pub enum Found {
    Nothing,
    /// A link, a directory, or a file that cannot be read: it is replaced.
    Other,
    File(OldFile),
}

/// A regular file of the existing tree, open for reading.
pub struct OldFile {
    pub file: File,
    pub path: PathBuf,
    pub size: u64,
    mode: u32,
    owner: u32,
    identity: (u64, u64),
    /// Nanoseconds since 1970.
    changed: i128,
}

/// The existing tree while a restore reads it.
pub struct OldTree<'a> {
    existing: &'a Existing,
    owner: u32,
}

impl<'a> OldTree<'a> {
    /// # Errors
    /// `USAGE` when it is no directory, or one of `roots`, which are written to; `IO`.
    pub fn open<'r>(existing: &'a Existing, roots: impl Iterator<Item = &'r Path>) -> Result<Self> {
        let directory = &existing.directory;
        let status = std::fs::metadata(directory).map_err(|error| Error::io("look at", directory, &error))?;
        if !status.is_dir() {
            return Err(Error::new(Code::Usage, "it is no directory to take files from").at(directory));
        }
        for root in roots {
            if existing.roots().any(|old| old == root) {
                let message = "a restore cannot write to the directory that it takes files from";
                return Err(Error::new(Code::Usage, message).at(root));
            }
        }
        Ok(Self {
            existing,
            owner: status.uid(),
        })
    }

    /// Looks at a path of the cluster.
    pub fn find(&self, path: &[u8]) -> Found {
        let place = self.existing.place(path);
        // without waiting for the other end of a pipe that somebody has put there
        let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(&place);
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(_) => return Found::Other,
        };
        match file.metadata() {
            Ok(status) if status.is_file() => Found::File(OldFile {
                size: status.len(),
                mode: status.mode() & 0o7777,
                owner: status.uid(),
                identity: (status.dev(), status.ino()),
                changed: i128::from(status.mtime()) * 1_000_000_000 + i128::from(status.mtime_nsec()),
                file,
                path: place,
            }),
            _ => Found::Other,
        }
    }

    /// Whether there is anything at a path of the cluster.
    pub fn has(&self, path: &[u8]) -> bool {
        self.existing.place(path).symlink_metadata().is_ok()
    }

    /// Whether a file can be linked to where a file of this mode is to be: a link shares mode and owner.
    fn fits(&self, old: &OldFile, mode: u32) -> bool {
        old.mode == mode && old.owner == self.owner
    }

    /// Whether [`Self::take`] would need no space, on the file system of number `device`.
    pub fn links(&self, old: &OldFile, mode: u32, device: u64) -> bool {
        self.fits(old, mode) && old.identity.0 == device
    }

    /// Puts the file at a new place: as a link, else as a copy. Answers how.
    ///
    /// # Errors
    /// `IO`, `NO_SPACE`.
    pub fn take(&self, old: &mut OldFile, place: &Path, mode: u32) -> Result<Fate> {
        if self.fits(old, mode) && std::fs::hard_link(&old.path, place).is_ok() {
            let status = place
                .symlink_metadata()
                .map_err(|error| Error::io("look at", place, &error))?;
            if (status.dev(), status.ino()) == old.identity {
                return Ok(Fate::Linked);
            }
            // another file has its name by now: the one that was read is copied
            std::fs::remove_file(place).map_err(|error| Error::io("remove", place, &error))?;
        }
        let mut copy = create_new(place)?;
        let copied = old.copy_start(old.size, &mut copy, place);
        let set = copied.and_then(|()| {
            let set = copy.set_permissions(Permissions::from_mode(mode));
            set.map_err(|error| Error::io("set the mode of", place, &error))
        });
        if let Err(error) = set {
            let _ = std::fs::remove_file(place);
            return Err(error);
        }
        Ok(Fate::Copied)
    }

    /// Counts the files that the cluster does not have, and names the links among them.
    ///
    /// # Errors
    /// `IO` when the tree cannot be listed.
    pub fn count_surplus(&self, inventory: &Inventory, tallies: &Tallies) -> Result<()> {
        let mut wanted: HashSet<&[u8]> = inventory.files.iter().map(|file| &*file.path).collect();
        for path in LEFT_OUT {
            wanted.remove(path);
        }
        let spaces = self
            .existing
            .tablespaces
            .iter()
            .map(|(oid, directory)| (format!("pg_tblspc/{oid}/").into_bytes(), directory.as_path()));
        let roots = std::iter::once((Vec::new(), self.existing.directory.as_path())).chain(spaces);
        for (prefix, root) in roots {
            walk(root, &mut |entry| {
                let path = [&prefix, &*entry.path].concat();
                if matches!(entry.kind, TreeKind::Directory) || self.is_space(&path) {
                    return Ok(());
                }
                if let TreeKind::Link { target } = &entry.kind {
                    tallies.link(&path, target);
                }
                if wanted.contains(&*path) || path == b"backup_manifest" {
                    return Ok(());
                }
                let place = root.join(OsStr::from_bytes(&entry.path));
                let size = place.symlink_metadata().map_or(0, |status| status.len());
                tallies.remove(&path, if entry.kind == TreeKind::File { size } else { 0 });
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Whether it is the link of a tablespace whose files are looked at by themselves.
    fn is_space(&self, path: &[u8]) -> bool {
        let oid = path.strip_prefix(b"pg_tblspc/");
        oid.is_some_and(|oid| {
            let mut spaces = self.existing.tablespaces.iter();
            spaces.any(|(known, _)| known.as_bytes() == oid)
        })
    }
}

impl OldFile {
    /// Whether it was not changed since a moment, in nanoseconds since 1970.
    pub fn is_older_than(&self, stamp: i64) -> bool {
        self.changed <= i128::from(stamp)
    }

    /// Copies the first bytes to an empty file, by reflink or within the kernel where the system can.
    ///
    /// # Errors
    /// `IO`, also when it became shorter; `NO_SPACE`.
    pub fn copy_start(&mut self, count: u64, to: &mut File, place: &Path) -> Result<()> {
        let failed = |error: io::Error| Error::io("copy to", place, &error);
        self.file.rewind().map_err(failed)?;
        let copied = io::copy(&mut (&self.file).take(count), to).map_err(failed)?;
        if copied == count {
            return Ok(());
        }
        Err(Error::new(Code::Io, "it became shorter while it was being read")
            .at(&self.path)
            .hint("let nothing write to the existing directory while a restore reads it"))
    }
}

impl Existing {
    fn roots(&self) -> impl Iterator<Item = &Path> {
        let spaces = self.tablespaces.iter().map(|(_, directory)| directory.as_path());
        std::iter::once(self.directory.as_path()).chain(spaces)
    }

    /// Where a path of the cluster is.
    fn place(&self, path: &[u8]) -> PathBuf {
        if let Some((oid, rest)) = split_tablespace(path)
            && let Some((_, directory)) = self.tablespaces.iter().find(|(known, _)| known == oid)
        {
            return directory.join(OsStr::from_bytes(rest));
        }
        self.directory.join(OsStr::from_bytes(path))
    }
}

//! Whole directory trees: making them durable, and removing them.

use super::durable::{sync_directory, sync_parent};
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Makes a tree durable that is written while this value lives.
///
/// Where the kernel reports write errors to `syncfs` (Linux 5.8 and later, on file systems known to do it right),
/// one call covers the tree, and because the directory is opened before the first byte is written no error can be
/// missed. Everywhere else each file and directory is synced by itself.
#[derive(Debug)]
pub struct TreeSync {
    root: PathBuf,
    directory: File,
}

impl TreeSync {
    /// Opens the root of the tree; call it before writing.
    pub fn open(root: &Path) -> Result<Self> {
        let directory = File::open(root).map_err(|error| Error::io("open directory", root, &error))?;
        Ok(Self {
            root: root.to_path_buf(),
            directory,
        })
    }

    /// Returns when everything in the tree, and the name of its root, is on disk.
    pub fn sync(&self) -> Result<()> {
        if fast::usable(&self.directory) {
            fast::sync(&self.directory)
                .map_err(|error| Error::io("sync the file system of", &self.root, &error))?;
        } else {
            walk(&self.root)?;
        }
        sync_parent(&self.root)
    }
}

/// Makes a tree durable: all its files and directories, and the name of its root.
pub fn sync_tree(root: &Path) -> Result<()> {
    TreeSync::open(root)?.sync()
}

/// Removes a file or a tree, never following links, and syncs the directory it was in. What is missing is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    let found = match path.symlink_metadata() {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("look at", path, &error)),
    };
    // `remove_dir_all` works relative to open directories and unlinks links instead of entering them.
    let removed = if found.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path, &error)),
        _ => sync_parent(path),
    }
}

/// Syncs every file and directory below `root`, children first.
fn walk(root: &Path) -> Result<()> {
    let mut open = vec![root.to_path_buf()];
    let mut directories = Vec::new();
    while let Some(directory) = open.pop() {
        let entries = std::fs::read_dir(&directory).map_err(|error| Error::io("list", &directory, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("list", &directory, &error))?;
            let kind = entry
                .file_type()
                .map_err(|error| Error::io("look at", &entry.path(), &error))?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                sync_file(&entry.path())?;
            }
        }
        directories.push(directory);
    }
    directories
        .iter()
        .rev()
        .try_for_each(|directory| sync_directory(directory))
}

fn sync_file(path: &Path) -> Result<()> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::io("sync", path, &error))
}

#[cfg(target_os = "linux")]
mod fast {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;

    /// File systems whose `syncfs` waits for the data and reports what failed (values of `linux/magic.h`).
    const KNOWN: [u32; 6] = [
        0x0000_EF53, // ext2, ext3, ext4
        0x5846_5342, // xfs
        0x9123_683E, // btrfs
        0xF2F5_2010, // f2fs
        0x2FC1_2FC1, // zfs
        0x0102_1994, // tmpfs
    ];

    /// Whether `syncfs` on this file system tells the truth.
    pub fn usable(directory: &File) -> bool {
        reports_errors() && known(directory)
    }

    /// Writes back the whole file system.
    pub fn sync(directory: &File) -> io::Result<()> {
        // SAFETY: the descriptor is open while `directory` lives.
        if unsafe { libc::syncfs(directory.as_raw_fd()) } == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn known(directory: &File) -> bool {
        let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
        // SAFETY: the descriptor is open and the result is written into memory of the right size.
        if unsafe { libc::fstatfs(directory.as_raw_fd(), stat.as_mut_ptr()) } != 0 {
            return false;
        }
        // SAFETY: fstatfs succeeded, so it has filled the structure.
        let kind = unsafe { stat.assume_init() }.f_type;
        KNOWN.contains(&(kind as u32))
    }

    /// Since Linux 5.8 `syncfs` returns the errors of earlier write-back.
    fn reports_errors() -> bool {
        let mut name = std::mem::MaybeUninit::<libc::utsname>::zeroed();
        // SAFETY: uname writes into memory of the right size.
        if unsafe { libc::uname(name.as_mut_ptr()) } != 0 {
            return false;
        }
        // SAFETY: uname succeeded, so it has filled the structure.
        let name = unsafe { name.assume_init() };
        let release: Vec<u8> = name
            .release
            .iter()
            .map(|byte| *byte as u8)
            .take_while(|byte| *byte != 0)
            .collect();
        at_least(&String::from_utf8_lossy(&release), (5, 8))
    }

    pub(super) fn at_least(release: &str, wanted: (u32, u32)) -> bool {
        let mut numbers = release
            .split(|letter: char| !letter.is_ascii_digit())
            .map(str::parse::<u32>);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= wanted,
            _ => false,
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod fast {
    use std::fs::File;
    use std::io;

    pub fn usable(_: &File) -> bool {
        false
    }

    pub fn sync(_: &File) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/file"), b"x").unwrap();
        std::fs::write(root.join("file"), b"x").unwrap();
        std::fs::write(directory.path().join("outside"), b"x").unwrap();
        std::os::unix::fs::symlink(directory.path(), root.join("a/link")).unwrap();
        std::os::unix::fs::symlink("missing", root.join("dangling")).unwrap();
        (directory, root)
    }

    #[test]
    fn both_ways_of_syncing_take_links_and_directories() {
        let (_keep, root) = tree();
        sync_tree(&root).unwrap();
        walk(&root).unwrap();
        assert!(sync_tree(&root.join("missing")).is_err());
    }

    #[test]
    fn removal_follows_no_link_and_takes_what_is_missing() {
        let (keep, root) = tree();
        remove_tree(&root).unwrap();
        remove_tree(&root).unwrap();
        assert!(!root.exists() && keep.path().join("outside").exists());
        let link = keep.path().join("link");
        std::fs::create_dir(keep.path().join("kept")).unwrap();
        std::os::unix::fs::symlink("kept", &link).unwrap();
        remove_tree(&link).unwrap();
        assert!(keep.path().join("kept").exists() && link.symlink_metadata().is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn kernel_releases_are_compared_as_numbers() {
        for (release, answer) in [
            ("5.8.0", true),
            ("5.10.1-x", true),
            ("5.7.19", false),
            ("6.1", true),
            ("4.18.0-x", false),
            ("", false),
        ] {
            assert_eq!(fast::at_least(release, (5, 8)), answer, "{release}");
        }
    }
}

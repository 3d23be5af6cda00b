//! Files that are either whole and on disk, or not there at all.

use crate::{Error, Result};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// What to do when the destination exists already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Take its place in one step.
    Replace,
    /// It is an error.
    Refuse,
}

/// Creates a new file for writing, mode 0600; refuses to follow or replace anything that is there.
pub fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| Error::io("create", path, &error))
}

/// A file that appears under its name when `commit` has made it durable, and leaves nothing behind otherwise.
#[derive(Debug)]
pub struct DurableFile {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    committed: bool,
}

impl DurableFile {
    /// Opens a temporary file beside `target`, mode 0600.
    pub fn create(target: &Path) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let mut name = target.as_os_str().to_owned();
        name.push(format!(
            ".tmp-{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::Relaxed)
        ));
        let temporary = PathBuf::from(name);
        let file = create_new(&temporary)?;
        Ok(Self {
            file,
            temporary,
            target: target.to_path_buf(),
            committed: false,
        })
    }

    /// Appends bytes.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| Error::io("write", &self.temporary, &error))
    }

    /// The open temporary file.
    pub(super) fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Cuts the file, or adds zeros to it, so that it has `size` bytes.
    pub fn set_len(&mut self, size: u64) -> Result<()> {
        self.file
            .set_len(size)
            .map_err(|error| Error::io("resize", &self.temporary, &error))
    }

    /// Syncs the file, gives it its name and syncs the directory.
    pub fn commit(self, existing: Existing) -> Result<()> {
        let target = self.target.clone();
        self.publish(existing)?;
        sync_parent(&target)
    }

    /// Syncs the file and gives it its name. The name is durable when the caller has synced the directory, which it
    /// does once for many files.
    pub fn publish(mut self, existing: Existing) -> Result<()> {
        self.file
            .sync_all()
            .map_err(|error| Error::io("sync", &self.temporary, &error))?;
        match existing {
            Existing::Replace => std::fs::rename(&self.temporary, &self.target),
            // A hard link is the one portable way to take a name only when it is free.
            Existing::Refuse => std::fs::hard_link(&self.temporary, &self.target)
                .and_then(|()| std::fs::remove_file(&self.temporary)),
        }
        .map_err(|error| Error::io("create", &self.target, &error))?;
        self.committed = true;
        Ok(())
    }
}

impl Write for DurableFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for DurableFile {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing can be done about a failure here; start-up sweeps names of this form.
            let _ = std::fs::remove_file(&self.temporary);
        }
    }
}

/// Writes a whole file durably: `path` has either its old content or the new one, at any time.
pub fn write_file_durable(path: &Path, data: &[u8], existing: Existing) -> Result<()> {
    let mut file = DurableFile::create(path)?;
    file.write_all(data)?;
    file.commit(existing)
}

/// Creates a directory, mode 0700, that must not exist, and syncs its parent.
pub fn create_directory_exclusive(path: &Path) -> Result<()> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| Error::io("create directory", path, &error))?;
    sync_parent(path)
}

/// Makes the entries of a directory durable.
pub fn sync_directory(path: &Path) -> Result<()> {
    let directory = File::open(path).map_err(|error| Error::io("open directory", path, &error))?;
    match directory.sync_all() {
        // Some network file systems know no fsync of directories, and need none.
        Err(error) if error.raw_os_error() != Some(libc::EINVAL) => {
            Err(Error::io("sync directory", path, &error))
        }
        _ => Ok(()),
    }
}

/// Makes the name of a file or directory durable.
pub fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        Some(_) => sync_directory(Path::new(".")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_durable_file_replaces_in_one_step_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup.info");
        write_file_durable(&path, b"one", Existing::Refuse).unwrap();
        write_file_durable(&path, b"two", Existing::Replace).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(
            std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
            0o600
        );
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_exists_is_refused_when_asked_and_the_old_content_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        std::fs::write(&path, b"old").unwrap();
        let error = write_file_durable(&path, b"new", Existing::Refuse).unwrap_err();
        assert!(error.message.contains("x") && error.path.is_some());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_uncommitted_file_disappears() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = DurableFile::create(&directory.path().join("x")).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn links_are_not_followed_and_directories_not_reused() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).unwrap();
        assert!(create_new(&link).is_err());
        create_directory_exclusive(&directory.path().join("d")).unwrap();
        assert!(create_directory_exclusive(&directory.path().join("d")).is_err());
    }
}

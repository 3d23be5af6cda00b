//! Two names change places.

use super::durable::sync_parent;
use crate::{Error, Result};
use std::io;
use std::path::{Path, PathBuf};

/// Lets two existing files or directories of one file system change places and syncs their directories.
///
/// On Linux this is one atomic step where the file system can do it. Elsewhere it is three renames; a crash between
/// them leaves `a` under the name `<a>.exchange`, with nothing lost.
pub fn exchange(a: &Path, b: &Path) -> Result<()> {
    match atomic(a, b) {
        Ok(()) => {}
        Err(error) if unsupported(&error) => portable(a, b)?,
        Err(error) => return Err(Error::io(&format!("exchange {} with", a.display()), b, &error)),
    }
    sync_parent(a)?;
    if a.parent() == b.parent() {
        Ok(())
    } else {
        sync_parent(b)
    }
}

fn unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOSYS | libc::EINVAL | libc::ENOTSUP)
    )
}

#[cfg(target_os = "linux")]
fn atomic(a: &Path, b: &Path) -> io::Result<()> {
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    let from = CString::new(a.as_os_str().as_bytes())?;
    let to = CString::new(b.as_os_str().as_bytes())?;
    // SAFETY: both pointers are NUL-terminated strings that live until the call returns.
    let code = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::RENAME_EXCHANGE,
        )
    };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(not(target_os = "linux"))]
fn atomic(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

fn portable(a: &Path, b: &Path) -> Result<()> {
    let mut name = a.as_os_str().to_owned();
    name.push(".exchange");
    let aside = PathBuf::from(name);
    if b.symlink_metadata().is_err() {
        return Err(Error::io(
            "exchange with",
            b,
            &io::Error::from_raw_os_error(libc::ENOENT),
        ));
    }
    if aside.symlink_metadata().is_ok() {
        return Err(Error::io(
            "set a directory aside as",
            &aside,
            &io::Error::from_raw_os_error(libc::EEXIST),
        ));
    }
    std::fs::rename(a, &aside).map_err(|error| Error::io("rename", a, &error))?;
    if let Err(error) = std::fs::rename(b, a) {
        std::fs::rename(&aside, a).map_err(|error| Error::io("put back", a, &error))?;
        return Err(Error::io("rename", b, &error));
    }
    std::fs::rename(&aside, b).map_err(|error| Error::io("rename", &aside, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(directory: &Path) -> (PathBuf, PathBuf) {
        let (a, b) = (directory.join("a"), directory.join("b"));
        std::fs::create_dir(&a).unwrap();
        std::fs::create_dir(&b).unwrap();
        std::fs::write(a.join("was-a"), b"").unwrap();
        std::fs::write(b.join("was-b"), b"").unwrap();
        (a, b)
    }

    #[test]
    fn directories_change_places_both_ways() {
        for way in [exchange, portable] {
            let directory = tempfile::tempdir().unwrap();
            let (a, b) = two(directory.path());
            way(&a, &b).unwrap();
            assert!(a.join("was-b").exists() && b.join("was-a").exists());
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
        }
    }

    #[test]
    fn a_missing_partner_changes_nothing() {
        for way in [exchange, portable] {
            let directory = tempfile::tempdir().unwrap();
            let (a, b) = two(directory.path());
            std::fs::remove_dir_all(&b).unwrap();
            assert!(way(&a, &b).is_err());
            assert!(a.join("was-a").exists());
        }
    }
}

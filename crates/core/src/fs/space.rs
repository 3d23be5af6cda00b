//! Free space of file systems.

use crate::{Error, Result};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What a file system has left, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpace {
    /// Number of the file system: equal for paths that share their space.
    pub device: u64,
    /// What an unprivileged process may still use.
    pub available: u64,
    /// Size of the file system.
    pub total: u64,
    /// Preferred size of transfers (`f_bsize`).
    pub block_size: u64,
}

/// Free space of the file system that holds `path`.
#[allow(clippy::unnecessary_cast)] // the fields have other widths on other systems
pub fn free_space(path: &Path) -> Result<FreeSpace> {
    let failed = |error: &io::Error| Error::io("read the free space of", path, error);
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| failed(&error.into()))?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the name is NUL-terminated and the result is written into memory of the right size.
    if unsafe { libc::statvfs(name.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(failed(&io::Error::last_os_error()));
    }
    // SAFETY: statvfs succeeded, so it has filled the structure.
    let stat = unsafe { stat.assume_init() };
    let unit = if stat.f_frsize == 0 {
        stat.f_bsize as u64
    } else {
        stat.f_frsize as u64
    };
    let device = std::fs::metadata(path).map_err(|error| failed(&error))?.dev();
    Ok(FreeSpace {
        device,
        available: unit.saturating_mul(stat.f_bavail as u64),
        total: unit.saturating_mul(stat.f_blocks as u64),
        block_size: stat.f_bsize as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_is_told_and_missing_paths_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let space = free_space(directory.path()).unwrap();
        assert!(space.available > 0 && space.available <= space.total && space.block_size >= 512);
        assert_eq!(space.device, free_space(directory.path()).unwrap().device);
        let error = free_space(&directory.path().join("missing")).unwrap_err();
        assert!(error.message.contains("missing"));
    }
}

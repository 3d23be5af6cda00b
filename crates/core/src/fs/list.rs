//! Names of the files in a directory.

use std::fs::read_dir;
use std::io;
use std::path::Path;

use crate::{Error, Result};

/// The names of the regular files in a directory, ascending by their bytes. Names that are no UTF-8 are left out: none
/// of ours is like that. `None`: there is no such directory.
///
/// # Errors
/// [`Code::Io`](crate::Code::Io) when it cannot be listed.
pub fn list_files(directory: &Path) -> Result<Option<Vec<String>>> {
    let failed = |error: &io::Error| Error::io("list", directory, error);
    let entries = match read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(|error| failed(&error))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error))?;
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            names.extend(entry.file_name().into_string());
        }
    }
    names.sort_unstable();
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs::{create_dir, write};
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::Code;

    #[test]
    fn lists_regular_files_in_order() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["b", "a", "B", "\u{e9}"] {
            write(directory.path().join(name), "").unwrap();
        }
        write(directory.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
        create_dir(directory.path().join("c")).unwrap();
        symlink("a", directory.path().join("d")).unwrap();
        let names = list_files(directory.path()).unwrap().unwrap();
        assert_eq!(names, ["B", "a", "b", "\u{e9}"]);
    }

    #[test]
    fn knows_a_directory_that_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        assert_eq!(list_files(&path).unwrap(), None);
        write(&path, "").unwrap();
        assert_eq!(list_files(&path).unwrap_err().code, Code::Io);
    }
}

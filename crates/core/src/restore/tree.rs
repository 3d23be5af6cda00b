//! Walks the stored tree of a backup without leaving it.

use crate::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What a name in the tree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeKind {
    /// A regular file, or a link whose final target may be one.
    File,
    Link {
        target: Vec<u8>,
    },
    Directory,
    /// A socket, pipe or device.
    Other,
}

/// One name of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Relative to the root that was walked.
    pub path: Vec<u8>,
    pub kind: TreeKind,
}

/// Visits everything below `root`; links are reported, never followed. A root that is missing has nothing in it.
///
/// # Errors
/// `IO`, and what `visit` returns.
pub fn walk(root: &Path, visit: &mut dyn FnMut(TreeEntry) -> Result<()>) -> Result<()> {
    let mut open: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(relative) = open.pop() {
        let directory = root.join(OsStr::from_bytes(&relative));
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if relative.is_empty() && error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(());
            }
            Err(error) => return Err(Error::io("list", &directory, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| Error::io("list", &directory, &error))?;
            let kind = entry
                .file_type()
                .map_err(|error| Error::io("look at", &entry.path(), &error))?;
            let mut path = relative.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.file_name().as_bytes());
            let kind = if kind.is_dir() {
                open.push(path.clone());
                TreeKind::Directory
            } else if kind.is_file() {
                TreeKind::File
            } else if kind.is_symlink() {
                let target = std::fs::read_link(entry.path());
                let target = target.map_err(|error| Error::io("read the link", &entry.path(), &error))?;
                TreeKind::Link {
                    target: target.into_os_string().into_vec(),
                }
            } else {
                TreeKind::Other
            };
            visit(TreeEntry { path, kind })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_seen_once_and_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("a/b/f"), b"").unwrap();
        std::os::unix::fs::symlink("a", root.path().join("l")).unwrap();
        let mut seen = Vec::new();
        walk(root.path(), &mut |entry| {
            seen.push((String::from_utf8(entry.path).unwrap(), entry.kind));
            Ok(())
        })
        .unwrap();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<_> = seen.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "a/b", "a/b/f", "l"]);
        assert_eq!(
            seen[3].1,
            TreeKind::Link {
                target: b"a".to_vec()
            }
        );
        walk(&root.path().join("missing"), &mut |_| panic!("nothing is there")).unwrap();
    }
}

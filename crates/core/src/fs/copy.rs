//! Whole files: copying and hashing.

use super::durable::{DurableFile, Existing};
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Copies a file durably (mode 0600, by reflink or within the kernel where the system can) and returns its size.
/// A symbolic link as source is refused.
pub fn copy_file(source: &Path, target: &Path, existing: Existing) -> Result<u64> {
    let mut from = open(source)?;
    let mut to = DurableFile::create(target)?;
    let copied = to
        .fill_from(&mut from)
        .map_err(|error| Error::io("copy to", target, &error))?;
    to.commit(existing)?;
    Ok(copied)
}

impl DurableFile {
    fn fill_from(&mut self, from: &mut File) -> std::io::Result<u64> {
        std::io::copy(from, self.file_mut())
    }
}

/// SHA-512 of a file's bytes, as 128 lower-case hexadecimal digits. A symbolic link is refused.
pub fn hash_file_sha512(path: &Path) -> Result<String> {
    let mut file = open(path)?;
    let mut context = ring::digest::Context::new(&ring::digest::SHA512);
    let mut buffer = vec![0u8; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => context.update(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("read", path, &error)),
        }
    }
    Ok(context
        .finish()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| Error::io("open for reading", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_same_hash_and_refuses_to_overwrite() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&a, vec![7u8; 3_000_000]).unwrap();
        assert_eq!(copy_file(&a, &b, Existing::Refuse).unwrap(), 3_000_000);
        assert_eq!(hash_file_sha512(&a).unwrap(), hash_file_sha512(&b).unwrap());
        assert!(copy_file(&a, &b, Existing::Refuse).is_err());
    }

    #[test]
    fn the_hash_is_sha_512() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("abc");
        std::fs::write(&path, b"abc").unwrap();
        assert!(
            hash_file_sha512(&path)
                .unwrap()
                .starts_with("ddaf35a193617abacc417349ae204131")
        );
    }
}

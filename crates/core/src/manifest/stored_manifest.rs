//! Looks at the `backup_manifest` of a stored backup before something is built on it.

use super::hash_list::HashListReader;
use super::postgres::{ManifestSummary, PgManifestReader};
use crate::digest::{Digest, DigestKind};
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

const NAME: &str = "data/backup_manifest";

/// Proves that the `backup_manifest` of a backup is what was stored: its SHA-512 is that of `backup.sha512`, and
/// PostgreSQL's own checksum in it is right. Reads both files once, in constant memory.
///
/// # Errors
/// `IO`; `CORRUPT` with what differs.
pub fn check_stored_manifest(directory: &Path) -> Result<ManifestSummary> {
    let path = directory.join(NAME);
    let file = File::open(&path).map_err(|error| Error::io("open the backup manifest", &path, &error))?;
    let mut source = Hashing {
        inner: file,
        digest: Digest::new(DigestKind::Sha512),
    };
    let mut reader = PgManifestReader::new(&mut source, &path)?;
    while reader.next_file()?.is_some() {}
    let summary = reader.finish()?;
    io::copy(&mut source, &mut io::sink()).map_err(|error| Error::io("read", &path, &error))?;
    let list = directory.join("backup.sha512");
    let Some(expected) = listed(&list)? else {
        return Err(Error::corrupt(format!("there is no line of {NAME}")).at(&list));
    };
    if source.digest.finish().as_bytes() != expected {
        return Err(Error::corrupt("it does not have the SHA-512 that backup.sha512 gives it").at(&path));
    }
    Ok(summary)
}

/// The digest of the manifest in a hash list; the last line about a file is the one that counts.
fn listed(list: &Path) -> Result<Option<[u8; 64]>> {
    let mut reader = HashListReader::open(list)?;
    let mut digest = None;
    while let Some(line) = reader.next_line()? {
        if line.path == NAME.as_bytes() {
            digest = Some(line.digest);
        }
    }
    Ok(digest)
}

/// Hashes what is read through it.
struct Hashing {
    inner: File,
    digest: Digest,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::from_hex;
    use crate::fs::hash_file_sha512;
    use crate::manifest::{HashListWriter, PgManifestWriter, WalRange};

    fn backup() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        std::fs::create_dir(directory.path().join("data")).unwrap();
        let writer = PgManifestWriter::new(Vec::new(), &path, Some(42)).unwrap();
        let range = WalRange {
            timeline: 3,
            start: 0x28,
            end: 0x100,
        };
        std::fs::write(&path, writer.finish(&[range]).unwrap()).unwrap();
        list(directory.path());
        directory
    }

    fn list(directory: &Path) {
        let digest = from_hex(hash_file_sha512(&directory.join(NAME)).unwrap().as_bytes()).unwrap();
        let mut writer = HashListWriter::new(Vec::new(), Path::new("l"));
        writer.line(b"backup.info", &[1; 64]).unwrap();
        writer.line(NAME.as_bytes(), &digest.try_into().unwrap()).unwrap();
        std::fs::write(directory.join("backup.sha512"), writer.finish().unwrap()).unwrap();
    }

    #[test]
    fn a_sound_manifest_tells_its_cluster_and_wal() {
        let backup = backup();
        let summary = check_stored_manifest(backup.path()).unwrap();
        assert_eq!(summary.system_identifier, Some(42));
        assert_eq!(summary.wal_ranges[0].timeline, 3);
    }

    #[test]
    fn a_changed_manifest_is_refused_by_either_checksum() {
        let backup = backup();
        let path = backup.path().join(NAME);
        let good = std::fs::read(&path).unwrap();
        let text = String::from_utf8(good.clone()).unwrap();
        // Still JSON, still its own checksum: only backup.sha512 tells.
        let mut grown = good.clone();
        grown.push(b' ');
        std::fs::write(&path, &grown).unwrap();
        assert!(check_stored_manifest(backup.path()).is_err());
        // Listed as it is, but not what the server wrote.
        std::fs::write(&path, text.replace("42", "43")).unwrap();
        list(backup.path());
        assert!(check_stored_manifest(backup.path()).is_err());
        std::fs::write(&path, &good[..good.len() - 2]).unwrap();
        list(backup.path());
        assert!(check_stored_manifest(backup.path()).is_err());
    }

    #[test]
    fn a_manifest_that_no_list_names_is_not_trusted() {
        let backup = backup();
        std::fs::write(backup.path().join("backup.sha512"), "").unwrap();
        let error = check_stored_manifest(backup.path()).unwrap_err();
        assert!(error.message.contains("no line"), "{}", error.message);
    }
}

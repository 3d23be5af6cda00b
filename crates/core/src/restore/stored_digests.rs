//! `backup.sha512` in memory, compactly: 80 bytes for a file, whatever its name.

use crate::Result;
use crate::manifest::HashListReader;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Digests of stored bytes by path. Paths are kept as 128 bits of their BLAKE3.
#[derive(Debug, Default)]
pub struct StoredDigests {
    sorted: Vec<(u128, [u8; 64])>,
    asked: Vec<AtomicBool>,
    present: bool,
}

fn key(path: &[u8]) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&blake3::hash(path).as_bytes()[..16]);
    u128::from_le_bytes(first)
}

impl StoredDigests {
    /// Reads the list of a backup; a backup without one has an empty list. `translate` gives the path under which a
    /// file of the list is looked for.
    ///
    /// # Errors
    /// `IO`, `CORRUPT`.
    pub fn read(directory: &Path, translate: impl Fn(&[u8]) -> Vec<u8>) -> Result<Self> {
        let path = directory.join("backup.sha512");
        if !path.exists() {
            return Ok(Self::default());
        }
        let mut reader = HashListReader::open(&path)?;
        let mut sorted = Vec::new();
        while let Some(line) = reader.next_line()? {
            sorted.push((key(&translate(&line.path)), line.digest));
        }
        // the last line about a file is the one that counts
        sorted.reverse();
        sorted.sort_by_key(|(key, _)| *key);
        sorted.dedup_by_key(|(key, _)| *key);
        let asked = sorted.iter().map(|_| AtomicBool::new(false)).collect();
        Ok(Self {
            sorted,
            asked,
            present: true,
        })
    }

    /// Whether there is a list.
    pub fn is_present(&self) -> bool {
        self.present
    }

    /// The digest of a stored file, by its path relative to the backup.
    pub fn get(&self, path: &[u8]) -> Option<&[u8; 64]> {
        let index = self
            .sorted
            .binary_search_by_key(&key(path), |(key, _)| *key)
            .ok()?;
        self.asked[index].store(true, Ordering::Relaxed);
        Some(&self.sorted[index].1)
    }

    /// Whether [`Self::get`] was asked for this path.
    pub fn was_asked(&self, path: &[u8]) -> bool {
        let index = self.sorted.binary_search_by_key(&key(path), |(key, _)| *key);
        index.is_ok_and(|index| self.asked[index].load(Ordering::Relaxed))
    }
}

//! Unchanged files become hard links to the stored files of the previous backup.
//!
//! What is kept in memory of the previous backup is 56 bytes a file: a hash of the stored name, the digest of the plain
//! bytes, the stored size and where its line in `backup.sha512` is.

use super::buffers::lock;
use super::options::{LinkOptions, Options};
use super::shared::Shared;
use crate::cipher::{CipherMode, opener};
use crate::codec::Codec;
use crate::manifest::{BackupHeader, BackupJsonReader, BackupRecord, HashListReader, StoredFile};
use crate::{Error, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// Longest line of a hash list: 128 digits and an escaped path.
const MAX_LINE: usize = 16 * 1024;

/// Where in `backup.sha512` no line was found.
const NOWHERE: u64 = u64::MAX;

struct Entry {
    name: u64,
    stored_size: u64,
    line: u64,
    blake3: [u8; 32],
}

/// The stored files of the previous backup.
pub struct LinkSource {
    directory: PathBuf,
    device: u64,
    list: File,
    entries: Vec<Entry>,
    damaged: Mutex<Damaged>,
}

/// Stored files of the previous backup that are not what its hash list says.
#[derive(Debug, Clone, Default)]
pub struct Damaged {
    pub count: u64,
    pub first: Option<PathBuf>,
}

/// A stored file of the previous backup with the wanted content.
pub struct Previous {
    path: PathBuf,
    pub stored_size: u64,
    pub sha512: [u8; 64],
}

impl LinkSource {
    /// Reads the lists of the previous backup.
    ///
    /// # Errors
    /// Why nothing can be linked to it: another codec, cipher, key or file system, or lists that cannot be read. A
    /// backup goes on without links then.
    pub fn open(link: &LinkOptions, options: &Options) -> Result<Self> {
        let json = link.directory.join("backup.json");
        let mut reader = BackupJsonReader::open(&json)?;
        same_form(reader.header(), options).map_err(|error| error.at(&json))?;
        let device = same_device(&link.directory, &options.directory)?;
        let mut entries = Vec::new();
        let mut smallest: Option<StoredFile> = None;
        while let Some(record) = reader.next_record()? {
            let BackupRecord::File(file) = record else { break };
            if !may_be_linked(&file.path) {
                continue;
            }
            entries.push(Entry {
                name: hash(&file.stored),
                stored_size: file.stored_size,
                line: NOWHERE,
                blake3: file.blake3,
            });
            if file.stored.ends_with(b".aes")
                && smallest
                    .as_ref()
                    .is_none_or(|other| file.stored_size < other.stored_size)
            {
                smallest = Some(file);
            }
        }
        entries.sort_unstable_by_key(|entry| entry.name);
        if let Some(file) = smallest {
            same_key(&link.directory, &file, options)?;
        }
        let list = locate_lines(&link.directory.join("backup.sha512"), &mut entries)?;
        Ok(Self {
            directory: link.directory.clone(),
            device,
            list,
            entries,
            damaged: Mutex::default(),
        })
    }

    /// The previous backup's stored file of that name, if it holds these plain bytes.
    pub fn find(&self, path: &[u8], stored: &[u8], blake3: &[u8; 32]) -> Option<Previous> {
        if !may_be_linked(path) {
            return None;
        }
        let name = hash(stored);
        let first = self.entries.partition_point(|entry| entry.name < name);
        let same_name = self.entries[first..]
            .iter()
            .take_while(|entry| entry.name == name);
        let entry = same_name
            .into_iter()
            .find(|entry| entry.blake3 == *blake3 && entry.line != NOWHERE)?;
        let sha512 = self.line(entry.line, stored)?;
        let path = self.directory.join(OsStr::from_bytes(stored));
        let found = path.symlink_metadata().ok()?;
        let usable = found.is_file() && found.len() == entry.stored_size && found.dev() == self.device;
        if !usable {
            return None;
        }
        if !self.is_sound(&path, &sha512) {
            let mut damaged = lock(&self.damaged);
            damaged.count += 1;
            damaged.first.get_or_insert(path);
            return None;
        }
        Some(Previous {
            path,
            stored_size: entry.stored_size,
            sha512,
        })
    }

    /// What was found damaged so far.
    pub fn damaged(&self) -> Damaged {
        lock(&self.damaged).clone()
    }

    /// A disk may have changed what was right when it was written: nothing is linked that is not read again. That
    /// costs less than encoding and writing the file anew.
    fn is_sound(&self, path: &Path, sha512: &[u8; 64]) -> bool {
        crate::fs::hash_file_sha512(path).is_ok_and(|found| found == crate::digest::to_hex(sha512))
    }

    /// Makes `target`, which does not exist, a link to the stored file; `false` when the file system refuses, for
    /// example because the file has all the links that it can have.
    pub fn link(&self, previous: &Previous, target: &Path) -> bool {
        std::fs::hard_link(&previous.path, target).is_ok()
    }

    /// The same for a target that exists: it is replaced in one step.
    pub fn replace(&self, previous: &Previous, stored: &[u8], target: &Path) -> Result<bool> {
        let aside = target.with_file_name(format!(".link-{:016x}", hash(stored)));
        if !self.link(previous, &aside) {
            return Ok(false);
        }
        std::fs::rename(&aside, target)
            .map(|()| true)
            .map_err(|error| Error::io("rename", &aside, &error))
    }

    /// Counts a link that was made.
    pub fn count(&self, shared: &Shared, previous: &Previous) {
        shared.counters.linked_files.fetch_add(1, Ordering::Relaxed);
        shared
            .counters
            .linked_bytes
            .fetch_add(previous.stored_size, Ordering::Relaxed);
    }

    /// The digest in the line at `offset`, if the line is about `stored`.
    fn line(&self, offset: u64, stored: &[u8]) -> Option<[u8; 64]> {
        let mut bytes = vec![0; (160 + 2 * stored.len()).min(MAX_LINE)];
        let count = self.list.read_at(&mut bytes, offset).ok()?;
        let end = memchr::memchr(b'\n', &bytes[..count])? + 1;
        let line = HashListReader::new(&bytes[..end], Path::new("backup.sha512"))
            .next_line()
            .ok()??;
        (line.path == stored).then_some(line.digest)
    }
}

/// WAL is only like its namesake, and `pg_control` has to be written by whoever vouches for the rest.
fn may_be_linked(path: &[u8]) -> bool {
    !path.starts_with(b"pg_wal/") && path != b"global/pg_control"
}

/// Not for anything that an adversary could gain by: equal hashes are followed by a comparison of names.
fn hash(name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

fn same_form(header: &BackupHeader, options: &Options) -> Result<()> {
    let codec = header.compression.rsplit('-').next().unwrap_or_default();
    if Codec::from_name(codec).ok() != Some(options.spec.codec) {
        return Err(Error::corrupt(format!(
            "the previous backup has the compression {}",
            header.compression
        )));
    }
    let mode = match header.encryption.as_str() {
        "none" => None,
        name => Some(CipherMode::from_name(name)?),
    };
    if mode != options.sealing.as_ref().map(|sealing| sealing.mode) {
        return Err(Error::corrupt(format!(
            "the previous backup has the encryption {}",
            header.encryption
        )));
    }
    Ok(())
}

fn same_device(previous: &Path, staging: &Path) -> Result<u64> {
    let device = |path: &Path| {
        path.metadata()
            .map(|found| found.dev())
            .map_err(|error| Error::io("look at", path, &error))
    };
    let device_of_previous = device(previous)?;
    if device(staging)? == device_of_previous {
        return Ok(device_of_previous);
    }
    Err(Error::corrupt("the previous backup is on another file system").at(previous))
}

/// A link to a file that was sealed with another master key could not be restored: opens one to see.
fn same_key(directory: &Path, file: &StoredFile, options: &Options) -> Result<()> {
    let Some(sealing) = &options.sealing else {
        return Ok(());
    };
    let path = directory.join(OsStr::from_bytes(&file.stored));
    let source = File::open(&path).map_err(|error| Error::io("open", &path, &error))?;
    let mut opened = opener(Some(sealing.mode), &sealing.secret, Box::new(source));
    std::io::copy(&mut opened, &mut std::io::sink())
        .map(drop)
        .map_err(|error| Error::reading(&path, &error))
}

/// Notes for each entry where its line in the hash list begins.
fn locate_lines(path: &Path, entries: &mut [Entry]) -> Result<File> {
    let failed = |error: &std::io::Error| Error::io("read", path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut reader = BufReader::with_capacity(256 * 1024, file.try_clone().map_err(|error| failed(&error))?);
    let mut line = Vec::new();
    let mut offset = 0;
    loop {
        line.clear();
        let count = reader
            .read_until(b'\n', &mut line)
            .map_err(|error| failed(&error))?;
        if count == 0 {
            return Ok(file);
        }
        if let Ok(Some(found)) = HashListReader::new(line.as_slice(), path).next_line() {
            let name = hash(&found.path);
            let first = entries.partition_point(|entry| entry.name < name);
            entries[first..]
                .iter_mut()
                .take_while(|entry| entry.name == name)
                .for_each(|entry| entry.line = offset);
        }
        offset += count as u64;
    }
}

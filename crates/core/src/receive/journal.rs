//! Results of single files, kept on disk in stream order so that memory does not grow with their number.
//!
//! The journal is private to one receiver and removed at its end; its format is that of this build.

use super::buffers::lock;
use crate::digest::DigestValue;
use crate::fs::create_new;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What became of one regular file.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRecord {
    /// As PostgreSQL's manifest names it.
    pub path: Vec<u8>,
    /// Below the directory of the backup, with suffixes.
    pub stored: Vec<u8>,
    /// Plain size in bytes.
    pub size: u64,
    /// Blocks of the file that a restore makes of a file of changed blocks.
    pub block_length: Option<u32>,
    /// Size as stored, in bytes.
    pub stored_size: u64,
    /// Permission bits on the server.
    pub mode: u32,
    /// Whether the stored file is a hard link to that of the previous backup.
    pub linked: bool,
    /// BLAKE3 of the plain bytes.
    pub blake3: [u8; 32],
    /// Of a large file of changed blocks: the values of its pieces.
    pub pieces: Vec<[u8; 32]>,
    /// SHA-512 of the stored bytes.
    pub sha512: [u8; 64],
    /// The checksum that the manifest should have; no bytes when it is to have none.
    pub checksum: DigestValue,
}

impl FileRecord {
    /// Appends the record in the form of the journal.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let checksum = self.checksum.as_bytes();
        out.extend_from_slice(&(self.path.len() as u16).to_le_bytes());
        out.extend_from_slice(&(self.stored.len() as u16).to_le_bytes());
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.stored_size.to_le_bytes());
        out.extend_from_slice(&self.mode.to_le_bytes());
        out.extend_from_slice(&self.block_length.unwrap_or(NO_LENGTH).to_le_bytes());
        out.extend_from_slice(&(self.pieces.len() as u32).to_le_bytes());
        out.extend_from_slice(&[u8::from(self.linked), checksum.len() as u8]);
        out.extend_from_slice(&self.blake3);
        out.extend_from_slice(&self.sha512);
        out.extend_from_slice(checksum);
        out.extend_from_slice(self.pieces.as_flattened());
        out.extend_from_slice(&self.path);
        out.extend_from_slice(&self.stored);
    }
}

/// Bytes of a record before checksum and names.
const FIXED: usize = 2 + 2 + 8 + 8 + 4 + 4 + 4 + 2 + 32 + 64;

/// Stands for no block length; no file has so many blocks.
const NO_LENGTH: u32 = u32::MAX;

/// Collects results that arrive out of order and writes them in order.
pub struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    writer: BufWriter<File>,
    next: u64,
    pending: BTreeMap<u64, Vec<u8>>,
}

impl Journal {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self> {
        let writer = BufWriter::with_capacity(256 * 1024, create_new(path)?);
        Ok(Self {
            path: path.to_path_buf(),
            inner: Mutex::new(Inner {
                writer,
                next: 0,
                pending: BTreeMap::new(),
            }),
        })
    }

    /// Hands over the encoded records of unit `unit`; units are numbered from 0 without gaps.
    pub fn put(&self, unit: u64, records: Vec<u8>) -> Result<()> {
        let mut inner = lock(&self.inner);
        inner.pending.insert(unit, records);
        loop {
            let next = inner.next;
            let Some(records) = inner.pending.remove(&next) else {
                return Ok(());
            };
            inner.next += 1;
            let written = inner.writer.write_all(&records);
            written.map_err(|error| Error::io("write", &self.path, &error))?;
        }
    }

    /// All units were handed over: makes the records readable.
    pub fn close(&self) -> Result<()> {
        let mut inner = lock(&self.inner);
        if !inner.pending.is_empty() {
            return Err(Error::new(
                crate::Code::Internal,
                "results of received files are missing",
            ));
        }
        inner
            .writer
            .flush()
            .map_err(|error| Error::io("write", &self.path, &error))
    }

    /// Reads the records from the beginning.
    pub fn read(&self) -> Result<JournalReader> {
        JournalReader::open(&self.path)
    }
}

/// Reads records in order, or from a place that `position` told.
pub struct JournalReader {
    reader: BufReader<File>,
    path: PathBuf,
    position: u64,
}

impl JournalReader {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        Ok(Self {
            reader: BufReader::with_capacity(256 * 1024, file),
            path: path.to_path_buf(),
            position: 0,
        })
    }

    /// Where the next record begins.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Goes to a record.
    pub fn seek(&mut self, position: u64) -> Result<()> {
        self.position = position;
        let sought = self.reader.seek(SeekFrom::Start(position));
        sought
            .map(drop)
            .map_err(|error| Error::io("read", &self.path, &error))
    }

    /// The next record; `None` at the end.
    pub fn next_record(&mut self) -> Result<Option<FileRecord>> {
        let failed = |error: &std::io::Error| Error::io("read", &self.path, error);
        if std::io::BufRead::fill_buf(&mut self.reader)
            .map_err(|error| failed(&error))?
            .is_empty()
        {
            return Ok(None);
        }
        let mut fixed = [0; FIXED];
        self.reader
            .read_exact(&mut fixed)
            .map_err(|error| failed(&error))?;
        let (path_len, stored_len) = (number::<2>(&fixed, 0) as usize, number::<2>(&fixed, 2) as usize);
        let pieces_len = number::<4>(&fixed, 28) as usize * 32;
        let checksum_len = usize::from(fixed[33]);
        let mut rest = vec![0; checksum_len + pieces_len + path_len + stored_len];
        self.reader
            .read_exact(&mut rest)
            .map_err(|error| failed(&error))?;
        self.position += (FIXED + rest.len()) as u64;
        let (checksum, rest) = rest.split_at(checksum_len);
        let (pieces, names) = rest.split_at(pieces_len);
        let (mut blake3, mut sha512) = ([0; 32], [0; 64]);
        blake3.copy_from_slice(&fixed[34..66]);
        sha512.copy_from_slice(&fixed[66..130]);
        Ok(Some(FileRecord {
            path: names[..path_len].to_vec(),
            stored: names[path_len..].to_vec(),
            size: number::<8>(&fixed, 4),
            stored_size: number::<8>(&fixed, 12),
            mode: number::<4>(&fixed, 20) as u32,
            block_length: Some(number::<4>(&fixed, 24) as u32).filter(|length| *length != NO_LENGTH),
            linked: fixed[32] != 0,
            blake3,
            pieces: pieces.as_chunks().0.to_vec(),
            sha512,
            checksum: DigestValue::new(checksum).ok_or_else(|| {
                Error::new(crate::Code::Internal, "the journal of received files is damaged")
            })?,
        }))
    }
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + N]
        .iter()
        .rev()
        .fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> FileRecord {
        FileRecord {
            path: name.into(),
            stored: format!("data/{name}.zstd").into(),
            size: 1 << 40,
            stored_size: 77,
            mode: 0o600,
            block_length: (name == "b").then_some(9),
            linked: name == "c",
            blake3: [1; 32],
            pieces: vec![[7; 32]; name.len() * 3 - 3],
            sha512: [2; 64],
            checksum: DigestValue::new(&[3; 4]).unwrap(),
        }
    }

    #[test]
    fn results_out_of_order_are_read_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::create(&directory.path().join("j")).unwrap();
        let encoded = |names: &[&str]| {
            let mut bytes = Vec::new();
            names.iter().for_each(|name| record(name).encode(&mut bytes));
            bytes
        };
        journal.put(2, encoded(&["d"])).unwrap();
        assert!(journal.close().is_err());
        journal.put(0, encoded(&["a", "b"])).unwrap();
        journal.put(1, encoded(&["c"])).unwrap();
        journal.close().unwrap();
        let mut reader = journal.read().unwrap();
        let mut places = Vec::new();
        for name in ["a", "b", "c", "d"] {
            places.push(reader.position());
            assert_eq!(reader.next_record().unwrap().unwrap(), record(name));
        }
        assert!(reader.next_record().unwrap().is_none());
        reader.seek(places[2]).unwrap();
        assert_eq!(reader.next_record().unwrap().unwrap().path, b"c");
    }
}

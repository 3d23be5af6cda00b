//! The lists that make a backup of the received files: `backup.json`, `backup.manifest`, `backup.info` and
//! `backup.sha512`.

use super::directories::{DirectoryLog, Entry};
use super::journal::Journal;
use crate::digest::{Digest, DigestKind};
use crate::fs::create_new;
use crate::manifest::{BackupJsonWriter, HashListWriter, PgManifestReader, PlainListWriter, StoredFile};
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What the lists are made of.
pub struct Lists<'a> {
    pub directory: &'a Path,
    pub journal: &'a Journal,
    pub directories: &'a DirectoryLog,
    /// Label of the backup that links lead to.
    pub linked: Option<&'a str>,
    /// SHA-512 of `data/backup_manifest`.
    pub manifest: [u8; 64],
}

impl Lists<'_> {
    /// Writes all lists and returns how many files `backup.sha512` names. Nothing is synced yet.
    pub fn write(&self, header: &str, info: &str) -> Result<u64> {
        let json = self.json(header)?;
        let plain = self.plain_list()?;
        let path = self.directory.join("backup.info");
        let mut writer = HashingWriter::create(&path)?;
        writer
            .write_all(info.as_bytes())
            .map_err(|error| Error::io("write", &path, &error))?;
        let info = writer.finish(&path)?;
        self.hash_list(&[
            ("backup.info", info),
            ("backup.manifest", plain),
            ("backup.json", json),
        ])
    }

    fn json(&self, header: &str) -> Result<[u8; 64]> {
        let path = self.directory.join("backup.json");
        let mut writer = BackupJsonWriter::new(HashingWriter::create(&path)?, &path, header)?;
        let mut reader = self.journal.read()?;
        while let Some(record) = reader.next_record()? {
            writer.file(&StoredFile {
                path: record.path,
                stored: record.stored,
                size: record.size,
                stored_size: record.stored_size,
                mode: record.mode,
                block_length: record.block_length,
                blake3: record.blake3,
                pieces: record.pieces,
                linked: self.linked.filter(|_| record.linked).map(str::to_owned),
            })?;
        }
        self.directories.each(|entry| match entry {
            Entry::Directory { path, mode } => writer.directory(&path, mode),
            Entry::Link { .. } => Ok(()),
        })?;
        self.directories.each(|entry| match entry {
            Entry::Directory { .. } => Ok(()),
            Entry::Link { path, target } => writer.link(&path, &target),
        })?;
        writer.finish()?.finish(&path)
    }

    /// PostgreSQL's manifest in the form of the C program, line for line; the check has found every entry to be true.
    fn plain_list(&self) -> Result<[u8; 64]> {
        let path = self.directory.join("backup.manifest");
        let mut writer = PlainListWriter::new(HashingWriter::create(&path)?, &path);
        let mut entries = PgManifestReader::open(&self.directory.join("data/backup_manifest"))?;
        while let Some(entry) = entries.next_file()? {
            writer.line(&entry.path, &entry.checksum)?;
        }
        writer.finish()?.finish(&path)
    }

    fn hash_list(&self, lists: &[(&str, [u8; 64])]) -> Result<u64> {
        let path = self.directory.join("backup.sha512");
        let mut writer = HashListWriter::new(HashingWriter::create(&path)?, &path);
        let mut count = lists.len() as u64 + 1;
        for (name, digest) in lists {
            writer.line(name.as_bytes(), digest)?;
        }
        let mut reader = self.journal.read()?;
        while let Some(record) = reader.next_record()? {
            writer.line(&record.stored, &record.sha512)?;
            count += 1;
        }
        writer.line(b"data/backup_manifest", &self.manifest)?;
        self.extra(|name, digest| {
            count += 1;
            writer.line(name, digest)
        })?;
        writer.finish()?.finish(&path)?;
        Ok(count)
    }

    /// Files that were fetched beside the stream, below `extra/`.
    fn extra(&self, mut line: impl FnMut(&[u8], &[u8; 64]) -> Result<()>) -> Result<()> {
        let mut open = vec![self.directory.join("extra")];
        if open[0].symlink_metadata().is_err() {
            return Ok(());
        }
        while let Some(directory) = open.pop() {
            let failed = |error: io::Error| Error::io("list", &directory, &error);
            for entry in std::fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                if kind.is_dir() {
                    open.push(entry.path());
                } else if kind.is_file() {
                    let digest = hash_file(&entry.path())?;
                    let path = entry.path();
                    let name = path.strip_prefix(self.directory).unwrap_or(&path);
                    line(name.as_os_str().as_bytes(), &digest)?;
                }
            }
        }
        Ok(())
    }
}

fn hash_file(path: &Path) -> Result<[u8; 64]> {
    let failed = |error: io::Error| Error::io("read", path, &error);
    let mut digest = DigestWriter(Digest::new(DigestKind::Sha512));
    let mut file = File::open(path).map_err(failed)?;
    io::copy(&mut file, &mut digest).map_err(failed)?;
    Ok(digest.finish())
}

struct DigestWriter(Digest);

impl DigestWriter {
    fn finish(self) -> [u8; 64] {
        let mut digest = [0; 64];
        digest.copy_from_slice(self.0.finish().as_bytes());
        digest
    }
}

impl Write for DigestWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A new file that knows the SHA-512 of what was written to it.
struct HashingWriter {
    file: BufWriter<File>,
    digest: DigestWriter,
}

impl HashingWriter {
    fn create(path: &Path) -> Result<Self> {
        let file = BufWriter::with_capacity(256 * 1024, create_new(path)?);
        Ok(Self {
            file,
            digest: DigestWriter(Digest::new(DigestKind::Sha512)),
        })
    }

    fn finish(mut self, path: &Path) -> Result<[u8; 64]> {
        self.file
            .flush()
            .map_err(|error| Error::io("write", path, &error))?;
        Ok(self.digest.finish())
    }
}

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digest.0.update(&bytes[..count]);
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

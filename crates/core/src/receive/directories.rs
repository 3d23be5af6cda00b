//! The directories and links of the image, kept on disk until `backup.json` is written.

use crate::fs::create_new;
use crate::{Code, Error, Result};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// A directory or link of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    Directory { path: Vec<u8>, mode: u32 },
    Link { path: Vec<u8>, target: Vec<u8> },
}

/// Collects directories and links.
pub struct DirectoryLog {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl DirectoryLog {
    /// Creates the file.
    pub fn create(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            writer: BufWriter::new(create_new(path)?),
        })
    }

    /// Adds a directory.
    pub fn directory(&mut self, path: &[u8], mode: u32) -> Result<()> {
        self.add(b'D', path, &mode.to_le_bytes())
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        self.add(b'L', path, target)
    }

    fn add(&mut self, kind: u8, path: &[u8], value: &[u8]) -> Result<()> {
        let [path_low, path_high] = (path.len() as u16).to_le_bytes();
        let [value_low, value_high] = (value.len() as u16).to_le_bytes();
        let head = [kind, path_low, path_high, value_low, value_high];
        let mut write = |bytes: &[u8]| self.writer.write_all(bytes);
        let written = write(&head)
            .and_then(|()| write(path))
            .and_then(|()| write(value));
        written.map_err(|error| Error::io("write", &self.path, &error))
    }

    /// Makes everything readable.
    pub fn close(&mut self) -> Result<()> {
        self.writer
            .flush()
            .map_err(|error| Error::io("write", &self.path, &error))
    }

    /// Calls `visit` for every entry, in order.
    pub fn each(&self, mut visit: impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let failed = |error: std::io::Error| Error::io("read", &self.path, &error);
        let mut reader = BufReader::new(File::open(&self.path).map_err(failed)?);
        loop {
            let mut head = [0; 5];
            match reader.read(&mut head[..1]).map_err(failed)? {
                0 => return Ok(()),
                _ => reader.read_exact(&mut head[1..]).map_err(failed)?,
            }
            let mut path = vec![0; usize::from(u16::from_le_bytes([head[1], head[2]]))];
            let mut value = vec![0; usize::from(u16::from_le_bytes([head[3], head[4]]))];
            reader.read_exact(&mut path).map_err(failed)?;
            reader.read_exact(&mut value).map_err(failed)?;
            visit(match (head[0], value.as_slice()) {
                (b'D', &[a, b, c, d]) => Entry::Directory {
                    path,
                    mode: u32::from_le_bytes([a, b, c, d]),
                },
                (b'L', _) => Entry::Link { path, target: value },
                _ => {
                    return Err(Error::new(
                        Code::Internal,
                        "the list of received directories is damaged",
                    ));
                }
            })?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_told_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = DirectoryLog::create(&directory.path().join("d")).unwrap();
        log.directory(b"base", 0o750).unwrap();
        log.link(b"pg_tblspc/1", b"/srv/\xff").unwrap();
        log.close().unwrap();
        let mut found = Vec::new();
        log.each(|entry| {
            found.push(entry);
            Ok(())
        })
        .unwrap();
        assert_eq!(
            found[0],
            Entry::Directory {
                path: b"base".to_vec(),
                mode: 0o750
            }
        );
        assert_eq!(
            found[1],
            Entry::Link {
                path: b"pg_tblspc/1".to_vec(),
                target: b"/srv/\xff".to_vec()
            }
        );
    }
}

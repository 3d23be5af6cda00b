//! `backup.manifest`: `path,checksum` of the plain bytes, one file to a line, without quoting. pgmoneta in C writes
//! SHA-512; ours has whatever checksum PostgreSQL's manifest has.

use super::lines::{LineWriter, Lines, MAX_LINE};
use super::postgres::ChecksumAlgorithm;
use super::text;
use crate::{Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainLine {
    /// Relative to the data directory, without suffixes.
    pub path: Vec<u8>,
    /// Told by the length of the checksum.
    pub algorithm: ChecksumAlgorithm,
    pub checksum: Vec<u8>,
}

/// Reads the list line by line.
pub struct PlainListReader<R> {
    lines: Lines<R>,
}

impl PlainListReader<File> {
    /// Opens a list.
    ///
    /// # Errors
    /// `IO`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        Ok(Self::new(file, path))
    }
}

impl<R: Read> PlainListReader<R> {
    /// Reads from `reader`; `path` is for messages.
    pub fn new(reader: R, path: &Path) -> Self {
        Self {
            lines: Lines::new(reader, path),
        }
    }

    /// The next line; `None` at the end. A path may have commas (the last one counts). Lines for a path that the
    /// format cannot hold, which pgmoneta in C writes as `(null)`, are left out.
    ///
    /// # Errors
    /// `IO`; `CORRUPT` with the line.
    pub fn next_line(&mut self) -> Result<Option<PlainLine>> {
        loop {
            let Some(line) = self.lines.next(MAX_LINE)? else {
                return Ok(None);
            };
            if line.starts_with(b"(null),") {
                continue;
            }
            let Some((path, algorithm, checksum)) = parse(line) else {
                return Err(self.lines.bad("is not a path, a comma and a checksum"));
            };
            return match text::clean_path(&path) {
                Ok(path) => Ok(Some(PlainLine {
                    path,
                    algorithm,
                    checksum,
                })),
                Err(error) => Err(self.lines.locate(error)),
            };
        }
    }
}

fn parse(line: &[u8]) -> Option<(Vec<u8>, ChecksumAlgorithm, Vec<u8>)> {
    let comma = memchr::memrchr(b',', line)?;
    let checksum = text::unhex(&line[comma + 1..])?;
    let algorithm = ChecksumAlgorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.length() == checksum.len())?;
    Some((line[..comma].to_vec(), algorithm, checksum))
}

/// Writes a list line by line.
pub struct PlainListWriter<W> {
    lines: LineWriter<W>,
}

impl<W: Write> PlainListWriter<W> {
    /// Writes to `writer`; `path` is for messages.
    pub fn new(writer: W, path: &Path) -> Self {
        Self {
            lines: LineWriter::new(writer, path),
        }
    }

    /// Adds a file. The format has no escapes: a path with a newline cannot be listed and is left out, which the
    /// answer `false` says.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn line(&mut self, path: &[u8], checksum: &[u8]) -> Result<bool> {
        if path.contains(&b'\n') {
            return Ok(false);
        }
        self.lines.line(|out| {
            out.extend_from_slice(path);
            out.push(b',');
            text::push_hex(out, checksum);
            out.push(b'\n');
        })?;
        Ok(true)
    }

    /// Writes what is left and gives the writer back, flushed, not fsynced.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn finish(self) -> Result<W> {
        self.lines.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<PlainLine>> {
        let mut reader = PlainListReader::new(text, Path::new("backup.manifest"));
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            lines.push(line);
        }
        Ok(lines)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut writer = PlainListWriter::new(Vec::new(), Path::new("x"));
        assert!(writer.line(b"base/1/1,2", &[1; 64]).unwrap());
        assert!(writer.line(b"global/1262", &[2; 4]).unwrap());
        assert!(writer.line(b"unproved", &[]).unwrap());
        assert!(!writer.line(b"a\nb", &[2; 4]).unwrap());
        let lines = read(&writer.finish().unwrap()).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].path, b"base/1/1,2");
        assert_eq!(lines[0].algorithm, ChecksumAlgorithm::Sha512);
        assert_eq!(lines[1].algorithm, ChecksumAlgorithm::Crc32c);
        assert_eq!(lines[2].algorithm, ChecksumAlgorithm::None);
    }

    #[test]
    fn malformed_lines_are_refused() {
        for bad in [
            "a\n",
            "a,xy\n",
            "a,abc\n",
            "a,abcd\n",
            "../a,01020304\n",
            "a,01020304",
        ] {
            assert!(read(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert_eq!(read(b"(null),01020304\n").unwrap(), []);
    }
}

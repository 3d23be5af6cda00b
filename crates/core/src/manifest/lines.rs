//! Lines of a file, with a limit on their length and their number known for messages.

use crate::{Error, Result};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

/// Longest line that a list may have: a path of 4096 bytes, escaped, twice, and the rest.
pub const MAX_LINE: usize = 64 * 1024;

/// Reads lines one by one into one buffer.
pub struct Lines<R> {
    reader: BufReader<R>,
    path: PathBuf,
    line: Vec<u8>,
    number: u64,
    /// Where the line begins, in bytes from where reading began, and where it ends.
    start: u64,
    end: u64,
}

impl<R: Read> Lines<R> {
    pub fn new(reader: R, path: &Path) -> Self {
        Self::with_capacity(64 * 1024, reader, path)
    }

    /// The same with a buffer of so many bytes.
    pub fn with_capacity(capacity: usize, reader: R, path: &Path) -> Self {
        Self {
            reader: BufReader::with_capacity(capacity, reader),
            path: path.to_path_buf(),
            line: Vec::new(),
            number: 0,
            start: 0,
            end: 0,
        }
    }

    /// The next line without its newline; `None` at the end.
    ///
    /// # Errors
    /// `IO`, or `CORRUPT` for a line over `limit` bytes or one that does not end.
    pub fn next(&mut self, limit: usize) -> Result<Option<&[u8]>> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(limit as u64 + 1);
        let read = limited
            .read_until(b'\n', &mut self.line)
            .map_err(|error| Error::io("read", &self.path, &error))?;
        if read == 0 {
            return Ok(None);
        }
        self.number += 1;
        (self.start, self.end) = (self.end, self.end + read as u64);
        if self.line.last() != Some(&b'\n') {
            let why = if read > limit {
                "is too long"
            } else {
                "is cut off: the file is truncated"
            };
            return Err(self.bad(why));
        }
        self.line.pop();
        Ok(Some(&self.line))
    }

    /// The line read last.
    pub fn current(&self) -> &[u8] {
        &self.line
    }

    /// Where the line read last begins, in bytes from where reading began.
    pub fn place(&self) -> u64 {
        self.start
    }

    /// An error about the current line; `why` continues "line 7 …".
    pub fn bad(&self, why: &str) -> Error {
        Error::corrupt(format!("line {} {why}", self.number)).at(&self.path)
    }

    /// Adds file and line to an error about the current line.
    pub fn locate(&self, error: Error) -> Error {
        self.bad(&format!("is not usable: {}", error.message))
    }
}

/// Collects lines and writes them in pieces of 64 KiB.
pub struct LineWriter<W> {
    writer: W,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl<W: Write> LineWriter<W> {
    /// Writes to `writer`; `path` is for messages.
    pub fn new(writer: W, path: &Path) -> Self {
        Self {
            writer,
            path: path.to_path_buf(),
            buffer: Vec::new(),
        }
    }

    /// Lets `push` append one line, newline included.
    pub fn line(&mut self, push: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        push(&mut self.buffer);
        if self.buffer.len() >= 64 * 1024 {
            self.write()?;
        }
        Ok(())
    }

    /// Writes what is left and gives the writer back, flushed, not fsynced.
    pub fn finish(mut self) -> Result<W> {
        self.write()?;
        self.writer
            .flush()
            .map_err(|error| Error::io("write", &self.path, &error))?;
        Ok(self.writer)
    }

    fn write(&mut self) -> Result<()> {
        self.writer
            .write_all(&self.buffer)
            .map_err(|error| Error::io("write", &self.path, &error))?;
        self.buffer.clear();
        Ok(())
    }
}

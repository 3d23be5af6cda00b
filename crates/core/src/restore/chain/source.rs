//! One stored file of a chain, read forward once and proved at its end.

use super::super::evidence::Evidence;
use super::super::inventory::BackupFile;
use super::super::source::{PlainStream, StoredBackup};
use crate::digest::{Digest, PieceCheck};
use crate::manifest::PIECE;
use crate::{Code, Error, Result};
use std::io::{self, Read};
use std::sync::Arc;

/// Largest buffer of an open source: a frame of a stored file is decoded straight into it.
const BUFFER: u64 = 1 << 20;

/// A file that is being read. What it gave is true only when [`Source::finish`] has returned without an error.
pub struct Source {
    stream: PlainStream,
    file: BackupFile,
    digest: Option<Digest>,
    /// Proves what is read piece by piece, where that is its evidence.
    pieces: Option<PieceCheck>,
    /// Whether stored bytes or pieces are the proof, so that what nobody wants need not be decoded.
    passing: bool,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Plain bytes that were read from the stream.
    read: u64,
}

impl Source {
    /// Opens a file of a backup.
    ///
    /// # Errors
    /// As [`StoredBackup::open_file`].
    pub fn open(backup: &StoredBackup, file: BackupFile) -> Result<Self> {
        let stream = backup.open_file(&file)?;
        Ok(Self::over(stream, file))
    }

    /// Reads the plain bytes of a file.
    pub fn over(stream: PlainStream, file: BackupFile) -> Self {
        let size = file.size.unwrap_or(BUFFER).clamp(512, BUFFER) as usize;
        let pieces = match &file.evidence {
            Evidence::Pieces(values) => Some(PieceCheck::new(
                Arc::clone(values),
                PIECE,
                file.size.unwrap_or_default(),
            )),
            _ => None,
        };
        Self {
            stream,
            digest: file.evidence.plain_kind().map(Digest::new),
            passing: pieces.is_some() || matches!(file.evidence, Evidence::Stored(_)),
            pieces,
            file,
            buffer: vec![0; size],
            start: 0,
            end: 0,
            read: 0,
        }
    }

    /// Plain bytes that were taken or passed over.
    fn position(&self) -> u64 {
        self.read - (self.end - self.start) as u64
    }

    /// Counts plain bytes that came out of the stream.
    fn count(&mut self, bytes: u64) -> Result<()> {
        self.read += bytes;
        if self.file.size.is_some_and(|size| self.read > size) {
            return Err(self.bad("it unpacks to more than its size"));
        }
        Ok(())
    }

    /// Passes over what is stored, up to an offset that lies behind the buffer, as far as that goes without decoding.
    fn pass_to(&mut self, offset: u64) -> Result<()> {
        while self.passing && self.read < offset && self.is_between() {
            let passed = self.stream.reader.pass_over(offset - self.read);
            match passed.map_err(|error| Error::reading(&self.stream.path, &error))? {
                0 => break,
                count => self.count(count)?,
            }
            if !self.is_between() {
                return Err(self.bad("its frames are not those that were stored"));
            }
        }
        Ok(())
    }

    /// Whether no piece was begun that has to be read to its end.
    fn is_between(&self) -> bool {
        self.pieces
            .as_ref()
            .is_none_or(|pieces| pieces.is_between(self.read))
    }

    /// Reads on when nothing is left in the buffer; false at the end of the file.
    fn fill(&mut self) -> Result<bool> {
        while self.start == self.end {
            match self.stream.reader.read(&mut self.buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    (self.start, self.end) = (0, count);
                    self.count(count as u64)?;
                    if let Some(digest) = &mut self.digest {
                        digest.update(&self.buffer[..count]);
                    }
                    let begin = self.read - count as u64;
                    if let Some(pieces) = &mut self.pieces
                        && !pieces.update(begin, &self.buffer[..count])
                    {
                        let end = self.read;
                        return Err(self.bad(&format!("its bytes {begin} to {end} have another blake3")));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::reading(&self.stream.path, &error)),
            }
        }
        Ok(true)
    }

    /// Passes over everything before an offset.
    ///
    /// # Errors
    /// As reading; `CORRUPT` when the file ends before; `INTERNAL` when the offset is behind what was taken.
    pub fn skip_to(&mut self, offset: u64) -> Result<()> {
        if offset < self.position() {
            return Err(
                Error::new(Code::Internal, "a source of a chain cannot go back").at(&self.stream.path)
            );
        }
        while self.position() < offset {
            if self.start == self.end {
                self.pass_to(offset)?;
                if self.position() == offset {
                    return Ok(());
                }
            }
            if !self.fill()? {
                return Err(self.short());
            }
            let left = offset - self.position();
            self.start += left.min((self.end - self.start) as u64) as usize;
        }
        Ok(())
    }

    /// Takes some of the next bytes, at least one.
    ///
    /// # Errors
    /// As reading; `CORRUPT` at the end of the file.
    pub fn next_bytes(&mut self, out: &mut [u8]) -> Result<usize> {
        if !self.fill()? {
            return Err(self.short());
        }
        let count = out.len().min(self.end - self.start);
        out[..count].copy_from_slice(&self.buffer[self.start..self.start + count]);
        self.start += count;
        Ok(count)
    }

    /// Reads the file to its end and compares it with everything that is known about it; where pieces prove it, to the
    /// end of the one that was begun.
    ///
    /// # Errors
    /// As reading; `CORRUPT` when it is not the file that the backup took.
    pub fn finish(mut self) -> Result<()> {
        if self.pieces.is_some() {
            while !self.is_between() {
                self.start = self.end;
                if !self.fill()? {
                    return Err(self.short());
                }
            }
            return Ok(());
        }
        loop {
            self.start = self.end;
            self.pass_to(u64::MAX)?;
            if !self.fill()? {
                break;
            }
        }
        let stored = self.stream.stored().1;
        let digest = self.digest.take().map(Digest::finish);
        let proved = self.file.prove(self.read, digest, stored);
        proved.map_err(|error| self.file.advise(error.at(&self.stream.path)))
    }

    fn short(&self) -> Error {
        self.bad("it ends before its last block")
    }

    /// An error about this file.
    pub fn bad(&self, why: &str) -> Error {
        self.file.advise(Error::corrupt(why).at(&self.stream.path))
    }

    /// Adds the name of the stored file to an error about its contents.
    pub fn blame(&self, error: Error) -> Error {
        self.file.advise(error.at(&self.stream.path))
    }
}

impl Read for Source {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || !self.fill().map_err(io::Error::other)? {
            return Ok(0);
        }
        self.next_bytes(out).map_err(io::Error::other)
    }
}

//! A file that is made while it is compared with the one that was there before: nothing is written until they differ.

use super::super::job::Job;
use super::super::source::PlainStream;
use super::existing::OldFile;
use crate::fs::{WriteAhead, create_new};
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

const BUFFER: usize = 256 * 1024;

/// The new file of one path, and the old one beside it.
pub struct Step<'a> {
    old: OldFile,
    place: &'a Path,
    buffer: Vec<u8>,
    /// Bytes that came so far; all of them equal the old file's as long as `equal` says so.
    offset: u64,
    equal: bool,
    /// There from the first difference on, or from the beginning when somebody else has made it already.
    output: Option<File>,
    ahead: WriteAhead,
}

impl<'a> Step<'a> {
    /// Begins at the start of both files. `made` is the new file when it is there already.
    pub fn new(old: OldFile, place: &'a Path, made: Option<File>) -> Self {
        Self {
            old,
            place,
            buffer: Vec::new(),
            offset: 0,
            equal: true,
            output: made,
            ahead: WriteAhead::default(),
        }
    }

    /// Takes the next bytes of the new file.
    ///
    /// # Errors
    /// `IO`, `NO_SPACE`.
    pub fn push(&mut self, piece: &[u8]) -> Result<()> {
        if self.equal && !self.same(piece) {
            self.differ()?;
        }
        if let Some(output) = &mut self.output {
            let written = output.write_all(piece);
            self.ahead.wrote(output, piece.len());
            written.map_err(|error| Error::io("write", self.place, &error))?;
        }
        self.offset += piece.len() as u64;
        Ok(())
    }

    /// Ends both files: the old one when it is the new one to the last byte.
    ///
    /// # Errors
    /// `IO`, `NO_SPACE`.
    pub fn end(mut self) -> Result<Option<OldFile>> {
        if self.equal && self.offset != self.old.size {
            self.differ()?;
        }
        if self.equal {
            if self.output.take().is_some() {
                std::fs::remove_file(self.place).map_err(|error| Error::io("remove", self.place, &error))?;
            }
            return Ok(Some(self.old));
        }
        if let Some(output) = &self.output {
            self.ahead.end(output);
        }
        Ok(None)
    }

    /// Whether the next bytes of the old file are these. A file that cannot be read on is a different one.
    fn same(&mut self, piece: &[u8]) -> bool {
        if self.buffer.len() < piece.len() {
            self.buffer.resize(piece.len(), 0);
        }
        let found = &mut self.buffer[..piece.len()];
        self.old.file.read_exact(found).is_ok() && found == piece
    }

    /// From here on the files differ: the new one begins with what was equal so far.
    fn differ(&mut self) -> Result<()> {
        self.equal = false;
        if self.output.is_none() {
            let mut output = create_new(self.place)?;
            self.old.copy_start(self.offset, &mut output, self.place)?;
            self.output = Some(output);
        }
        Ok(())
    }
}

/// Whether the stream of a file gives an old file to its last byte; it is read no further than to the first difference.
///
/// # Errors
/// What reading the stream fails with; `CANCELLED`.
pub fn same_file(old: &mut OldFile, stream: &mut PlainStream, job: &Job) -> Result<bool> {
    let (mut new, mut found) = (vec![0; BUFFER], vec![0; BUFFER]);
    let mut offset = 0;
    loop {
        job.check()?;
        let count = match stream.reader.read(&mut new) {
            Ok(0) => return Ok(offset == old.size),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::reading(&stream.path, &error)),
        };
        if old.file.read_exact(&mut found[..count]).is_err() || found[..count] != new[..count] {
            return Ok(false);
        }
        offset += count as u64;
    }
}

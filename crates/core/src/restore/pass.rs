//! One pass over the plain bytes of one file: counted, digested, checked page by page, and handed on.

use super::inventory::BackupFile;
use super::job::Job;
use super::source::PlainStream;
use crate::block::{PageScan, relation_segment};
use crate::digest::{Digest, DigestKind, DigestValue};
use crate::{Error, Result};
use std::fs::File;
use std::io::{self, Read};

/// A frame of a stored file is decoded straight into it.
const BUFFER: usize = 1 << 20;

/// What is needed to check pages.
#[derive(Debug, Clone, Copy)]
pub struct PageRules {
    pub block_size: u32,
    pub relseg_size: u32,
    pub start_lsn: u64,
}

/// Buffer of one thread.
pub struct Pass<'a> {
    buffer: Vec<u8>,
    job: &'a Job,
    pages: Option<PageRules>,
}

/// What a pass found.
pub struct PassResult {
    /// Plain bytes.
    pub size: u64,
    /// Of the kind that was asked for.
    pub digest: Option<DigestValue>,
    /// For files of pages, when asked for.
    pub pages: Option<PageScan>,
    pub stored_size: u64,
    /// SHA-512 of the stored bytes, when the stream computes it.
    pub stored_digest: Option<DigestValue>,
}

impl<'a> Pass<'a> {
    pub fn new(job: &'a Job, pages: Option<PageRules>) -> Self {
        Self {
            buffer: vec![0; BUFFER],
            job,
            pages,
        }
    }

    /// Reads a file to its end, digests its bytes and hands each piece to `sink`.
    ///
    /// # Errors
    /// `CANCELLED`, what the stream fails with, what `sink` returns.
    pub fn run(
        &mut self,
        file: &BackupFile,
        kind: Option<DigestKind>,
        stream: &mut PlainStream,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<PassResult> {
        let mut digest = kind.map(Digest::new);
        let segment = self.pages.and_then(|_| relation_segment(&file.path));
        let mut pages = self.pages.zip(segment).map(|(rules, segment)| {
            PageScan::new(segment, rules.block_size, rules.relseg_size, rules.start_lsn)
        });
        let mut size = 0;
        loop {
            self.job.check()?;
            let count = match stream.reader.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::reading(&stream.path, &error)),
            };
            let piece = &self.buffer[..count];
            if file.size.is_some_and(|expected| size + count as u64 > expected) {
                // nothing is gained by unpacking more: the file cannot be the right one
                return Err(Error::corrupt("it unpacks to more than its size").at(&stream.path));
            }
            if let Some(digest) = &mut digest {
                digest.update(piece);
            }
            if let Some(pages) = &mut pages {
                pages.update(piece);
            }
            sink(piece)?;
            size += count as u64;
            self.job.add_bytes(count);
        }
        let (stored_size, stored_digest) = stream.stored();
        Ok(PassResult {
            size,
            digest: digest.map(Digest::finish),
            pages,
            stored_size,
            stored_digest,
        })
    }

    /// Digests what an open file has left; `None` when it cannot be read.
    ///
    /// # Errors
    /// `CANCELLED`.
    pub fn digest(&mut self, mut file: &File, kind: DigestKind) -> Result<Option<DigestValue>> {
        let mut digest = Digest::new(kind);
        loop {
            self.job.check()?;
            match file.read(&mut self.buffer) {
                Ok(0) => return Ok(Some(digest.finish())),
                Ok(count) => digest.update(&self.buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(None),
            }
        }
    }
}

//! Stored segments brought into a cluster, plain and of full size.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::decoder::{Options, Pending, WalDecoder};
use super::lsn::{Lsn, check_segment_size};
use super::page::{Expected, LONG_HEADER, PageFault, parse_page};
use super::stored::StoredSegment;
use crate::cipher::MasterSecret;
use crate::fs::{DurableFile, Existing, sync_directory};
use crate::restore::{Job, run_pool};
use crate::{Code, Error, Result};

const PIECE: usize = 256 * 1024;

/// One segment to be copied.
#[derive(Debug, Clone)]
pub struct SegmentCopy {
    /// As it is stored; its name tells codec and cipher.
    pub source: PathBuf,
    /// Whatever has this name is replaced.
    pub target: PathBuf,
    /// What the segment has to be: a file under a wrong name is refused.
    pub timeline: u32,
    pub number: u64,
    /// The segment was not completed: it may be shorter, and what follows the proved end of its WAL becomes zeros, so
    /// that nothing old is ever replayed.
    pub pad: bool,
}

/// What a copy made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopiedSegment {
    /// For a padded one: the end of the WAL in it. Behind it, and behind the last whole record, are zeros only.
    pub end: Option<Lsn>,
    /// False when nothing was ever received into it; there is no target then.
    pub written: bool,
}

/// The system and size of the segments of a job.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    pub segment_size: u32,
    pub system_identifier: Option<u64>,
    pub secret: Option<MasterSecret>,
}

/// Copies one segment: decoded, checked (size, and the header of its first page), synced, then named. The directory is
/// left for the caller to sync, once for many. No half file ever has the target's name.
///
/// # Errors
/// [`Code::Corrupt`] when the segment is not what it should be, [`Code::Io`], [`Code::NoSpace`], [`Code::Usage`] when a
/// key is missing or the name is none, [`Code::Cancelled`].
pub fn copy_segment(copy: &SegmentCopy, options: &CopyOptions, job: &Job) -> Result<CopiedSegment> {
    let size = options.segment_size;
    check_segment_size(size)?;
    let source = StoredSegment::parse(&copy.source, size)?;
    if (source.timeline, source.number) != (copy.timeline, copy.number) {
        let message = format!(
            "the name says segment {} of timeline {}, wanted was {} of timeline {}",
            source.number, source.timeline, copy.number, copy.timeline
        );
        return Err(Error::new(Code::Usage, message).at(&copy.source));
    }
    let mut work = Work::new(&source, copy, options)?;
    let mut reader = source.open(options.secret.as_ref())?;
    let mut buffer = vec![0; PIECE];
    loop {
        job.check()?;
        let count = source.read(&mut reader, &mut buffer)?;
        if count == 0 {
            break;
        }
        work.take(&buffer[..count])?;
        if work.output.is_none() {
            break;
        }
        job.add_bytes(count);
    }
    work.finish()
}

/// A copy under way.
struct Work<'a> {
    source: &'a StoredSegment,
    size: u64,
    /// `None` when there is nothing to be written.
    output: Option<DurableFile>,
    done: u64,
    /// Finds the end of the WAL of one that is padded.
    decoder: Option<WalDecoder>,
    options: &'a CopyOptions,
}

impl<'a> Work<'a> {
    fn new(source: &'a StoredSegment, copy: &SegmentCopy, options: &'a CopyOptions) -> Result<Self> {
        let how = Options {
            segment_size: options.segment_size,
            timeline: Some(source.timeline),
            system_identifier: options.system_identifier,
            start: source.start(),
        };
        Ok(Self {
            source,
            size: u64::from(options.segment_size),
            output: Some(DurableFile::create(&copy.target)?),
            done: 0,
            decoder: if copy.pad {
                Some(WalDecoder::new(how)?)
            } else {
                None
            },
            options,
        })
    }

    fn corrupt(&self, message: impl Into<String>) -> Error {
        Error::corrupt(message)
            .at(&self.source.path)
            .hint("take another copy of the segment, for example from wal_shipping or from the server")
    }

    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        if self.done == 0 && !self.check_first_page(bytes)? {
            self.output = None;
            return Ok(());
        }
        self.done += bytes.len() as u64;
        if self.done > self.size {
            return Err(self.corrupt(format!("it has more than the {} bytes of a segment", self.size)));
        }
        if let Some(decoder) = &mut self.decoder {
            // Whatever stops it is the end of the WAL here.
            let _ = decoder.push(bytes, &mut |_| ControlFlow::Continue(()));
        }
        if let Some(output) = &mut self.output {
            output.write_all(bytes)?;
        }
        Ok(())
    }

    /// Looks at the header that every segment begins with; false when nothing was ever written into it.
    fn check_first_page(&self, bytes: &[u8]) -> Result<bool> {
        let header = bytes
            .get(..LONG_HEADER)
            .ok_or_else(|| self.corrupt(format!("it has {} bytes only", bytes.len())))?;
        let expected = Expected {
            address: self.source.start(),
            segment_size: self.options.segment_size,
            page_size: None,
            system_identifier: self.options.system_identifier,
            version: None,
            at_least_timeline: 1,
            at_most_timeline: Some(self.source.timeline),
        };
        match parse_page(header, &expected) {
            Ok(_) => Ok(true),
            Err(PageFault::Zeros) if self.decoder.is_some() => Ok(false),
            Err(fault) => Err(self.corrupt(format!("at {}: {fault}", expected.address))),
        }
    }

    fn finish(mut self) -> Result<CopiedSegment> {
        if self.decoder.is_some() && self.done == 0 {
            self.output = None;
        }
        let Some(mut output) = self.output.take() else {
            return Ok(CopiedSegment {
                end: None,
                written: false,
            });
        };
        let end = match &self.decoder {
            None if self.done == self.size => None,
            None => {
                return Err(self.corrupt(format!("it has {} bytes instead of {}", self.done, self.size)));
            }
            Some(decoder) => {
                let end = decoder.end_of_wal();
                // The rest of a record from before is kept: the record as a whole proves it.
                let kept = match end.pending {
                    Pending::Skipped => end.position,
                    Pending::Nothing | Pending::Record(_) => end.proved.max(end.skipped),
                };
                let kept = kept.0.saturating_sub(self.source.start().0).min(self.size);
                output.set_len(kept)?;
                output.set_len(self.size)?;
                Some(self.source.start().plus(kept))
            }
        };
        output.publish(Existing::Replace)?;
        Ok(CopiedSegment { end, written: true })
    }
}

/// Copies segments on `workers` threads and syncs the directories that they go to. After a failure nothing more is
/// begun; segments that were copied stay.
///
/// # Errors
/// Those of [`copy_segment`], the first one.
pub fn copy_segments(
    copies: &[SegmentCopy],
    options: &CopyOptions,
    workers: usize,
    job: &Job,
) -> Result<Vec<CopiedSegment>> {
    check_segment_size(options.segment_size)?;
    let bytes = copies.len() as u64 * u64::from(options.segment_size);
    job.set_totals(bytes, copies.len() as u64);
    let done = Mutex::new((vec![None; copies.len()], None));
    let pooled = run_pool(
        workers,
        copies.len(),
        job,
        || (),
        |(), index| {
            let copied = copy_segment(&copies[index], options, job);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            match copied {
                Ok(copied) => {
                    done.0[index] = Some(copied);
                    job.add_file();
                    true
                }
                Err(error) => {
                    done.1.get_or_insert(error);
                    false
                }
            }
        },
    );
    let (copied, failure) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = failure {
        return Err(error);
    }
    pooled?;
    let directories: BTreeSet<&Path> = copies.iter().filter_map(|copy| copy.target.parent()).collect();
    for directory in directories {
        sync_directory(if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        })?;
    }
    Ok(copied.into_iter().flatten().collect())
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;

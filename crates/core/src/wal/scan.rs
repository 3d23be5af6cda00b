//! What a stretch of stored WAL holds, and where a recovery through it would stop.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;

use super::ahead::read_ahead;
use super::decoder::{Options, Reason, Stop, WalDecoder};
use super::lsn::Lsn;
use super::prove::explain;
use super::record::Record;
use super::stored::StoredSegment;
use super::target::{Target, TargetStop};
use super::transaction::{Event, Timestamp, event};
use crate::cipher::MasterSecret;
use crate::restore::Job;
use crate::{Code, Error, Result};

/// Restore points that a report keeps: the newest.
pub const MAX_RESTORE_POINTS: usize = 1000;

/// What is scanned.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// In order of their numbers, without a hole. Their names tell timeline, codec and cipher. Where a timeline branches
    /// off, the newer one's segment holds all that the older one's does before the switch: of two with the same number
    /// the newer counts, as for PostgreSQL, and the other one is not read.
    pub segments: Vec<PathBuf>,
    pub segment_size: u32,
    pub system_identifier: Option<u64>,
    /// Records from here on count. Lies in the first segment.
    pub start: Lsn,
    pub secret: Option<MasterSecret>,
    /// The scan ends where a recovery would.
    pub target: Option<Target>,
    /// Threads that read ahead.
    pub workers: usize,
}

/// A commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub lsn: Lsn,
    pub end: Lsn,
    pub xid: u32,
    pub time: Timestamp,
}

/// A named place to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePoint {
    /// 63 bytes at most.
    pub name: Vec<u8>,
    pub time: Timestamp,
    pub lsn: Lsn,
    pub end: Lsn,
}

/// Why a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndKind {
    /// At the target.
    Target,
    /// Every byte of every segment is good; the last record may go on in a segment that is not there.
    Whole,
    /// In the last segment, which was being written: nothing is lost.
    EndOfWal,
    /// Before the end of the WAL: what comes after this place cannot be recovered from these files.
    Damaged,
}

impl EndKind {
    /// As JavaScript calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Target => "target",
            Self::Whole => "whole",
            Self::EndOfWal => "end-of-wal",
            Self::Damaged => "damaged",
        }
    }
}

/// Where and why a scan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    pub kind: EndKind,
    /// The place, for people; a record may be good up to its begin only.
    pub at: Lsn,
    pub path: Option<PathBuf>,
    /// What was found there; empty for `Target` and `Whole`.
    pub message: String,
}

/// What a scan found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// End of the last good record, where a recovery of all this would end; the start when there was none.
    pub end: Lsn,
    /// Of the last record; of the first segment when there was none.
    pub timeline: u32,
    /// From the start on.
    pub records: u64,
    pub commits: u64,
    pub aborts: u64,
    pub first_commit: Option<Commit>,
    /// The last in the WAL, whose time need not be the latest.
    pub last_commit: Option<Commit>,
    /// The newest ones, oldest first.
    pub restore_points: Vec<RestorePoint>,
    /// All that there are.
    pub restore_point_count: u64,
    pub major_version: Option<u32>,
    pub system_identifier: Option<u64>,
    pub ending: Ending,
    /// `None` when the target was not reached, or none was asked for.
    pub stop: Option<TargetStop>,
}

/// Scans stored segments.
///
/// # Errors
/// [`Code::Usage`] when the segments are not a stretch, the start is not in the first one, or a key is missing;
/// [`Code::Io`]; [`Code::Cancelled`]. Damage is no error but an [`Ending`].
pub fn scan(options: &ScanOptions, job: &Job) -> Result<ScanReport> {
    scan_with(options, job, &mut |_| {})
}

/// [`scan`] that hands each record that counts to `each`.
///
/// # Errors
/// Those of [`scan`].
pub fn scan_with(options: &ScanOptions, job: &Job, each: &mut dyn FnMut(&Record<'_>)) -> Result<ScanReport> {
    let segments = stretch(options)?;
    job.set_totals(
        segments.len() as u64 * u64::from(options.segment_size),
        segments.len() as u64,
    );
    let mut run = Run::new(options, &segments, each)?;
    let secret = options.secret.as_ref();
    read_ahead(&segments, options.workers, secret, job, |index, piece| {
        run.take(index, piece)
    })?;
    run.finish()
}

/// The segments that are read: a stretch without a hole.
fn stretch(options: &ScanOptions) -> Result<Vec<StoredSegment>> {
    let mut segments: Vec<StoredSegment> = Vec::with_capacity(options.segments.len());
    for path in &options.segments {
        let segment = StoredSegment::parse(path, options.segment_size)?;
        if let Some(last) = segments.last() {
            if segment.timeline < last.timeline
                || (segment.number != last.number && segment.number != last.number + 1)
            {
                let message = format!("{} does not follow {}", path.display(), last.path.display());
                return Err(Error::new(Code::Usage, message)
                    .hint("WAL segments are scanned in order of timeline and number, without a hole"));
            }
            if segment.number == last.number {
                segments.pop();
            }
        }
        segments.push(segment);
    }
    let first = segments
        .first()
        .ok_or_else(|| Error::new(Code::Usage, "there are no WAL segments to scan"))?;
    if options.start < first.start() || options.start >= first.end() {
        let message = format!("{} does not lie in the first segment", options.start);
        return Err(Error::new(Code::Usage, message).at(&first.path));
    }
    Ok(segments)
}

/// A scan under way.
struct Run<'a> {
    options: &'a ScanOptions,
    segments: &'a [StoredSegment],
    decoder: WalDecoder,
    found: Found<'a>,
    /// The segment that bytes came from last.
    index: usize,
    /// Bytes of it so far.
    size: u64,
    ending: Option<Ending>,
    /// Behind the place where the WAL ends there is something else than zeros.
    surplus: bool,
    failure: Option<Error>,
}

/// What the records say.
struct Found<'a> {
    start: Lsn,
    target: Option<&'a Target>,
    end: Lsn,
    timeline: u32,
    records: u64,
    commits: u64,
    aborts: u64,
    first_commit: Option<Commit>,
    last_commit: Option<Commit>,
    restore_points: VecDeque<RestorePoint>,
    restore_point_count: u64,
    stop: Option<TargetStop>,
    each: &'a mut dyn FnMut(&Record<'_>),
    /// A record that cannot be what it says.
    bad: Option<(Lsn, String)>,
}

impl Found<'_> {
    fn record(&mut self, record: &Record<'_>) -> ControlFlow<()> {
        let event = match event(record) {
            Ok(event) => event,
            Err(fault) => {
                self.bad = Some((record.lsn, fault.to_string()));
                return ControlFlow::Break(());
            }
        };
        // A page tells the timeline of its first record; the first record of a new timeline tells its own.
        let told = match event {
            Some(Event::EndOfRecovery { timeline, .. } | Event::Checkpoint { timeline, .. }) => timeline,
            _ => record.timeline,
        };
        self.timeline = self.timeline.max(told);
        if record.lsn < self.start {
            return ControlFlow::Continue(());
        }
        if let Some(target) = self.target
            && let Some(stop) = target.stops_at(record, event.as_ref(), self.end, self.timeline)
        {
            self.stop = Some(stop);
            if stop.replayed {
                self.count(record, event.as_ref());
            }
            return ControlFlow::Break(());
        }
        self.count(record, event.as_ref());
        ControlFlow::Continue(())
    }

    fn count(&mut self, record: &Record<'_>, event: Option<&Event<'_>>) {
        self.records += 1;
        (self.each)(record);
        self.end = record.end;
        let (lsn, end) = (record.lsn, record.end);
        match event {
            Some(Event::TransactionEnd { committed: false, .. }) => self.aborts += 1,
            Some(Event::TransactionEnd { xid, time, .. }) => {
                let commit = Commit {
                    lsn,
                    end,
                    xid: *xid,
                    time: *time,
                };
                self.commits += 1;
                self.first_commit.get_or_insert(commit);
                self.last_commit = Some(commit);
            }
            Some(Event::RestorePoint { name, time }) => {
                self.restore_point_count += 1;
                if self.restore_points.len() == MAX_RESTORE_POINTS {
                    self.restore_points.pop_front();
                }
                self.restore_points.push_back(RestorePoint {
                    name: name.to_vec(),
                    time: *time,
                    lsn,
                    end,
                });
            }
            _ => {}
        }
    }
}

impl<'a> Run<'a> {
    fn new(
        options: &'a ScanOptions,
        segments: &'a [StoredSegment],
        each: &'a mut dyn FnMut(&Record<'_>),
    ) -> Result<Self> {
        let decoder = WalDecoder::new(Options {
            segment_size: options.segment_size,
            timeline: Some(segments[0].timeline),
            system_identifier: options.system_identifier,
            start: segments[0].start(),
        })?;
        let found = Found {
            start: options.start,
            target: options.target.as_ref(),
            end: options.start,
            timeline: 0,
            records: 0,
            commits: 0,
            aborts: 0,
            first_commit: None,
            last_commit: None,
            restore_points: VecDeque::new(),
            restore_point_count: 0,
            stop: None,
            each,
            bad: None,
        };
        Ok(Self {
            options,
            segments,
            decoder,
            found,
            index: 0,
            size: 0,
            ending: None,
            surplus: false,
            failure: None,
        })
    }

    fn is_last(&self) -> bool {
        self.index + 1 == self.segments.len()
    }

    fn end(&mut self, kind: EndKind, at: Lsn, message: String) -> ControlFlow<()> {
        self.ending = Some(Ending {
            kind,
            at,
            path: Some(self.segments[self.index].path.clone()),
            message,
        });
        ControlFlow::Break(())
    }

    /// The next bytes of a segment; none at its end.
    fn take(&mut self, index: usize, piece: Result<&[u8]>) -> ControlFlow<()> {
        if index != self.index {
            (self.index, self.size) = (index, 0);
        }
        let bytes = match piece {
            Ok(bytes) => bytes,
            Err(error) if error.code == Code::Corrupt => {
                let hint = error.hint.as_deref().unwrap_or_default();
                let message = format!("{}; {hint}", error.message);
                return self.end(EndKind::Damaged, self.decoder.position(), message);
            }
            Err(error) => {
                self.failure = Some(error);
                return ControlFlow::Break(());
            }
        };
        self.size += bytes.len() as u64;
        if bytes.is_empty() {
            return self.check_size();
        }
        if self.decoder.has_stopped() {
            // Only in the last segment: is it the end of what was written, or a hole in it?
            self.surplus |= bytes.iter().any(|byte| *byte != 0);
            return ControlFlow::Continue(());
        }
        let segment = &self.segments[index];
        self.decoder.raise_timeline(segment.timeline);
        let before = self.decoder.position();
        if before.0 + bytes.len() as u64 > segment.end().0 {
            let message = format!(
                "it has more than the {} bytes of a segment",
                self.options.segment_size
            );
            return self.end(EndKind::Damaged, segment.end(), message);
        }
        let found = &mut self.found;
        let flow = self.decoder.push(bytes, &mut |record| found.record(record));
        if flow.is_continue() {
            return flow;
        }
        match self.decoder.end_of_wal().stop {
            // A record has ended it, or one that cannot be what it says.
            None => ControlFlow::Break(()),
            Some(_) if !self.is_last() => ControlFlow::Break(()),
            Some(stop) => {
                let behind = usize::try_from(stop.at.0.saturating_sub(before.0)).unwrap_or(0);
                let behind = bytes.get(behind..).unwrap_or(&[]);
                self.surplus = behind.iter().any(|byte| *byte != 0);
                ControlFlow::Continue(())
            }
        }
    }

    /// A segment has ended.
    fn check_size(&mut self) -> ControlFlow<()> {
        let segment = &self.segments[self.index];
        if self.size == u64::from(self.options.segment_size) {
            return ControlFlow::Continue(());
        }
        let unfinished = segment.partial && self.is_last();
        if unfinished && self.decoder.has_stopped() {
            return ControlFlow::Continue(());
        }
        let message = format!(
            "it has {} bytes instead of {}",
            self.size, self.options.segment_size
        );
        let kind = if unfinished {
            EndKind::EndOfWal
        } else {
            EndKind::Damaged
        };
        self.end(kind, self.decoder.position(), message)
    }

    /// What kind of end it is that the decoder has come to.
    fn ending(&mut self) -> Ending {
        if let Some(ending) = self.ending.take() {
            return ending;
        }
        let path = Some(self.segments[self.index].path.clone());
        if let Some(stop) = self.found.stop {
            let (kind, at) = (EndKind::Target, stop.lsn);
            return Ending {
                kind,
                at,
                path,
                message: String::new(),
            };
        }
        if let Some((at, message)) = self.found.bad.take() {
            return Ending {
                kind: EndKind::Damaged,
                at,
                path,
                message,
            };
        }
        let end = self.decoder.end_of_wal();
        let message = explain(&end).unwrap_or_default();
        let Some(Stop { reason, at }) = end.stop else {
            let (kind, at) = (EndKind::Whole, end.position);
            return Ending {
                kind,
                at,
                path,
                message,
            };
        };
        let written = self.segments[self.index].partial || (reason == Reason::Zeros && !self.surplus);
        let kind = if self.is_last() && written {
            EndKind::EndOfWal
        } else {
            EndKind::Damaged
        };
        Ending {
            kind,
            at,
            path,
            message,
        }
    }

    fn finish(mut self) -> Result<ScanReport> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let ending = self.ending();
        let found = self.found;
        Ok(ScanReport {
            end: found.end,
            timeline: if found.timeline == 0 {
                self.segments[0].timeline
            } else {
                found.timeline
            },
            records: found.records,
            commits: found.commits,
            aborts: found.aborts,
            first_commit: found.first_commit,
            last_commit: found.last_commit,
            restore_points: found.restore_points.into(),
            restore_point_count: found.restore_point_count,
            major_version: self.decoder.version().map(super::page::Version::major),
            system_identifier: self.decoder.system_identifier(),
            ending,
            stop: found.stop,
        })
    }
}

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;

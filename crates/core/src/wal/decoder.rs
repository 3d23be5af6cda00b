//! Records from a stream of WAL bytes: pushed in, no I/O, at most one record in memory.

use std::fmt;
use std::ops::ControlFlow;

use super::lsn::Lsn;
use super::page::{
    DEFAULT_PAGE, Expected, LONG_HEADER, PageFault, PageHeader, Version, header_size, parse_page, u32_at,
};
use super::record::{
    ALIGNMENT, MAX_RECORD, RECORD_HEADER, Record, RecordHeader, record_crc, resource_manager,
};
use crate::{Code, Error, Result};

/// Of a buffer that held a record over several pages, this much is kept for the next one.
const KEPT: usize = 1 << 20;
const SWITCH: u8 = 0x40;
/// So far from the last position there is that no stream of bytes gets there.
const LAST_START: u64 = u64::MAX - (1 << 50);

/// What WAL is read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bytes of a segment, a power of two.
    pub segment_size: u32,
    /// The newest timeline that pages may be of; `None`: any, as long as it does not go down.
    pub timeline: Option<u32>,
    /// `None`: any.
    pub system_identifier: Option<u64>,
    /// The first byte that will be pushed: of a segment, or of any page of the usual size.
    pub start: Lsn,
}

/// Why no record follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was written here: zeros where a record or a page header should be.
    Zeros,
    /// The header of a page is not the one expected at its place.
    Page(PageFault),
    /// A page begins with the rest of a record, or should and does not, or with another length.
    Continuation {
        expected: Option<u32>,
        found: Option<u32>,
    },
    Length(u32),
    ResourceManager(u8),
    /// The record names another one as the one before it: typical for old WAL in a reused file.
    Previous {
        expected: Option<Lsn>,
        found: Lsn,
    },
    Crc {
        stated: u32,
        found: u32,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros => write!(formatter, "there are zeros: nothing was written here"),
            Self::Page(fault) => fault.fmt(formatter),
            Self::Continuation {
                expected: Some(expected),
                found: Some(found),
            } => write!(
                formatter,
                "the page says that {found} bytes of a record go on here, {expected} are missing"
            ),
            Self::Continuation {
                expected: Some(expected),
                found: None,
            } => {
                write!(
                    formatter,
                    "{expected} bytes of a record should go on on this page and do not"
                )
            }
            Self::Continuation { found, .. } => write!(
                formatter,
                "the page says that {} bytes of a record go on here, but none was begun",
                found.unwrap_or(0)
            ),
            Self::Length(length) => write!(formatter, "the record states a length of {length} bytes"),
            Self::ResourceManager(id) => {
                write!(
                    formatter,
                    "the record is of resource manager {id}, which does not exist"
                )
            }
            Self::Previous {
                expected: Some(expected),
                found,
            } => write!(
                formatter,
                "the record says that it follows the one at {found}, but the one before is at {expected}"
            ),
            Self::Previous {
                expected: None,
                found,
            } => {
                write!(
                    formatter,
                    "the record says that it follows one at {found}, which comes later"
                )
            }
            Self::Crc { stated, found } => {
                write!(
                    formatter,
                    "the record is damaged: its CRC is {stated:08x}, its bytes have {found:08x}"
                )
            }
        }
    }
}

/// Where and why reading ended before the bytes did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    pub reason: Reason,
    /// The record or page that is not one.
    pub at: Lsn,
}

/// What was begun and not completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pending {
    /// Nothing: a record has just ended, or none has begun.
    Nothing,
    /// A record that begins here.
    Record(Lsn),
    /// The rest of a record that began before the start.
    Skipped,
}

/// What is known about the end of the WAL that was pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOfWal {
    /// Up to here everything is proved: end of the last good record ([`Record::end`]), or the start when there was none.
    pub proved: Lsn,
    pub last_record: Option<Lsn>,
    /// End of a record that began before the start and ended after it, rounded up; the start when there was none. It is
    /// not proved: its begin was not seen.
    pub skipped: Lsn,
    /// The byte that would be pushed next, or where reading stopped: [`Stop::at`].
    pub position: Lsn,
    pub pending: Pending,
    /// `None`: every byte was taken. The WAL may go on.
    pub stop: Option<Stop>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A record begins here, or padding comes first.
    Between,
    /// A record is being put together.
    Assembling,
    /// So many bytes of a record that began before the start are still to come.
    Skipping(u32),
    /// Nothing more in this segment, after a switch.
    SegmentRest,
}

/// Finds the records in WAL that is pushed piece by piece.
///
/// It stops at the first thing that PostgreSQL would stop at, too: a record whose length, chain or CRC is wrong, a
/// page that is not the one for its place. Whether that is the end of the WAL or damage in the middle of it, only
/// the caller knows: see [`WalDecoder::end_of_wal`].
#[derive(Debug)]
pub struct WalDecoder {
    options: Options,
    /// Known from the first long header on.
    page_size: Option<u32>,
    position: u64,
    /// End of the page that `position` is on; equal to it when a page header comes next.
    page_end: u64,
    header: Vec<u8>,
    state: State,
    page_timeline: u32,
    version: Option<Version>,
    system_identifier: Option<u64>,
    /// Begin of the last good record.
    last: Option<u64>,
    proved: u64,
    skipped: u64,
    stop: Option<Stop>,
    assembly: Vec<u8>,
    record_start: u64,
    record_timeline: u32,
}

impl WalDecoder {
    /// # Errors
    /// [`Code::Usage`] when the start is not that of a page, or the size is none.
    pub fn new(options: Options) -> Result<Self> {
        let size = options.segment_size;
        if !size.is_power_of_two() || size < 1024 {
            return Err(Error::new(
                Code::Usage,
                format!("WAL segments cannot have {size} bytes"),
            ));
        }
        let start = options.start.0;
        if !start.is_multiple_of(u64::from(size)) && !start.is_multiple_of(u64::from(DEFAULT_PAGE)) {
            return Err(Error::new(
                Code::Usage,
                format!("{} is not the begin of a page of WAL", options.start),
            ));
        }
        if start > LAST_START {
            return Err(Error::new(
                Code::Usage,
                format!("{} is beyond what a server reaches", options.start),
            ));
        }
        Ok(Self {
            options,
            page_size: None,
            position: start,
            page_end: start,
            header: Vec::with_capacity(LONG_HEADER),
            state: State::Between,
            page_timeline: 0,
            version: None,
            system_identifier: options.system_identifier,
            last: None,
            proved: start,
            skipped: start,
            stop: None,
            assembly: Vec::new(),
            record_start: start,
            record_timeline: 0,
        })
    }

    /// The version that wrote the WAL, once a page was seen.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The system that the WAL belongs to, once a long header was seen (or it was told).
    #[must_use]
    pub fn system_identifier(&self) -> Option<u64> {
        self.system_identifier
    }

    /// The byte that is to be pushed next.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn(self.position)
    }

    /// Whether nothing more will be read.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Allows pages of a newer timeline from here on: the caller has come to its begin.
    pub fn raise_timeline(&mut self, timeline: u32) {
        self.options.timeline = self.options.timeline.map(|before| before.max(timeline));
    }

    /// What is proved of what was pushed, and why there is no more.
    #[must_use]
    pub fn end_of_wal(&self) -> EndOfWal {
        EndOfWal {
            proved: Lsn(self.proved),
            last_record: self.last.map(Lsn),
            skipped: Lsn(self.skipped),
            position: Lsn(self.position),
            pending: match self.state {
                State::Assembling => Pending::Record(Lsn(self.record_start)),
                State::Skipping(_) => Pending::Skipped,
                State::Between | State::SegmentRest => Pending::Nothing,
            },
            stop: self.stop.clone(),
        }
    }

    /// Takes the next bytes and hands every record that is complete to `sink`. `Break` when reading has stopped, or
    /// `sink` has said so (nothing may be pushed then).
    pub fn push<F>(&mut self, bytes: &[u8], sink: &mut F) -> ControlFlow<()>
    where
        F: FnMut(&Record<'_>) -> ControlFlow<()>,
    {
        let mut rest = bytes;
        if self.stop.is_some() {
            return ControlFlow::Break(());
        }
        while !rest.is_empty() {
            let taken = match self.state {
                State::SegmentRest => self.pass_segment_rest(rest),
                _ if self.position == self.page_end => self.take_page_header(rest),
                State::Skipping(left) => self.skip(left, rest),
                State::Between => self.begin(rest, sink)?,
                State::Assembling => self.assemble(rest, sink)?,
            };
            if self.stop.is_some() {
                return ControlFlow::Break(());
            }
            self.position += taken as u64;
            rest = &rest[taken..];
        }
        ControlFlow::Continue(())
    }

    fn stop(&mut self, reason: Reason, at: u64) {
        self.stop = Some(Stop { reason, at: Lsn(at) });
        self.position = at;
    }

    /// How much of `rest` lies on the current page.
    fn on_page(&self, rest: &[u8]) -> usize {
        usize::try_from(self.page_end - self.position).map_or(rest.len(), |room| room.min(rest.len()))
    }

    fn pass_segment_rest(&mut self, rest: &[u8]) -> usize {
        let size = u64::from(self.options.segment_size);
        // A switch that ends exactly with its segment leaves nothing to pass.
        let left = (size - self.position % size) % size;
        let taken = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
        if taken as u64 == left {
            self.state = State::Between;
            self.page_end = self.position + left;
        }
        taken
    }

    /// Collects the header of a page, whose begin is `position` less what was collected.
    fn take_page_header(&mut self, rest: &[u8]) -> usize {
        let start = self.position - self.header.len() as u64;
        let size = header_size(Lsn(start), self.options.segment_size);
        let taken = (size - self.header.len()).min(rest.len());
        self.header.extend_from_slice(&rest[..taken]);
        if self.header.len() < size {
            // `position` and `page_end` move together: the header is still what comes next.
            self.page_end += taken as u64;
            return taken;
        }
        let expected = Expected {
            address: Lsn(start),
            segment_size: self.options.segment_size,
            page_size: self.page_size,
            system_identifier: self.system_identifier,
            version: self.version,
            at_least_timeline: self.page_timeline,
            at_most_timeline: self.options.timeline,
        };
        let parsed = parse_page(&self.header, &expected);
        self.header.clear();
        match parsed {
            Ok(page) => self.begin_page(&page),
            Err(PageFault::Zeros) => self.stop(Reason::Zeros, start),
            Err(fault) => self.stop(Reason::Page(fault), start),
        }
        taken
    }

    fn begin_page(&mut self, page: &PageHeader) {
        if let Some(facts) = page.segment {
            self.page_size = Some(facts.page_size);
            self.system_identifier = Some(facts.system_identifier);
        }
        let first = self.page_timeline == 0;
        self.version = Some(page.version);
        self.page_timeline = page.timeline;
        self.page_end = page.address.0 + u64::from(self.page_size.unwrap_or(DEFAULT_PAGE));
        let missing = match self.state {
            State::Assembling => Some(self.record_total() - self.assembled()),
            State::Skipping(left) => Some(left),
            State::Between | State::SegmentRest => None,
        };
        match (missing, page.continued) {
            (None, None) => {}
            (Some(expected), Some(found)) if expected == found => {}
            // The server came back from a crash and gave the record up; the next one says so.
            (Some(_), None) if page.overwrites => {
                self.assembly.clear();
                self.state = State::Between;
            }
            (None, Some(found)) if first && found > 0 => self.state = State::Skipping(found),
            (expected, found) => self.stop(Reason::Continuation { expected, found }, page.address.0),
        }
    }

    fn skip(&mut self, left: u32, rest: &[u8]) -> usize {
        let taken = self.on_page(rest).min(left as usize);
        // `taken` is not more than `left`, which is 32 bits wide.
        let left = left - u32::try_from(taken).unwrap_or(left);
        if left == 0 {
            self.skipped = (self.position + taken as u64).next_multiple_of(ALIGNMENT);
            self.state = State::Between;
        } else {
            self.state = State::Skipping(left);
        }
        taken
    }

    fn assembled(&self) -> u32 {
        u32::try_from(self.assembly.len()).unwrap_or(u32::MAX)
    }

    /// Length of the record that is being put together; its first bytes are always there when a page ends.
    fn record_total(&self) -> u32 {
        u32_at(&self.assembly, 0).max(self.assembled())
    }

    fn begin<F>(&mut self, rest: &[u8], sink: &mut F) -> ControlFlow<(), usize>
    where
        F: FnMut(&Record<'_>) -> ControlFlow<()>,
    {
        let padding = self.position.wrapping_neg() % ALIGNMENT;
        if padding > 0 {
            return ControlFlow::Continue(self.on_page(rest).min(padding as usize));
        }
        self.record_start = self.position;
        self.record_timeline = self.page_timeline;
        let here = self.on_page(rest);
        if here >= RECORD_HEADER {
            let total = u32_at(rest, 0) as usize;
            if (RECORD_HEADER..=here).contains(&total) {
                return self.finish(&rest[..total], sink);
            }
        }
        self.assembly.clear();
        self.state = State::Assembling;
        self.assemble(rest, sink)
    }

    /// Adds bytes to the record that is being put together.
    fn assemble<F>(&mut self, rest: &[u8], sink: &mut F) -> ControlFlow<(), usize>
    where
        F: FnMut(&Record<'_>) -> ControlFlow<()>,
    {
        let have = self.assembly.len();
        let target = match have {
            0..4 => 4,
            4..RECORD_HEADER => RECORD_HEADER,
            _ => u32_at(&self.assembly, 0) as usize,
        };
        let taken = self.on_page(rest).min(target - have);
        self.assembly.extend_from_slice(&rest[..taken]);
        if self.assembly.len() < target {
            return ControlFlow::Continue(taken);
        }
        if target == 4 {
            let total = u32_at(&self.assembly, 0);
            if total == 0 {
                self.give_up(Reason::Zeros);
            } else if (total as usize) < RECORD_HEADER || total > MAX_RECORD {
                self.give_up(Reason::Length(total));
            }
            return ControlFlow::Continue(taken);
        }
        let total = u32_at(&self.assembly, 0) as usize;
        if target < total {
            // A wrong header must not make us collect a gigabyte before its CRC is looked at.
            if let Some(fault) = RecordHeader::parse(&self.assembly).and_then(|header| self.fault(&header)) {
                self.give_up(fault);
            }
            return ControlFlow::Continue(taken);
        }
        let record = std::mem::take(&mut self.assembly);
        self.state = State::Between;
        // What `finish` says it has taken is the whole record; from this piece came less.
        let finished = self.finish_at(&record, self.position + taken as u64, sink);
        self.assembly = record;
        self.assembly.clear();
        self.assembly.shrink_to(KEPT);
        finished?;
        ControlFlow::Continue(taken)
    }

    /// Stops at the record that was begun.
    fn give_up(&mut self, reason: Reason) {
        self.state = State::Between;
        self.stop(reason, self.record_start);
    }

    /// What of a header can be wrong without looking at the body.
    fn fault(&self, header: &RecordHeader) -> Option<Reason> {
        if !header.is_known_manager() {
            return Some(Reason::ResourceManager(header.resource_manager));
        }
        let follows = match self.last {
            Some(last) => header.prev.0 == last,
            None => header.prev.0 < self.record_start,
        };
        (!follows).then_some(Reason::Previous {
            expected: self.last.map(Lsn),
            found: header.prev,
        })
    }

    /// A record that lies in one piece at `position`.
    fn finish<F>(&mut self, record: &[u8], sink: &mut F) -> ControlFlow<(), usize>
    where
        F: FnMut(&Record<'_>) -> ControlFlow<()>,
    {
        self.finish_at(record, self.position + record.len() as u64, sink)?;
        ControlFlow::Continue(record.len())
    }

    fn finish_at<F>(&mut self, record: &[u8], end: u64, sink: &mut F) -> ControlFlow<()>
    where
        F: FnMut(&Record<'_>) -> ControlFlow<()>,
    {
        let (Some(header), Some(version)) = (RecordHeader::parse(record), self.version) else {
            self.give_up(Reason::Zeros);
            return ControlFlow::Continue(());
        };
        let found = record_crc(record);
        let fault = self
            .fault(&header)
            .or((found != header.crc).then_some(Reason::Crc {
                stated: header.crc,
                found,
            }));
        if let Some(fault) = fault {
            self.give_up(fault);
            return ControlFlow::Continue(());
        }
        let mut end = end.next_multiple_of(ALIGNMENT);
        if header.resource_manager == resource_manager::XLOG && header.info & 0xf0 == SWITCH {
            end = end.next_multiple_of(u64::from(self.options.segment_size));
            self.state = State::SegmentRest;
        }
        self.last = Some(self.record_start);
        self.proved = end;
        sink(&Record {
            lsn: Lsn(self.record_start),
            end: Lsn(end),
            header,
            body: &record[RECORD_HEADER..],
            timeline: self.record_timeline,
            version,
        })
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;

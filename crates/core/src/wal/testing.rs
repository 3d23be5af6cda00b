//! WAL built by hand: small pages and segments, right CRCs and chains.

use std::ops::Range;

use super::page::{LONG_HEADER, Version, header_size};
use super::record::record_crc;
use crate::wal::Lsn;

/// Bytes of a page and a segment of most tests.
pub(crate) const PAGE: u32 = 1024;
pub(crate) const SEGMENT: u32 = 16 * 1024;
pub(crate) const SYSTEM: u64 = 7_710_222_501_349_654_523;

/// A page header as a server writes it, of pages of [`PAGE`] and segments of [`SEGMENT`] bytes.
pub(crate) fn page_header(address: u64, timeline: u32, version: Version, continued: u32) -> Vec<u8> {
    header(address, timeline, version, continued, PAGE, SEGMENT)
}

fn header(address: u64, timeline: u32, version: Version, continued: u32, page: u32, segment: u32) -> Vec<u8> {
    let long = header_size(Lsn(address), segment) == LONG_HEADER;
    let flags = u16::from(continued > 0) | if long { 2 } else { 0 };
    let mut bytes = Vec::with_capacity(LONG_HEADER);
    bytes.extend(version.magic().to_le_bytes());
    bytes.extend(flags.to_le_bytes());
    bytes.extend(timeline.to_le_bytes());
    bytes.extend(address.to_le_bytes());
    bytes.extend(continued.to_le_bytes());
    bytes.extend([0; 4]);
    if long {
        bytes.extend(SYSTEM.to_le_bytes());
        bytes.extend(segment.to_le_bytes());
        bytes.extend(page.to_le_bytes());
    }
    bytes
}

/// A record that a [`WalBuilder`] has written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) lsn: Lsn,
    pub(crate) end: Lsn,
    pub(crate) xid: u32,
    pub(crate) body: Vec<u8>,
}

/// Writes WAL as a server does.
pub(crate) struct WalBuilder {
    pub(crate) version: Version,
    pub(crate) timeline: u32,
    pub(crate) page: u32,
    pub(crate) segment: u32,
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
    pub(crate) records: Vec<Written>,
    pub(crate) prev: u64,
    /// Which of the bytes belong to which record.
    pub(crate) parts: Vec<(Lsn, Range<usize>)>,
}

impl WalBuilder {
    /// Begins at `start`, the begin of a segment.
    pub(crate) fn new(start: u64) -> Self {
        Self::sized(start, PAGE, SEGMENT)
    }

    pub(crate) fn sized(start: u64, page: u32, segment: u32) -> Self {
        assert!(start.is_multiple_of(u64::from(segment)));
        Self {
            version: Version::from_major(17).unwrap(),
            timeline: 1,
            page,
            segment,
            start,
            bytes: Vec::new(),
            records: Vec::new(),
            prev: start.saturating_sub(100),
            parts: Vec::new(),
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn header_if_due(&mut self, continued: u32) {
        let at = self.position();
        if at.is_multiple_of(u64::from(self.page)) {
            let bytes = header(
                at,
                self.timeline,
                self.version,
                continued,
                self.page,
                self.segment,
            );
            self.bytes.extend(bytes);
        }
    }

    /// Writes a record with this whole body.
    pub(crate) fn raw(&mut self, manager: u8, info: u8, xid: u32, body: &[u8]) -> Lsn {
        let mut record = Vec::new();
        record.extend(u32::try_from(24 + body.len()).unwrap().to_le_bytes());
        record.extend(xid.to_le_bytes());
        record.extend(self.prev.to_le_bytes());
        record.extend([info, manager, 0, 0, 0, 0, 0, 0]);
        record.extend(body);
        let crc = record_crc(&record);
        record[20..24].copy_from_slice(&crc.to_le_bytes());
        self.header_if_due(0);
        let lsn = self.position();
        let mut rest = record.as_slice();
        while !rest.is_empty() {
            self.header_if_due(u32::try_from(rest.len()).unwrap());
            let room = u64::from(self.page) - self.position() % u64::from(self.page);
            let (now, later) = rest.split_at(rest.len().min(usize::try_from(room).unwrap()));
            self.parts
                .push((Lsn(lsn), self.bytes.len()..self.bytes.len() + now.len()));
            self.bytes.extend(now);
            rest = later;
        }
        while !self.position().is_multiple_of(8) {
            self.bytes.push(0);
        }
        self.prev = lsn;
        let (lsn, end) = (Lsn(lsn), Lsn(self.position()));
        self.records.push(Written {
            lsn,
            end,
            xid,
            body: body.to_vec(),
        });
        lsn
    }

    /// Writes a record that has main data only.
    pub(crate) fn record(&mut self, manager: u8, info: u8, xid: u32, main: &[u8]) -> Lsn {
        self.raw(manager, info, xid, &main_only(main))
    }

    /// A record of a resource manager that nobody looks into, with a body of `size` bytes.
    pub(crate) fn filler(&mut self, size: usize) -> Lsn {
        let xid = u32::try_from(self.records.len()).unwrap();
        let body: Vec<u8> = (0..size).map(|at| (at * 31 + 7) as u8).collect();
        self.raw(10, 0, xid, &body)
    }

    pub(crate) fn commit(&mut self, xid: u32, time: i64) -> Lsn {
        self.record(1, 0x00, xid, &time.to_le_bytes())
    }

    pub(crate) fn abort(&mut self, xid: u32, time: i64) -> Lsn {
        self.record(1, 0x20, xid, &time.to_le_bytes())
    }

    pub(crate) fn restore_point(&mut self, name: &str, time: i64) -> Lsn {
        let mut main = time.to_le_bytes().to_vec();
        main.extend(name.as_bytes());
        main.resize(72, 0);
        self.record(0, 0x70, 0, &main)
    }

    /// A switch: the rest of the segment is zeros.
    pub(crate) fn switch(&mut self) -> Lsn {
        let lsn = self.raw(0, 0x40, 0, &[]);
        self.fill_segment();
        self.records.last_mut().unwrap().end = Lsn(self.position());
        lsn
    }

    /// Zeros to the end of the segment.
    pub(crate) fn fill_segment(&mut self) {
        while !self.position().is_multiple_of(u64::from(self.segment)) {
            self.bytes.push(0);
        }
    }

    /// What a server does after a crash in the middle of a record: the last record loses what lies on pages after
    /// its first one, and the next page says so.
    pub(crate) fn crash_in_last_record(&mut self, time: i64) -> Lsn {
        let lost = self.records.pop().unwrap();
        self.parts.retain(|(lsn, _)| *lsn != lost.lsn);
        let page = u64::from(self.page);
        let next = lost.lsn.0 - lost.lsn.0 % page + page;
        assert!(lost.end.0 > next, "the record must go on on another page");
        self.bytes.truncate(usize::try_from(next - self.start).unwrap());
        self.prev = self.records.last().map_or(self.start, |record| record.lsn.0);
        let at = self.bytes.len();
        let mut main = lost.lsn.0.to_le_bytes().to_vec();
        main.extend(time.to_le_bytes());
        self.record(0, 0xd0, 0, &main);
        self.bytes[at + 2] |= 8;
        lost.lsn
    }

    /// The bytes of one segment, counted from the start; filled up with zeros.
    pub(crate) fn segment_bytes(&self, index: usize) -> Vec<u8> {
        let size = self.segment as usize;
        let from = index * size;
        let to = self.bytes.len().min(from + size);
        let mut bytes = self.bytes.get(from..to).unwrap_or(&[]).to_vec();
        bytes.resize(size, 0);
        bytes
    }
}

/// A body of main data alone.
pub(crate) fn main_only(main: &[u8]) -> Vec<u8> {
    let mut body = match u8::try_from(main.len()) {
        Ok(0) => return Vec::new(),
        Ok(length) => vec![255, length],
        Err(_) => {
            let mut body = vec![254];
            body.extend(u32::try_from(main.len()).unwrap().to_le_bytes());
            body
        }
    };
    body.extend(main);
    body
}

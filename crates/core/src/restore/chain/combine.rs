//! One combined file as a stream: the blocks of its sources merged in ascending order.
//!
//! Every source is opened, read forward to its end, and proved by its own digest, also the parts of it that are not
//! wanted. Where little of a source is wanted, the proof is the digest of the stored bytes: then the rest of it is read
//! and not decoded. Few sources are open at a time: when more of them give blocks than may be, the blocks of the oldest ones are
//! first brought together in the file that is being made, at their places, and read from there.

use super::block_map::{BlockMap, Run, RunSource};
use super::source::Source;
use crate::block::{BlockShape, IncrementalHeader};
use crate::codec::PlainRead;
use crate::{Code, Error, Result};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes that are given out at a time.
const PIECE: usize = 256 * 1024;

/// Opens the sources of one file, by number from the newest, which is 0.
pub trait Sources: Send {
    /// How many there are.
    fn count(&self) -> usize;
    /// Blocks of a source that is a whole file; `None` for a file of changed blocks.
    ///
    /// # Errors
    /// As reading the list of its backup.
    fn whole_blocks(&self, number: u16) -> Result<Option<u64>>;
    /// Truncation length of a file of changed blocks that is known to hold none, and is not opened.
    fn empty(&self, number: u16) -> Option<u32>;
    /// Where the file ended between the source before and this one; `u32::MAX` when nothing is known.
    fn cut(&self, number: u16) -> u32;
    /// Opens a source, and reads its header if it has one. With `passing` its stored bytes are what proves it.
    ///
    /// # Errors
    /// As opening and reading.
    fn open(&self, number: u16, passing: bool) -> Result<(Source, Option<IncrementalHeader>)>;
    /// Whether reading a source without decoding all of it is possible and the cheaper way, when so many of its frames
    /// hold something that is wanted.
    fn passing_pays(&self, number: u16, frames: u64) -> bool;
    /// What is worth telling about a header.
    fn remark(&self, number: u16, header: &IncrementalHeader);
    /// # Errors
    /// `CANCELLED`.
    fn check(&self) -> Result<()>;
}

/// What is remembered of a header: while its file is closed it must not change.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Seen {
    data_offset: u64,
    digest: [u8; 32],
}

impl Seen {
    fn of(header: &IncrementalHeader) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&header.truncation.to_le_bytes());
        for block in &header.blocks {
            hasher.update(&block.to_le_bytes());
        }
        Self {
            data_offset: header.data_offset,
            digest: *hasher.finalize().as_bytes(),
        }
    }
}

enum Slot {
    Closed(Seen),
    Open(Box<Source>, Seen),
    /// Read to its end and proved.
    Done,
}

impl Slot {
    fn data_offset(&self) -> u64 {
        match self {
            Self::Closed(seen) | Self::Open(_, seen) => seen.data_offset,
            Self::Done => 0,
        }
    }
}

/// The bytes of a combined file. They are true only when the reader has ended without an error.
pub struct Combiner {
    map: BlockMap,
    slots: Vec<Slot>,
    /// The sources that are not decoded where nothing of them is wanted.
    passing: Vec<bool>,
    block_size: u64,
    /// Header of a file of changed blocks.
    head: io::Cursor<Vec<u8>>,
    size: u64,
    run: Run,
    /// Bytes of the run that were given out.
    given: u64,
    spool: Option<Arc<File>>,
    failed: bool,
}

/// Limits and places of combining.
pub struct Workshop<'a> {
    pub shape: BlockShape,
    /// Most sources that are open at a time, at least 2.
    pub open_limit: usize,
    /// Gives the file that is being made, open for reading and writing.
    pub spool: &'a dyn Fn() -> Result<File>,
}

impl Combiner {
    /// Reads all headers and gets ready to merge. Without a whole file among the sources a file of changed blocks
    /// comes out.
    ///
    /// # Errors
    /// `CORRUPT`, `IO`, `CANCELLED`.
    pub fn new(sources: &dyn Sources, workshop: &Workshop<'_>) -> Result<Self> {
        let limit = workshop.open_limit.max(2);
        let count = sources.count();
        let mut slots = Vec::with_capacity(count);
        let mut map: Option<BlockMap> = None;
        let (mut open, mut whole) = (0, false);
        for number in 0..count as u16 {
            sources.check()?;
            if let Some(map) = &mut map {
                map.cut(sources.cut(number));
            }
            if let Some(truncation) = sources.empty(number) {
                let header = IncrementalHeader::empty(truncation);
                match &mut map {
                    None => map = Some(BlockMap::new(&header)),
                    Some(map) => map.add_changed(number, &header),
                }
                slots.push(Slot::Done);
                continue;
            }
            if let Some(blocks) = sources.whole_blocks(number)? {
                whole = true;
                if let Some(map) = &mut map {
                    map.add_whole(number, blocks);
                }
                slots.push(Slot::Closed(Seen::default()));
                continue;
            }
            let (source, Some(header)) = sources.open(number, false)? else {
                return Err(Error::new(
                    Code::Internal,
                    "a file of changed blocks has no header",
                ));
            };
            sources.remark(number, &header);
            match &mut map {
                None => map = Some(BlockMap::new(&header)),
                Some(map) => map.add_changed(number, &header),
            }
            slots.push(if header.blocks.is_empty() {
                source.finish()?;
                Slot::Done
            } else if open + 1 < limit {
                open += 1;
                Slot::Open(Box::new(source), Seen::of(&header))
            } else {
                Slot::Closed(Seen::of(&header))
            });
        }
        let mut map = map.ok_or_else(|| Error::new(Code::Internal, "a combined file has no source"))?;
        let block_size = u64::from(workshop.shape.block_size);
        let (mut head, mut size) = (Vec::new(), u64::from(map.length()) * block_size);
        if !whole {
            let blocks = map.changed_only();
            head = IncrementalHeader::encode(workshop.shape, map.truncation(), &blocks)?;
            size = head.len() as u64 + blocks.len() as u64 * block_size;
        }
        let run = Run {
            block: 0,
            count: 0,
            from: RunSource::Zeros,
        };
        let mut this = Self {
            map,
            passing: vec![false; slots.len()],
            slots,
            block_size,
            head: io::Cursor::new(head),
            size,
            run,
            given: 0,
            spool: None,
            failed: false,
        };
        this.prepare(sources, workshop, limit)?;
        Ok(this)
    }

    /// Bytes of the combined file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is a source from its first byte to its last, which has so many.
    pub fn is_copy_of(&self, number: u16, size: u64) -> bool {
        let whole = Run {
            block: 0,
            count: self.map.length(),
            from: RunSource::Source(number, 0),
        };
        self.size == size && self.map.run_at(0).is_none_or(|run| run == whole)
    }

    /// Blocks that were left as zeros though an older backup has something there.
    pub fn stale(&self) -> u64 {
        self.map.stale()
    }

    /// Proves the sources that give nothing, spools what is too much, opens the rest.
    fn prepare(&mut self, sources: &dyn Sources, workshop: &Workshop<'_>, limit: usize) -> Result<()> {
        self.choose_proofs(sources);
        let mut used = self.map.used(self.slots.len());
        for number in 0..self.slots.len() as u16 {
            if !used.contains(&number) {
                sources.check()?;
                self.open(sources, number)?;
                self.finish(number)?;
            }
        }
        while used.len() > limit {
            let group = used.split_off(used.len() - limit);
            if self.spool.is_none() {
                self.spool = Some(Arc::new((workshop.spool)()?));
            }
            for number in &used {
                self.close(*number);
            }
            self.spool_group(sources, &group)?;
            self.map.spool(&group);
        }
        for number in used {
            self.open(sources, number)?;
        }
        Ok(())
    }

    /// Finds the sources that need not be decoded as a whole.
    fn choose_proofs(&mut self, sources: &dyn Sources) {
        let offsets: Vec<u64> = self.slots.iter().map(Slot::data_offset).collect();
        let frames = self.map.frames(&offsets, self.block_size);
        for (number, frames) in (0u16..).zip(frames) {
            let slot = &self.slots[usize::from(number)];
            if !matches!(slot, Slot::Done) && sources.passing_pays(number, frames) {
                self.passing[usize::from(number)] = true;
                // its header was read on the way to another proof
                self.close(number);
            }
        }
    }

    /// Merges a group of sources into the file that is being made.
    fn spool_group(&mut self, sources: &dyn Sources, group: &[u16]) -> Result<()> {
        for number in group {
            self.open(sources, *number)?;
        }
        let spool = self.spool.clone().ok_or_else(no_spool)?;
        let mut buffer = vec![0; 64 * 1024];
        let mut block = 0;
        while let Some(run) = self.map.run_at(block) {
            block = run.block + run.count;
            let RunSource::Source(number, index) = run.from else {
                continue;
            };
            if !group.contains(&number) {
                continue;
            }
            sources.check()?;
            let mut place = u64::from(run.block) * self.block_size;
            let mut left = u64::from(run.count) * self.block_size;
            let source = self.seek(number, index)?;
            while left > 0 {
                let wanted = left.min(buffer.len() as u64) as usize;
                let count = source.next_bytes(&mut buffer[..wanted])?;
                spool
                    .write_all_at(&buffer[..count], place)
                    .map_err(|error| Error::io("write", std::path::Path::new("the combined file"), &error))?;
                place += count as u64;
                left -= count as u64;
            }
        }
        group.iter().try_for_each(|number| self.finish(*number))
    }

    fn open(&mut self, sources: &dyn Sources, number: u16) -> Result<()> {
        let passing = self.passing[usize::from(number)];
        let slot = &mut self.slots[usize::from(number)];
        let Slot::Closed(seen) = slot else { return Ok(()) };
        let (source, header) = sources.open(number, passing)?;
        let found = header.as_ref().map(Seen::of).unwrap_or_default();
        if found != *seen {
            return Err(source.bad("it changed while it was being read"));
        }
        *slot = Slot::Open(Box::new(source), found);
        Ok(())
    }

    /// Closes a source of which nothing but the header was read.
    fn close(&mut self, number: u16) {
        let slot = &mut self.slots[usize::from(number)];
        if let Slot::Open(_, seen) = slot {
            *slot = Slot::Closed(*seen);
        }
    }

    fn finish(&mut self, number: u16) -> Result<()> {
        let slot = &mut self.slots[usize::from(number)];
        match std::mem::replace(slot, Slot::Done) {
            Slot::Open(source, _) => source.finish(),
            Slot::Closed(_) => Err(Error::new(Code::Internal, "a source of a chain was not read")),
            Slot::Done => Ok(()),
        }
    }

    /// A source at one of its blocks.
    fn seek(&mut self, number: u16, index: u32) -> Result<&mut Source> {
        let block_size = self.block_size;
        match self.slots.get_mut(usize::from(number)) {
            Some(Slot::Open(source, seen)) => {
                source.skip_to(seen.data_offset + u64::from(index) * block_size)?;
                Ok(source)
            }
            _ => Err(Error::new(Code::Internal, "a source of a chain is not open")),
        }
    }

    fn give(&mut self, out: &mut [u8]) -> Result<usize> {
        let head = self.head.read(out).unwrap_or(0);
        if head > 0 {
            return Ok(head);
        }
        let size = u64::from(self.run.count) * self.block_size;
        if self.given == size || self.run.from == RunSource::Absent {
            let next = self.run.block + self.run.count;
            let Some(run) = self.map.run_at(next) else {
                // everything was given out: now it has to prove true
                for number in 0..self.slots.len() as u16 {
                    self.finish(number)?;
                }
                return Ok(0);
            };
            (self.run, self.given) = (run, 0);
            if run.from == RunSource::Absent {
                return self.give(out);
            }
            if let RunSource::Source(number, index) = run.from {
                self.seek(number, index)?;
            }
        }
        let left = u64::from(self.run.count) * self.block_size - self.given;
        let wanted = left.min(out.len() as u64) as usize;
        let out = &mut out[..wanted];
        let count = match self.run.from {
            RunSource::Zeros => {
                out.fill(0);
                wanted
            }
            RunSource::Absent => 0,
            RunSource::Source(number, _) => match &mut self.slots[usize::from(number)] {
                Slot::Open(source, _) => source.next_bytes(out)?,
                _ => return Err(Error::new(Code::Internal, "a source of a chain is not open")),
            },
            RunSource::Spool => {
                let spool = self.spool.as_ref().ok_or_else(no_spool)?;
                let place = u64::from(self.run.block) * self.block_size + self.given;
                spool
                    .read_exact_at(out, place)
                    .map_err(|error| Error::io("read", std::path::Path::new("the combined file"), &error))?;
                wanted
            }
        };
        self.given += count as u64;
        Ok(count)
    }
}

impl PlainRead for Combiner {}

impl Read for Combiner {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other("the combined file failed before"));
        }
        let mut filled = 0;
        // what follows is hashed and written piece by piece: large ones, which stay in the cache until then
        let size = out.len().min(PIECE);
        let out = &mut out[..size];
        while filled < out.len() {
            match self.give(&mut out[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) => {
                    self.failed = true;
                    return Err(io::Error::other(error));
                }
            }
        }
        Ok(filled)
    }
}

fn no_spool() -> Error {
    Error::new(Code::Internal, "a combined file has no spool")
}

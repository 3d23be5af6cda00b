//! Where each block of a combined file comes from. Pure: headers in, runs of blocks out.
//!
//! The rules are PostgreSQL's, but for one: a block that lies beyond the end that the file had at the time of some
//! backup is never taken from an older one. There it is a page that was cut off since; what grew in its place without
//! WAL is zeros.

use crate::block::IncrementalHeader;

const ZEROS: u16 = u16::MAX;
/// Zeros, where an older backup holds a page that was cut off since.
const STALE: u16 = u16::MAX - 1;
/// Already brought together in the file that is being made.
const SPOOLED: u16 = u16::MAX - 2;
/// Not in the file of changed blocks that is being made.
const ABSENT: u16 = u16::MAX - 3;

/// Plain bytes of the frames that stored files are made of.
pub const FRAME: u64 = 1 << 20;

/// Most sources of one file.
pub const MAX_SOURCES: usize = ABSENT as usize;

/// Sources are numbered from the newest, which is 0.
#[derive(Debug)]
pub struct BlockMap {
    source: Vec<u16>,
    /// Which of its source's blocks it is.
    index: Vec<u32>,
    /// Truncation length of the newest.
    limit: u32,
    cut: u32,
}

/// Where a run of blocks comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunSource {
    Zeros,
    /// A source, and which of its blocks the first one is; the others follow it there.
    Source(u16, u32),
    /// The file that is being made.
    Spool,
    /// Nothing is written: an older backup has them.
    Absent,
}

/// Blocks that follow one another in the combined file and in their source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub block: u32,
    pub count: u32,
    pub from: RunSource,
}

impl BlockMap {
    /// Begins with the newest file, source 0.
    pub fn new(newest: &IncrementalHeader) -> Self {
        let length = newest.block_length() as usize;
        let mut map = Self {
            source: vec![ZEROS; length],
            index: vec![0; length],
            limit: newest.truncation,
            cut: newest.truncation,
        };
        for (index, block) in newest.blocks.iter().enumerate() {
            map.source[*block as usize] = 0;
            map.index[*block as usize] = index as u32;
        }
        map
    }

    /// Blocks of the combined file.
    pub fn length(&self) -> u32 {
        self.source.len() as u32
    }

    /// Says that at the time of a backup between the sources the file ended here.
    pub fn cut(&mut self, length: u32) {
        self.cut = self.cut.min(length);
    }

    /// Adds the next older file of changed blocks.
    pub fn add_changed(&mut self, source: u16, header: &IncrementalHeader) {
        for (index, block) in header.blocks.iter().enumerate() {
            if *block >= self.limit {
                break;
            }
            self.take(*block, source, index as u32);
        }
        self.cut = self.cut.min(header.truncation);
    }

    /// Adds the whole file, the oldest source.
    pub fn add_whole(&mut self, source: u16, blocks: u64) {
        for block in 0..u64::from(self.limit).min(blocks) as u32 {
            self.take(block, source, block);
        }
    }

    fn take(&mut self, block: u32, source: u16, index: u32) {
        let at = block as usize;
        if self.source[at] != ZEROS {
            return;
        }
        if block >= self.cut {
            self.source[at] = STALE;
            return;
        }
        self.source[at] = source;
        self.index[at] = index;
    }

    /// Blocks that are zeros though an older backup has something there.
    pub fn stale(&self) -> u64 {
        self.source.iter().filter(|source| **source == STALE).count() as u64
    }

    /// The sources that give blocks, newest first.
    pub fn used(&self, sources: usize) -> Vec<u16> {
        let mut used = vec![false; sources];
        for source in &self.source {
            if let Some(used) = used.get_mut(usize::from(*source)) {
                *used = true;
            }
        }
        let numbers = used.iter().enumerate().filter(|(_, used)| **used);
        numbers.map(|(number, _)| number as u16).collect()
    }

    /// Makes it the map of a file of changed blocks, which builds on older backups: blocks that no source has are left
    /// to those, but where the file had been cut off they are zeros, said aloud. Answers the blocks that are in it.
    pub fn changed_only(&mut self) -> Vec<u32> {
        let (cut, limit) = (self.cut as usize, self.limit as usize);
        for (block, source) in self.source.iter_mut().enumerate() {
            if *source == ZEROS && !(cut..limit).contains(&block) {
                *source = ABSENT;
            }
        }
        let numbered = self.source.iter().zip(0u32..);
        numbered
            .filter(|(source, _)| **source != ABSENT)
            .map(|(_, block)| block)
            .collect()
    }

    /// Truncation length of the newest.
    pub fn truncation(&self) -> u32 {
        self.limit
    }

    /// Of each source, in how many frames of [`FRAME`] bytes what is wanted of it lies, its header included.
    /// `offsets` tell where the blocks of each begin.
    pub fn frames(&self, offsets: &[u64], block_size: u64) -> Vec<u64> {
        let mut counts: Vec<u64> = offsets.iter().map(|offset| offset.div_ceil(FRAME)).collect();
        // the frame after the last one that was counted
        let mut next = counts.clone();
        for (source, index) in self.source.iter().zip(&self.index) {
            let source = usize::from(*source);
            let Some(offset) = offsets.get(source) else {
                continue;
            };
            let place = offset + u64::from(*index) * block_size;
            for frame in [place / FRAME, (place + block_size - 1) / FRAME] {
                if frame >= next[source] {
                    counts[source] += 1;
                    next[source] = frame + 1;
                }
            }
        }
        counts
    }

    /// Says that the blocks of these sources are in the file that is being made.
    pub fn spool(&mut self, sources: &[u16]) {
        for source in &mut self.source {
            if sources.contains(source) {
                *source = SPOOLED;
            }
        }
    }

    /// The run that begins at a block; `None` at the end.
    pub fn run_at(&self, block: u32) -> Option<Run> {
        let first = block as usize;
        let kind = *self.source.get(first)?;
        let (source, index) = (&self.source[first..], &self.index[first..]);
        let zeros = |source: u16| matches!(source, ZEROS | STALE);
        let follows = |at: usize| match kind {
            ZEROS | STALE => zeros(source[at]),
            SPOOLED | ABSENT => source[at] == kind,
            _ => source[at] == kind && index[at] == index[0] + at as u32,
        };
        let count = (1..source.len()).find(|at| !follows(*at)).unwrap_or(source.len()) as u32;
        let from = match kind {
            ZEROS | STALE => RunSource::Zeros,
            SPOOLED => RunSource::Spool,
            ABSENT => RunSource::Absent,
            _ => RunSource::Source(kind, index[0]),
        };
        Some(Run { block, count, from })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(truncation: u32, blocks: &[u32]) -> IncrementalHeader {
        IncrementalHeader {
            blocks: blocks.to_vec(),
            truncation,
            data_offset: 0,
            overlong: false,
            misaligned: false,
        }
    }

    fn runs(map: &BlockMap) -> Vec<Run> {
        let mut runs = Vec::new();
        while let Some(run) = map.run_at(runs.last().map_or(0, |run: &Run| run.block + run.count)) {
            runs.push(run);
        }
        runs
    }

    fn run(block: u32, count: u32, from: RunSource) -> Run {
        Run { block, count, from }
    }

    #[test]
    fn the_newest_copy_wins_and_neighbours_are_one_run() {
        let mut map = BlockMap::new(&header(8, &[2, 3, 9]));
        map.add_changed(1, &header(8, &[1, 3, 4]));
        map.add_whole(2, 6);
        use RunSource::{Source, Zeros};
        assert_eq!(map.length(), 10);
        assert_eq!(
            runs(&map),
            [
                run(0, 1, Source(2, 0)),
                run(1, 1, Source(1, 0)),
                run(2, 2, Source(0, 0)),
                run(4, 1, Source(1, 2)),
                run(5, 1, Source(2, 5)),
                // 6 and 7 are nobody's; 8 is at the truncation length of the newest
                run(6, 3, Zeros),
                run(9, 1, Source(0, 2)),
            ]
        );
        assert_eq!((map.stale(), map.used(3)), (0, vec![0, 1, 2]));
        map.spool(&[2, 1]);
        assert_eq!(runs(&map)[0], run(0, 2, RunSource::Spool));
    }

    #[test]
    fn an_empty_list_takes_the_whole_file() {
        let mut map = BlockMap::new(&header(4, &[]));
        map.add_changed(1, &header(4, &[]));
        map.add_whole(2, 4);
        assert_eq!(runs(&map), [run(0, 4, RunSource::Source(2, 0))]);
        let map = BlockMap::new(&header(0, &[]));
        assert_eq!((map.length(), runs(&map).len()), (0, 0));
    }

    #[test]
    fn what_was_cut_off_does_not_come_back() {
        // ten blocks, cut to three before the middle backup, grown to ten again without WAL
        let mut map = BlockMap::new(&header(10, &[0]));
        map.add_changed(1, &header(3, &[2]));
        map.add_whole(2, 10);
        assert_eq!(
            runs(&map),
            [
                run(0, 1, RunSource::Source(0, 0)),
                run(1, 1, RunSource::Source(2, 1)),
                run(2, 1, RunSource::Source(1, 0)),
                run(3, 7, RunSource::Zeros),
            ]
        );
        assert_eq!(map.stale(), 7);
    }

    #[test]
    fn frames_are_counted_once_with_those_of_the_header() {
        let blocks: Vec<u32> = (0..300).collect();
        let mut map = BlockMap::new(&header(1000, &[0, 1, 200, 999]));
        map.add_changed(1, &header(1000, &blocks));
        map.add_whole(2, 1000);
        // the newest has all its blocks in its first frame; the second gives all but three of 300 blocks, 128 to a
        // frame behind one of header; the whole file gives what follows block 299
        assert_eq!(map.frames(&[8192, 8192, 0], 8192), [1, 3, 6]);
        let mut map = BlockMap::new(&header(1000, &blocks));
        map.add_changed(1, &header(1000, &blocks));
        map.add_whole(2, 0);
        assert_eq!(map.frames(&[8192, 8192, 0], 8192), [3, 1, 0], "only its header");
    }

    /// The normative rules, block by block, without any of the shortcuts.
    fn expected(
        newest: &IncrementalHeader,
        older: &[IncrementalHeader],
        whole: u32,
        block: u32,
    ) -> Option<(u16, u32)> {
        let find = |header: &IncrementalHeader| header.blocks.iter().position(|one| *one == block);
        if let Some(index) = find(newest) {
            return Some((0, index as u32));
        }
        let mut cut = newest.truncation;
        for (number, header) in older.iter().enumerate() {
            if let Some(index) = find(header).filter(|_| block < cut) {
                return Some((number as u16 + 1, index as u32));
            }
            cut = cut.min(header.truncation);
        }
        (block < cut && block < whole).then_some((older.len() as u16 + 1, block))
    }

    fn any_header() -> impl Strategy<Value = IncrementalHeader> {
        let blocks = proptest::collection::btree_set(0u32..24, 0..12);
        (0u32..24, blocks).prop_map(|(truncation, blocks)| header(truncation, &Vec::from_iter(blocks)))
    }

    proptest! {
        #[test]
        fn every_block_is_the_one_that_the_rules_name(
            newest in any_header(),
            older in proptest::collection::vec(any_header(), 0..5),
            whole in 0u32..30,
        ) {
            let mut map = BlockMap::new(&newest);
            for (number, header) in older.iter().enumerate() {
                map.add_changed(number as u16 + 1, header);
            }
            map.add_whole(older.len() as u16 + 1, u64::from(whole));
            let mut next = 0;
            for run in runs(&map) {
                prop_assert_eq!(run.block, next);
                for offset in 0..run.count {
                    let found = match run.from {
                        RunSource::Source(source, index) => Some((source, index + offset)),
                        _ => None,
                    };
                    prop_assert_eq!(found, expected(&newest, &older, whole, run.block + offset));
                }
                next += run.count;
            }
            prop_assert_eq!(next, newest.block_length());
        }
    }
}

//! Files of changed blocks, `INCREMENTAL.<name>`: their header read from a reader or as it streams by, and written.
//!
//! Format: PostgreSQL 17, `src/include/backup/basebackup_incremental.h`. Little-endian numbers of 32 bits: a magic
//! number, the number of blocks N, the truncation length, N block numbers ascending; with N > 0 zeros up to a whole
//! block; then N blocks. The files that pgmoneta 0.20 and 0.21 wrote for PostgreSQL 14 to 16 have their blocks behind a
//! padding that was computed wrongly: such a file is known by its size.

use crate::{Error, Result};
use std::io::{self, Read};

const PREFIX: &[u8] = b"INCREMENTAL.";
const MAGIC: u32 = 0xd3ae_1f0d;

/// Words before the list of block numbers.
const FIXED_WORDS: u64 = 3;

/// Bytes of a file that holds no block.
pub const EMPTY_SIZE: u64 = FIXED_WORDS * 4;

/// How relations are cut into files and blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    /// Bytes of a block.
    pub block_size: u32,
    /// Blocks of a file.
    pub relseg_size: u32,
}

impl BlockShape {
    /// Where the blocks begin in a file that has `blocks` of them.
    fn data_offset(self, blocks: u64) -> u64 {
        let header = (FIXED_WORDS + blocks) * 4;
        match blocks {
            0 => header,
            _ => header.next_multiple_of(u64::from(self.block_size)),
        }
    }

    /// The same in a file of pgmoneta 0.20 or 0.21, whose writer counted words instead of bytes when it computed the
    /// padding; `None` for a number of blocks with which that writer failed.
    fn misaligned_offset(self, blocks: u64) -> Option<u64> {
        let size = u64::from(self.block_size);
        let words = FIXED_WORDS + blocks;
        (blocks > 0 && words * 4 <= size).then(|| words * 4 + size - words % size)
    }
}

/// Whether a file of an incremental backup holds changed blocks, by its path in PostgreSQL's manifest. Elsewhere such a
/// name is only a name.
#[must_use]
pub fn is_incremental(path: &[u8]) -> bool {
    whole_path(path).is_some()
}

/// The path of the file that a restore makes of a file of changed blocks; `None` for all other files.
#[must_use]
pub fn whole_path(path: &[u8]) -> Option<Vec<u8>> {
    let slash = memchr::memrchr(b'/', path)?;
    let (directory, name) = (&path[..slash], &path[slash + 1..]);
    let name = name.strip_prefix(PREFIX).filter(|name| !name.is_empty())?;
    let relations =
        directory == b"global" || directory.starts_with(b"base/") || directory.starts_with(b"pg_tblspc/");
    relations.then(|| [directory, b"/", name].concat())
}

/// The path under which an incremental backup has the changed blocks of a file.
#[must_use]
pub fn incremental_path(path: &[u8]) -> Vec<u8> {
    let name = memchr::memrchr(b'/', path).map_or(0, |slash| slash + 1);
    [&path[..name], PREFIX, &path[name..]].concat()
}

/// What the header of a file of changed blocks says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncrementalHeader {
    /// The blocks that the file holds, ascending, counted from the beginning of the segment.
    pub blocks: Vec<u32>,
    /// Blocks at and above this one are nobody's but this file's; at most the blocks of a segment.
    pub truncation: u32,
    /// Byte of the file where the blocks begin.
    pub data_offset: u64,
    /// Whether the stated truncation length was beyond a segment: early minor releases of 17 and 18 write that.
    pub overlong: bool,
    /// Whether the blocks stand where pgmoneta 0.20 and 0.21 put them.
    pub misaligned: bool,
}

impl IncrementalHeader {
    /// Of a file that holds no block.
    #[must_use]
    pub fn empty(truncation: u32) -> Self {
        Self {
            blocks: Vec::new(),
            truncation,
            data_offset: EMPTY_SIZE,
            overlong: false,
            misaligned: false,
        }
    }

    /// All bytes of a file that holds no block.
    #[must_use]
    pub fn empty_file(truncation: u32) -> Vec<u8> {
        let words = [MAGIC, 0, truncation];
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// Reads a header and stops where the blocks begin. `size` is that of the whole file in bytes, `path` is for
    /// messages.
    ///
    /// # Errors
    /// What the reader fails with; `CORRUPT` when the header contradicts itself, the cluster or the size of the file.
    pub fn read(reader: &mut dyn Read, shape: BlockShape, path: &[u8], size: u64) -> Result<Self> {
        let mut scan = HeaderScan::new(shape, path, size);
        scan.list = Some(Vec::new());
        let mut bytes = [0; 4096];
        let mut offset = 0;
        while !scan.is_complete() {
            // no further than is known to be header
            let blocks = if scan.words < FIXED_WORDS {
                0
            } else {
                u64::from(scan.blocks)
            };
            let wanted = ((FIXED_WORDS + blocks) * 4 - offset).min(bytes.len() as u64) as usize;
            fill(reader, &mut bytes[..wanted])?
                .then_some(())
                .ok_or_else(|| scan.cut_short())?;
            scan.push(&bytes[..wanted])?;
            offset += wanted as u64;
        }
        while offset < scan.data_offset {
            let wanted = (scan.data_offset - offset).min(bytes.len() as u64) as usize;
            fill(reader, &mut bytes[..wanted])?
                .then_some(())
                .ok_or_else(|| scan.cut_short())?;
            offset += wanted as u64;
        }
        let relseg = shape.relseg_size;
        Ok(Self {
            truncation: scan.truncation.min(relseg),
            overlong: scan.truncation > relseg,
            misaligned: scan.data_offset != shape.data_offset(u64::from(scan.blocks)),
            data_offset: scan.data_offset,
            blocks: scan.list.unwrap_or_default(),
        })
    }

    /// Blocks of the file that a restore makes of it.
    #[must_use]
    pub fn block_length(&self) -> u32 {
        self.blocks
            .last()
            .map_or(self.truncation, |last| self.truncation.max(last + 1))
    }

    /// The header as PostgreSQL writes it, padding included, for a file that holds `blocks`.
    ///
    /// # Errors
    /// `INTERNAL` when the blocks are not ascending or do not fit into a segment.
    pub fn encode(shape: BlockShape, truncation: u32, blocks: &[u32]) -> Result<Vec<u8>> {
        let ascending = blocks.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending
            || blocks.last().is_some_and(|last| *last >= shape.relseg_size)
            || truncation > shape.relseg_size
        {
            let message =
                "the blocks of a file of changed blocks are not ascending or not within their segment";
            return Err(Error::new(crate::Code::Internal, message));
        }
        let count = blocks.len() as u64;
        let size = shape.data_offset(count) as usize;
        let mut bytes = Vec::with_capacity(size);
        for word in [MAGIC, count as u32, truncation].iter().chain(blocks) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(size, 0);
        Ok(bytes)
    }
}

/// Fills the buffer; false when the reader ends before.
fn fill(reader: &mut dyn Read, mut buffer: &mut [u8]) -> Result<bool> {
    while !buffer.is_empty() {
        match reader.read(buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::reading(std::path::Path::new(""), &error)),
        }
    }
    Ok(true)
}

/// Reads one header from pieces of any size.
#[derive(Debug)]
pub struct HeaderScan {
    shape: BlockShape,
    path: Vec<u8>,
    size: u64,
    word: [u8; 4],
    filled: usize,
    /// Words that were read.
    words: u64,
    blocks: u32,
    truncation: u32,
    /// One more than the highest block number so far.
    above: u32,
    data_offset: u64,
    /// The block numbers, when they are wanted; then the misaligned form is read too.
    list: Option<Vec<u32>>,
}

impl HeaderScan {
    /// Nothing read yet: `path` as in PostgreSQL's manifest, `size` of the whole file in bytes.
    #[must_use]
    pub fn new(shape: BlockShape, path: &[u8], size: u64) -> Self {
        Self {
            shape,
            path: path.to_vec(),
            size,
            word: [0; 4],
            filled: 0,
            words: 0,
            blocks: 0,
            truncation: 0,
            above: 0,
            data_offset: FIXED_WORDS * 4,
            list: None,
        }
    }

    /// Takes the next bytes of the file; those behind the header are passed over.
    ///
    /// # Errors
    /// `CORRUPT` naming the file when the header contradicts itself, the cluster or the size of the file.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !self.is_complete() && !bytes.is_empty() {
            let take = (4 - self.filled).min(bytes.len());
            self.word[self.filled..self.filled + take].copy_from_slice(&bytes[..take]);
            self.filled += take;
            bytes = &bytes[take..];
            if self.filled == 4 {
                self.filled = 0;
                self.take_word(u32::from_le_bytes(self.word))?;
                self.words += 1;
            }
        }
        Ok(())
    }

    /// Blocks of the file that a restore makes of it; `None` before the header is complete.
    #[must_use]
    pub fn block_length(&self) -> Option<u32> {
        // Early minor releases of 17 and 18 did not keep the truncation length within a file.
        let truncation = self.truncation.min(self.shape.relseg_size);
        self.is_complete().then(|| truncation.max(self.above))
    }

    /// The same at the end of the file.
    ///
    /// # Errors
    /// `CORRUPT` when the file ended within its header.
    pub fn finish(&self) -> Result<u32> {
        self.block_length().ok_or_else(|| self.cut_short())
    }

    fn is_complete(&self) -> bool {
        self.words >= FIXED_WORDS && self.words - FIXED_WORDS >= u64::from(self.blocks)
    }

    fn take_word(&mut self, word: u32) -> Result<()> {
        let relseg = self.shape.relseg_size;
        match self.words {
            0 if word != MAGIC => {
                Err(self.bad(&format!("it begins with {word:#010x} instead of {MAGIC:#010x}")))
            }
            0 => Ok(()),
            1 if word > relseg => Err(self.bad(&format!(
                "it claims {word} blocks, a file of the cluster has at most {relseg}"
            ))),
            1 => {
                self.blocks = word;
                self.check_size()
            }
            2 => {
                self.truncation = word;
                Ok(())
            }
            _ if word >= relseg => {
                Err(self.bad(&format!("it has block {word}, beyond the {relseg} of a file")))
            }
            _ if word < self.above => {
                Err(self.bad(&format!("block {word} follows block {}", self.above - 1)))
            }
            _ => {
                self.above = word + 1;
                if let Some(list) = &mut self.list {
                    list.push(word);
                }
                Ok(())
            }
        }
    }

    fn check_size(&mut self) -> Result<()> {
        let blocks = u64::from(self.blocks);
        let data = blocks * u64::from(self.shape.block_size);
        let expected = self.shape.data_offset(blocks);
        let misaligned = self
            .shape
            .misaligned_offset(blocks)
            .filter(|_| self.list.is_some());
        if let Some(offset) = misaligned.filter(|offset| self.size == offset + data) {
            self.data_offset = offset;
            return Ok(());
        }
        self.data_offset = expected;
        if self.size == expected + data {
            return Ok(());
        }
        Err(self.bad(&format!(
            "it has {} bytes, but {} would hold its {blocks} blocks",
            self.size,
            expected + data
        )))
    }

    fn cut_short(&self) -> Error {
        self.bad("it ends within its header")
    }

    fn bad(&self, why: &str) -> Error {
        let path = String::from_utf8_lossy(&self.path);
        Error::corrupt(format!("{path} is no file of changed blocks: {why}"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    const SHAPE: BlockShape = BlockShape {
        block_size: 8192,
        relseg_size: 131_072,
    };

    /// A file of changed blocks, as PostgreSQL writes it; the blocks hold their numbers.
    pub(crate) fn file(truncation: u32, blocks: &[u32]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [MAGIC, blocks.len() as u32, truncation].iter().chain(blocks) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        if !blocks.is_empty() {
            bytes.resize(bytes.len().next_multiple_of(8192), 0);
        }
        for block in blocks {
            bytes.extend(block.to_le_bytes().repeat(2048));
        }
        bytes
    }

    fn scan(bytes: &[u8], size: usize, piece: usize) -> Result<u32> {
        let mut scan = HeaderScan::new(SHAPE, b"base/1/INCREMENTAL.5", size as u64);
        bytes.chunks(piece).try_for_each(|chunk| scan.push(chunk))?;
        scan.finish()
    }

    fn read(bytes: &[u8], size: usize) -> Result<IncrementalHeader> {
        let mut rest = bytes;
        let header = IncrementalHeader::read(&mut rest, SHAPE, b"base/1/INCREMENTAL.5", size as u64)?;
        assert_eq!((bytes.len() - rest.len()) as u64, header.data_offset);
        Ok(header)
    }

    #[test]
    fn the_length_is_that_of_the_file_to_be_made() {
        let many: Vec<u32> = (0..2046).map(|block| block * 3).collect();
        for (truncation, blocks, expected) in [
            (0, &[][..], 0),
            (7, &[], 7),
            (7, &[0], 7),
            (7, &[0, 3], 7),
            (7, &[0, 9], 10),
            (0, &[131_071], 131_072),
            (200_000, &[1], 131_072),
            (5, &many[..2045], 2044 * 3 + 1),
            (5, &many, 2045 * 3 + 1),
        ] {
            let bytes = file(truncation, blocks);
            for piece in [1, 3, 4, 12, 8192, 1 << 20] {
                assert_eq!(
                    scan(&bytes, bytes.len(), piece).unwrap(),
                    expected,
                    "{truncation} {piece}"
                );
            }
            let header = read(&bytes, bytes.len()).unwrap();
            assert_eq!(
                (header.block_length(), header.blocks.as_slice()),
                (expected, blocks)
            );
            assert_eq!(
                (header.overlong, header.misaligned),
                (truncation > 131_072, false)
            );
            assert_eq!(
                bytes.len() as u64,
                header.data_offset + blocks.len() as u64 * 8192
            );
        }
    }

    #[test]
    fn what_cannot_be_a_header_is_refused() {
        let good = file(7, &[1, 2]);
        let with = |word: usize, value: u32| {
            let mut bytes = good.clone();
            bytes[word * 4..word * 4 + 4].copy_from_slice(&value.to_le_bytes());
            bytes
        };
        for (bytes, why) in [
            (with(0, 0x0d1f_aed3), "begins with 0x0d1faed3"),
            (with(1, 131_073), "claims 131073 blocks"),
            (with(1, 3), "would hold its 3 blocks"),
            (with(3, 131_072), "beyond the 131072"),
            (with(4, 1), "block 1 follows block 1"),
            (with(4, 0), "block 0 follows block 1"),
            (good[..8191].to_vec(), "has 8191 bytes"),
            (good[..11].to_vec(), "ends within its header"),
            (Vec::new(), "ends within its header"),
        ] {
            // The size that the archive gives is that of the bytes.
            let size = if bytes.len() == 11 { 12 } else { bytes.len() };
            let mut bytes = bytes;
            if size == 12 {
                bytes[4..8].fill(0);
            }
            for error in [
                scan(&bytes, size, 5).unwrap_err(),
                read(&bytes, size).unwrap_err(),
            ] {
                assert!(error.message.contains(why), "{why}: {}", error.message);
                assert!(
                    error.message.starts_with("base/1/INCREMENTAL.5 "),
                    "{}",
                    error.message
                );
            }
        }
        let cut = read(&good[..100], good.len()).unwrap_err();
        assert!(cut.message.contains("ends within its header"), "{}", cut.message);
    }

    /// As the writer of pgmoneta 0.21 has it: the padding lacks nine bytes and three for each block of what it should
    /// be, counted from the next block.
    pub(crate) fn misaligned_file(truncation: u32, blocks: &[u32]) -> Vec<u8> {
        let good = file(truncation, blocks);
        let words = 3 + blocks.len();
        let mut bytes = good[..words * 4].to_vec();
        bytes.resize(bytes.len() + 8192 - words, 0);
        bytes.extend_from_slice(&good[8192..]);
        bytes
    }

    #[test]
    fn the_misaligned_form_is_known_by_its_size() {
        for count in [1u32, 2, 100, 2045] {
            let blocks: Vec<u32> = (0..count).collect();
            let bytes = misaligned_file(count, &blocks);
            let header = read(&bytes, bytes.len()).unwrap();
            assert!(header.misaligned);
            assert_eq!(header.data_offset, 8192 + 9 + 3 * u64::from(count));
            let at = header.data_offset as usize + (count as usize - 1) * 8192;
            assert_eq!(bytes[at..at + 4], (count - 1).to_le_bytes());
            // it is read where a backup has it, never taken from a server
            assert!(scan(&bytes, bytes.len(), 4096).is_err());
        }
    }

    #[test]
    fn only_relations_have_such_files() {
        for path in [
            "base/1/INCREMENTAL.5",
            "global/INCREMENTAL.1262",
            "pg_tblspc/1/PG_17_2/5/INCREMENTAL.7_vm.1",
        ] {
            assert!(is_incremental(path.as_bytes()), "{path}");
            let whole = whole_path(path.as_bytes()).unwrap();
            assert_eq!(
                String::from_utf8(whole.clone()).unwrap(),
                path.replace("INCREMENTAL.", "")
            );
            assert_eq!(incremental_path(&whole), path.as_bytes());
        }
        for path in [
            "INCREMENTAL.5",
            "base/INCREMENTAL.5",
            "base/1/INCREMENTAL.",
            "base/1/5",
            "pg_wal/INCREMENTAL.5",
        ] {
            assert!(!is_incremental(path.as_bytes()), "{path}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_written_is_read(
            truncation in 0u32..=131_072,
            count in prop_oneof![0usize..60, 2040usize..2050],
            first in 0u32..1000,
            gap in 1u32..60,
        ) {
            let blocks: Vec<u32> = (0..count as u32).map(|index| first + index * gap + (index % gap)).collect();
            let bytes = IncrementalHeader::encode(SHAPE, truncation, &blocks).unwrap();
            let whole = file(truncation, &blocks);
            prop_assert!(bytes == whole[..bytes.len()]);
            let header = read(&bytes, whole.len()).unwrap();
            prop_assert_eq!(&header.blocks, &blocks);
            prop_assert_eq!(header.truncation, truncation);
            prop_assert_eq!(bytes.len() as u64, header.data_offset);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64), size in 0u64..100_000) {
            let mut bytes = bytes;
            if bytes.len() >= 8 {
                bytes[..4].copy_from_slice(&MAGIC.to_le_bytes());
                bytes[5..8].fill(0);
            }
            let _ = IncrementalHeader::read(&mut bytes.as_slice(), SHAPE, b"base/1/INCREMENTAL.5", size);
        }
    }

    #[test]
    fn impossible_lists_are_not_written() {
        for (truncation, blocks) in [(0, &[2, 1][..]), (0, &[1, 1]), (0, &[131_072]), (131_073, &[])] {
            assert!(IncrementalHeader::encode(SHAPE, truncation, blocks).is_err());
        }
    }
}

//! The header of a file of changed blocks (`INCREMENTAL.<name>`), read while the file streams by: how long the file
//! will be that a restore makes of it, and whether the header can be true at all.
//!
//! Format: PostgreSQL 17, `src/include/backup/basebackup_incremental.h`. Little-endian numbers of 32 bits: a magic
//! number, the number of blocks N, the truncation length, N block numbers ascending; with N > 0 zeros up to a whole
//! block; then N blocks.

use crate::{Error, Result};

const PREFIX: &[u8] = b"INCREMENTAL.";
const MAGIC: u32 = 0xd3ae_1f0d;

/// Words before the list of block numbers.
const FIXED_WORDS: u64 = 3;

/// How relations are cut into files and blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockShape {
    /// Bytes of a block.
    pub block_size: u32,
    /// Blocks of a file.
    pub relseg_size: u32,
}

/// Whether a file of an incremental backup holds changed blocks, by its path in PostgreSQL's manifest. Elsewhere such a
/// name is only a name.
#[must_use]
pub fn is_incremental(path: &[u8]) -> bool {
    let Some(slash) = memchr::memrchr(b'/', path) else {
        return false;
    };
    let (directory, name) = (&path[..slash], &path[slash + 1..]);
    name.len() > PREFIX.len()
        && name.starts_with(PREFIX)
        && (directory == b"global" || directory.starts_with(b"base/") || directory.starts_with(b"pg_tblspc/"))
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
}

impl HeaderScan {
    /// Nothing read yet: `path` as in PostgreSQL's manifest, `size` of the whole file in bytes.
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
        self.block_length()
            .ok_or_else(|| self.bad("it ends within its header"))
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
                Ok(())
            }
        }
    }

    fn check_size(&self) -> Result<()> {
        let (blocks, block_size) = (u64::from(self.blocks), u64::from(self.shape.block_size));
        let header = (FIXED_WORDS + blocks) * 4;
        let expected = match blocks {
            0 => header,
            _ => header.next_multiple_of(block_size) + blocks * block_size,
        };
        if self.size == expected {
            return Ok(());
        }
        Err(self.bad(&format!(
            "it has {} bytes, but {expected} would hold its {blocks} blocks",
            self.size
        )))
    }

    fn bad(&self, why: &str) -> Error {
        let path = String::from_utf8_lossy(&self.path);
        Error::corrupt(format!("{path} is no file of changed blocks: {why}")).hint(
            "take the backup again; if it happens again, take a full backup and look at the server's log",
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const SHAPE: BlockShape = BlockShape {
        block_size: 8192,
        relseg_size: 131_072,
    };

    /// A file of changed blocks, as PostgreSQL writes it; the blocks hold their numbers.
    pub fn file(truncation: u32, blocks: &[u32]) -> Vec<u8> {
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

    #[test]
    fn the_length_is_that_of_the_file_to_be_made() {
        let many: Vec<u32> = (0..2046).map(|block| block * 3).collect();
        for (truncation, blocks, expected) in [
            (0, &[][..], 0),
            (7, &[], 7),
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
            let error = scan(&bytes, size, 5).unwrap_err();
            assert!(error.message.contains(why), "{why}: {}", error.message);
            assert!(
                error.message.starts_with("base/1/INCREMENTAL.5 "),
                "{}",
                error.message
            );
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
}

//! Checksums of pages: FNV-1a in 32 lanes, mixed with the block number, as PostgreSQL computes them.

use super::RelationSegment;

const LANES: usize = 32;
const PRIME: u32 = 16_777_619;
/// Where the checksum stands in a page header.
const CHECKSUM_AT: usize = 8;
/// `pd_upper`: zero in a page that was never initialised.
const UPPER_AT: usize = 14;

/// Start values of the lanes: part of the format.
const START: [u32; LANES] = [
    0x5B1F_36E9,
    0xB852_5960,
    0x02AB_50AA,
    0x1DE6_6D2A,
    0x79FF_467A,
    0x9BB9_F8A3,
    0x217E_7CD2,
    0x83E1_3D2C,
    0xF8D4_474F,
    0xE39E_B970,
    0x42C6_AE16,
    0x9932_16FA,
    0x7B09_3B5D,
    0x98DA_FF3C,
    0xF718_902A,
    0x0B1C_9CDB,
    0xE58F_764B,
    0x1876_36BC,
    0x5D7B_3BB1,
    0xE73D_E7DE,
    0x92BE_C979,
    0xCCA6_C0B2,
    0x304A_0979,
    0x85AA_43D4,
    0x7831_25BB,
    0x6CA8_EAA2,
    0xE407_EAC6,
    0x4B5C_FC3E,
    0x9FBF_8C76,
    0x15CA_20BE,
    0xF2CA_9FD3,
    0x959B_D756,
];

fn mix(sum: u32, value: u32) -> u32 {
    let mixed = sum ^ value;
    mixed.wrapping_mul(PRIME) ^ (mixed >> 17)
}

/// The checksum of a page. Its own field counts as zero; `block` is the number of the page in the whole relation.
/// The length of the page must be a multiple of 128 bytes, as every block size is.
#[must_use]
pub fn page_checksum(page: &[u8], block: u32) -> u16 {
    let mut sums = START;
    for (row, bytes) in page.chunks_exact(LANES * 4).enumerate() {
        for (lane, word) in bytes.chunks_exact(4).enumerate() {
            let mut value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            if row == 0 && lane == CHECKSUM_AT / 4 {
                value &= 0xffff_0000;
            }
            sums[lane] = mix(sums[lane], value);
        }
    }
    for _ in 0..2 {
        for sum in &mut sums {
            *sum = mix(*sum, 0);
        }
    }
    let folded = sums.iter().fold(0, |all, sum| all ^ sum) ^ block;
    // cannot be zero: a zero field means that the page has no checksum
    (folded % 65_535) as u16 + 1
}

/// A page whose checksum is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageFault {
    /// In the whole relation.
    pub block: u32,
    pub stated: u16,
    pub found: u16,
    /// The page was written after the backup had begun: it may be torn, and replay of WAL replaces it.
    pub replayed: bool,
}

/// Checks the pages of one file as its bytes go by.
#[derive(Debug)]
pub struct PageScan {
    block_size: usize,
    next_block: u64,
    start_lsn: u64,
    partial: Vec<u8>,
    /// The first faults, at most [`PageScan::KEPT`].
    pub faults: Vec<PageFault>,
    /// Number of pages that are certainly damaged.
    pub damaged: u64,
    /// Number of pages that replay of WAL replaces.
    pub replayed: u64,
    /// Number of pages looked at.
    pub pages: u64,
}

impl PageScan {
    /// How many faults of a file are kept.
    pub const KEPT: usize = 10;

    /// A scan of one segment. `start_lsn` is that of the backup: pages that are as new were changed while it ran.
    #[must_use]
    pub fn new(segment: RelationSegment, block_size: u32, relseg_size: u32, start_lsn: u64) -> Self {
        Self {
            block_size: block_size as usize,
            next_block: u64::from(segment.number) * u64::from(relseg_size),
            start_lsn,
            partial: Vec::new(),
            faults: Vec::new(),
            damaged: 0,
            replayed: 0,
            pages: 0,
        }
    }

    /// Takes the next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        if !self.partial.is_empty() {
            let take = (self.block_size - self.partial.len()).min(bytes.len());
            self.partial.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.partial.len() < self.block_size {
                return;
            }
            let page = std::mem::take(&mut self.partial);
            self.check(&page);
            self.partial = page;
            self.partial.clear();
        }
        let mut pages = bytes.chunks_exact(self.block_size);
        for page in &mut pages {
            self.check(page);
        }
        self.partial.extend_from_slice(pages.remainder());
    }

    fn check(&mut self, page: &[u8]) {
        let block = self.next_block as u32;
        self.next_block += 1;
        self.pages += 1;
        let stated = u16::from_le_bytes([page[CHECKSUM_AT], page[CHECKSUM_AT + 1]]);
        let fresh = page[UPPER_AT] == 0 && page[UPPER_AT + 1] == 0;
        if fresh && page.iter().all(|byte| *byte == 0) {
            return;
        }
        let found = page_checksum(page, block);
        if !fresh && stated == found {
            return;
        }
        let half = |at: usize| {
            u64::from(u32::from_le_bytes([
                page[at],
                page[at + 1],
                page[at + 2],
                page[at + 3],
            ]))
        };
        let replayed = !fresh && (half(0) << 32 | half(4)) >= self.start_lsn;
        if replayed {
            self.replayed += 1;
        } else {
            self.damaged += 1;
        }
        if self.faults.len() < Self::KEPT {
            self.faults.push(PageFault {
                block,
                stated,
                found,
                replayed,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(block: u32, lsn: u64, fill: u8) -> Vec<u8> {
        let mut page = vec![fill; 8192];
        page[..4].copy_from_slice(&((lsn >> 32) as u32).to_le_bytes());
        page[4..8].copy_from_slice(&(lsn as u32).to_le_bytes());
        page[14..16].copy_from_slice(&8000u16.to_le_bytes());
        let sum = page_checksum(&page, block);
        page[8..10].copy_from_slice(&sum.to_le_bytes());
        page
    }

    fn scan(number: u32, bytes: &[u8], step: usize) -> PageScan {
        let mut scan = PageScan::new(RelationSegment { number }, 8192, 131_072, 0x200_0028);
        for piece in bytes.chunks(step) {
            scan.update(piece);
        }
        scan
    }

    #[test]
    fn good_and_empty_pages_pass_at_every_cut() {
        let bytes = [page(131_072, 1, 7), vec![0; 8192], page(131_074, 1, 9)].concat();
        for step in [1, 100, 8191, 8192, 8193, 30_000] {
            let scan = scan(1, &bytes, step);
            assert_eq!(
                (scan.pages, scan.damaged, scan.replayed),
                (3, 0, 0),
                "step {step}"
            );
        }
        assert_eq!(
            scan(0, &bytes, 8192).damaged,
            2,
            "the number of the segment counts"
        );
    }

    #[test]
    fn every_flip_is_a_fault_and_torn_pages_are_told_apart() {
        for at in [0, 9, 12, 8191] {
            let mut bytes = page(0, 1, 7);
            bytes[at] ^= 0x10;
            let scan = scan(0, &bytes, 8192);
            assert_eq!(
                (scan.damaged + scan.replayed, scan.faults[0].block),
                (1, 0),
                "byte {at}"
            );
        }
        let mut torn = page(0, 0x200_0028, 7);
        torn[5000] ^= 1;
        assert_eq!(scan(0, &torn, 8192).replayed, 1);
        let mut unzero = vec![0; 8192];
        unzero[100] = 1;
        assert_eq!(scan(0, &unzero, 8192).damaged, 1);
    }

    /// Block 3 of `pg_proc` as `initdb --data-checksums` of each major version wrote it.
    const REAL_PAGES: [&[u8]; 5] = [
        include_bytes!("samples/page-14"),
        include_bytes!("samples/page-15"),
        include_bytes!("samples/page-16"),
        include_bytes!("samples/page-17"),
        include_bytes!("samples/page-18"),
    ];

    #[test]
    fn pages_of_real_servers_are_right_at_their_place_only() {
        for page in REAL_PAGES {
            let stated = u16::from_le_bytes([page[8], page[9]]);
            assert_ne!(stated, 0);
            assert_eq!(page_checksum(page, 3), stated);
            for other in [0, 2, 4, 131_075] {
                assert_ne!(page_checksum(page, other), stated);
            }
        }
    }
}

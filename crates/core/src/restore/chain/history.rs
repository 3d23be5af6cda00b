//! Histories of a small cluster, for tests: pages are changed, cut off and added, and backups are taken as PostgreSQL
//! takes them. What the cluster held at each backup is remembered.

use super::super::testing::{Fixture, Form, SPACE, WAL};
use crate::block::{BlockShape, changed_blocks, relation_segment};
use crate::block::{IncrementalHeader, control_file, incremental_path, page_checksum};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const SHAPE: BlockShape = BlockShape {
    block_size: 8192,
    relseg_size: 131_072,
};

/// A page of its place, told apart by its number; 0 is a page of zeros.
pub fn page(number: u64, block: u32) -> Vec<u8> {
    let mut page = vec![0; 8192];
    if number == 0 {
        return page;
    }
    page[4..8].copy_from_slice(&1u32.to_le_bytes());
    page[14..16].copy_from_slice(&4096u16.to_le_bytes());
    for (index, chunk) in page[4096..].chunks_mut(8).enumerate() {
        chunk.copy_from_slice(
            &(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (index as u64 % 50)).to_le_bytes(),
        );
    }
    let sum = page_checksum(&page, block);
    page[8..10].copy_from_slice(&sum.to_le_bytes());
    page
}

/// One file of a relation and what the WAL summaries tell of it since the last backup.
#[derive(Debug, Clone)]
pub struct Relation {
    pub pages: Vec<u64>,
    /// Number of its first block in the whole relation.
    first: u32,
    changed: BTreeSet<u32>,
    limit: Option<u32>,
    /// Whether the last backup has it.
    known: bool,
}

impl Relation {
    pub fn bytes(&self) -> Vec<u8> {
        let pages = self.pages.iter().enumerate();
        pages
            .flat_map(|(block, number)| page(*number, self.first + block as u32))
            .collect()
    }

    /// What the server sends: whether it is the whole file, and the bytes.
    fn send(&self) -> (bool, Vec<u8>) {
        let size = self.pages.len() as u32;
        let blocks: Vec<u32> = self
            .changed
            .iter()
            .copied()
            .filter(|block| *block < size)
            .collect();
        let whole = !self.known || self.limit == Some(0) || size == 0 || blocks.len() as u32 * 10 > size * 9;
        if whole {
            return (true, self.bytes());
        }
        let truncation = self.limit.map_or(size, |limit| size.max(limit));
        let mut bytes = IncrementalHeader::encode(SHAPE, truncation, &blocks).unwrap();
        for block in blocks {
            bytes.extend(page(self.pages[block as usize], self.first + block));
        }
        (false, bytes)
    }
}

/// The files of a cluster by path.
pub type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// A stored backup, and the files that a restore of it makes.
pub struct Taken {
    pub stored: Fixture,
    pub wanted: Files,
}

/// A cluster and the backups that were taken of it.
pub struct History {
    random: u64,
    next_page: u64,
    pub relations: BTreeMap<Vec<u8>, Relation>,
    pub temp: Arc<tempfile::TempDir>,
    /// Oldest first.
    pub backups: Vec<Taken>,
    lsn: u64,
    /// As pgmoneta in C takes backups of PostgreSQL 16.
    pub legacy: bool,
}

const PATHS: [&str; 9] = [
    "base/5/1000",
    "base/5/1000_vm",
    "base/5/1001",
    "base/5/1002.1",
    "base/5/1003",
    "global/1262",
    "pg_tblspc/777/PG_17_202406281/5/9",
    "pg_tblspc/16384/PG_17_202406281/5/20000",
    SPACE,
];

impl History {
    pub fn new(seed: u64) -> Self {
        Self {
            random: seed | 1,
            next_page: 1,
            relations: BTreeMap::new(),
            temp: Arc::new(tempfile::tempdir().unwrap()),
            backups: Vec::new(),
            lsn: 0x200_0028,
            legacy: false,
        }
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }

    fn new_page(&mut self) -> u64 {
        self.next_page += 1;
        self.next_page
    }

    /// Creates a relation, in place of one of that name.
    pub fn create(&mut self, path: &str, pages: u32) {
        let numbers = (0..pages).map(|_| self.new_page()).collect();
        let relation = Relation {
            pages: numbers,
            first: relation_segment(path.as_bytes()).unwrap().number * SHAPE.relseg_size,
            changed: (0..pages).collect(),
            limit: Some(0),
            known: false,
        };
        self.relations.insert(path.as_bytes().to_vec(), relation);
    }

    pub fn change(&mut self, path: &str, block: u32) {
        let number = self.new_page();
        let relation = self.relations.get_mut(path.as_bytes()).unwrap();
        relation.pages[block as usize] = number;
        relation.changed.insert(block);
    }

    pub fn truncate(&mut self, path: &str, length: u32) {
        let relation = self.relations.get_mut(path.as_bytes()).unwrap();
        relation.pages.truncate(length as usize);
        relation.changed.retain(|block| *block < length);
        relation.limit = Some(relation.limit.map_or(length, |limit| limit.min(length)));
    }

    /// Adds pages, with WAL or, then they are zeros, without.
    pub fn grow(&mut self, path: &str, count: u32, logged: bool) {
        for _ in 0..count {
            let number = if logged { self.new_page() } else { 0 };
            let relation = self.relations.get_mut(path.as_bytes()).unwrap();
            if logged {
                relation.changed.insert(relation.pages.len() as u32);
            }
            relation.pages.push(number);
        }
    }

    /// One random thing that a server does.
    pub fn step(&mut self) {
        let path = PATHS[self.below(PATHS.len() as u64) as usize];
        let Some(relation) = self.relations.get(path.as_bytes()) else {
            let pages = self.below(40) as u32;
            return self.create(path, pages);
        };
        let (length, cut) = (relation.pages.len() as u32, relation.limit.is_some());
        match self.below(20) {
            0 => {
                self.relations.remove(path.as_bytes());
            }
            1 => self.create(path, length / 2),
            2 | 3 if length > 0 => {
                let length = self.below(u64::from(length)) as u32;
                self.truncate(path, length);
            }
            4..=6 => {
                let count = self.below(8) as u32;
                // what is cut off and grows without WAL between two backups is in no summary
                self.grow(path, count, cut || self.random.is_multiple_of(2));
            }
            7 if length > 0 => (0..length).for_each(|block| self.change(path, block)),
            _ if length > 0 => {
                let block = self.below(u64::from(length)) as u32;
                self.change(path, block);
            }
            _ => self.grow(path, 1, true),
        }
    }

    /// Takes a backup: the first one is full, the others build on the one before.
    pub fn back_up(&mut self, form: Form) {
        let full = self.backups.is_empty();
        let (start, from) = (self.lsn + 0x100_0000, self.lsn);
        self.lsn = start;
        let version: &[u8] = if self.legacy { b"16\n" } else { b"17\n" };
        let control = control_file(if self.legacy { 1300 } else { 1700 }, 77);
        let label = format!(
            "START WAL LOCATION: 0/{start:X} (file 000000010000000000000002)\nBACKUP METHOD: streamed\nLABEL: x\n\
             START TIMELINE: 1\n"
        );
        let mut wanted: Files = [
            (&b"PG_VERSION"[..], version.to_vec()),
            (b"backup_label", label.clone().into_bytes()),
            (b"global/pg_control", control),
            (b"INCREMENTAL.conf", b"a user's own file".to_vec()),
            (b"pg_xact/0000", vec![(start >> 24) as u8; 8192]),
            (WAL.as_bytes(), vec![0x5a; 20_000]),
        ]
        .into_iter()
        .map(|(path, bytes)| (path.to_vec(), bytes))
        .collect();
        let mut image = wanted.clone();
        if !full && !self.legacy {
            let lines = format!("INCREMENTAL FROM LSN: 0/{from:X}\nINCREMENTAL FROM TLI: 1\n");
            image.insert(b"backup_label".to_vec(), (label + &lines).into_bytes());
        }
        for (path, relation) in &mut self.relations {
            wanted.insert(path.clone(), relation.bytes());
            let (whole, bytes) = if full {
                (true, relation.bytes())
            } else {
                relation.send()
            };
            let bytes = if self.legacy && !whole {
                misalign(bytes)
            } else {
                bytes
            };
            image.insert(
                if whole {
                    path.clone()
                } else {
                    incremental_path(path)
                },
                bytes,
            );
            relation.changed.clear();
            relation.limit = None;
            relation.known = true;
        }
        let name = format!("202601{:02}030405", self.backups.len() + 1);
        let stored = Fixture::store_in(&self.temp, &name, form, image);
        self.backups.push(Taken { stored, wanted });
    }
}

/// The form in which pgmoneta 0.21 wrote it.
fn misalign(bytes: Vec<u8>) -> Vec<u8> {
    let count = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    if count == 0 {
        return bytes;
    }
    let words = 3 + count;
    let mut wrong = bytes[..words * 4].to_vec();
    wrong.resize(words * 4 + 8192 - words, 0);
    wrong.extend_from_slice(&bytes[8192..]);
    wrong
}

#[test]
fn the_misaligned_form_is_that_of_its_writer() {
    let good = changed_blocks(7, &[1, 4]);
    assert_eq!(misalign(good), crate::block::misaligned_file(7, &[1, 4]));
}

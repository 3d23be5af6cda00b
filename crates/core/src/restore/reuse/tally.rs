//! Counters of what was kept and what was not.

use super::super::inventory::split_tablespace;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many names of each kind are kept, the first in their order.
const NAMED: usize = 100;

/// Files and their plain bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub files: u64,
    pub bytes: u64,
}

/// What a restore takes from an existing tree and what it writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reuse {
    /// They are in the existing tree as they should be.
    pub kept: Tally,
    /// Those of them that are copied, because they cannot be linked.
    pub copied: Tally,
    /// The existing tree has something else there.
    pub rewritten: Tally,
    /// The existing tree has nothing there.
    pub added: Tally,
    /// What the existing tree has and the cluster does not, with its own bytes.
    pub removed: Tally,
    /// Bytes of what is copied, rewritten and added, by the OID in its path; the rest has an empty one.
    pub written: Vec<(String, u64)>,
    /// The first of each, in the order of their names.
    pub rewritten_paths: Vec<String>,
    pub added_paths: Vec<String>,
    pub removed_paths: Vec<String>,
    /// Links of the existing tree that the cluster does not have, and where they lead to; of tablespaces only those
    /// that are not known.
    pub links: Vec<(String, String)>,
}

/// What becomes of a file of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Linked,
    Copied,
    Rewritten,
    Added,
}

impl Fate {
    /// Of a file that is written in any case; `before` says that something stood there.
    pub fn of_written(before: bool) -> Self {
        if before { Self::Rewritten } else { Self::Added }
    }
}

/// [`Reuse`] while it is counted by many threads.
#[derive(Default)]
pub struct Tallies {
    kept: Counter,
    copied: Counter,
    rewritten: Counter,
    added: Counter,
    removed: Counter,
    written: Mutex<BTreeMap<String, u64>>,
    links: Mutex<BTreeSet<(String, String)>>,
}

#[derive(Default)]
struct Counter {
    files: AtomicU64,
    bytes: AtomicU64,
    names: Mutex<BTreeSet<String>>,
}

impl Counter {
    fn add(&self, size: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    fn add_named(&self, path: &[u8], size: u64) {
        self.add(size);
        keep(&self.names, path.escape_ascii().to_string());
    }

    fn tally(&self) -> Tally {
        Tally {
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    fn names(self) -> Vec<String> {
        let names = self.names.into_inner().unwrap_or_else(PoisonError::into_inner);
        names.into_iter().collect()
    }
}

fn keep<T: Ord>(names: &Mutex<BTreeSet<T>>, name: T) {
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.insert(name);
    if names.len() > NAMED {
        names.pop_last();
    }
}

impl Tallies {
    pub fn add(&self, path: &[u8], size: u64, fate: Fate) {
        if fate != Fate::Linked {
            let space = split_tablespace(path).map_or("", |(oid, _)| oid);
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            *written.entry(space.to_owned()).or_default() += size;
        }
        match fate {
            Fate::Linked => self.kept.add(size),
            Fate::Copied => {
                self.kept.add(size);
                self.copied.add(size);
            }
            Fate::Rewritten => self.rewritten.add_named(path, size),
            Fate::Added => self.added.add_named(path, size),
        }
    }

    pub fn remove(&self, path: &[u8], size: u64) {
        self.removed.add_named(path, size);
    }

    pub fn link(&self, path: &[u8], target: &[u8]) {
        let name = path.escape_ascii().to_string();
        keep(&self.links, (name, target.escape_ascii().to_string()));
    }

    pub fn into_reuse(self) -> Reuse {
        let links = self.links.into_inner().unwrap_or_else(PoisonError::into_inner);
        let written = self.written.into_inner().unwrap_or_else(PoisonError::into_inner);
        Reuse {
            written: written.into_iter().collect(),
            kept: self.kept.tally(),
            copied: self.copied.tally(),
            rewritten: self.rewritten.tally(),
            added: self.added.tally(),
            removed: self.removed.tally(),
            rewritten_paths: self.rewritten.names(),
            added_paths: self.added.names(),
            removed_paths: self.removed.names(),
            links: links.into_iter().collect(),
        }
    }
}

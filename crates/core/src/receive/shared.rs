//! What the threads of one receiver have in common.

use super::buffers::{Buffers, lock};
use super::journal::Journal;
use super::links::LinkSource;
use super::options::Options;
use crate::{Code, Error, Result};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counters that only grow.
#[derive(Debug, Default)]
pub struct Counters {
    pub received: AtomicU64,
    pub plain: AtomicU64,
    pub stored: AtomicU64,
    pub files: AtomicU64,
    pub linked_files: AtomicU64,
    pub linked_bytes: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the archives as the server sent them.
    pub received_bytes: u64,
    /// Plain bytes of regular files.
    pub plain_bytes: u64,
    /// Bytes of finished pieces as stored; linked files are not among them.
    pub stored_bytes: u64,
    /// Finished regular files.
    pub files: u64,
    /// How many of them are hard links to the previous backup.
    pub linked_files: u64,
    /// Stored bytes that the links saved.
    pub linked_bytes: u64,
}

/// State of one receiver.
pub struct Shared {
    pub options: Options,
    pub suffix: String,
    pub buffers: Buffers,
    pub journal: Journal,
    pub links: Option<LinkSource>,
    pub counters: Counters,
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
}

impl Shared {
    /// Nothing received yet.
    pub fn new(options: Options, journal: Journal, links: Option<LinkSource>) -> Self {
        Self {
            suffix: options.suffix(),
            buffers: Buffers::new(options.spec.frame_size(), options.budget),
            journal,
            links,
            counters: Counters::default(),
            failed: AtomicBool::new(false),
            failure: Mutex::new(None),
            options,
        }
    }

    /// The path of a stored file.
    pub fn path_of(&self, stored: &[u8]) -> PathBuf {
        self.options.directory.join(std::ffi::OsStr::from_bytes(stored))
    }

    /// Stops everything; the first error is the one that is told.
    pub fn fail(&self, error: Error) {
        lock(&self.failure).get_or_insert(error);
        self.failed.store(true, Ordering::SeqCst);
        self.buffers.wake();
    }

    /// Whether everything is to stop.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The error that stopped everything, if one did.
    pub fn healthy(&self) -> Result<()> {
        if !self.has_failed() {
            return Ok(());
        }
        let failure = lock(&self.failure).clone();
        Err(failure.unwrap_or_else(|| Error::new(Code::Internal, "the receiver stopped without a reason")))
    }

    /// The counters now.
    pub fn progress(&self) -> Progress {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            received_bytes: read(&self.counters.received),
            plain_bytes: read(&self.counters.plain),
            stored_bytes: read(&self.counters.stored),
            files: read(&self.counters.files),
            linked_files: read(&self.counters.linked_files),
            linked_bytes: read(&self.counters.linked_bytes),
        }
    }
}

//! What a long operation and its caller share: the wish to stop, and counters.

use crate::{Code, Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by the threads of an operation and whoever started it.
#[derive(Debug, Default)]
pub struct Job {
    cancelled: AtomicBool,
    bytes_done: AtomicU64,
    bytes_total: AtomicU64,
    files_done: AtomicU64,
    files_total: AtomicU64,
}

/// Counters of a running operation: plain bytes and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub files_done: u64,
    pub files_total: u64,
}

impl Job {
    /// Asks the operation to stop; it does so within one buffer of each thread.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// `CANCELLED` when the operation is to stop.
    pub fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "the operation was cancelled"));
        }
        Ok(())
    }

    /// The counters as they are now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            bytes_done: get(&self.bytes_done),
            bytes_total: get(&self.bytes_total),
            files_done: get(&self.files_done),
            files_total: get(&self.files_total),
        }
    }

    pub(crate) fn set_totals(&self, bytes: u64, files: u64) {
        self.bytes_total.store(bytes, Ordering::Relaxed);
        self.files_total.store(files, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: usize) {
        self.bytes_done.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_file(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }
}

//! A [`SegmentWriter`] with a thread of its own, so that nothing else delays it and it delays nothing else.
//!
//! Bytes are handed over in memory and written in the order they came. As soon as none are waiting, what was written is
//! made durable in one sync: under load the next commits gather while the sync for those before them runs (group commit).

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::lsn::Lsn;
use super::segment_writer::{SegmentWriter, SegmentWriterOptions};
use crate::{Code, Error, Result};

/// Bytes of one buffer; small messages are put together in one.
const BUFFER: usize = 256 * 1024;
/// Buffers kept for the next bytes.
const SPARE: usize = 8;
/// While bytes never stop coming, they are synced all the same, so that the server can let go of its WAL.
const LONGEST_UNSYNCED: Duration = Duration::from_secs(1);

/// What a writer reports.
#[derive(Debug)]
pub enum WriterEvent {
    /// Something became durable.
    Durable {
        written: Lsn,
        durable: Lsn,
        /// Segments that were completed since the last report.
        finished: Vec<String>,
    },
    /// Less than half of the budget is waiting again.
    Drained,
    /// The writer is of no further use.
    Failed(Error),
}

type Report = Box<dyn Fn(WriterEvent) + Send>;

#[derive(Default)]
struct Queue {
    full: VecDeque<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    /// Bytes that wait or are being written.
    bytes: usize,
    over: bool,
    closing: bool,
    abandoned: bool,
    failed: bool,
}

struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    budget: usize,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running writer. Dropping it abandons what was not synced.
pub struct WalWriter {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<Lsn>>>,
}

impl WalWriter {
    /// Starts the thread. `report` is called on it.
    ///
    /// # Errors
    /// Those of [`SegmentWriter::new`]; `IO` when the system gives no thread.
    pub fn start(options: SegmentWriterOptions, budget: usize, report: Report) -> Result<Self> {
        let writer = SegmentWriter::new(options)?;
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::default()),
            wake: Condvar::new(),
            budget: budget.max(BUFFER),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("wal writer".to_owned())
            .spawn(move || run(&theirs, writer, &report))
            .map_err(|error| {
                Error::new(
                    Code::Io,
                    format!("cannot start a thread for received WAL: {error}"),
                )
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Takes the bytes that follow. `false` asks the caller to wait for [`WriterEvent::Drained`].
    pub fn push(&self, bytes: &[u8]) -> bool {
        let mut queue = self.shared.lock();
        if queue.failed || queue.closing {
            return true;
        }
        let idle = queue.full.is_empty();
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = queue.full.back().map_or(0, |last| BUFFER - last.len());
            if room == 0 {
                let fresh = queue.spare.pop().unwrap_or_else(|| Vec::with_capacity(BUFFER));
                queue.full.push_back(fresh);
                continue;
            }
            let (now, later) = rest.split_at(room.min(rest.len()));
            if let Some(last) = queue.full.back_mut() {
                last.extend_from_slice(now);
            }
            rest = later;
        }
        queue.bytes += bytes.len();
        queue.over |= queue.bytes > self.shared.budget;
        let keep = !queue.over;
        drop(queue);
        if idle {
            self.shared.wake.notify_one();
        }
        keep
    }

    /// Writes and syncs what is waiting and ends the thread; gives the last durable position.
    ///
    /// # Errors
    /// What the writer failed with.
    pub fn close(&mut self) -> Result<Lsn> {
        self.shared.lock().closing = true;
        self.end()
    }

    /// Ends the thread after what it is doing; bytes that wait are dropped.
    pub fn abandon(&mut self) {
        {
            let mut queue = self.shared.lock();
            queue.closing = true;
            queue.abandoned = true;
        }
        // What was not synced was not reported either.
        let _ = self.end();
    }

    fn end(&mut self) -> Result<Lsn> {
        self.shared.wake.notify_one();
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::new(
                Code::Internal,
                "the thread for received WAL broke down",
            )),
            None => Err(Error::new(Code::Usage, "the writer was closed before")),
        }
    }
}

impl Drop for WalWriter {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.abandon();
        }
    }
}

fn run(shared: &Shared, mut writer: SegmentWriter, report: &Report) -> Result<Lsn> {
    let result = serve(shared, &mut writer, report);
    if let Err(error) = &result {
        let mut queue = shared.lock();
        queue.failed = true;
        queue.full.clear();
        drop(queue);
        report(WriterEvent::Failed(error.clone()));
    }
    result
}

fn serve(shared: &Shared, writer: &mut SegmentWriter, report: &Report) -> Result<Lsn> {
    let mut unsynced_since: Option<Instant> = None;
    let mut batch: VecDeque<Vec<u8>> = VecDeque::new();
    loop {
        let closing = {
            let mut queue = shared.lock();
            while queue.full.is_empty() && unsynced_since.is_none() && !queue.closing {
                queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.abandoned {
                return Ok(writer.durable());
            }
            std::mem::swap(&mut batch, &mut queue.full);
            queue.closing
        };
        let nothing = batch.is_empty();
        let before = writer.durable();
        while let Some(buffer) = batch.pop_front() {
            writer.write(&buffer)?;
            give_back(shared, buffer, report);
            unsynced_since.get_or_insert_with(Instant::now);
        }
        let overdue = unsynced_since.is_some_and(|since| since.elapsed() >= LONGEST_UNSYNCED);
        if (nothing || overdue || shared.lock().full.is_empty()) && unsynced_since.take().is_some() {
            writer.sync()?;
        }
        let finished = writer.take_finished();
        if writer.durable() != before || !finished.is_empty() {
            report(WriterEvent::Durable {
                written: writer.position(),
                durable: writer.durable(),
                finished,
            });
        }
        if unsynced_since.is_none() && !closing {
            writer.idle();
        }
        if closing && nothing {
            return Ok(writer.durable());
        }
    }
}

/// A written buffer is used again, and the sender told when it may go on.
fn give_back(shared: &Shared, mut buffer: Vec<u8>, report: &Report) {
    let mut queue = shared.lock();
    queue.bytes -= buffer.len();
    if queue.spare.len() < SPARE {
        buffer.clear();
        queue.spare.push(buffer);
    }
    if queue.over && queue.bytes < shared.budget / 2 {
        queue.over = false;
        drop(queue);
        report(WriterEvent::Drained);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::mpsc::{Receiver, channel};

    use super::super::Version;
    use super::super::testing::page_header;
    use super::*;

    const SEGMENT: u32 = 1 << 20;

    fn wal(bytes: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < bytes {
            let mut page = page_header(out.len() as u64, 1, Version::from_major(17).unwrap(), 0);
            page.resize(8192, 7);
            out.extend(page);
        }
        out.truncate(bytes);
        out
    }

    fn start(directory: &Path, budget: usize) -> (WalWriter, Receiver<WriterEvent>) {
        let (sender, receiver) = channel();
        let options = SegmentWriterOptions {
            directory: directory.to_path_buf(),
            timeline: 1,
            segment_size: SEGMENT,
            page_size: 8192,
            start: Lsn(0),
        };
        let report = Box::new(move |event| sender.send(event).unwrap_or(()));
        (WalWriter::start(options, budget, report).unwrap(), receiver)
    }

    #[test]
    fn everything_pushed_becomes_durable_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, events) = start(directory.path(), 64 << 20);
        let all = wal(3 * SEGMENT as usize + 12_345);
        for piece in all.chunks(10_007) {
            assert!(writer.push(piece));
        }
        let mut last = Lsn(0);
        let mut segments = Vec::new();
        while last != Lsn(all.len() as u64) {
            match events.recv_timeout(Duration::from_secs(20)).unwrap() {
                WriterEvent::Durable {
                    durable,
                    written,
                    finished,
                } => {
                    assert!(durable >= last && written >= durable);
                    segments.extend(finished);
                    last = durable;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(segments.len(), 3);
        assert_eq!(writer.close().unwrap(), last);
        let open = directory.path().join("000000010000000000000003.partial");
        assert!(std::fs::read(open).unwrap()[..12_345] == all[3 * SEGMENT as usize..]);
    }

    #[test]
    fn closing_writes_and_syncs_what_waits() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, _events) = start(directory.path(), 64 << 20);
        let all = wal(SEGMENT as usize + 500);
        writer.push(&all);
        assert_eq!(writer.close().unwrap(), Lsn(all.len() as u64));
        assert!(writer.close().is_err());
    }

    #[test]
    fn the_sender_is_asked_to_wait_and_told_when_to_go_on() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, events) = start(directory.path(), 300_000);
        let all = wal(8 << 20);
        let mut waits = 0;
        for piece in all.chunks(100_000) {
            if writer.push(piece) {
                continue;
            }
            waits += 1;
            while !matches!(
                events.recv_timeout(Duration::from_secs(20)).unwrap(),
                WriterEvent::Drained
            ) {}
        }
        assert!(waits > 0);
        assert_eq!(writer.close().unwrap(), Lsn(all.len() as u64));
    }

    #[test]
    fn a_failure_is_reported_once_and_ends_the_writer() {
        let directory = tempfile::tempdir().unwrap();
        let (mut writer, events) = start(&directory.path().join("missing"), 1 << 20);
        writer.push(&wal(100));
        match events.recv_timeout(Duration::from_secs(20)).unwrap() {
            WriterEvent::Failed(error) => assert_eq!(error.code, Code::Io),
            other => panic!("{other:?}"),
        }
        assert!(writer.push(b"more"));
        assert!(writer.close().is_err());
        assert!(events.try_recv().is_err());
    }
}

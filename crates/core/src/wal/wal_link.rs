//! WAL from the socket to the disk and the answer back, on one thread: nothing lies between the arrival of a commit, the
//! sync that makes it durable, and the status update that lets it go on. Whatever else the process does delays none of
//! it.
//!
//! The socket belongs to somebody else, who has opened the link and started the stream, does not read meanwhile, and
//! takes over again when something comes that is not WAL.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use super::frames::{FrameSink, WalFrames, status_update};
use super::lsn::Lsn;
use super::segment_writer::{SegmentWriter, SegmentWriterOptions};
use crate::{Code, Error, Result};

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
/// When the server has this much more WAL, what was read is not the newest: no commit waits for it alone, and syncs may
/// be fewer.
const BEHIND: u64 = 1 << 20;
/// Bytes and time after which there is a sync all the same.
const MOST_UNSYNCED: u64 = 8 << 20;
const LONGEST_UNSYNCED: Duration = Duration::from_millis(20);
/// How often positions are reported while nothing else calls for it.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);
/// A sync that takes longer than this keeps the server from hearing of us: others speak for the thread then.
const LONG_SYNC: Duration = Duration::from_secs(1);

/// How far a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkPositions {
    /// The byte after the last one written.
    pub written: Lsn,
    /// The byte after the last one that survives a power failure; the server was told of it.
    pub durable: Lsn,
    /// The end of the WAL that the server has.
    pub server_end: Lsn,
}

/// What a link reports.
#[derive(Debug)]
pub enum LinkEvent {
    /// Positions have moved.
    Progress {
        positions: LinkPositions,
        /// Segments that were completed since the last report.
        finished: Vec<String>,
    },
    /// Something came that is not WAL, or the link broke: what was received is durable, nothing more is read, and these
    /// bytes are the first of what follows.
    Returned(Vec<u8>),
    /// WAL could not be kept, or was none: the link is of no further use.
    Failed(Error),
}

type Report = Box<dyn Fn(LinkEvent) + Send>;

struct State {
    positions: LinkPositions,
    /// Bytes of a status update that the socket did not take yet.
    unsent: Vec<u8>,
    /// Another one is to follow; true in it asks the server to answer.
    wanted: Option<bool>,
    syncing_since: Option<Instant>,
    closing: bool,
    /// The stream is over: no more status updates.
    silent: bool,
}

struct Shared {
    state: Mutex<State>,
    socket: OwnedFd,
    /// A pipe: a byte in it wakes the thread.
    woken: OwnedFd,
    wake: OwnedFd,
    reads: AtomicU64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        // SAFETY: the descriptor is open while `self` lives; one byte is read from a constant. A full pipe wakes as well.
        unsafe { libc::write(self.wake.as_raw_fd(), [0_u8].as_ptr().cast(), 1) };
    }

    /// Tells the server the positions, as far as the socket takes it now. An update that was begun has to be ended first.
    /// A broken link is no error here: the reading side meets it and ends in order.
    fn send_status(&self, state: &mut State, reply: bool) {
        state.wanted = Some(reply || state.wanted == Some(true));
        self.flush(state);
    }

    fn flush(&self, state: &mut State) {
        while !state.silent {
            if state.unsent.is_empty() {
                let Some(reply) = state.wanted.take() else { return };
                let LinkPositions { written, durable, .. } = state.positions;
                state
                    .unsent
                    .extend(status_update(written, durable, SystemTime::now(), reply));
            }
            // SAFETY: the descriptor is open while `self` lives; pointer and length are those of a live vector.
            let sent = unsafe {
                libc::send(
                    self.socket.as_raw_fd(),
                    state.unsent.as_ptr().cast(),
                    state.unsent.len(),
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            if let Ok(sent) = usize::try_from(sent) {
                state.unsent.drain(..sent);
                continue;
            }
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return,
                _ => state.silent = true,
            }
        }
    }
}

/// A running link; may be used from several threads. Dropping it closes it.
pub struct WalLink {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<Result<Lsn>>>>,
}

/// What a link begins with.
pub struct LinkOptions {
    pub writer: SegmentWriterOptions,
    /// A connected socket in non-blocking mode, in the middle of `START_REPLICATION`.
    pub socket: OwnedFd,
    /// What was read from it already.
    pub received: Vec<u8>,
}

impl WalLink {
    /// Starts the thread. `report` is called on it.
    ///
    /// # Errors
    /// Those of [`SegmentWriter::new`]; `IO` when the system gives no pipe or no thread.
    pub fn start(options: LinkOptions, report: Report) -> Result<Self> {
        let writer = SegmentWriter::new(options.writer)?;
        let (woken, wake) = pipe().map_err(|error| no_thread(&error))?;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                positions: LinkPositions {
                    written: writer.position(),
                    durable: writer.durable(),
                    server_end: writer.position(),
                },
                unsent: Vec::new(),
                wanted: None,
                syncing_since: None,
                closing: false,
                silent: false,
            }),
            socket: options.socket,
            woken,
            wake,
            reads: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&shared);
        let received = options.received;
        let thread = std::thread::Builder::new()
            .name("wal link".to_owned())
            .spawn(move || Receiving::new(&theirs, writer, &report).run(&received))
            .map_err(|error| no_thread(&error))?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// How far it is.
    #[must_use]
    pub fn positions(&self) -> LinkPositions {
        self.shared.lock().positions
    }

    /// Counts the reads so far: a number that does not move means a server that is silent.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.shared.reads.load(Ordering::Relaxed)
    }

    /// Sends a status update now. `reply` asks the server to answer.
    pub fn send_status(&self, reply: bool) {
        let mut state = self.shared.lock();
        self.shared.send_status(&mut state, reply);
        if !state.unsent.is_empty() {
            drop(state);
            self.shared.wake();
        }
    }

    /// Sends a status update when the thread has been held by one sync for so long that a server could lose patience.
    pub fn relieve(&self) {
        let mut state = self.shared.lock();
        if state
            .syncing_since
            .is_some_and(|since| since.elapsed() >= LONG_SYNC)
        {
            self.shared.send_status(&mut state, false);
        }
    }

    /// Ends the link: what was received is made durable and the server told; gives the last durable position.
    ///
    /// # Errors
    /// What the link failed with.
    pub fn close(&self) -> Result<Lsn> {
        self.shared.lock().closing = true;
        self.shared.wake();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        match thread.map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::new(
                Code::Internal,
                "the thread for received WAL broke down",
            )),
            None => Err(Error::new(Code::Usage, "the link was closed before")),
        }
    }
}

impl Drop for WalLink {
    fn drop(&mut self) {
        // What was not synced was not reported either; and it may have been closed before.
        let _ = self.close();
    }
}

fn no_thread(error: &io::Error) -> Error {
    Error::new(
        Code::Io,
        format!("cannot start a thread for received WAL: {error}"),
    )
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = io::pipe()?;
    for descriptor in [reader.as_raw_fd(), writer.as_raw_fd()] {
        // SAFETY: both descriptors are open; the call touches no memory of ours.
        if unsafe { libc::fcntl(descriptor, libc::F_SETFL, libc::O_NONBLOCK) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok((reader.into(), writer.into()))
}

/// What came from the socket.
enum Input {
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The link is over.
    End,
}

struct Receiving<'a> {
    shared: &'a Shared,
    writer: SegmentWriter,
    report: &'a Report,
    expected: Lsn,
    server_end: Lsn,
    unsynced_since: Option<Instant>,
    reported: LinkPositions,
    reported_at: Option<Instant>,
}

impl<'a> Receiving<'a> {
    fn new(shared: &'a Shared, writer: SegmentWriter, report: &'a Report) -> Self {
        let positions = shared.lock().positions;
        Self {
            shared,
            expected: writer.position(),
            server_end: writer.position(),
            writer,
            report,
            unsynced_since: None,
            reported: positions,
            reported_at: None,
        }
    }

    fn run(mut self, received: &[u8]) -> Result<Lsn> {
        match self.serve(received) {
            Ok(None) => {}
            Ok(Some(rest)) => (self.report)(LinkEvent::Returned(rest)),
            Err(error) => {
                self.shared.lock().silent = true;
                (self.report)(LinkEvent::Failed(error.clone()));
                return Err(error);
            }
        }
        Ok(self.writer.durable())
    }

    /// Until something else than WAL comes (and gives it), or the link is to be closed.
    fn serve(&mut self, received: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut frames = WalFrames::default();
        let mut buffer = vec![0; BUFFER];
        let mut rest = frames.push(received, self)?;
        while rest.is_none() {
            if self.shared.lock().closing {
                self.end()?;
                return Ok(None);
            }
            if self.overdue() {
                self.sync()?;
            }
            match self.read(&mut buffer) {
                Input::Bytes(count) => {
                    rest = frames.push(&buffer[..count], self)?;
                }
                Input::Nothing => {
                    if self.is_newest() {
                        self.sync()?;
                        self.writer.idle();
                    }
                    self.wait();
                }
                Input::End => {
                    rest = Some(std::mem::take(&mut frames).into_rest());
                }
            }
            self.report_when_due();
        }
        self.end()?;
        Ok(rest)
    }

    /// Whether what was read reaches about as far as the server's own WAL.
    fn is_newest(&self) -> bool {
        self.expected.0 + BEHIND > self.server_end.0
    }

    /// Whether there has to be a sync although more is coming.
    fn overdue(&self) -> bool {
        let unsynced = self.writer.position().0 - self.writer.durable().0;
        unsynced >= MOST_UNSYNCED || self.until_sync() == Some(Duration::ZERO)
    }

    fn until_sync(&self) -> Option<Duration> {
        Some(LONGEST_UNSYNCED.saturating_sub(self.unsynced_since?.elapsed()))
    }

    fn read(&self, buffer: &mut [u8]) -> Input {
        loop {
            // SAFETY: the descriptor is open while `self` lives; pointer and length are those of a live slice.
            let count = unsafe {
                libc::recv(
                    self.shared.socket.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                    libc::MSG_DONTWAIT,
                )
            };
            if count > 0 {
                self.shared.reads.fetch_add(1, Ordering::Relaxed);
                return Input::Bytes(count.unsigned_abs());
            }
            if count == 0 {
                return Input::End;
            }
            match io::Error::last_os_error().kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Input::Nothing,
                _ => return Input::End,
            }
        }
    }

    /// Until bytes come, the socket takes what it did not take before, a sync or a report is due, or somebody wakes the
    /// thread.
    fn wait(&mut self) {
        let unsent = !self.shared.lock().unsent.is_empty();
        let entry = |descriptor: &OwnedFd, events| libc::pollfd {
            fd: descriptor.as_raw_fd(),
            events,
            revents: 0,
        };
        let writable = if unsent { libc::POLLOUT } else { 0 };
        let mut entries = [
            entry(&self.shared.socket, libc::POLLIN | writable),
            entry(&self.shared.woken, libc::POLLIN),
        ];
        let due = self.until_report().into_iter().chain(self.until_sync()).min();
        // Rounded up: a wait that ends too early would be begun anew at once.
        let timeout = due.map_or(-1, |wait| i32::try_from(wait.as_millis() + 1).unwrap_or(i32::MAX));
        // SAFETY: pointer and length are those of a live array; both descriptors are open. Errors and spurious ends only
        // cause another round.
        unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, timeout) };
        if entries[1].revents != 0 {
            let mut bytes = [0_u8; 64];
            // SAFETY: the descriptor is open; pointer and length are those of a live array.
            unsafe {
                libc::read(
                    self.shared.woken.as_raw_fd(),
                    bytes.as_mut_ptr().cast(),
                    bytes.len(),
                )
            };
        }
        if unsent {
            self.shared.flush(&mut self.shared.lock());
        }
    }

    /// Makes what was written durable and tells the server at once.
    fn sync(&mut self) -> Result<()> {
        if self.unsynced_since.take().is_none() {
            return Ok(());
        }
        self.shared.lock().syncing_since = Some(Instant::now());
        let synced = self.writer.sync();
        let mut state = self.shared.lock();
        state.syncing_since = None;
        synced?;
        self.publish(&mut state);
        self.shared.send_status(&mut state, false);
        Ok(())
    }

    fn publish(&self, state: &mut State) {
        state.positions = LinkPositions {
            written: self.writer.position(),
            durable: self.writer.durable(),
            server_end: self.server_end,
        };
    }

    /// The last sync and the last word to the server and to those who listen.
    fn end(&mut self) -> Result<()> {
        self.sync()?;
        self.shared.lock().silent = true;
        self.report();
        Ok(())
    }

    fn until_report(&self) -> Option<Duration> {
        let positions = self.shared.lock().positions;
        if positions == self.reported {
            return None;
        }
        let passed = self.reported_at.map_or(REPORT_INTERVAL, |at| at.elapsed());
        Some(REPORT_INTERVAL.saturating_sub(passed))
    }

    fn report_when_due(&mut self) {
        if self.writer.has_finished() || self.until_report() == Some(Duration::ZERO) {
            self.report();
        }
    }

    fn report(&mut self) {
        let positions = self.shared.lock().positions;
        self.reported = positions;
        self.reported_at = Some(Instant::now());
        let finished = self.writer.take_finished();
        (self.report)(LinkEvent::Progress { positions, finished });
    }
}

impl FrameSink for Receiving<'_> {
    fn begin(&mut self, start: Lsn, server_end: Lsn) -> Result<()> {
        if start != self.expected {
            return Err(Error::new(
                Code::Protocol,
                format!(
                    "the server sent WAL from {start} on where {} should follow",
                    self.expected
                ),
            )
            .hint("nothing of it was kept; the receiver connects anew")
            .retryable());
        }
        self.server_end = self.server_end.max(server_end);
        Ok(())
    }

    fn wal(&mut self, bytes: &[u8]) -> Result<()> {
        self.expected = Lsn(self.expected.0 + bytes.len() as u64);
        self.writer.write(bytes)?;
        self.unsynced_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    fn keepalive(&mut self, server_end: Lsn, reply: bool) -> Result<()> {
        self.server_end = self.server_end.max(server_end);
        let mut state = self.shared.lock();
        self.publish(&mut state);
        if reply {
            self.shared.send_status(&mut state, false);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "wal_link_tests.rs"]
mod tests;

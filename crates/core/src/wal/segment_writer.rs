//! Received WAL on its way into segment files. No threads: see [`super::WalWriter`] for the one that runs it.
//!
//! A segment is `<name>.partial`, as large as a whole one from the start, until its last byte is there and durable; then
//! it gets its name. Bytes are written where they belong and never before a check that they are WAL of the place they
//! claim: what was written before a restart is written again with the same bytes, so a crash at any moment loses nothing
//! that was durable.

use std::fs::{File, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use super::decoder::{Options, WalDecoder};
use super::lsn::{Lsn, check_segment_size};
use crate::fs::{create_new, start_write_back, sync_directory};
use crate::{Code, Error, Result};

/// Bytes after which the system is asked to begin with writing to disk, so that the sync finds little to do.
const WRITE_BACK: u64 = 1 << 20;
/// Bytes that are read at a time.
const PIECE: usize = 256 * 1024;
/// Segments up to this size get their blocks written with zeros before WAL comes: a sync then has no metadata to write.
const ZEROED: u64 = 64 << 20;
/// Bytes of a page header that every page has and that are checked here: magic, flags, timeline, address.
const CHECKED: usize = 16;

/// Where received WAL goes.
#[derive(Debug, Clone)]
pub struct SegmentWriterOptions {
    /// `<server>/wal`; has to exist.
    pub directory: PathBuf,
    pub timeline: u32,
    /// Bytes of a segment.
    pub segment_size: u32,
    /// Bytes of a WAL page of the server.
    pub page_size: u32,
    /// First byte that will be written; the start of a segment.
    pub start: Lsn,
}

/// The segment that is being filled.
#[derive(Debug)]
struct Open {
    file: File,
    partial: PathBuf,
    /// LSN of its first byte.
    start: u64,
    written_back: u64,
    /// Bytes at its begin that an earlier receiver wrote and that hold whole records: they are not overwritten.
    proved: u64,
    /// Whether all of its blocks were written once.
    zeroed: bool,
}

/// Writes contiguous WAL of one timeline.
#[derive(Debug)]
pub struct SegmentWriter {
    options: SegmentWriterOptions,
    segment_size: u64,
    open: Option<Open>,
    position: u64,
    durable: u64,
    finished: Vec<String>,
    pages: PageCheck,
    /// The beginning of a page header that was cut by the end of a message: written when the rest has come.
    held: Vec<u8>,
    /// The file of the next segment, while it is being prepared.
    spare: Option<Spare>,
}

/// A file full of zeros that becomes the next segment.
#[derive(Debug)]
struct Spare {
    path: PathBuf,
    made: Option<JoinHandle<Result<()>>>,
    /// Nobody waits for it any more: the thread removes it.
    unwanted: Arc<AtomicBool>,
}

impl Spare {
    /// Begins to make the file beside the segments, under a name that a start-up sweeps.
    fn begin(directory: &Path, segment: &str, size: u64) -> Self {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{segment}.partial.tmp-{}-{number}", std::process::id()));
        let theirs = path.clone();
        let unwanted = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&unwanted);
        let made = std::thread::Builder::new()
            .name("wal spare".to_owned())
            .spawn(move || {
                let file = create_new(&theirs)?;
                let filled = fill_with_zeros(&file, &theirs, 0, size).and_then(|()| {
                    file.sync_all()
                        .map_err(|error| Error::io("sync", &theirs, &error))
                });
                if stop.load(Ordering::Acquire) {
                    let _ = std::fs::remove_file(&theirs); // else the next start sweeps it
                }
                filled
            })
            .ok();
        Self { path, made, unwanted }
    }

    /// Gives the file its name. `false` when it is not ready, or could not be made: nothing is lost by that.
    fn take(mut self, partial: &Path) -> bool {
        let ready = self.made.take_if(|made| made.is_finished());
        ready.is_some_and(|made| matches!(made.join(), Ok(Ok(()))))
            && std::fs::rename(&self.path, partial).is_ok()
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        // Not waited for: this is where WAL goes through.
        self.unwanted.store(true, Ordering::Release);
        if self.made.as_ref().is_none_or(JoinHandle::is_finished) {
            let _ = std::fs::remove_file(&self.path); // it is gone when it was taken
        }
    }
}

fn fill_with_zeros(file: &File, path: &Path, from: u64, to: u64) -> Result<()> {
    let zeros = vec![0; PIECE];
    let mut at = from;
    while at < to {
        let length = (to - at).min(PIECE as u64) as usize;
        file.write_all_at(&zeros[..length], at)
            .map_err(|error| Error::io("write", path, &error))?;
        at += length as u64;
    }
    Ok(())
}

impl SegmentWriter {
    /// A writer that begins at `options.start`.
    ///
    /// # Errors
    /// `USAGE` for a size or a start that cannot be.
    pub fn new(options: SegmentWriterOptions) -> Result<Self> {
        check_segment_size(options.segment_size)?;
        let segment_size = u64::from(options.segment_size);
        if !options.start.0.is_multiple_of(segment_size) {
            let message = format!(
                "WAL is received from the start of a segment, not from {}",
                options.start
            );
            return Err(Error::new(Code::Usage, message));
        }
        if !options.page_size.is_power_of_two() || !(1024..=65536).contains(&options.page_size) {
            let message = format!(
                "{} bytes is not a size that WAL pages can have",
                options.page_size
            );
            return Err(Error::new(Code::Usage, message));
        }
        let start = options.start.0;
        Ok(Self {
            pages: PageCheck::new(options.timeline, options.page_size),
            options,
            segment_size,
            held: Vec::with_capacity(CHECKED),
            spare: None,
            open: None,
            position: start,
            durable: start,
            finished: Vec::new(),
        })
    }

    /// The byte after the last one written.
    #[must_use]
    pub fn position(&self) -> Lsn {
        Lsn(self.position)
    }

    /// The byte after the last one that survives a power failure.
    #[must_use]
    pub fn durable(&self) -> Lsn {
        Lsn(self.durable)
    }

    /// Whether segments were completed since the last call of `take_finished`.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        !self.finished.is_empty()
    }

    /// Names of the segments that were completed since the last call.
    pub fn take_finished(&mut self) -> Vec<String> {
        std::mem::take(&mut self.finished)
    }

    /// Writes the bytes that follow. Completed segments are durable and named when this returns; what is in the open
    /// one is durable after `sync`.
    ///
    /// # Errors
    /// `POSTGRES_PROTOCOL` when the bytes are not WAL of this place: nothing of them is written. `IO`, `NO_SPACE`: the
    /// writer is of no further use; a new one begins at the start of the segment.
    pub fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        if !self.held.is_empty() {
            let (head, rest) = bytes.split_at((CHECKED - self.held.len()).min(bytes.len()));
            self.held.extend_from_slice(head);
            if self.held.len() < CHECKED {
                return Ok(());
            }
            let header = std::mem::take(&mut self.held);
            self.pages.check(self.position, &header)?;
            self.put(&header)?;
            bytes = rest;
        }
        let admitted = self.pages.admit(self.position, bytes)?;
        self.put(&bytes[..admitted])?;
        self.held.extend_from_slice(&bytes[admitted..]);
        Ok(())
    }

    fn put(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let offset = self.position % self.segment_size;
            let room = usize::try_from(self.segment_size - offset).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.write_within(now, offset)?;
            if now.len() == room {
                self.complete()?;
            }
            bytes = later;
        }
        Ok(())
    }

    fn write_within(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(self.open_segment()?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let end = offset + bytes.len() as u64;
        let known = usize::try_from(open.proved.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (known, new) = bytes.split_at(known.min(bytes.len()));
        compare(open, known, offset)?;
        open.file
            .write_all_at(new, offset + known.len() as u64)
            .map_err(|error| Error::io("write", &open.partial, &error))?;
        if end - open.written_back >= WRITE_BACK {
            start_write_back(&open.file, open.written_back, end - open.written_back);
            open.written_back = end;
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Makes everything written durable; returns up to where that is.
    ///
    /// # Errors
    /// `IO`, `NO_SPACE`. After a failed sync nothing is known of the bytes since the one before: the writer is of no
    /// further use.
    pub fn sync(&mut self) -> Result<Lsn> {
        if self.durable < self.position
            && let Some(open) = &self.open
        {
            open.file
                .sync_data()
                .map_err(|error| Error::io("sync", &open.partial, &error))?;
        }
        self.durable = self.position;
        Ok(Lsn(self.durable))
    }

    /// Nothing waits: time to prepare what will make the next syncs short. What fails here is no failure of receiving.
    pub fn idle(&mut self) {
        if self.segment_size > ZEROED {
            return;
        }
        let Some(open) = &mut self.open else { return };
        if !open.zeroed {
            // Behind the last whole record that an earlier receiver left there is nothing that anybody relies on.
            let from = (self.position - open.start).max(open.proved);
            let filled = fill_with_zeros(&open.file, &open.partial, from, self.segment_size);
            // Once is enough: when it fails, the syncs that matter will say so.
            open.zeroed = true;
            if filled.is_ok() {
                let _ = open.file.sync_data();
            }
        }
        if self.spare.is_none() {
            let next = open.start + self.segment_size;
            let name = self.segment_name(next);
            self.spare = Some(Spare::begin(&self.options.directory, &name, self.segment_size));
        }
    }

    /// The open segment is full: it becomes durable and gets its name.
    fn complete(&mut self) -> Result<()> {
        self.sync()?;
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let name = self.segment_name(open.start);
        let whole = self.options.directory.join(&name);
        if whole.symlink_metadata().is_ok() {
            return Err(already_there(&whole));
        }
        std::fs::rename(&open.partial, &whole).map_err(|error| Error::io("rename", &open.partial, &error))?;
        sync_directory(&self.options.directory)?;
        self.finished.push(name);
        Ok(())
    }

    /// Opens the `.partial` of the segment at the present position. One that is there keeps its bytes: they are WAL of
    /// this place, and may be the only copy until they have come again.
    fn open_segment(&mut self) -> Result<Open> {
        let start = self.position - self.position % self.segment_size;
        let name = self.segment_name(start);
        let partial = self.options.directory.join(format!("{name}.partial"));
        let spare = self.spare.take();
        let zeroed = partial.symlink_metadata().is_err() && spare.is_some_and(|spare| spare.take(&partial));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&partial)
            .map_err(|error| Error::io("open", &partial, &error))?;
        let metadata = file
            .metadata()
            .map_err(|error| Error::io("examine", &partial, &error))?;
        if !metadata.is_file() {
            return Err(
                Error::new(Code::Io, format!("{} is not a regular file", partial.display()))
                    .hint("move it away: WAL is received into files only"),
            );
        }
        if metadata.len() != self.segment_size {
            allocate(&file, &partial, self.segment_size)?;
        }
        file.sync_all()
            .map_err(|error| Error::io("sync", &partial, &error))?;
        sync_directory(&self.options.directory)?;
        let proved = if metadata.len() == 0 || zeroed {
            0
        } else {
            self.proved_end(&file, &partial, start)?
        };
        Ok(Open {
            file,
            partial,
            start,
            written_back: 0,
            proved,
            zeroed,
        })
    }

    /// How many bytes of an open segment that was left hold whole records.
    fn proved_end(&self, file: &File, path: &Path, start: u64) -> Result<u64> {
        let mut decoder = WalDecoder::new(Options {
            segment_size: self.options.segment_size,
            timeline: Some(self.options.timeline),
            system_identifier: None,
            start: Lsn(start),
        })?;
        let mut buffer = vec![0; PIECE];
        let mut offset = 0;
        while offset < self.segment_size && !decoder.has_stopped() {
            let length = (self.segment_size - offset).min(PIECE as u64) as usize;
            file.read_exact_at(&mut buffer[..length], offset)
                .map_err(|error| Error::io("read", path, &error))?;
            if decoder
                .push(&buffer[..length], &mut |_| ControlFlow::Continue(()))
                .is_break()
            {
                break;
            }
            offset += length as u64;
        }
        Ok((decoder.end_of_wal().proved.0 - start).min(self.segment_size))
    }

    fn segment_name(&self, start: u64) -> String {
        let per_id = 0x1_0000_0000 / self.segment_size;
        let number = start / self.segment_size;
        format!(
            "{:08X}{:08X}{:08X}",
            self.options.timeline,
            number / per_id,
            number % per_id
        )
    }
}

/// What comes again has to be what is there: it was reported as durable, and may be all that is left of a server.
fn compare(open: &Open, known: &[u8], offset: u64) -> Result<()> {
    let mut buffer = vec![0; known.len().min(PIECE)];
    for (index, piece) in known.chunks(PIECE).enumerate() {
        let at = offset + (index * PIECE) as u64;
        let there = &mut buffer[..piece.len()];
        open.file
            .read_exact_at(there, at)
            .map_err(|error| Error::io("read", &open.partial, &error))?;
        if there == piece {
            continue;
        }
        let differs = there
            .iter()
            .zip(piece)
            .take_while(|(one, other)| one == other)
            .count() as u64;
        let mut error = Error::new(
            Code::Diverged,
            format!(
                "the server sends other WAL for {} than was received before; {} was left as it is",
                Lsn(open.start + at + differs),
                open.partial.display()
            ),
        )
        .hint("the server has lost WAL that was durable here (a crash with fsync = off, an older copy of it): move the file away if what it holds is not wanted, then take a full backup");
        error.path = Some(open.partial.clone());
        return Err(error);
    }
    Ok(())
}

fn already_there(path: &Path) -> Error {
    let mut error = Error::corrupt(format!("{} is there already and was left alone", path.display())).hint(
        "something else writes into this directory; look at the file, and move it away if it is not needed",
    );
    error.path = Some(path.to_path_buf());
    error
}

/// Gives the file its full size with space behind it, so that a full disk is met here and not in the middle of a
/// segment. A larger file is cut: no segment has more.
fn allocate(file: &File, path: &Path, size: u64) -> Result<()> {
    let failed = |error: &std::io::Error| Error::io("allocate", path, error);
    file.set_len(size).map_err(|error| failed(&error))?;
    reserve(file, size).map_err(|error| failed(&error))
}

/// Reserves the blocks of a file where the file system can; where it cannot, a full disk shows at the write.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
fn reserve(file: &File, size: u64) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the descriptor is open while `file` lives; the call touches no memory of ours.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, size as libc::off_t) } {
        0 | libc::EOPNOTSUPP | libc::EINVAL | libc::ENODEV => Ok(()),
        error => Err(std::io::Error::from_raw_os_error(error)),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
fn reserve(_: &File, _: u64) -> std::io::Result<()> {
    Ok(())
}

/// Looks at the header of every page before it is written: the address has to be the place where it goes.
#[derive(Debug)]
struct PageCheck {
    timeline: u32,
    page_size: u64,
    magic: Option<u16>,
}

impl PageCheck {
    fn new(timeline: u32, page_size: u32) -> Self {
        Self {
            timeline,
            page_size: u64::from(page_size),
            magic: None,
        }
    }

    /// Checks the pages that begin in `bytes`, which stand at `position`; returns how many of the bytes may be written:
    /// all but the beginning of a header that is cut.
    fn admit(&mut self, position: u64, bytes: &[u8]) -> Result<usize> {
        let mut at = (self.page_size - position % self.page_size) % self.page_size;
        while at < bytes.len() as u64 {
            let start = at as usize;
            match bytes.get(start..start + CHECKED) {
                Some(header) => self.check(position + at, header)?,
                None => return Ok(start),
            }
            at += self.page_size;
        }
        Ok(bytes.len())
    }

    /// Checks one header, which stands at `address`.
    fn check(&mut self, address: u64, header: &[u8]) -> Result<()> {
        // After a switch to the next segment the server sends zeros up to its end.
        if header.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let magic = u16::from_le_bytes([header[0], header[1]]);
        let number =
            |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let timeline = number(4);
        let found = u64::from(number(12)) << 32 | u64::from(number(8));
        let expected = *self.magic.get_or_insert(magic);
        let why = if found != address {
            format!("the page says that it belongs to {}", Lsn(found))
        } else if timeline == 0 || timeline > self.timeline {
            format!(
                "the page is of timeline {timeline}, and timeline {} is received",
                self.timeline
            )
        } else if magic != expected {
            format!("the page has the mark {magic:04X}, those before had {expected:04X}")
        } else {
            return Ok(());
        };
        Err(Error::new(
            Code::Protocol,
            format!("what the server sent for {} is not WAL of that place: {why}", Lsn(address)),
        )
        .hint("nothing of it was kept; if it comes again, something between the server and pgmoneta changes data"))
    }
}

#[cfg(test)]
#[path = "segment_writer_tests.rs"]
mod tests;

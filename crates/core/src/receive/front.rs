//! The side that takes members from the demultiplexer and makes work of them: it only copies bytes into buffers and
//! creates directories.

use super::buffers::Buffer;
use super::directories::DirectoryLog;
use super::lane::Lane;
use super::naming::Archive;
use super::output::create_directory;
use super::shared::Shared;
use super::worker::{Batch, SmallFile, Task};
use crate::block::{HeaderScan, is_incremental};
use crate::tar::{Demuxer, Kind, Member, Sink};
use crate::{Code, Error, Result};
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Most files in one batch.
const BATCH_FILES: usize = 256;

/// Largest files that are kept for the summary.
const MAX_CAPTURED: u64 = 256 * 1024;

/// Files whose content the summary tells.
#[derive(Debug, Default, Clone)]
pub struct Captured {
    /// `backup_label`.
    pub label: Option<Vec<u8>>,
    /// `global/pg_control`.
    pub control: Option<Vec<u8>>,
}

/// What is being received at the moment.
enum Current {
    Nothing,
    /// A whole file at the end of the batch.
    Small,
    Large {
        lane: Arc<Lane>,
        plain: Option<Buffer>,
        filled: usize,
        index: u64,
    },
}

/// Makes tasks of members.
pub struct Builder {
    shared: Arc<Shared>,
    tasks: Sender<Task>,
    archive: Archive,
    unit: u64,
    batch: Option<Batch>,
    used: usize,
    current: Current,
    /// The header of a file of changed blocks.
    scan: Option<HeaderScan>,
    capture: Option<bool>,
    captured: Captured,
    directories: DirectoryLog,
}

/// What is left when nothing more can be received; the workers end, as no task can come.
pub struct Sealed {
    /// Whether the last archive is incomplete.
    pub open: bool,
    pub captured: Captured,
    pub directories: DirectoryLog,
}

/// A builder and the archive that it is fed from.
pub struct Front {
    builder: Builder,
    demuxer: Option<Demuxer>,
}

impl Front {
    /// Nothing received yet.
    pub fn new(shared: Arc<Shared>, tasks: Sender<Task>, directories: DirectoryLog) -> Self {
        let builder = Builder {
            shared,
            tasks,
            archive: Archive::base(),
            unit: 0,
            batch: None,
            used: 0,
            current: Current::Nothing,
            scan: None,
            capture: None,
            captured: Captured::default(),
            directories,
        };
        Self {
            builder,
            demuxer: None,
        }
    }

    /// The next archive begins.
    pub fn begin(&mut self, archive: Archive) {
        self.demuxer = Some(Demuxer::new(&archive.name));
        self.builder.archive = archive;
    }

    /// The next bytes of the archive.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.demuxer {
            Some(demuxer) => demuxer.push(bytes, &mut self.builder),
            None => Err(Error::new(
                Code::Usage,
                "archive data came before the beginning of an archive",
            )),
        }
    }

    /// Takes members that come from no tar, within an archive that has begun.
    pub fn members(&mut self) -> Result<&mut Builder> {
        match self.demuxer {
            Some(_) => Ok(&mut self.builder),
            None => Err(Error::new(
                Code::Usage,
                "a member came before the beginning of an archive",
            )),
        }
    }

    /// The archive is complete.
    pub fn end(&mut self) -> Result<()> {
        match self.demuxer.take() {
            Some(demuxer) => demuxer.finish()?,
            None => return Err(Error::new(Code::Usage, "an archive ended that had not begun")),
        }
        self.builder.flush()
    }

    /// Nothing more will come.
    pub fn seal(self) -> Sealed {
        let open = self.demuxer.is_some();
        Sealed {
            open,
            captured: self.builder.captured,
            directories: self.builder.directories,
        }
    }

    /// Whether an archive has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.demuxer.is_some()
    }
}

impl Builder {
    /// Hands over the batch that is being filled.
    pub fn flush(&mut self) -> Result<()> {
        self.used = 0;
        match self.batch.take() {
            Some(batch) => self.send(Task::Batch(batch)),
            None => Ok(()),
        }
    }

    fn send(&self, task: Task) -> Result<()> {
        let gone = |_| Error::new(Code::Internal, "the workers of the receiver are gone");
        self.tasks.send(task).map_err(gone)
    }

    fn next_unit(&mut self) -> u64 {
        self.unit += 1;
        self.unit - 1
    }

    fn begin_file(&mut self, member: &Member) -> Result<()> {
        let place = self.archive.place(&member.path, &self.shared.suffix);
        self.capture = match place.path.as_slice() {
            b"backup_label" => Some(true),
            b"global/pg_control" => Some(false),
            _ => None,
        };
        self.capture = self.capture.filter(|_| member.size <= MAX_CAPTURED);
        if let Some(slot) = self.slot() {
            *slot = Some(Vec::with_capacity(member.size as usize));
        }
        let shape = self.shared.options.incremental;
        self.scan = shape
            .filter(|_| is_incremental(&place.path))
            .map(|shape| HeaderScan::new(shape, &place.path, member.size));
        let capacity = self.shared.buffers.size();
        if member.size > capacity as u64 {
            self.flush()?;
            let unit = self.next_unit();
            let lane = Arc::new(Lane::create(&self.shared, unit, place, member.mode, member.size)?);
            self.current = Current::Large {
                lane,
                plain: None,
                filled: 0,
                index: 0,
            };
            return Ok(());
        }
        let size = member.size as usize;
        let full = |batch: &Batch| self.used + size > capacity || batch.files.len() >= BATCH_FILES;
        if self.batch.as_ref().is_some_and(full) {
            self.flush()?;
        }
        let file = SmallFile {
            place,
            mode: member.mode,
            block_length: None,
            range: self.used..self.used + size,
        };
        match &mut self.batch {
            Some(batch) => batch.files.push(file),
            None => {
                let unit = self.next_unit();
                self.batch = Some(Batch {
                    unit,
                    plain: self.shared.buffers.take(),
                    files: vec![file],
                });
            }
        }
        self.current = Current::Small;
        Ok(())
    }

    fn slot(&mut self) -> Option<&mut Option<Vec<u8>>> {
        Some(if self.capture? {
            &mut self.captured.label
        } else {
            &mut self.captured.control
        })
    }

    fn begin_directory(&mut self, member: &Member) -> Result<()> {
        if member.path.is_empty() {
            return Ok(());
        }
        let stored = [&self.archive.directory, member.path.as_slice()].concat();
        create_directory(&self.shared.path_of(&stored))?;
        self.directories
            .directory(&self.archive.path(&member.path), member.mode)
    }
}

impl Sink for Builder {
    fn begin(&mut self, member: Member) -> Result<()> {
        match member.kind {
            Kind::File => self.begin_file(&member),
            Kind::Directory => self.begin_directory(&member),
            // No link of the server is made here: it would point out of the repository. It is made by a restore.
            Kind::Symlink => self
                .directories
                .link(&self.archive.path(&member.path), &member.link),
            Kind::HardLink => Err(Error::corrupt(format!(
                "{} has the hard link {:?}, which a base backup cannot contain",
                self.archive.name,
                String::from_utf8_lossy(&member.path)
            ))),
        }
    }

    fn data(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.shared
            .counters
            .plain
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if let Some(Some(captured)) = self.slot() {
            captured.extend_from_slice(bytes);
        }
        self.scan_header(bytes)?;
        if let (Current::Small, Some(batch)) = (&self.current, &mut self.batch) {
            batch.plain[self.used..self.used + bytes.len()].copy_from_slice(bytes);
            self.used += bytes.len();
            return Ok(());
        }
        while !bytes.is_empty() {
            let Current::Large { plain, filled, .. } = &mut self.current else {
                return Err(Error::new(Code::Internal, "data without a file"));
            };
            let buffer = plain.get_or_insert_with(|| self.shared.buffers.take());
            let take = (buffer.len() - *filled).min(bytes.len());
            buffer[*filled..*filled + take].copy_from_slice(&bytes[..take]);
            *filled += take;
            bytes = &bytes[take..];
            if *filled == buffer.len() {
                self.send_frame()?;
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        self.capture = None;
        if let Some(scan) = self.scan.take() {
            let length = scan.finish().map_err(advise)?;
            if let (Current::Small, Some(batch)) = (&self.current, &mut self.batch)
                && let Some(file) = batch.files.last_mut()
            {
                file.block_length = Some(length);
            }
        }
        self.send_frame()?;
        self.current = Current::Nothing;
        Ok(())
    }
}

impl Builder {
    /// Reads on in the header of a file of changed blocks. A large file has to know its length before its last frame is
    /// handed over.
    fn scan_header(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        scan.push(bytes).map_err(advise)?;
        if let (Some(length), Current::Large { lane, .. }) = (scan.block_length(), &self.current) {
            lane.set_block_length(length);
        }
        Ok(())
    }

    /// Hands over the frame of a large file that is being filled, if there is one.
    fn send_frame(&mut self) -> Result<()> {
        let Current::Large {
            lane,
            plain,
            filled,
            index,
        } = &mut self.current
        else {
            return Ok(());
        };
        let Some(plain) = plain.take() else { return Ok(()) };
        let task = Task::Frame {
            lane: Arc::clone(lane),
            index: *index,
            plain,
            len: *filled,
        };
        *filled = 0;
        *index += 1;
        self.send(task)
    }
}

/// What to do about a file of changed blocks that cannot be true.
fn advise(error: Error) -> Error {
    error.hint("take the backup again; if it happens again, take a full backup and look at the server's log")
}

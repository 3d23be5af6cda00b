//! One base backup, from the first byte of the first archive to the durable staging directory.

use super::buffers::Waker;
use super::compare::compare;
use super::directories::DirectoryLog;
use super::finish::Lists;
use super::front::{Builder, Front, Sealed};
use super::journal::Journal;
use super::links::LinkSource;
use super::naming::Archive;
use super::options::Options;
use super::output::create_directory;
use super::shared::{Progress, Shared};
use super::stream::Stream;
use super::summary::{Received, summarise};
use super::worker::Worker;
use crate::digest::{Digest, DigestKind};
use crate::fs::{TreeSync, create_new, remove_tree};
use crate::tar::{Member, Sink};
use crate::{Code, Error, Result};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const JOURNAL: &str = ".receive-files";
const DIRECTORIES: &str = ".receive-directories";
const LISTS: [&str; 4] = ["backup.json", "backup.manifest", "backup.info", "backup.sha512"];

/// A finished backup: everything of it is on disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finished {
    /// Lines of `backup.sha512`.
    pub files: u64,
    /// Time that writing the lists took.
    pub lists: Duration,
    /// Time that the sync of the staging directory took.
    pub sync: Duration,
}

/// Where the bytes of archives go.
enum Intake {
    Plain(Box<Front>),
    Decoded(Stream),
    Closed,
}

/// What remains when everything was received.
struct Complete {
    directories: DirectoryLog,
    manifest: ManifestFile,
}

/// PostgreSQL's manifest, stored as it came.
struct ManifestFile {
    file: File,
    path: PathBuf,
    digest: Digest,
    size: u64,
}

/// A handle for other threads: progress, waiting and cancelling.
#[derive(Clone)]
pub struct Watch(Arc<Shared>);

/// Receives one base backup into a staging directory.
pub struct Receiver {
    shared: Arc<Shared>,
    intake: Intake,
    workers: Vec<JoinHandle<()>>,
    tablespaces: Vec<Archive>,
    base_seen: bool,
    manifest: Option<ManifestFile>,
    complete: Option<Complete>,
    link_refused: Option<String>,
    tree: TreeSync,
    made_directory: bool,
}

impl Receiver {
    /// Creates the staging directory where it is missing, `data/` in it, and starts the threads.
    ///
    /// # Errors
    /// `IO` when `data/` is there already or nothing can be created. That the previous backup cannot be linked to is
    /// no error; [`Received::link_refused`] tells it.
    pub fn new(options: Options) -> Result<Self> {
        let directory = options.directory.clone();
        let made_directory = directory.symlink_metadata().is_err();
        create_directory(&directory)?;
        let data = directory.join("data");
        std::fs::DirBuilder::new()
            .create(&data)
            .map_err(|error| Error::io("create directory", &data, &error))?;
        private(&data)?;
        let tree = TreeSync::open(&directory)?;
        let journal = Journal::create(&directory.join(JOURNAL))?;
        let directories = DirectoryLog::create(&directory.join(DIRECTORIES))?;
        let links = options
            .link
            .as_ref()
            .map(|link| LinkSource::open(link, &options))
            .transpose();
        let (links, link_refused) = match links {
            Ok(links) => (links, None),
            Err(error) => (None, Some(error.message)),
        };
        let workers = options.workers.max(1);
        let server_codec = options.server_codec;
        let shared = Arc::new(Shared::new(options, journal, links));
        let (sender, tasks) = crossbeam_channel::unbounded();
        let front = Front::new(Arc::clone(&shared), sender, directories);
        let mut threads = Vec::with_capacity(workers);
        for _ in 0..workers {
            let (worker, tasks) = (Worker::new(Arc::clone(&shared))?, tasks.clone());
            let thread = std::thread::Builder::new()
                .name("receive".to_owned())
                .spawn(move || worker.run(&tasks));
            threads.push(thread.map_err(|error| {
                Error::new(Code::Internal, format!("a thread cannot be started: {error}"))
            })?);
        }
        let intake = match server_codec {
            None => Intake::Plain(Box::new(front)),
            Some(codec) => Intake::Decoded(Stream::start(Arc::clone(&shared), codec, front)?),
        };
        Ok(Self {
            shared,
            intake,
            workers: threads,
            tablespaces: Vec::new(),
            base_seen: false,
            manifest: None,
            complete: None,
            link_refused,
            tree,
            made_directory,
        })
    }

    /// A handle for other threads.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.shared))
    }

    /// The next archive begins: that of a tablespace (OID and name), or with `None` that of the data directory.
    pub fn begin_archive(&mut self, tablespace: Option<(&str, &str)>) -> Result<()> {
        self.shared.healthy()?;
        let archive = match tablespace {
            None if self.base_seen => return Err(out_of_turn("the base archive came twice")),
            None => Archive::base(),
            Some((oid, name)) => self.add_tablespace(Archive::tablespace(oid, name)?)?,
        };
        self.base_seen |= tablespace.is_none();
        match &mut self.intake {
            Intake::Plain(front) if !front.is_open() => front.begin(archive),
            Intake::Decoded(stream) if !stream.is_open() => stream.begin(archive),
            Intake::Closed => return Err(out_of_turn("an archive came after the check")),
            _ => return Err(out_of_turn("an archive began within another")),
        }
        Ok(())
    }

    /// Takes the next bytes of the archive. `false` asks to pause until [`Watch::on_drained`] calls.
    ///
    /// # Errors
    /// Damaged archives, and the first error of any thread.
    pub fn push(&mut self, bytes: &[u8]) -> Result<bool> {
        if self.shared.has_failed() {
            self.shared.healthy()?;
        }
        self.shared
            .counters
            .received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let taken = match &mut self.intake {
            Intake::Plain(front) => front.push(bytes),
            Intake::Decoded(stream) => stream.push(&self.shared.buffers, bytes),
            Intake::Closed => Err(out_of_turn("archive data came after the check")),
        };
        self.stop_on_error(taken)?;
        Ok(self.shared.buffers.below_budget())
    }

    /// The next member of the archive, for a backup that is made from others and comes from no server: its data is given
    /// to [`Self::member_data`], all `size` bytes of it, and then it is ended.
    pub fn begin_member(&mut self, member: Member) -> Result<()> {
        self.with_members(|members| members.begin(member)).map(drop)
    }

    /// Takes the next bytes of the member. `false` asks to pause until [`Watch::on_drained`] calls.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn member_data(&mut self, bytes: &[u8]) -> Result<bool> {
        self.with_members(|members| members.data(bytes))
    }

    /// The member is complete.
    pub fn end_member(&mut self) -> Result<()> {
        self.with_members(Sink::end).map(drop)
    }

    fn with_members(&mut self, work: impl FnOnce(&mut Builder) -> Result<()>) -> Result<bool> {
        self.shared.healthy()?;
        let done = match &mut self.intake {
            Intake::Plain(front) => front.members().and_then(work),
            _ => Err(out_of_turn(
                "members are taken by an open receiver without a codec of the server alone",
            )),
        };
        self.stop_on_error(done)?;
        Ok(self.shared.buffers.below_budget())
    }

    /// The archive is complete.
    pub fn end_archive(&mut self) -> Result<()> {
        self.shared.healthy()?;
        let ended = match &mut self.intake {
            Intake::Plain(front) => front.end(),
            Intake::Decoded(stream) => stream.end(),
            Intake::Closed => Err(out_of_turn("an archive ended after the check")),
        };
        self.stop_on_error(ended)
    }

    /// Takes the next bytes of PostgreSQL's manifest.
    pub fn push_manifest(&mut self, bytes: &[u8]) -> Result<()> {
        self.shared.healthy()?;
        if matches!(self.intake, Intake::Closed) {
            return Err(out_of_turn("a piece of the manifest came after the check"));
        }
        self.shared
            .counters
            .received
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let taken = match &mut self.manifest {
            Some(manifest) => manifest.push(bytes),
            None => ManifestFile::create(self.shared.path_of(b"data/backup_manifest"))
                .and_then(|manifest| self.manifest.insert(manifest).push(bytes)),
        };
        self.stop_on_error(taken)
    }

    /// Everything was sent: waits for the threads, compares all files with PostgreSQL's manifest and sums up.
    ///
    /// # Errors
    /// The first error of any thread; `CORRUPT` for anything that is missing, surplus or different.
    pub fn check(&mut self) -> Result<Received> {
        let checked = self.try_check();
        if let Err(error) = &checked {
            self.shared.fail(error.clone());
        }
        checked
    }

    fn try_check(&mut self) -> Result<Received> {
        let Sealed {
            open,
            captured,
            mut directories,
        } = self.close()?;
        self.shared.healthy()?;
        if open || !self.base_seen {
            return Err(
                Error::corrupt("the server ended the backup in the middle of an archive")
                    .hint("take the backup again"),
            );
        }
        let Some(mut manifest) = self.manifest.take() else {
            return Err(Error::corrupt("the server sent no backup manifest").hint("take the backup again"));
        };
        manifest.flush()?;
        self.shared.journal.close()?;
        directories.close()?;
        for archive in &self.tablespaces {
            link_tablespace(&self.shared.options.directory, archive)?;
        }
        let listed = compare(&self.shared.journal, &manifest.path, self.shared.options.manifest)?;
        self.shared.healthy()?;
        let mut received = summarise(
            &self.shared.options,
            &self.shared.journal,
            listed,
            manifest.size,
            self.tablespaces.len() as u64,
            captured,
            self.shared.progress(),
        )?;
        received.link_refused = self.link_refused.clone().or_else(|| {
            let damaged = self.shared.links.as_ref()?.damaged();
            let first = damaged.first?;
            Some(format!(
                "{} stored files of the previous backup are damaged, the first is {}: they were written anew",
                damaged.count,
                first.display()
            ))
        });
        self.complete = Some(Complete {
            directories,
            manifest,
        });
        Ok(received)
    }

    /// Writes the lists and makes the whole staging directory durable. `header` is the `Backup` object of
    /// `backup.json`, `info` the text of `backup.info`.
    pub fn finish(&mut self, header: &str, info: &str) -> Result<Finished> {
        self.shared.healthy()?;
        let Some(complete) = self.complete.take() else {
            return Err(out_of_turn("a backup cannot be finished before it was checked"));
        };
        let finished = self.write_lists(&complete, header, info);
        if let Err(error) = &finished {
            self.shared.fail(error.clone());
        }
        finished
    }

    fn write_lists(&self, complete: &Complete, header: &str, info: &str) -> Result<Finished> {
        let directory = &self.shared.options.directory;
        let begun = Instant::now();
        let linked = self.shared.options.link.as_ref().map(|link| link.label.as_str());
        let mut manifest = [0; 64];
        manifest.copy_from_slice(complete.manifest.digest.clone().finish().as_bytes());
        let lists = Lists {
            directory,
            journal: &self.shared.journal,
            directories: &complete.directories,
            linked,
            manifest,
        };
        let files = lists.write(header, info)?;
        for name in [JOURNAL, DIRECTORIES] {
            let path = directory.join(name);
            std::fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error))?;
        }
        let written = Instant::now();
        self.tree.sync()?;
        Ok(Finished {
            files,
            lists: written - begun,
            sync: written.elapsed(),
        })
    }

    /// Stops the threads and removes what this receiver has made, and nothing else.
    pub fn abort(&mut self) -> Result<()> {
        self.shared
            .fail(Error::new(Code::Cancelled, "the backup was cancelled"));
        // Whatever the threads still had to say, the backup is given up.
        let _ = self.close();
        self.complete = None;
        let directory = &self.shared.options.directory;
        if self.made_directory {
            return remove_tree(directory);
        }
        let below = |name: &str| directory.join(name);
        remove_tree(&below("data"))?;
        for archive in &self.tablespaces {
            remove_tree(
                &self
                    .shared
                    .path_of(archive.directory.strip_suffix(b"/").unwrap_or(&archive.directory)),
            )?;
        }
        LISTS
            .iter()
            .chain(&[JOURNAL, DIRECTORIES])
            .try_for_each(|name| remove_tree(&below(name)))
    }

    /// Ends the intake, lets the threads do what is left and waits for them.
    fn close(&mut self) -> Result<Sealed> {
        let intake = std::mem::replace(&mut self.intake, Intake::Closed);
        let front = match intake {
            Intake::Plain(front) => Ok(*front),
            Intake::Decoded(stream) => stream.finish(),
            Intake::Closed => Err(out_of_turn("the backup was checked or given up already")),
        };
        // The workers end when the only sender is gone, which the front holds.
        let front = front.map(Front::seal);
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                self.shared
                    .fail(Error::new(Code::Internal, "a worker of the receiver panicked"));
            }
        }
        front
    }

    fn add_tablespace(&mut self, archive: Archive) -> Result<Archive> {
        if self
            .tablespaces
            .iter()
            .any(|other| other.directory == archive.directory || other.name == archive.name)
        {
            return Err(out_of_turn(&format!("{} came twice", archive.name)));
        }
        let name = archive.directory.strip_suffix(b"/").unwrap_or(&archive.directory);
        let path = self.shared.path_of(name);
        std::fs::DirBuilder::new()
            .create(&path)
            .map_err(|error| Error::io("create directory", &path, &error))?;
        private(&path)?;
        self.tablespaces.push(archive.clone());
        Ok(archive)
    }

    fn stop_on_error<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(error) = &outcome {
            self.shared.fail(error.clone());
        }
        outcome
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared
            .fail(Error::new(Code::Cancelled, "the receiver is gone"));
        let _ = self.close();
    }
}

impl Watch {
    /// The counters now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.0.progress()
    }

    /// Calls `waker`, from any thread, when less than half of the budget is in flight or the receiver has failed.
    pub fn on_drained(&self, waker: Waker) {
        self.0.buffers.on_drained(waker);
        if self.0.has_failed() {
            self.0.buffers.wake();
        }
    }

    /// Stops all work; the next call of the receiver tells that it was cancelled.
    pub fn cancel(&self) {
        self.0
            .fail(Error::new(Code::Cancelled, "the backup was cancelled"));
    }
}

impl ManifestFile {
    fn create(path: PathBuf) -> Result<Self> {
        let file = create_new(&path)?;
        Ok(Self {
            file,
            path,
            digest: Digest::new(DigestKind::Sha512),
            size: 0,
        })
    }

    fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| Error::io("write", &self.path, &error))?;
        self.digest.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.file
            .flush()
            .map_err(|error| Error::io("write", &self.path, &error))
    }
}

/// `data/pg_tblspc/<oid>` leads to `tblspc_<name>` by a relative link, so that the repository can be moved.
fn link_tablespace(directory: &Path, archive: &Archive) -> Result<()> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let name = archive.prefix.strip_suffix(b"/").unwrap_or(&archive.prefix);
    let path = directory.join("data").join(OsStr::from_bytes(name));
    create_directory(path.parent().unwrap_or(directory))?;
    // A tablespace in place is an (empty) directory in the base archive.
    match std::fs::remove_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("remove", &path, &error));
        }
        _ => {}
    }
    let target = [
        b"../../",
        archive.directory.strip_suffix(b"/").unwrap_or(&archive.directory),
    ]
    .concat();
    std::os::unix::fs::symlink(OsStr::from_bytes(&target), &path)
        .map_err(|error| Error::io("link", &path, &error))
}

fn private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o700);
    std::fs::set_permissions(path, mode).map_err(|error| Error::io("set the mode of", path, &error))
}

fn out_of_turn(what: &str) -> Error {
    Error::new(Code::Usage, what)
}

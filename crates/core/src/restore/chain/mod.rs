//! A backup with everything that it builds on: the newest first, the full one last. A full backup is a chain of one.
//!
//! To a restore a chain looks like one backup: [`Chain::inventory`] has the files of the cluster, and
//! [`Chain::open_file`] gives their plain bytes, those of changed blocks already combined with what is older.

mod block_map;
mod checks;
mod combine;
#[cfg(test)]
pub(crate) mod history;
mod label;
mod manifest;
mod pieces;
mod source;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unread_tests;

use self::checks::{Checker, name_of};
use self::combine::{Combiner, Sources, Workshop};
use self::pieces::{Piece, Resolver};
use self::source::Source;
use super::evidence::Evidence;
use super::inventory::{BackupFile, Inventory};
use super::job::Job;
use super::source::{Keys, PlainStream, StoredBackup};
use super::suffix::Wrapping;
use crate::block::{BlockShape, IncrementalHeader, whole_path};
use crate::digest::{DigestKind, DigestValue};
use crate::{Code, Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, ScopedJoinHandle};

pub(crate) use self::manifest::{write_entries, write_manifest};

/// Open sources of all threads together: each has a decoder and buffers, up to two mebibytes and a quarter.
const OPEN_SOURCES: usize = 64;

/// Size of a `backup.json` up to which it is read while the one before is taken in: of larger ones only one is in memory.
const AHEAD: u64 = 64 << 20;

const LABEL: &[u8] = b"backup_label";

/// How a chain is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct ChainOptions {
    /// Accept a chain in which page checksums were enabled between two backups.
    pub allow_mixed_checksums: bool,
    /// The chain is to become one stored backup: the oldest may be incremental, and then the whole is.
    pub roll_up: bool,
}

/// Backups that build on one another, checked to belong together.
pub struct Chain {
    /// Newest first. The lists of the older ones are not kept.
    backups: Vec<StoredBackup>,
    /// What the combined files are made of, newest first, by [`BackupFile::sources`].
    pieces: Vec<Vec<Piece>>,
    /// The `backup_label` of the cluster, where it is not the stored one.
    label: Option<Vec<u8>>,
    shape: BlockShape,
    remarks: Mutex<Remarks>,
}

/// What was odd in files of changed blocks and does not stop a restore.
#[derive(Debug, Default)]
struct Remarks {
    misaligned: Odd,
    overlong: Odd,
    stale: Odd,
}

#[derive(Debug, Default)]
struct Odd {
    count: u64,
    first: Option<String>,
}

impl Odd {
    fn add(&mut self, count: u64, name: impl FnOnce() -> String) {
        if count > 0 {
            self.count += count;
            self.first.get_or_insert_with(name);
        }
    }

    fn tell(&self, text: impl FnOnce(u64, &str) -> String, into: &mut Vec<String>) {
        if let Some(first) = &self.first {
            into.push(text(self.count, first));
        }
    }
}

impl Chain {
    /// Opens the backups in `directories`, newest first, and checks that each builds on the next one and that every
    /// file that is needed is there.
    ///
    /// # Errors
    /// `USAGE` without any directory, or when a key is missing; `IO`; `CORRUPT` when a list is damaged, or naming the
    /// backup, the file and what to do when the chain is not whole.
    pub fn open<P: AsRef<Path>>(directories: &[P], keys: &Keys, options: ChainOptions) -> Result<Self> {
        if directories.is_empty() || directories.len() > block_map::MAX_SOURCES {
            let message = format!("{} backups are no chain", directories.len());
            return Err(Error::new(Code::Usage, message));
        }
        let open = |directory: &Path| StoredBackup::open(directory, keys.clone());
        if let [only] = directories {
            if options.roll_up {
                return Err(Error::new(Code::Usage, "one backup alone cannot be rolled up"));
            }
            let backup = open(only.as_ref())?;
            checks::check_alone(&backup)?;
            return Ok(Self::of_one(backup));
        }
        let mut backups = Vec::with_capacity(directories.len());
        let mut checker = Checker::new(options);
        let mut resolver: Option<Resolver> = None;
        let directories: Vec<&Path> = directories.iter().map(AsRef::as_ref).collect();
        one_ahead(&directories, &open, |mut backup| {
            backup.check_key()?;
            checker.add(&backup)?;
            match &mut resolver {
                None => resolver = Some(Resolver::new(&mut backup)?),
                Some(resolver) => resolver.add(&mut backup)?,
            }
            backups.push(backup);
            Ok(())
        })?;
        let checked = checker.finish()?;
        let oldest = backups.last().map(|backup| name_of(backup).to_owned());
        let pieces = match resolver {
            Some(resolver) => {
                resolver.finish(&mut backups[0], &oldest.unwrap_or_default(), options.roll_up)?
            }
            None => Vec::new(),
        };
        backups[0].inventory.warnings.extend(checked.warnings);
        let mut this = Self {
            backups,
            pieces,
            label: None,
            shape: checked.shape,
            remarks: Mutex::default(),
        };
        this.replace_label(checked.label);
        this.measure()?;
        let files = &this.backups[0].inventory.files;
        pieces::find_stored_digests(&this.backups, files, &mut this.pieces)?;
        Ok(this)
    }

    /// A full backup.
    pub(crate) fn of_one(backup: StoredBackup) -> Self {
        Self {
            backups: vec![backup],
            pieces: Vec::new(),
            label: None,
            shape: BlockShape {
                block_size: 0,
                relseg_size: 0,
            },
            remarks: Mutex::default(),
        }
    }

    /// The newest backup; its inventory is that of the cluster.
    #[must_use]
    pub fn newest(&self) -> &StoredBackup {
        &self.backups[0]
    }

    /// The files of the cluster.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        &self.newest().inventory
    }

    /// How many backups there are.
    #[must_use]
    pub fn length(&self) -> usize {
        self.backups.len()
    }

    /// How many files are combined.
    pub(crate) fn combined(&self) -> usize {
        self.pieces.len()
    }

    /// The label of the cluster, where it is not the stored one.
    pub(crate) fn label(&self) -> Option<&[u8]> {
        self.label.as_deref()
    }

    /// # Errors
    /// As [`StoredBackup::check_key`].
    pub(crate) fn check_key(&self) -> Result<()> {
        self.backups.iter().try_for_each(StoredBackup::check_key)
    }

    /// The digest that the new manifest wants of a file; `None` for files that are as they were.
    pub(crate) fn wanted_digest(&self, file: &BackupFile) -> Option<DigestKind> {
        file.sources?;
        self.inventory()
            .manifest
            .as_ref()
            .and_then(|manifest| manifest.algorithm.digest_kind())
    }

    /// The label of what the chain becomes takes the place of the stored one.
    fn replace_label(&mut self, label: Vec<u8>) {
        let digest = DigestKind::Blake3.of(&label);
        let files = &mut self.backups[0].inventory.files;
        if let Some(file) = files.iter_mut().find(|file| &*file.path == LABEL) {
            file.size = Some(label.len() as u64);
            file.evidence = Evidence::Plain(DigestKind::Blake3, digest);
        }
        self.label = Some(label);
    }

    /// Sets the size of every combined file; where no list tells it, its header is read.
    fn measure(&mut self) -> Result<()> {
        let mut files = std::mem::take(&mut self.backups[0].inventory.files);
        for file in &mut files {
            let Some(pieces) = file.sources.and_then(|index| self.pieces.get_mut(index as usize)) else {
                continue;
            };
            let changed = only_changed(pieces);
            for piece in pieces.iter_mut().filter(|piece| piece.is_unmeasured()) {
                let backup = &self.backups[usize::from(piece.backup)];
                let entry = piece.file(backup, &whole_name(&file.path, changed), false)?;
                piece.set_size(backup.measure(&entry)?);
            }
            let proved = pieces.iter().all(Piece::is_proved);
            file.evidence = if proved { Evidence::Sources } else { Evidence::None };
            if changed {
                // known when all headers were read
                file.size = None;
                continue;
            }
            let blocks = match file.block_length {
                Some(blocks) => blocks,
                None => open_piece(&self.backups, self.shape, &pieces[0], &file.path, false)?
                    .1
                    .map_or(0, |header| header.block_length()),
            };
            file.size = Some(u64::from(blocks) * u64::from(self.shape.block_size));
        }
        self.backups[0].inventory.files = files;
        Ok(())
    }

    /// Opens a file of the cluster. `spool` gives the file that is being made, open for reading and writing, where the
    /// oldest blocks of a very long chain are brought together; `workers` share the number of files that may be open.
    ///
    /// # Errors
    /// `IO`, `CORRUPT`, `USAGE` when a key is missing, `CANCELLED`.
    pub fn open_file(
        &self,
        file: &BackupFile,
        workers: usize,
        job: &Job,
        spool: &dyn Fn() -> Result<File>,
    ) -> Result<PlainStream> {
        if let Some(label) = self.label().filter(|_| &*file.path == LABEL) {
            let path = self.inventory().stored_file(file);
            let bytes = io::Cursor::new(label.to_vec());
            return Ok(PlainStream::of(Box::new(bytes), path, file.size));
        }
        let Some(pieces) = file.sources.and_then(|index| self.pieces.get(index as usize)) else {
            return self.newest().open_file(file);
        };
        let whole = whole_name(&file.path, only_changed(pieces));
        let sources = PieceSources {
            chain: self,
            path: &whole,
            pieces,
            standing: None,
            standing_cut: u32::MAX,
            job,
        };
        let combiner = Combiner::new(&sources, &self.workshop(workers, spool))?;
        self.combined_stream(file, &whole, pieces, combiner)
    }

    fn workshop<'w>(&self, workers: usize, spool: &'w dyn Fn() -> Result<File>) -> Workshop<'w> {
        Workshop {
            shape: self.shape,
            open_limit: (OPEN_SOURCES / workers.max(1)).max(2),
            spool,
        }
    }

    fn combined_stream(
        &self,
        file: &BackupFile,
        whole: &[u8],
        pieces: &[Piece],
        combiner: Combiner,
    ) -> Result<PlainStream> {
        let path = self.backups[0].inventory.stored_file(&pieces[0].name(whole));
        if let Some(expected) = file.size.filter(|size| *size != combiner.size()) {
            let message = format!(
                "its header makes {} bytes of it, the list of the backup {expected}",
                combiner.size()
            );
            return Err(file.advise(Error::corrupt(message).at(&path)));
        }
        let name = || file.path.escape_ascii().to_string();
        self.remarks().stale.add(combiner.stale(), name);
        let size = combiner.size();
        Ok(PlainStream::of(Box::new(combiner), path, Some(size)))
    }

    /// The number of the backup in this directory.
    pub(crate) fn number_of(&self, directory: &Path) -> Option<usize> {
        let mut backups = self.backups.iter();
        backups.position(|backup| backup.inventory.directory == directory)
    }

    /// Opens a combined file upon what an older backup of the chain had made of it: only what is newer is read from
    /// backups. `None` when it is not made of that.
    ///
    /// # Errors
    /// As [`Self::open_file`].
    pub(crate) fn open_upon(
        &self,
        file: &BackupFile,
        standing: &Standing<'_>,
        workers: usize,
        job: &Job,
        spool: &dyn Fn() -> Result<File>,
    ) -> Result<Option<Upon>> {
        let Some(pieces) = file.sources.and_then(|index| self.pieces.get(index as usize)) else {
            return Ok(None);
        };
        let newer = pieces.partition_point(|piece| usize::from(piece.backup) < standing.backup);
        if newer == pieces.len() {
            return Ok(None);
        }
        if newer == 0 {
            return Ok((file.size == Some(standing.size)).then_some(Upon::Unchanged));
        }
        let sources = PieceSources {
            chain: self,
            path: &file.path,
            pieces: &pieces[..newer],
            standing: Some(standing),
            standing_cut: pieces.get(newer).map_or(u32::MAX, |older| older.cut),
            job,
        };
        let combiner = Combiner::new(&sources, &self.workshop(workers, spool))?;
        if combiner.is_copy_of(newer as u16, standing.size) {
            return Ok(Some(Upon::Unchanged));
        }
        let stream = self.combined_stream(file, &file.path, pieces, combiner)?;
        Ok(Some(Upon::Stream(stream)))
    }

    fn remarks(&self) -> std::sync::MutexGuard<'_, Remarks> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins anew with what is odd: the files are about to be opened for something else.
    pub(crate) fn forget_warnings(&self) {
        *self.remarks() = Remarks::default();
    }

    /// What was odd in the files that were opened so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let remarks = self.remarks();
        let mut all = Vec::new();
        remarks.misaligned.tell(
            |count, first| {
                format!(
                    "{count} files of changed blocks are in the misaligned form that pgmoneta 0.20 and 0.21 wrote for \
                     PostgreSQL 14 to 16, the first is {first}: they were read in that form"
                )
            },
            &mut all,
        );
        remarks.overlong.tell(
            |count, first| {
                format!(
                    "{count} files of changed blocks state a truncation length beyond their segment, the first is \
                     {first}: the end of the segment was taken instead, as later minor releases of PostgreSQL write it"
                )
            },
            &mut all,
        );
        remarks.stale.tell(
            |count, first| {
                format!(
                    "{count} blocks had been cut off and grew again without WAL: they are zeros and not the pages from \
                     before, the first such file is {first}"
                )
            },
            &mut all,
        );
        all
    }
}

/// Opens backups in this order, and the next one while one is taken in, where its list is not a large one: all lists
/// together would take as much memory as the chain is long. The first error ends it.
fn one_ahead<'d>(
    directories: &[&'d Path],
    open: &(impl Fn(&'d Path) -> Result<StoredBackup> + Sync),
    mut take: impl FnMut(StoredBackup) -> Result<()>,
) -> Result<()> {
    let small = |directory: &Path| {
        let list = directory.join("backup.json").metadata();
        list.is_ok_and(|list| list.len() <= AHEAD)
    };
    let dead = |_| Error::new(Code::Internal, "a thread that read the lists of a backup died");
    thread::scope(|scope| {
        let mut ahead = None;
        for (index, directory) in directories.iter().enumerate() {
            let opened = match ahead.take() {
                Some(thread) => ScopedJoinHandle::join(thread).map_err(dead)??,
                None => open(directory)?,
            };
            let next = directories.get(index + 1).filter(|next| small(next));
            ahead = next.map(|next| scope.spawn(|| open(next)));
            take(opened)?;
        }
        Ok(())
    })
}

/// Whether a file of changed blocks comes out of these sources.
fn only_changed(pieces: &[Piece]) -> bool {
    pieces.last().is_some_and(|piece| piece.incremental)
}

/// The path of the whole file, of which a combined file may have only changed blocks.
fn whole_name(path: &[u8], changed: bool) -> Vec<u8> {
    let whole = changed.then(|| whole_path(path)).flatten();
    whole.unwrap_or_else(|| path.to_vec())
}

fn open_piece(
    backups: &[StoredBackup],
    shape: BlockShape,
    piece: &Piece,
    path: &[u8],
    passing: bool,
) -> Result<(Source, Option<IncrementalHeader>)> {
    let backup = &backups[usize::from(piece.backup)];
    let file = piece.file(backup, path, passing)?;
    let size = file.size.unwrap_or_default();
    let name = file.path.clone();
    let mut source = Source::open(backup, file)?;
    if !piece.incremental {
        return Ok((source, None));
    }
    let header = IncrementalHeader::read(&mut source as &mut dyn Read, shape, &name, size);
    let header = header.map_err(|mut error| {
        error.message = format!("backup {}: {}", name_of(backup), error.message);
        source.blame(error)
    })?;
    Ok((source, Some(header)))
}

/// A file as a restore of an older backup of the chain had made it.
pub(crate) struct Standing<'a> {
    /// Number of that backup, from the newest, which is 0.
    pub backup: usize,
    pub path: &'a Path,
    pub size: u64,
}

/// What becomes of a file that stands already.
pub(crate) enum Upon {
    /// It stays as it is.
    Unchanged,
    Stream(PlainStream),
}

/// The sources of one combined file.
struct PieceSources<'a> {
    chain: &'a Chain,
    path: &'a [u8],
    pieces: &'a [Piece],
    /// The whole file, where it is not among the pieces.
    standing: Option<&'a Standing<'a>>,
    /// Where the file ended between the pieces and that one.
    standing_cut: u32,
    job: &'a Job,
}

impl PieceSources<'_> {
    fn standing_at(&self, number: u16) -> Option<&Standing<'_>> {
        self.standing.filter(|_| usize::from(number) == self.pieces.len())
    }
}

impl Standing<'_> {
    fn open(&self, path: &[u8]) -> Result<Source> {
        let failed = |error: io::Error| Error::io("open", self.path, &error);
        let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(self.path)
            .map_err(failed)?;
        let stream = PlainStream::of(Box::new(file), self.path.to_path_buf(), Some(self.size));
        let entry = BackupFile {
            path: path.into(),
            tablespace: None,
            wrapping: Wrapping::PLAIN,
            mode: 0o600,
            size: Some(self.size),
            stored_size: self.size,
            block_length: None,
            sources: None,
            evidence: Evidence::None,
            record: None,
            has_pieces: false,
        };
        Ok(Source::over(stream, entry))
    }
}

impl Sources for PieceSources<'_> {
    fn count(&self) -> usize {
        self.pieces.len() + usize::from(self.standing.is_some())
    }

    fn whole_blocks(&self, number: u16) -> Result<Option<u64>> {
        let block_size = u64::from(self.chain.shape.block_size);
        if let Some(standing) = self.standing_at(number) {
            return Ok(Some(standing.size / block_size));
        }
        let piece = &self.pieces[usize::from(number)];
        if piece.incremental {
            return Ok(None);
        }
        let file = piece.file(&self.chain.backups[usize::from(piece.backup)], self.path, false)?;
        Ok(Some(file.size.unwrap_or_default() / block_size))
    }

    fn empty(&self, number: u16) -> Option<u32> {
        self.pieces.get(usize::from(number))?.empty
    }

    fn cut(&self, number: u16) -> u32 {
        let piece = self.pieces.get(usize::from(number));
        piece.map_or(self.standing_cut, |piece| piece.cut)
    }

    fn open(&self, number: u16, passing: bool) -> Result<(Source, Option<IncrementalHeader>)> {
        if let Some(standing) = self.standing_at(number) {
            return Ok((standing.open(self.path)?, None));
        }
        let piece = &self.pieces[usize::from(number)];
        open_piece(&self.chain.backups, self.chain.shape, piece, self.path, passing)
    }

    fn passing_pays(&self, number: u16, frames: u64) -> bool {
        let piece = self.pieces.get(usize::from(number));
        piece.is_some_and(|piece| piece.passing_pays(frames))
    }

    fn remark(&self, number: u16, header: &IncrementalHeader) {
        if !header.misaligned && !header.overlong {
            return;
        }
        let piece = &self.pieces[usize::from(number)];
        let backup = &self.chain.backups[usize::from(piece.backup)];
        let name = || {
            backup
                .inventory
                .stored_file(&piece.name(self.path))
                .display()
                .to_string()
        };
        let mut remarks = self.chain.remarks();
        remarks.misaligned.add(u64::from(header.misaligned), name);
        remarks.overlong.add(u64::from(header.overlong), name);
    }

    fn check(&self) -> Result<()> {
        self.job.check()
    }
}

/// The digests of combined files, as they are made.
pub(crate) struct CombinedDigests(Mutex<Vec<Option<Made>>>);

/// A combined file.
#[derive(Debug, Clone, Copy)]
struct Made {
    size: u64,
    /// Of the kind that the manifest has.
    digest: Option<DigestValue>,
}

impl CombinedDigests {
    pub fn new(chain: &Chain) -> Self {
        Self(Mutex::new(vec![None; chain.combined()]))
    }

    /// Keeps size and digest of a file that was made.
    pub fn set(&self, file: &BackupFile, size: u64, digest: Option<DigestValue>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = file.sources.and_then(|index| all.get_mut(index as usize)) {
            *slot = Some(Made { size, digest });
        }
    }

    fn get(&self, index: u32) -> Option<Made> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(index as usize).copied().flatten()
    }
}

//! Which stored files of which backups make up each file of the cluster.

use super::super::evidence::Evidence;
use super::super::inventory::BackupFile;
use super::super::ours;
use super::super::source::{StoredBackup, resolve_link};
use super::super::suffix::Wrapping;
use super::block_map::FRAME;
use super::checks::name_of;
use super::{only_changed, whole_name};
use crate::block::{EMPTY_SIZE, IncrementalHeader, incremental_path, whole_path};
use crate::codec::Codec;
use crate::digest::DigestValue;
use crate::manifest::HashListReader;
use crate::{Error, Result};
use std::collections::{HashMap, HashSet};

/// What a byte costs in about a tenth of a nanosecond: decoded, as a plain one in BLAKE3, as a stored one in SHA-512.
const DECODING: u64 = 10;
const PLAIN_DIGEST: u64 = 3;
const STORED_DIGEST: u64 = 20;

/// How many files an error names.
const NAMED: usize = 20;

/// One source of a combined file; its path in the cluster follows from that of the combined one. A long chain has many:
/// what is only needed while it is read is left in the list of its backup.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Number of the backup, from the newest, which is 0.
    pub backup: u16,
    /// A file of changed blocks; else the whole file.
    pub incremental: bool,
    tablespace: Option<u16>,
    wrapping: Wrapping,
    /// Of a file of changed blocks that holds none, and whose list proves that: its truncation length. It is not read.
    pub empty: Option<u32>,
    /// The least truncation length of such files in backups between the source before and this one.
    pub cut: u32,
    facts: Facts,
}

/// What else is known of a source.
#[derive(Debug, Clone)]
enum Facts {
    /// It is in `backup.json`, at this place.
    Listed(u64),
    Kept(Box<Kept>),
}

#[derive(Debug, Clone)]
struct Kept {
    /// Plain bytes.
    size: Option<u64>,
    stored_size: u64,
    evidence: Evidence,
    /// SHA-512 of the stored bytes, of large files of frames that can be passed over.
    stored: Option<DigestValue>,
}

impl Facts {
    fn of(file: &BackupFile) -> Self {
        // frames that may be passed over, and no values of pieces to prove the rest
        let has_frames = !file.has_pieces
            && file.wrapping.codec == Codec::Zstd
            && file.size.is_some_and(|size| size > 2 * FRAME);
        match file.record {
            Some(place) if !has_frames => Self::Listed(place),
            _ => Self::Kept(Box::new(Kept {
                size: file.size,
                stored_size: file.stored_size,
                evidence: file.evidence.clone(),
                stored: None,
            })),
        }
    }
}

impl Piece {
    fn of(backup: u16, file: &BackupFile, incremental: bool) -> Self {
        Self {
            backup,
            incremental,
            tablespace: file.tablespace,
            wrapping: file.wrapping,
            empty: incremental.then(|| empty_truncation(file)).flatten(),
            cut: u32::MAX,
            facts: Facts::of(file),
        }
    }

    /// Whether something proves it.
    pub fn is_proved(&self) -> bool {
        match &self.facts {
            Facts::Listed(_) => true,
            Facts::Kept(kept) => kept.evidence != Evidence::None,
        }
    }

    /// Whether no list tells how many plain bytes it has.
    pub fn is_unmeasured(&self) -> bool {
        matches!(&self.facts, Facts::Kept(kept) if kept.size.is_none())
    }

    /// Says how many plain bytes it has, where no list tells.
    pub fn set_size(&mut self, bytes: u64) {
        if let Facts::Kept(kept) = &mut self.facts {
            kept.size.get_or_insert(bytes);
        }
    }

    /// Whether proving it by its stored bytes is the cheaper way, when `frames` of its frames have to be decoded.
    pub fn passing_pays(&self, frames: u64) -> bool {
        let Facts::Kept(kept) = &self.facts else {
            return false;
        };
        let plain = kept.size.unwrap_or_default();
        let whole = plain * (DECODING + PLAIN_DIGEST);
        let part = kept.stored_size * STORED_DIGEST + (frames * FRAME).min(plain) * DECODING;
        kept.stored.is_some() && part < whole
    }

    /// What tells where it is stored, `path` being that of the combined file: the rest is not filled in.
    pub fn name(&self, path: &[u8]) -> BackupFile {
        let path = if self.incremental {
            incremental_path(path)
        } else {
            path.to_vec()
        };
        BackupFile {
            path: path.into_boxed_slice(),
            tablespace: self.tablespace,
            wrapping: self.wrapping,
            mode: 0o600,
            size: None,
            stored_size: 0,
            block_length: None,
            sources: None,
            evidence: Evidence::None,
            record: None,
            has_pieces: false,
        }
    }

    /// The entry of the source in its own backup, `path` being that of the combined file, with what proves it. With
    /// `passing` that are its stored bytes, where [`Self::passing_pays`].
    ///
    /// # Errors
    /// `IO`, `CORRUPT` when the list of the backup cannot be read again.
    pub fn file(&self, backup: &StoredBackup, path: &[u8], passing: bool) -> Result<BackupFile> {
        let mut file = self.name(path);
        match &self.facts {
            Facts::Listed(place) => ours::read_again(&backup.inventory, *place, &mut file)?,
            Facts::Kept(kept) => {
                file.size = kept.size;
                file.stored_size = kept.stored_size;
                file.evidence = match kept.stored.filter(|_| passing) {
                    Some(digest) => Evidence::Stored(digest),
                    None => kept.evidence.clone(),
                };
            }
        }
        Ok(file)
    }
}

/// The truncation length of a file of changed blocks that holds none, when the list of the backup proves it: then the
/// digest is that of the only file that it can be.
fn empty_truncation(file: &BackupFile) -> Option<u32> {
    let truncation = file.block_length.filter(|_| file.size == Some(EMPTY_SIZE))?;
    let Evidence::Plain(kind, expected) = &file.evidence else {
        return None;
    };
    (kind.of(&IncrementalHeader::empty_file(truncation)) == *expected).then_some(truncation)
}

/// A combined file of which the whole form was not met yet.
struct Open {
    path: Box<[u8]>,
    /// Its number.
    combined: usize,
    /// See [`Piece::cut`].
    cut: u32,
    /// The last one that [`Piece::cut`] stands for.
    empty: Option<Piece>,
}

/// Finds what combined files are made of, backup by backup. The lists of the older ones are given up.
pub struct Resolver {
    pieces: Vec<Vec<Piece>>,
    open: Vec<Open>,
    /// Name of the newest backup.
    child: String,
    /// Backups that were taken in.
    count: u16,
}

impl Resolver {
    /// Begins with the newest backup: takes its files of changed blocks for the files that they become.
    ///
    /// # Errors
    /// `CORRUPT` naming the backup and files when something is missing or there twice.
    pub fn new(newest: &mut StoredBackup) -> Result<Self> {
        let mut problems = Problems::default();
        for file in &newest.inventory.files {
            problems.look(newest, file);
        }
        problems.into_result(newest)?;
        let mut this = Self {
            pieces: Vec::new(),
            open: Vec::new(),
            child: name_of(newest).to_owned(),
            count: 1,
        };
        for file in &mut newest.inventory.files {
            let Some(whole) = whole_path(&file.path) else {
                continue;
            };
            file.sources = u32::try_from(this.pieces.len()).ok();
            this.open.push(Open {
                path: whole.clone().into_boxed_slice(),
                combined: this.pieces.len(),
                cut: u32::MAX,
                empty: None,
            });
            this.pieces.push(vec![Piece::of(0, file, true)]);
            file.path = whole.into_boxed_slice();
        }
        newest
            .inventory
            .files
            .sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut pairs = newest.inventory.files.windows(2);
        if let Some(pair) = pairs.find(|pair| pair[0].path == pair[1].path) {
            let message = format!(
                "backup {} has {} twice, whole or as changed blocks",
                name_of(newest),
                pair[0].path.escape_ascii()
            );
            return Err(Error::corrupt(message)
                .at(&newest.inventory.directory)
                .hint("take another backup: a list of this one was changed"));
        }
        this.open.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(this)
    }

    /// Finds the next source of every file whose whole form was not met yet. Of the backup no list stays.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn add(&mut self, backup: &mut StoredBackup) -> Result<()> {
        let number = self.count;
        self.count += 1;
        let mut files = std::mem::take(&mut backup.inventory.files);
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let find = |path: &[u8]| {
            let index = files.binary_search_by(|file| (*file.path).cmp(path)).ok()?;
            files.get(index)
        };
        let mut rest = Vec::with_capacity(self.open.len());
        let mut missing = Vec::new();
        let mut problems = Problems::default();
        for mut one in std::mem::take(&mut self.open) {
            let whole = find(&one.path);
            let Some(file) = whole.or_else(|| find(&incremental_path(&one.path))) else {
                missing.push(one.path);
                continue;
            };
            problems.look(backup, file);
            let mut piece = Piece::of(number, file, whole.is_none());
            if let Some(truncation) = piece.empty {
                one.cut = one.cut.min(truncation);
                one.empty = Some(piece);
            } else {
                piece.cut = std::mem::replace(&mut one.cut, u32::MAX);
                one.empty = None;
                push(&mut self.pieces[one.combined], piece);
            }
            if whole.is_none() {
                rest.push(one);
            }
        }
        problems.into_result(backup)?;
        self.open = rest;
        let missing_there = std::mem::take(&mut backup.inventory.missing);
        backup.inventory.directories = Vec::new();
        backup.inventory.surplus = Vec::new();
        match missing.as_slice() {
            [] => Ok(()),
            missing => Err(not_there(backup, &self.child, missing, &missing_there)),
        }
    }

    /// The sources of every combined file, newest first. Without a whole file for all of them, which only a roll-up
    /// may lack, some come out as files of changed blocks: the list of the newest backup tells by their names.
    ///
    /// # Errors
    /// `CORRUPT` when there are such files and it is no roll-up; `oldest` is for the message.
    pub fn finish(
        mut self,
        newest: &mut StoredBackup,
        oldest: &str,
        roll_up: bool,
    ) -> Result<Vec<Vec<Piece>>> {
        if let Some(first) = self.open.first().filter(|_| !roll_up) {
            let message = format!(
                "backup {} is the oldest of the chain and has only changed blocks of {} files: {}",
                oldest,
                self.open.len(),
                first.path.escape_ascii()
            );
            return Err(Error::corrupt(message)
                .at(&newest.inventory.directory)
                .hint("the oldest backup of a chain has to be a full one: take a full backup"));
        }
        let mut changed = HashSet::new();
        for one in self.open {
            changed.insert(one.combined);
            if let Some(mut piece) = one.empty {
                piece.empty = Some(one.cut);
                push(&mut self.pieces[one.combined], piece);
            }
        }
        if !changed.is_empty() {
            let files = &mut newest.inventory.files;
            for file in files.iter_mut() {
                let index = file.sources.map(|index| index as usize);
                if index.is_some_and(|index| changed.contains(&index)) {
                    file.path = incremental_path(&file.path).into_boxed_slice();
                }
            }
            files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        }
        Ok(self.pieces)
    }
}

/// Most files have two or three sources: no more room is taken.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    pieces.reserve_exact(1);
    pieces.push(piece);
}

/// Looks up the digests of the stored bytes of large pieces, where the backups have them.
///
/// # Errors
/// `IO`, `CORRUPT`.
pub fn find_stored_digests(
    backups: &[StoredBackup],
    files: &[BackupFile],
    pieces: &mut [Vec<Piece>],
) -> Result<()> {
    // stored path, and which piece of which file it is, by backup
    let mut wanted: Vec<HashMap<Vec<u8>, (usize, usize)>> = vec![HashMap::new(); backups.len()];
    for file in files {
        let Some(index) = file.sources.map(|index| index as usize) else {
            continue;
        };
        let Some(of_file) = pieces.get(index) else {
            continue;
        };
        let path = whole_name(&file.path, only_changed(of_file));
        for (place, piece) in of_file.iter().enumerate() {
            let number = usize::from(piece.backup);
            let inventory = &backups[number].inventory;
            if inventory.ours && matches!(piece.facts, Facts::Kept(_)) {
                wanted[number].insert(inventory.stored_path(&piece.name(&path)), (index, place));
            }
        }
    }
    for (backup, wanted) in backups.iter().zip(wanted) {
        let list = backup.inventory.directory.join("backup.sha512");
        if wanted.is_empty() || !list.exists() {
            continue;
        }
        let mut reader = HashListReader::open(&list)?;
        while let Some(line) = reader.next_line()? {
            if let Some((index, place)) = wanted.get(&line.path)
                && let Facts::Kept(kept) = &mut pieces[*index][*place].facts
            {
                kept.stored = DigestValue::new(&line.digest);
            }
        }
    }
    Ok(())
}

/// `there` are the files that the backup itself says it lacks.
fn not_there(backup: &StoredBackup, child: &str, missing: &[Box<[u8]>], there: &[Vec<u8>]) -> Error {
    let listed = |path: &[u8]| there.iter().any(|one| one == path);
    let first = missing.first();
    let why = if first.is_some_and(|first| listed(first) || listed(&incremental_path(first))) {
        "the backup lists it and does not have it"
    } else {
        "no list of the backup names it"
    };
    let named: Vec<_> = missing
        .iter()
        .take(NAMED)
        .map(|path| path.escape_ascii().to_string())
        .collect();
    let message = format!(
        "backup {} does not have {} files of which backup {child} has only the changed blocks: {} ({why})",
        name_of(backup),
        missing.len(),
        named.join(", ")
    );
    Error::corrupt(message).at(&backup.inventory.directory).hint(
        "take these files from another copy of that backup, or restore a backup that does not need them",
    )
}

/// Stored files that are not there, or not with their size.
#[derive(Default)]
struct Problems {
    count: usize,
    named: Vec<String>,
}

impl Problems {
    fn look(&mut self, backup: &StoredBackup, file: &BackupFile) {
        let path = backup.inventory.stored_file(file);
        let problem = match resolve_link(&path).and_then(std::fs::metadata) {
            Ok(found) if found.len() == file.stored_size => return,
            Ok(found) => format!(
                "{} has {} bytes instead of {}",
                path.display(),
                found.len(),
                file.stored_size
            ),
            Err(error) => format!("{}: {error}", path.display()),
        };
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(problem);
        }
    }

    fn into_result(self, backup: &StoredBackup) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let message = format!(
            "{} files of backup {} are missing or of the wrong size: {}",
            self.count,
            name_of(backup),
            self.named.join("; ")
        );
        Err(Error::corrupt(message).at(&backup.inventory.directory).hint(
            "take these files from another copy of that backup, or restore a backup that does not need them",
        ))
    }
}

//! Which stored files of which backups make up each file of the cluster.

use super::super::evidence::Evidence;
use super::super::inventory::BackupFile;
use super::super::source::{StoredBackup, resolve_link};
use super::super::suffix::Wrapping;
use super::block_map::FRAME;
use super::checks::name_of;
use super::{only_changed, whole_name};
use crate::block::{incremental_path, whole_path};
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

/// One source of a combined file; its path in the cluster follows from that of the combined one.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Number of the backup, from the newest, which is 0.
    pub backup: u16,
    /// A file of changed blocks; else the whole file.
    pub incremental: bool,
    pub tablespace: Option<u16>,
    pub wrapping: Wrapping,
    /// Plain bytes.
    pub size: Option<u64>,
    pub stored_size: u64,
    pub evidence: Evidence,
    /// SHA-512 of the stored bytes, of large files of frames that can be passed over.
    pub stored: Option<Box<DigestValue>>,
}

impl Piece {
    fn of(backup: u16, file: &BackupFile, incremental: bool) -> Self {
        Self {
            backup,
            incremental,
            tablespace: file.tablespace,
            wrapping: file.wrapping,
            size: file.size,
            stored_size: file.stored_size,
            evidence: file.evidence.clone(),
            stored: None,
        }
    }

    /// Whether it has frames enough that some of them may be passed over.
    fn has_frames(&self) -> bool {
        self.wrapping.codec == Codec::Zstd && self.size.is_some_and(|size| size > 2 * FRAME)
    }

    /// Whether proving it by its stored bytes is the cheaper way, when `frames` of its frames have to be decoded.
    pub fn passing_pays(&self, frames: u64) -> bool {
        let plain = self.size.unwrap_or_default();
        let whole = plain * (DECODING + PLAIN_DIGEST);
        let part = self.stored_size * STORED_DIGEST + (frames * FRAME).min(plain) * DECODING;
        self.stored.is_some() && part < whole
    }

    /// The entry of the source in its own backup, `path` being that of the combined file.
    pub fn file(&self, path: &[u8]) -> BackupFile {
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
            size: self.size,
            stored_size: self.stored_size,
            block_length: None,
            sources: None,
            evidence: self.evidence.clone(),
        }
    }
}

/// Takes the files of changed blocks of the newest backup for the files that they become, and finds what each is made
/// of. The lists of the older backups are given up. In a roll-up those that are whole in none of them stay files of
/// changed blocks.
///
/// # Errors
/// `CORRUPT` naming the backups and files when something is missing or there twice.
pub fn resolve(backups: &mut [StoredBackup], roll_up: bool) -> Result<Vec<Vec<Piece>>> {
    let Some((newest, older)) = backups.split_first_mut() else {
        return Ok(Vec::new());
    };
    let mut problems = Problems::default();
    for file in &newest.inventory.files {
        problems.look(newest, file);
    }
    problems.into_result(newest)?;
    let mut pieces: Vec<Vec<Piece>> = Vec::new();
    // path of the combined file, and its number
    let mut open: Vec<(Box<[u8]>, usize)> = Vec::new();
    for file in &mut newest.inventory.files {
        let Some(whole) = whole_path(&file.path) else {
            continue;
        };
        file.sources = u32::try_from(pieces.len()).ok();
        open.push((whole.clone().into_boxed_slice(), pieces.len()));
        pieces.push(vec![Piece::of(0, file, true)]);
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
    open.sort_unstable();
    let child = name_of(newest).to_owned();
    for (number, backup) in (1u16..).zip(older.iter_mut()) {
        backup
            .inventory
            .files
            .sort_unstable_by(|a, b| a.path.cmp(&b.path));
        open = resolve_in(backup, number, &child, open, &mut pieces)?;
    }
    if roll_up {
        let changed: HashSet<usize> = open.iter().map(|(_, combined)| *combined).collect();
        let files = &mut newest.inventory.files;
        for file in files.iter_mut() {
            if file
                .sources
                .is_some_and(|index| changed.contains(&(index as usize)))
            {
                file.path = incremental_path(&file.path).into_boxed_slice();
            }
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        return Ok(pieces);
    }
    if let (Some((path, _)), Some(oldest)) = (open.first(), older.last()) {
        let message = format!(
            "backup {} is the oldest of the chain and has only changed blocks of {} files: {}",
            name_of(oldest),
            open.len(),
            path.escape_ascii()
        );
        return Err(Error::corrupt(message)
            .at(&oldest.inventory.directory)
            .hint("the oldest backup of a chain has to be a full one: take a full backup"));
    }
    Ok(pieces)
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
            if piece.has_frames() && inventory.ours {
                wanted[number].insert(inventory.stored_path(&piece.file(&path)), (index, place));
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
            if let Some((index, place)) = wanted.get(&line.path) {
                pieces[*index][*place].stored = DigestValue::new(&line.digest).map(Box::new);
            }
        }
    }
    Ok(())
}

/// Finds the next source of every file whose whole form was not met yet; answers those that go on.
fn resolve_in(
    backup: &mut StoredBackup,
    number: u16,
    child: &str,
    open: Vec<(Box<[u8]>, usize)>,
    pieces: &mut [Vec<Piece>],
) -> Result<Vec<(Box<[u8]>, usize)>> {
    let files = std::mem::take(&mut backup.inventory.files);
    let find = |path: &[u8]| {
        let index = files.binary_search_by(|file| (*file.path).cmp(path)).ok()?;
        files.get(index)
    };
    let mut rest = Vec::new();
    let mut missing = Vec::new();
    let mut problems = Problems::default();
    for (path, combined) in open {
        if let Some(file) = find(&path) {
            problems.look(backup, file);
            pieces[combined].push(Piece::of(number, file, false));
        } else if let Some(file) = find(&incremental_path(&path)) {
            problems.look(backup, file);
            pieces[combined].push(Piece::of(number, file, true));
            rest.push((path, combined));
        } else {
            missing.push(path);
        }
    }
    problems.into_result(backup)?;
    let Some(first) = missing.first() else {
        return Ok(rest);
    };
    let incremental = incremental_path(first);
    let listed = |path: &[u8]| backup.inventory.missing.iter().any(|one| one == path);
    let why = if listed(first) || listed(&incremental) {
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
    Err(Error::corrupt(message).at(&backup.inventory.directory).hint(
        "take these files from another copy of that backup, or restore a backup that does not need them",
    ))
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

//! Carries out a restore. The control file comes last, under its name only when everything else is on disk: a
//! directory that PostgreSQL could start from is a complete one.

use super::chain::{Chain, CombinedDigests, Upon, write_manifest};
use super::evidence::Evidence;
use super::inventory::{BackupFile, Inventory};
use super::job::Job;
use super::manifest_copy::LEFT_OUT;
use super::pass::{Pass, PassResult};
use super::plan::page_rules;
use super::pool::run_pool;
use super::reuse::{
    Existing, Fate, Found, OldBackup, OldFile, OldTree, Reuse, Step, Tallies, known_digest, may_reuse,
};
use super::source::PlainStream;
use super::target::{Destination, Target};
use crate::block::read_control;
use crate::fs::{TreeSync, WriteAhead, create_new, sync_directory};
use crate::{Code, Error, Result};
use std::cell::Cell;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

const CONTROL: &[u8] = b"global/pg_control";
/// Name of the control file until everything else is on disk.
const CONTROL_PARTIAL: &[u8] = b"global/.pg_control.partial";
/// How many failed files are named.
const NAMED: usize = 100;
/// How many warnings about pages are kept.
const MAX_WARNINGS: usize = 100;

/// What is to be restored where.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    /// The data directory; absent or empty.
    pub target: PathBuf,
    pub tablespaces: Vec<Destination>,
    /// Threads.
    pub workers: usize,
    /// Restore files that nothing proves.
    pub allow_unproven: bool,
    /// Look at the checksums of pages on the way; faults are warnings.
    pub check_pages: bool,
    /// A tree that files are taken from where they are already what they should be.
    pub existing: Option<Existing>,
}

/// What a restore made.
#[derive(Debug, Clone, Default)]
pub struct RestoreReport {
    pub files: u64,
    /// Plain bytes of all files.
    pub bytes: u64,
    /// Files that were combined from several backups.
    pub combined: u64,
    /// Files restored without any proof.
    pub unproven: u64,
    /// Pages looked at, those certainly damaged, those that replay of WAL replaces.
    pub pages: u64,
    pub damaged_pages: u64,
    pub replayed_pages: u64,
    pub warnings: Vec<String>,
    pub seconds: f64,
    /// What was taken from the existing tree, when there is one.
    pub reuse: Option<Reuse>,
}

/// Restores a chain of backups, or a full backup, which is a chain of one.
///
/// # Errors
/// `USAGE` before anything is written; `CORRUPT`, `IO`, `NO_SPACE`, `CANCELLED`: then no control file is left, and files
/// that failed are removed. The caller removes the rest.
pub fn restore(chain: &Chain, options: &RestoreOptions, job: &Job) -> Result<RestoreReport> {
    let started = Instant::now();
    let inventory = chain.inventory();
    check(inventory, options)?;
    chain.check_key()?;
    chain.forget_warnings();
    let target = Target::new(&options.target, &options.tablespaces, inventory)?;
    let reuse = match &options.existing {
        Some(existing) => Some(Reusing::of(
            OldTree::open(existing, target.roots())?,
            existing,
            chain,
        )?),
        None => None,
    };
    target.create_roots()?;
    let syncs = target.roots().map(TreeSync::open).collect::<Result<Vec<_>>>()?;
    target.create_directories(inventory)?;
    let rules = if options.check_pages {
        page_rules(chain.newest())
    } else {
        None
    };
    let run = Run {
        chain,
        inventory,
        workers: options.workers,
        digests: CombinedDigests::new(chain),
        target,
        reuse,
        job,
        report: Totals::default(),
        failures: Mutex::default(),
    };
    let result = run.write(options, rules, &syncs);
    if let Err(error) = result {
        for name in [CONTROL, CONTROL_PARTIAL] {
            let _ = std::fs::remove_file(run.target.place(name));
        }
        return Err(error);
    }
    let mut report = run.report.into_report();
    if let Some(reuse) = run.reuse {
        report.warnings.extend(reuse.warnings);
        report.reuse = Some(reuse.tallies.into_reuse());
    }
    report.combined = chain.combined() as u64;
    report
        .warnings
        .splice(0..0, inventory.warnings.iter().cloned().chain(chain.warnings()));
    if options.check_pages && rules.is_none() {
        report
            .warnings
            .push("the cluster has no page checksums: pages were not checked".to_owned());
    }
    for path in inventory.surplus.iter().take(NAMED) {
        report.warnings.push(format!(
            "{} is in no list of the backup and was left out",
            path.escape_ascii()
        ));
    }
    report.unproven = inventory
        .files
        .iter()
        .filter(|file| file.evidence == Evidence::None)
        .count() as u64;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// What can be refused before anything is written.
pub(super) fn check(inventory: &Inventory, options: &RestoreOptions) -> Result<()> {
    let refuse = |paths: Vec<&[u8]>, what: &str, hint: &str| {
        let named: Vec<_> = paths
            .iter()
            .take(NAMED)
            .map(|path| path.escape_ascii().to_string())
            .collect();
        let message = format!("{} files of the backup {what}: {}", paths.len(), named.join(", "));
        Err(Error::corrupt(message).at(&inventory.directory).hint(hint))
    };
    if !inventory.missing.is_empty() {
        let missing = inventory.missing.iter().map(Vec::as_slice).collect();
        return refuse(
            missing,
            "are missing",
            "take another backup, or these files from another copy of this one",
        );
    }
    let unproven: Vec<_> = inventory
        .files
        .iter()
        .filter(|file| file.evidence == Evidence::None)
        .collect();
    if !unproven.is_empty() && !options.allow_unproven {
        let paths = unproven.iter().map(|file| &*file.path).collect();
        return refuse(
            paths,
            "are in no list of digests",
            "allow unproven files to restore them all the same",
        );
    }
    for needed in [CONTROL, b"PG_VERSION"] {
        if inventory.find(needed).is_none() {
            let name = needed.escape_ascii();
            return Err(Error::corrupt(format!("the backup has no {name}")).at(&inventory.directory));
        }
    }
    Ok(())
}

#[derive(Default)]
struct Totals {
    files: AtomicU64,
    bytes: AtomicU64,
    pages: AtomicU64,
    damaged: AtomicU64,
    replayed: AtomicU64,
    warnings: Mutex<Vec<String>>,
}

impl Totals {
    fn add_file(&self, size: u64) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size, Ordering::Relaxed);
    }

    fn add(&self, file: &BackupFile, result: &PassResult) {
        self.add_file(result.size);
        let Some(pages) = &result.pages else { return };
        self.pages.fetch_add(pages.pages, Ordering::Relaxed);
        self.damaged.fetch_add(pages.damaged, Ordering::Relaxed);
        self.replayed.fetch_add(pages.replayed, Ordering::Relaxed);
        let Some(fault) = pages.faults.iter().find(|fault| !fault.replayed) else {
            return;
        };
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.len() < MAX_WARNINGS {
            warnings.push(format!(
                "{}: {} damaged pages, the first is block {} (checksum {:04x}, its bytes have {:04x}); the backup \
                 holds what the server had",
                file.path.escape_ascii(),
                pages.damaged,
                fault.block,
                fault.stated,
                fault.found
            ));
        }
    }

    fn into_report(self) -> RestoreReport {
        RestoreReport {
            files: self.files.into_inner(),
            bytes: self.bytes.into_inner(),
            pages: self.pages.into_inner(),
            damaged_pages: self.damaged.into_inner(),
            replayed_pages: self.replayed.into_inner(),
            warnings: self.warnings.into_inner().unwrap_or_else(PoisonError::into_inner),
            ..RestoreReport::default()
        }
    }
}

/// The tree that files are taken from, and what became of them.
struct Reusing<'a> {
    old: OldTree<'a>,
    base: Option<OldBackup>,
    tallies: Tallies,
    warnings: Vec<String>,
}

impl<'a> Reusing<'a> {
    fn of(old: OldTree<'a>, existing: &Existing, chain: &Chain) -> Result<Self> {
        let tallies = Tallies::default();
        old.count_surplus(chain.inventory(), &tallies)?;
        let mut warnings = Vec::new();
        Ok(Self {
            base: OldBackup::read(existing, chain, &mut warnings),
            old,
            tallies,
            warnings,
        })
    }
}

struct Run<'a> {
    chain: &'a Chain,
    inventory: &'a Inventory,
    workers: usize,
    digests: CombinedDigests,
    target: Target<'a>,
    reuse: Option<Reusing<'a>>,
    job: &'a Job,
    report: Totals,
    failures: Mutex<Vec<Error>>,
}

impl Run<'_> {
    fn write(
        &self,
        options: &RestoreOptions,
        rules: Option<super::pass::PageRules>,
        syncs: &[TreeSync],
    ) -> Result<()> {
        let mut order: Vec<&BackupFile> = self.inventory.files.iter().collect();
        let left_out = order.len();
        order.retain(|file| !LEFT_OUT.contains(&&*file.path));
        let left_out = left_out - order.len();
        self.job.set_totals(
            order
                .iter()
                .map(|file| file.size.unwrap_or(file.stored_size))
                .sum(),
            order.len() as u64,
        );
        order.retain(|file| &*file.path != CONTROL);
        order.sort_by_key(|file| std::cmp::Reverse(file.size.unwrap_or(file.stored_size)));
        let work = |pass: &mut Pass<'_>, index: usize| self.file(pass, order[index], &order[index].path);
        let pooled = run_pool(
            options.workers,
            order.len(),
            self.job,
            || Pass::new(self.job, rules),
            work,
        );
        self.first_failure()?;
        pooled?;
        if self.inventory.manifest.is_some() {
            let to = self.target.place(b"backup_manifest");
            write_manifest(self.chain, &self.digests, &to, left_out > 0)?;
            self.set_mode(&to)?;
        }
        self.target.create_links()?;
        self.control(syncs)
    }

    /// The control file: written and checked under another name, renamed when all the rest is on disk.
    fn control(&self, syncs: &[TreeSync]) -> Result<()> {
        let Some(file) = self.inventory.find(CONTROL) else {
            return Ok(());
        };
        self.file(&mut Pass::new(self.job, None), file, CONTROL_PARTIAL);
        self.first_failure()?;
        let (partial, place) = (self.target.place(CONTROL_PARTIAL), self.target.place(CONTROL));
        let bytes = std::fs::read(&partial).map_err(|error| Error::io("read", &partial, &error))?;
        read_control(&bytes).map_err(|error| error.at(&place))?;
        for sync in syncs {
            self.job.check()?;
            sync.sync()?;
        }
        self.job.check()?;
        std::fs::rename(&partial, &place).map_err(|error| Error::io("rename", &partial, &error))?;
        sync_directory(place.parent().unwrap_or(Path::new("/")))
    }

    /// Restores one file under the name `path`. Failures are kept; the answer is whether to go on.
    fn file(&self, pass: &mut Pass<'_>, file: &BackupFile, path: &[u8]) -> bool {
        let place = self.target.place(path);
        let made = match &self.reuse {
            Some(reuse) => self.renew(reuse, pass, file, &place),
            None => self.write_new(pass, file, &place).map(|_| ()),
        };
        let Err(failure) = made else {
            self.job.add_file();
            return true;
        };
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(failure);
        false
    }

    /// Makes a file of the backup, whatever there was before, and answers its size.
    fn write_new(&self, pass: &mut Pass<'_>, file: &BackupFile, place: &Path) -> Result<u64> {
        let mut output = create_new(place)?;
        self.fill(pass, file, place, &mut output).map_err(|error| {
            // nothing stays that was not proved
            let _ = std::fs::remove_file(place);
            file.advise(error)
        })
    }

    fn fill(&self, pass: &mut Pass<'_>, file: &BackupFile, place: &Path, output: &mut File) -> Result<u64> {
        let mut stream = self
            .chain
            .open_file(file, self.workers, self.job, &|| reopen(place))?;
        let mut ahead = WriteAhead::default();
        let size = self.read(pass, file, &mut stream, &mut |piece| {
            let written = output.write_all(piece);
            ahead.wrote(output, piece.len());
            written.map_err(|error| Error::io("write", place, &error))
        })?;
        ahead.end(output);
        self.set_mode(place)?;
        Ok(size)
    }

    /// Reads a file of the backup to its end and proves it; `sink` gets its bytes.
    fn read(
        &self,
        pass: &mut Pass<'_>,
        file: &BackupFile,
        stream: &mut PlainStream,
        sink: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<u64> {
        let kind = self.chain.wanted_digest(file).or(file.evidence.plain_kind());
        let result = pass.run(file, kind, stream, sink)?;
        file.prove(result.size, result.digest, result.stored_digest)
            .map_err(|error| error.at(&stream.path))?;
        self.digests.set(file, result.size, result.digest);
        self.report.add(file, &result);
        Ok(result.size)
    }

    /// Makes a file of the backup, or takes the one that was there before when it is the same.
    fn renew(&self, reuse: &Reusing<'_>, pass: &mut Pass<'_>, file: &BackupFile, place: &Path) -> Result<()> {
        let Reusing { old, tallies, .. } = reuse;
        let (size, fate) = if !may_reuse(&file.path) {
            let before = old.has(&file.path);
            (self.write_new(pass, file, place)?, Fate::of_written(before))
        } else {
            match (old.find(&file.path), known_digest(file)) {
                (Found::Nothing, _) => (self.write_new(pass, file, place)?, Fate::Added),
                (Found::File(mut found), Some((kind, digest)))
                    if file.size == Some(found.size) && pass.digest(&found.file, kind)? == Some(digest) =>
                {
                    self.job.add_bytes(found.size as usize);
                    self.report.add_file(found.size);
                    let fate = old.take(&mut found, place, self.target.modes().1)?;
                    (found.size, fate)
                }
                (Found::File(found), None) => self.write_in_step(reuse, pass, file, place, found)?,
                _ => (self.write_new(pass, file, place)?, Fate::Rewritten),
            }
        };
        tallies.add(&file.path, size, fate);
        Ok(())
    }

    /// Makes a file of which no digest is known beforehand, upon or beside the one that was there before.
    fn write_in_step(
        &self,
        reuse: &Reusing<'_>,
        pass: &mut Pass<'_>,
        file: &BackupFile,
        place: &Path,
        found: OldFile,
    ) -> Result<(u64, Fate)> {
        let made = self.in_step(reuse, pass, file, place, found);
        let (size, same) = made.map_err(|error| {
            let _ = std::fs::remove_file(place);
            file.advise(error)
        })?;
        let mode = self.target.modes().1;
        match same {
            Some(mut same) => Ok((size, reuse.old.take(&mut same, place, mode)?)),
            None => {
                self.set_mode(place)?;
                Ok((size, Fate::Rewritten))
            }
        }
    }

    fn in_step(
        &self,
        reuse: &Reusing<'_>,
        pass: &mut Pass<'_>,
        file: &BackupFile,
        place: &Path,
        found: OldFile,
    ) -> Result<(u64, Option<OldFile>)> {
        let spooled = Cell::new(false);
        let spool = || {
            spooled.set(true);
            create_new(place)?;
            reopen(place)
        };
        let standing = reuse
            .base
            .as_ref()
            .and_then(|base| base.standing(&file.path, &found));
        let upon = match &standing {
            Some(standing) => self
                .chain
                .open_upon(file, standing, self.workers, self.job, &spool)?,
            None => None,
        };
        let mut stream = match upon {
            Some(Upon::Unchanged) => {
                self.note_unchanged(reuse, pass, file, &found)?;
                return Ok((found.size, Some(found)));
            }
            Some(Upon::Stream(stream)) => stream,
            None => self.chain.open_file(file, self.workers, self.job, &spool)?,
        };
        let made = if spooled.get() { Some(reopen(place)?) } else { None };
        let mut step = Step::new(found, place, made);
        let size = self.read(pass, file, &mut stream, &mut |piece| step.push(piece))?;
        Ok((size, step.end()?))
    }

    /// Counts a file that stays as an older backup had made it; its digest is in the manifest of that one, or it is read.
    fn note_unchanged(
        &self,
        reuse: &Reusing<'_>,
        pass: &mut Pass<'_>,
        file: &BackupFile,
        found: &OldFile,
    ) -> Result<()> {
        let mut digest = None;
        if let Some(kind) = self.chain.wanted_digest(file) {
            let listed = reuse.base.as_ref().and_then(|base| base.digest(&file.path, kind));
            digest = match listed {
                Some(digest) => Some(digest),
                None => Some(
                    pass.digest(&found.file, kind)?
                        .ok_or_else(|| Error::new(Code::Io, "the file cannot be read").at(&found.path))?,
                ),
            };
        }
        self.digests.set(file, found.size, digest);
        self.report.add_file(found.size);
        self.job.add_bytes(found.size as usize);
        Ok(())
    }

    fn set_mode(&self, place: &Path) -> Result<()> {
        let mode = self.target.modes().1;
        if mode == 0o600 {
            return Ok(());
        }
        let set = std::fs::set_permissions(place, Permissions::from_mode(mode));
        set.map_err(|error| Error::io("set the mode of", place, &error))
    }

    /// All failures so far as one error.
    fn first_failure(&self) -> Result<()> {
        let failures = std::mem::take(&mut *self.failures.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failures: Vec<_> = failures
            .into_iter()
            .filter(|error| error.code != Code::Cancelled)
            .collect();
        if failures.len() <= 1 {
            return failures.pop().map_or(Ok(()), Err);
        }
        let all: Vec<_> = failures
            .iter()
            .take(NAMED)
            .map(|error| error.message.as_str())
            .collect();
        let message = format!("{} files failed: {}", failures.len(), all.join("; "));
        let mut error = failures.swap_remove(0);
        error.message = message;
        Err(error)
    }
}

/// A file that is being made, open for reading and writing.
fn reopen(place: &Path) -> Result<File> {
    let again = OpenOptions::new().read(true).write(true).open(place);
    again.map_err(|error| Error::io("open", place, &error))
}

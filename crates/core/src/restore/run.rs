//! Carries out a restore. The control file comes last, under its name only when everything else is on disk: a
//! directory that PostgreSQL could start from is a complete one.

use super::chain::{Chain, CombinedDigests, write_manifest};
use super::evidence::Evidence;
use super::inventory::{BackupFile, Inventory};
use super::job::Job;
use super::manifest_copy::LEFT_OUT;
use super::pass::{Pass, PassResult};
use super::plan::page_rules;
use super::pool::run_pool;
use super::target::{Destination, Target};
use crate::block::read_control;
use crate::fs::{TreeSync, WriteAhead, create_new, sync_directory};
use crate::{Code, Error, Result};
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
}

/// What a restore made.
#[derive(Debug, Clone, Default)]
pub struct RestoreReport {
    pub files: u64,
    /// Plain bytes written.
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
    let target = Target::new(&options.target, &options.tablespaces, inventory)?;
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
fn check(inventory: &Inventory, options: &RestoreOptions) -> Result<()> {
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
    fn add(&self, file: &BackupFile, result: &PassResult) {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(result.size, Ordering::Relaxed);
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

struct Run<'a> {
    chain: &'a Chain,
    inventory: &'a Inventory,
    workers: usize,
    digests: CombinedDigests,
    target: Target<'a>,
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
        let failure = match create_new(&place) {
            Err(error) => error,
            Ok(mut output) => match self.fill(pass, file, &place, &mut output) {
                Ok(result) => {
                    self.report.add(file, &result);
                    self.job.add_file();
                    return true;
                }
                Err(error) => {
                    // nothing stays that was not proved
                    let _ = std::fs::remove_file(&place);
                    file.advise(error)
                }
            },
        };
        self.failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(failure);
        false
    }

    fn fill(
        &self,
        pass: &mut Pass<'_>,
        file: &BackupFile,
        place: &Path,
        output: &mut File,
    ) -> Result<PassResult> {
        let spool = || {
            let again = OpenOptions::new().read(true).write(true).open(place);
            again.map_err(|error| Error::io("open", place, &error))
        };
        let mut stream = self.chain.open_file(file, self.workers, self.job, &spool)?;
        let kind = self.chain.wanted_digest(file).or(file.evidence.plain_kind());
        let mut ahead = WriteAhead::default();
        let result = pass.run(file, kind, &mut stream, &mut |piece| {
            let written = output.write_all(piece);
            ahead.wrote(output, piece.len());
            written.map_err(|error| Error::io("write", place, &error))
        })?;
        ahead.end(output);
        file.prove(result.size, result.digest, result.stored_digest)
            .map_err(|error| error.at(&stream.path))?;
        self.digests.set(file, result.size, result.digest);
        self.set_mode(place)?;
        Ok(result)
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

//! Verifies a whole backup.

use super::file::{Checked, check_file};
use super::finding::{Finding, Reason};
use super::lists::{check_others, surplus, translate};
use crate::restore::{Inventory, Job, Keys, Pass, StoredBackup, StoredDigests, page_rules, run_pool};
use crate::{Code, Error, Result};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// How a backup is verified.
#[derive(Debug, Clone, Copy, Default)]
pub struct VerifyOptions {
    /// Threads.
    pub workers: usize,
    /// Report good files too.
    pub all: bool,
    /// Look at the checksums of pages.
    pub pages: bool,
}

/// What a verification found.
#[derive(Debug, Clone, Default)]
pub struct VerifyReport {
    /// Files looked at.
    pub files: u64,
    /// Plain bytes read.
    pub bytes: u64,
    /// By path.
    pub failed: Vec<Finding>,
    /// Good files, by path, when they were asked for.
    pub all: Option<Vec<Finding>>,
    pub pages: u64,
    /// Pages that were changed while the backup ran: replay of WAL replaces them.
    pub replayed_pages: u64,
    pub warnings: Vec<String>,
    pub seconds: f64,
}

#[derive(Default)]
struct Results {
    report: VerifyReport,
    good: Vec<Finding>,
    keep_good: bool,
    locked: u64,
    unproven: u64,
    stopped: Option<Error>,
}

impl Results {
    fn add(&mut self, finding: Finding) {
        self.report.files += 1;
        if finding.reason.is_some() {
            self.report.failed.push(finding);
        } else if self.keep_good {
            self.good.push(finding);
        }
    }

    fn add_checked(&mut self, checked: Checked) {
        self.report.bytes += checked.bytes;
        self.report.pages += checked.pages;
        self.report.replayed_pages += checked.replayed_pages;
        self.locked += u64::from(checked.locked);
        self.unproven += u64::from(checked.unproven);
        self.add(checked.finding);
    }

    fn finish(mut self, inventory: Option<&Inventory>) -> VerifyReport {
        let by_path = |a: &Finding, b: &Finding| a.path.cmp(&b.path);
        self.report.failed.sort_by(by_path);
        self.good.sort_by(by_path);
        self.report.all = self.keep_good.then_some(self.good);
        if self.locked > 0 {
            let message = format!(
                "{} files are encrypted and there is no master key: only their stored bytes were checked",
                self.locked
            );
            self.report.warnings.push(message);
        }
        if self.unproven > 0 {
            self.report.warnings.push(format!(
                "{} files are in no list of digests: only their form was checked",
                self.unproven
            ));
        }
        if self.report.replayed_pages > 0 {
            let message = format!(
                "{} pages were changed while the backup ran; WAL replaces them",
                self.report.replayed_pages
            );
            self.report.warnings.push(message);
        }
        self.report.warnings.extend(
            inventory
                .into_iter()
                .flat_map(|inventory| inventory.warnings.iter().cloned()),
        );
        self.report
    }
}

/// Verifies the backup in `directory`.
///
/// # Errors
/// `IO` when there is no such directory, `CANCELLED`. Everything else is in the report.
pub fn verify(directory: &Path, keys: Keys, options: VerifyOptions, job: &Job) -> Result<VerifyReport> {
    let started = Instant::now();
    if !directory.is_dir() {
        return Err(Error::new(Code::Io, "there is no such backup directory").at(directory));
    }
    let mut results = Results {
        keep_good: options.all,
        ..Results::default()
    };
    let backup = match StoredBackup::open(directory, keys) {
        Ok(backup) => Some(backup),
        Err(error) => {
            results.add(Finding::of_error(&list_path(directory, &error), &error));
            None
        }
    };
    let inventory = backup.as_ref().map(|backup| &backup.inventory);
    let digests = match StoredDigests::read(directory, |path| translate(inventory, path)) {
        Ok(digests) => digests,
        Err(error) => {
            results.add(Finding::of_error(b"backup.sha512", &error));
            StoredDigests::default()
        }
    };
    if !digests.is_present() && results.report.failed.is_empty() {
        let message = "backup.sha512 is missing: the stored bytes cannot be checked";
        results.add(Finding::new(b"backup.sha512", Reason::Missing, message));
    }
    if let Some(backup) = &backup {
        results = check_files(backup, &digests, options, job, results)?;
        surplus(&backup.inventory, job, &mut |finding| results.add(finding))?;
    }
    check_others(directory, inventory, &digests, job, &mut |finding| {
        results.add(finding)
    })?;
    let mut report = results.finish(inventory);
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// The list that an error is about, relative to the backup.
fn list_path(directory: &Path, error: &Error) -> Vec<u8> {
    let path = error
        .path
        .as_deref()
        .and_then(|path| path.strip_prefix(directory).ok());
    path.map_or_else(
        || b".".to_vec(),
        |path| path.as_os_str().as_encoded_bytes().to_vec(),
    )
}

fn check_files(
    backup: &StoredBackup,
    digests: &StoredDigests,
    options: VerifyOptions,
    job: &Job,
    mut results: Results,
) -> Result<Results> {
    let inventory = &backup.inventory;
    job.set_totals(inventory.expected_bytes(), inventory.files.len() as u64);
    for path in &inventory.missing {
        let stored = inventory.missing_name(path, |name| digests.get(name).is_some());
        let message = format!(
            "{} is in a list of the backup and not stored",
            path.escape_ascii()
        );
        results.add(Finding::new(&stored, Reason::Missing, message));
    }
    if let Err(error) = backup.check_key() {
        results
            .report
            .warnings
            .push(format!("{}; {}", error.message, error.hint.unwrap_or_default()));
    }
    let rules = if options.pages { page_rules(backup) } else { None };
    if options.pages && rules.is_none() {
        results
            .report
            .warnings
            .push("the cluster has no page checksums: pages were not checked".to_owned());
    }
    let mut order: Vec<_> = inventory.files.iter().collect();
    order.sort_by_key(|file| std::cmp::Reverse(file.size.unwrap_or(file.stored_size)));
    let shared = Mutex::new(results);
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let pooled = run_pool(
        options.workers,
        order.len(),
        job,
        || Pass::new(job, rules),
        |pass, index| {
            let checked = check_file(pass, backup, order[index], digests);
            job.add_file();
            match checked {
                Ok(checked) => lock().add_checked(checked),
                Err(error) => {
                    lock().stopped = Some(error);
                    return false;
                }
            }
            true
        },
    );
    let results = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    pooled?;
    match results.stopped {
        Some(error) => Err(error),
        None => Ok(results),
    }
}

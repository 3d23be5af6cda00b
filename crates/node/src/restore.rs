//! Restoring for JavaScript: plan, carry out, watch.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer};
use napi_derive::napi;
use pgmoneta_core::cipher::{CipherMode, MasterSecret};
use pgmoneta_core::restore::{
    Base, Chain, ChainOptions, Destination, Existing, Job, Keys, RestoreOptions, RestorePlan, RestoreReport,
    Reuse, Tally, compare, plan, restore,
};
use pgmoneta_core::{Code, Error, Result};
use zeroize::Zeroizing;

use crate::task::Job as Task;

/// A number for JavaScript; what does not fit becomes the largest one.
pub(crate) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// What a running job and JavaScript share.
#[napi]
pub struct NativeJob {
    pub(crate) job: Arc<Job>,
}

/// Counters of a running job.
#[napi(object)]
pub struct BindingProgress {
    pub bytes_done: i64,
    pub bytes_total: i64,
    pub files_done: i64,
    pub files_total: i64,
}

#[napi]
impl NativeJob {
    /// A job that has not begun.
    #[napi(constructor)]
    #[allow(clippy::new_without_default)] // JavaScript's constructor
    #[must_use]
    pub fn new() -> Self {
        Self {
            job: Arc::new(Job::default()),
        }
    }

    /// Asks the job to stop.
    #[napi]
    pub fn cancel(&self) {
        self.job.cancel();
    }

    /// The counters as they are now.
    #[napi]
    #[must_use]
    pub fn progress(&self) -> BindingProgress {
        let progress = self.job.progress();
        BindingProgress {
            bytes_done: number(progress.bytes_done),
            bytes_total: number(progress.bytes_total),
            files_done: number(progress.files_done),
            files_total: number(progress.files_total),
        }
    }
}

/// What opens sealed files.
#[napi(object)]
pub struct BindingKeys {
    pub master_secret: Option<Buffer>,
    pub master_password: Option<Buffer>,
    pub encryption: Option<String>,
}

impl TryFrom<BindingKeys> for Keys {
    type Error = Error;

    fn try_from(keys: BindingKeys) -> Result<Self> {
        let mode = match keys.encryption.as_deref() {
            None | Some("" | "none") => None,
            Some(name) => Some(CipherMode::from_name(name)?),
        };
        Ok(Self {
            secret: keys
                .master_secret
                .map(|secret| MasterSecret::from_slice(&secret))
                .transpose()?,
            password: keys
                .master_password
                .map(|password| Zeroizing::new(password.to_vec())),
            mode,
        })
    }
}

/// The number of threads of a job.
pub(crate) fn workers(count: u32) -> Result<usize> {
    if (1..=256).contains(&count) {
        return Ok(count as usize);
    }
    Err(Error::new(
        Code::Usage,
        format!("a job has 1 to 256 workers, not {count}"),
    ))
}

/// Where one tablespace goes.
#[napi(object)]
pub struct BindingDestination {
    pub oid: String,
    pub name: Option<String>,
    pub directory: String,
    pub link: String,
}

/// One tablespace of a cluster that is there already.
#[napi(object)]
pub struct BindingSpace {
    pub oid: String,
    pub directory: String,
}

/// A cluster that files are taken from.
#[napi(object)]
pub struct BindingExisting {
    pub directory: String,
    pub tablespaces: Vec<BindingSpace>,
    pub base: Option<BindingBase>,
}

/// The backup that it was made of.
#[napi(object)]
pub struct BindingBase {
    pub backup: String,
    pub stamp: BigInt,
}

impl From<&BindingBase> for Base {
    fn from(base: &BindingBase) -> Self {
        Self {
            backup: PathBuf::from(&base.backup),
            stamp: base.stamp.get_i64().0,
        }
    }
}

impl From<&BindingExisting> for Existing {
    fn from(existing: &BindingExisting) -> Self {
        let space = |space: &BindingSpace| (space.oid.clone(), PathBuf::from(&space.directory));
        Self {
            directory: PathBuf::from(&existing.directory),
            tablespaces: existing.tablespaces.iter().map(space).collect(),
            base: existing.base.as_ref().map(Base::from),
        }
    }
}

/// What is restored where.
#[napi(object)]
pub struct BindingRestoreOptions {
    pub target: String,
    pub tablespaces: Vec<BindingDestination>,
    pub workers: u32,
    pub allow_unproven: Option<bool>,
    pub check_pages: Option<bool>,
    pub existing: Option<BindingExisting>,
}

impl TryFrom<&BindingRestoreOptions> for RestoreOptions {
    type Error = Error;

    fn try_from(options: &BindingRestoreOptions) -> Result<Self> {
        let destination = |space: &BindingDestination| Destination {
            oid: space.oid.clone(),
            directory: PathBuf::from(&space.directory),
            link: PathBuf::from(&space.link),
        };
        Ok(Self {
            target: PathBuf::from(&options.target),
            tablespaces: options.tablespaces.iter().map(destination).collect(),
            workers: workers(options.workers)?,
            allow_unproven: options.allow_unproven.unwrap_or(false),
            check_pages: options.check_pages.unwrap_or(false),
            existing: options.existing.as_ref().map(Existing::from),
        })
    }
}

/// Files and their plain bytes.
#[napi(object)]
pub struct BindingTally {
    pub files: i64,
    pub bytes: i64,
}

impl From<Tally> for BindingTally {
    fn from(tally: Tally) -> Self {
        Self {
            files: number(tally.files),
            bytes: number(tally.bytes),
        }
    }
}

/// Bytes that are written to the directory of one tablespace; without an OID, to the data directory.
#[napi(object)]
pub struct BindingWritten {
    pub oid: String,
    pub bytes: i64,
}

/// A symbolic link.
#[napi(object)]
pub struct BindingLink {
    pub path: String,
    pub target: String,
}

/// What is taken from an existing cluster, and what is written.
#[napi(object)]
pub struct BindingReuse {
    pub kept: BindingTally,
    pub copied: BindingTally,
    pub rewritten: BindingTally,
    pub added: BindingTally,
    pub removed: BindingTally,
    pub written: Vec<BindingWritten>,
    pub rewritten_paths: Vec<String>,
    pub added_paths: Vec<String>,
    pub removed_paths: Vec<String>,
    pub links: Vec<BindingLink>,
}

impl From<Reuse> for BindingReuse {
    fn from(reuse: Reuse) -> Self {
        let links = reuse.links.into_iter();
        let written = reuse.written.into_iter().map(|(oid, bytes)| BindingWritten {
            oid,
            bytes: number(bytes),
        });
        Self {
            written: written.collect(),
            kept: reuse.kept.into(),
            copied: reuse.copied.into(),
            rewritten: reuse.rewritten.into(),
            added: reuse.added.into(),
            removed: reuse.removed.into(),
            rewritten_paths: reuse.rewritten_paths,
            added_paths: reuse.added_paths,
            removed_paths: reuse.removed_paths,
            links: links.map(|(path, target)| BindingLink { path, target }).collect(),
        }
    }
}

/// What a restore made.
#[napi(object)]
pub struct BindingRestoreReport {
    pub files: i64,
    pub bytes: i64,
    pub combined: i64,
    pub unproven: i64,
    pub pages: i64,
    pub damaged_pages: i64,
    pub replayed_pages: i64,
    pub warnings: Vec<String>,
    pub seconds: f64,
    pub reuse: Option<BindingReuse>,
}

impl From<RestoreReport> for BindingRestoreReport {
    fn from(report: RestoreReport) -> Self {
        Self {
            files: number(report.files),
            bytes: number(report.bytes),
            combined: number(report.combined),
            unproven: number(report.unproven),
            pages: number(report.pages),
            damaged_pages: number(report.damaged_pages),
            replayed_pages: number(report.replayed_pages),
            warnings: report.warnings,
            seconds: report.seconds,
            reuse: report.reuse.map(BindingReuse::from),
        }
    }
}

/// A tablespace and what goes there.
#[napi(object)]
pub struct BindingPlannedTablespace {
    pub oid: String,
    pub directory: String,
    pub bytes: i64,
    pub files: i64,
}

/// What a restore will write.
#[napi(object)]
pub struct BindingRestorePlan {
    pub label: String,
    pub files: i64,
    pub bytes: i64,
    pub base_bytes: i64,
    pub tablespaces: Vec<BindingPlannedTablespace>,
    pub wal_bytes: i64,
    pub biggest_file: i64,
    pub unproven: i64,
    pub unproven_paths: Vec<String>,
    pub missing: Vec<String>,
    pub system_identifier: Option<String>,
    pub major_version: Option<u32>,
    pub block_size: Option<u32>,
    pub wal_segment_size: Option<i64>,
    pub data_checksums: Option<bool>,
    pub encrypted: bool,
    pub combined: i64,
    pub warnings: Vec<String>,
}

impl From<RestorePlan> for BindingRestorePlan {
    fn from(plan: RestorePlan) -> Self {
        let tablespaces = plan
            .tablespaces
            .into_iter()
            .map(|space| BindingPlannedTablespace {
                oid: space.oid,
                directory: space.directory,
                bytes: number(space.bytes),
                files: number(space.files),
            });
        Self {
            label: plan.label,
            files: number(plan.files),
            bytes: number(plan.bytes),
            base_bytes: number(plan.base_bytes),
            tablespaces: tablespaces.collect(),
            wal_bytes: number(plan.wal_bytes),
            biggest_file: number(plan.biggest_file),
            unproven: number(plan.unproven),
            unproven_paths: plan.unproven_paths,
            missing: plan.missing,
            system_identifier: plan.system_identifier.map(|identifier| identifier.to_string()),
            major_version: plan.major_version,
            block_size: plan.block_size,
            wal_segment_size: plan.wal_segment_size.map(number),
            data_checksums: plan.data_checksums,
            encrypted: plan.encrypted,
            combined: number(plan.combined),
            warnings: plan.warnings,
        }
    }
}

/// A chain of backups, its lists read and checked.
#[napi]
pub struct NativeChain {
    chain: Arc<Chain>,
}

/// Opens a chain of backups, newest first.
#[napi(js_name = "openChain")]
pub fn start_open_chain(
    directories: Vec<String>,
    keys: BindingKeys,
    allow_mixed_checksums: bool,
) -> napi::Result<AsyncTask<Task<NativeChain>>> {
    let keys = Keys::try_from(keys).map_err(|error| crate::error::to_napi(&error))?;
    let options = ChainOptions {
        allow_mixed_checksums,
        roll_up: false,
    };
    Ok(Task::start(move || {
        let chain = Arc::new(Chain::open(&directories, &keys, options)?);
        Ok(NativeChain { chain })
    }))
}

#[napi]
impl NativeChain {
    /// Computes what a restore will write.
    #[napi]
    pub fn plan(&self) -> AsyncTask<Task<BindingRestorePlan>> {
        let chain = Arc::clone(&self.chain);
        Task::start(move || plan(&chain).map(BindingRestorePlan::from))
    }

    /// Restores the newest backup; `job` cancels and counts.
    #[napi]
    pub fn restore(
        &self,
        options: BindingRestoreOptions,
        job: &NativeJob,
    ) -> napi::Result<AsyncTask<Task<BindingRestoreReport>>> {
        let order = RestoreOptions::try_from(&options).map_err(|error| crate::error::to_napi(&error))?;
        let (chain, job) = (Arc::clone(&self.chain), Arc::clone(&job.job));
        Ok(Task::start(move || {
            restore(&chain, &order, &job).map(BindingRestoreReport::from)
        }))
    }

    /// Finds out what a restore would take from the existing cluster and what it would write.
    #[napi]
    pub fn compare(
        &self,
        options: BindingRestoreOptions,
        job: &NativeJob,
    ) -> napi::Result<AsyncTask<Task<BindingReuse>>> {
        let order = RestoreOptions::try_from(&options).map_err(|error| crate::error::to_napi(&error))?;
        let (chain, job) = (Arc::clone(&self.chain), Arc::clone(&job.job));
        Ok(Task::start(move || {
            compare(&chain, &order, &job).map(BindingReuse::from)
        }))
    }
}

//! Receiving a base backup, for JavaScript.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::Env;
use napi::bindgen_prelude::{AsyncTask, Buffer, Object};
use napi_derive::napi;
use pgmoneta_core::cipher::{CipherMode, MasterSecret};
use pgmoneta_core::codec::{Codec, CodecSpec};
use pgmoneta_core::digest::DigestKind;
use pgmoneta_core::manifest::WalRange;
use pgmoneta_core::manifest::text::format_lsn;
use pgmoneta_core::receive::{
    self, BlockShape, DEFAULT_BUDGET, Finished, LinkOptions, Options, Progress, Received, Receiver, Sealing,
    Watch,
};
use pgmoneta_core::restore::{Chain, ChainOptions, Keys};
use pgmoneta_core::rollup::{RollUpReport, roll_up};
use pgmoneta_core::{Code, Error, Result};

use crate::error::to_napi;
use crate::restore::{BindingKeys, NativeJob};
use crate::task::Job;

/// How stored files are sealed.
#[napi(object)]
pub struct BindingCipher {
    pub mode: String,
    pub master_secret: Buffer,
}

/// The backup whose unchanged files are linked.
#[napi(object)]
pub struct BindingLink {
    pub directory: String,
    pub label: String,
}

/// How relations are cut into files and blocks.
#[napi(object)]
pub struct BindingBlockShape {
    pub block_size: u32,
    pub relseg_size: u32,
}

impl TryFrom<BindingBlockShape> for BlockShape {
    type Error = Error;

    fn try_from(shape: BindingBlockShape) -> Result<Self> {
        let BindingBlockShape {
            block_size,
            relseg_size,
        } = shape;
        if !(512..=1 << 20).contains(&block_size) || relseg_size == 0 || relseg_size == u32::MAX {
            let message = format!("no cluster has files of {relseg_size} blocks of {block_size} bytes");
            return Err(Error::new(Code::Usage, message));
        }
        Ok(Self {
            block_size,
            relseg_size,
        })
    }
}

/// Options of a receiver.
#[napi(object)]
pub struct BindingReceiverOptions {
    pub directory: String,
    pub codec: String,
    pub level: i32,
    pub cipher: Option<BindingCipher>,
    pub workers: u32,
    pub budget: Option<f64>,
    pub manifest_checksums: String,
    pub server_compression: Option<String>,
    pub link: Option<BindingLink>,
    pub incremental: Option<BindingBlockShape>,
}

impl TryFrom<BindingReceiverOptions> for Options {
    type Error = Error;

    fn try_from(options: BindingReceiverOptions) -> Result<Self> {
        if !(1..=1024).contains(&options.workers) {
            let message = format!("a receiver has 1 to 1024 workers, not {}", options.workers);
            return Err(Error::new(Code::Usage, message));
        }
        let sealing = options.cipher.map(|cipher| {
            let mode = CipherMode::from_name(&cipher.mode)?;
            Ok(Sealing {
                mode,
                secret: MasterSecret::from_slice(&cipher.master_secret)?,
            })
        });
        let manifest = match options.manifest_checksums.as_str() {
            "none" => None,
            name => Some(DigestKind::from_name(name)?),
        };
        let server_codec = options
            .server_compression
            .as_deref()
            .map(Codec::from_name)
            .transpose()?;
        Ok(Self {
            directory: PathBuf::from(options.directory),
            spec: CodecSpec::new(Codec::from_name(&options.codec)?, options.level),
            sealing: sealing.transpose()?,
            workers: options.workers as usize,
            budget: options.budget.map_or(DEFAULT_BUDGET, |bytes| bytes as usize),
            manifest,
            server_codec: server_codec.filter(|codec| *codec != Codec::None),
            link: options.link.map(|link| LinkOptions {
                directory: link.directory.into(),
                label: link.label,
            }),
            incremental: options.incremental.map(BlockShape::try_from).transpose()?,
        })
    }
}

/// A tablespace whose archive begins.
#[napi(object)]
pub struct BindingTablespace {
    pub oid: String,
    pub name: String,
}

/// Counters of a receiver.
#[napi(object)]
pub struct BindingReceiverProgress {
    pub received_bytes: i64,
    pub plain_bytes: i64,
    pub stored_bytes: i64,
    pub files: i64,
    pub linked_files: i64,
    pub linked_bytes: i64,
}

impl From<Progress> for BindingReceiverProgress {
    fn from(progress: Progress) -> Self {
        Self {
            received_bytes: number(progress.received_bytes),
            plain_bytes: number(progress.plain_bytes),
            stored_bytes: number(progress.stored_bytes),
            files: number(progress.files),
            linked_files: number(progress.linked_files),
            linked_bytes: number(progress.linked_bytes),
        }
    }
}

/// WAL that a backup needs.
#[napi(object)]
pub struct BindingWalRange {
    pub timeline: u32,
    pub start_lsn: String,
    pub end_lsn: String,
}

impl From<&WalRange> for BindingWalRange {
    fn from(range: &WalRange) -> Self {
        Self {
            timeline: range.timeline,
            start_lsn: format_lsn(range.start),
            end_lsn: format_lsn(range.end),
        }
    }
}

/// What was received.
#[napi(object)]
pub struct BindingReceived {
    pub files: i64,
    pub plain_bytes: i64,
    pub stored_bytes: i64,
    pub biggest_file: i64,
    pub backup_size: i64,
    pub restore_size: i64,
    pub tablespace_backup_size: i64,
    pub tablespace_restore_size: i64,
    pub wal_files: Vec<String>,
    pub backup_label: String,
    pub incremental_files: i64,
    pub linked_files: i64,
    pub linked_bytes: i64,
    pub link_refused: Option<String>,
    pub system_identifier: Option<String>,
    pub wal_ranges: Vec<BindingWalRange>,
    pub pg_control: Buffer,
}

impl From<Received> for BindingReceived {
    fn from(received: Received) -> Self {
        Self {
            files: number(received.files),
            plain_bytes: number(received.plain_bytes),
            stored_bytes: number(received.stored_bytes),
            biggest_file: number(received.biggest_file),
            backup_size: number(received.backup_size),
            restore_size: number(received.restore_size),
            tablespace_backup_size: number(received.tablespace_backup_size),
            tablespace_restore_size: number(received.tablespace_restore_size),
            wal_ranges: received.wal_ranges.iter().map(BindingWalRange::from).collect(),
            wal_files: received.wal_files,
            backup_label: received.backup_label,
            incremental_files: number(received.incremental_files),
            linked_files: number(received.linked_files),
            linked_bytes: number(received.linked_bytes),
            link_refused: received.link_refused,
            system_identifier: received
                .system_identifier
                .map(|identifier| identifier.to_string()),
            pg_control: received.pg_control.into(),
        }
    }
}

/// What was finished.
#[napi(object)]
pub struct BindingFinished {
    pub files: i64,
    /// Seconds.
    pub lists_elapsed: f64,
    /// Seconds.
    pub sync_elapsed: f64,
}

impl From<Finished> for BindingFinished {
    fn from(finished: Finished) -> Self {
        Self {
            files: number(finished.files),
            lists_elapsed: finished.lists.as_secs_f64(),
            sync_elapsed: finished.sync.as_secs_f64(),
        }
    }
}

/// What was rolled up.
#[napi(object)]
pub struct BindingRollUpReport {
    pub files: i64,
    pub bytes: i64,
    pub combined: i64,
    pub warnings: Vec<String>,
}

impl From<RollUpReport> for BindingRollUpReport {
    fn from(report: RollUpReport) -> Self {
        Self {
            files: number(report.files),
            bytes: number(report.bytes),
            combined: number(report.combined),
            warnings: report.warnings,
        }
    }
}

/// The receiver, and a handle that works while the receiver is busy on another thread.
#[napi(js_name = "NativeReceiver")]
pub struct BindingReceiver {
    receiver: Arc<Mutex<Receiver>>,
    watch: Watch,
    busy: Arc<AtomicBool>,
}

#[napi]
impl BindingReceiver {
    #[napi(constructor)]
    pub fn new(options: BindingReceiverOptions) -> napi::Result<Self> {
        let made = Options::try_from(options).and_then(Receiver::new);
        let receiver = made.map_err(|error| to_napi(&error))?;
        let watch = receiver.watch();
        Ok(Self {
            receiver: Arc::new(Mutex::new(receiver)),
            watch,
            busy: Arc::new(AtomicBool::new(false)),
        })
    }

    /// The archive of a tablespace begins, or with `null` that of the data directory.
    #[napi]
    pub fn begin_archive(&self, tablespace: Option<BindingTablespace>) -> napi::Result<()> {
        let named = tablespace
            .as_ref()
            .map(|tablespace| (tablespace.oid.as_str(), tablespace.name.as_str()));
        self.now(|receiver| receiver.begin_archive(named))
    }

    /// Takes the next bytes; `false` asks to wait for `drained`.
    #[napi]
    pub fn push(&self, chunk: &[u8]) -> napi::Result<bool> {
        self.now(|receiver| receiver.push(chunk))
    }

    /// Resolves when less than half of the budget is in flight, or when the receiver has failed.
    #[napi(ts_return_type = "Promise<void>")]
    pub fn drained<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (deferred, promise) = env.create_deferred::<(), fn(Env) -> napi::Result<()>>()?;
        self.watch
            .on_drained(Box::new(move || deferred.resolve(|_| Ok(()))));
        Ok(promise)
    }

    /// The archive is complete.
    #[napi]
    pub fn end_archive(&self) -> napi::Result<()> {
        self.now(Receiver::end_archive)
    }

    /// Takes the next bytes of PostgreSQL's manifest.
    #[napi]
    pub fn push_manifest(&self, chunk: &[u8]) -> napi::Result<()> {
        self.now(|receiver| receiver.push_manifest(chunk))
    }

    /// Counters at this moment.
    #[napi]
    pub fn progress(&self) -> BindingReceiverProgress {
        self.watch.progress().into()
    }

    /// Takes the image of a chain of backups, newest first, in place of what a server sends.
    #[napi]
    pub fn roll_up(
        &self,
        directories: Vec<String>,
        keys: BindingKeys,
        allow_mixed_checksums: bool,
        job: &NativeJob,
    ) -> napi::Result<AsyncTask<Job<BindingRollUpReport>>> {
        let keys = Keys::try_from(keys).map_err(|error| to_napi(&error))?;
        let options = ChainOptions {
            allow_mixed_checksums,
            roll_up: true,
        };
        let job = Arc::clone(&job.job);
        Ok(self.later(move |receiver| {
            let chain = Chain::open(&directories, &keys, options)?;
            roll_up(&chain, receiver, &job).map(BindingRollUpReport::from)
        }))
    }

    /// Waits for the threads and compares everything with PostgreSQL's manifest.
    #[napi]
    pub fn check(&self) -> AsyncTask<Job<BindingReceived>> {
        self.later(|receiver| receiver.check().map(BindingReceived::from))
    }

    /// Writes the lists and makes everything durable.
    #[napi]
    pub fn finish(&self, header: String, info: String) -> AsyncTask<Job<BindingFinished>> {
        self.later(move |receiver| receiver.finish(&header, &info).map(BindingFinished::from))
    }

    /// Stops everything, even a running check, and removes what was made.
    #[napi]
    pub fn abort(&self) -> AsyncTask<Job<()>> {
        self.watch.cancel();
        self.later(Receiver::abort)
    }
}

impl BindingReceiver {
    /// A call that answers at once. It is refused while a check or finish runs, which it would have to wait for.
    fn now<T>(&self, work: impl FnOnce(&mut Receiver) -> Result<T>) -> napi::Result<T> {
        if self.busy.load(Ordering::Acquire) {
            let error = Error::new(Code::Usage, "the receiver is being checked, finished or given up");
            return Err(to_napi(&error));
        }
        work(&mut lock(&self.receiver)).map_err(|error| to_napi(&error))
    }

    fn later<T>(&self, mut work: impl FnMut(&mut Receiver) -> Result<T> + Send + 'static) -> AsyncTask<Job<T>>
    where
        T: Send + napi::bindgen_prelude::ToNapiValue + napi::bindgen_prelude::TypeName + 'static,
    {
        self.busy.store(true, Ordering::Release);
        let receiver = Arc::clone(&self.receiver);
        Job::start(move || work(&mut lock(&receiver)))
    }
}

/// The directory of a tablespace beside `data/`.
#[napi]
pub fn tablespace_directory(name: String) -> String {
    receive::tablespace_directory(&name)
}

fn lock(receiver: &Mutex<Receiver>) -> MutexGuard<'_, Receiver> {
    receiver.lock().unwrap_or_else(PoisonError::into_inner)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

//! Writing received WAL and keeping finished segments, for JavaScript.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi::bindgen_prelude::{AsyncTask, BigInt, Buffer, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode;
use napi_derive::napi;
use pgmoneta_core::cipher::{CipherMode, MasterSecret};
use pgmoneta_core::codec::{Codec, CodecSpec};
use pgmoneta_core::wal::{Lsn, SegmentWriterOptions, StoreOptions, WalWriter, WriterEvent, store_segment};
use pgmoneta_core::{Code, Error, Result};

use crate::error::to_napi;
use crate::task::Job;

/// Options of a writer.
#[napi(object)]
pub struct BindingWalWriterOptions {
    pub directory: String,
    pub timeline: u32,
    pub segment_size: u32,
    pub page_size: u32,
    pub start: BigInt,
    pub budget: u32,
}

/// What a writer reports: either `durable` with the others, or `drained`, or `failure` (an error as JSON).
#[napi(object)]
pub struct BindingWalEvent {
    pub written: Option<BigInt>,
    pub durable: Option<BigInt>,
    pub finished: Vec<String>,
    pub drained: bool,
    pub failure: Option<String>,
}

impl From<WriterEvent> for BindingWalEvent {
    fn from(event: WriterEvent) -> Self {
        let nothing = Self {
            written: None,
            durable: None,
            finished: Vec::new(),
            drained: false,
            failure: None,
        };
        match event {
            WriterEvent::Durable {
                written,
                durable,
                finished,
            } => Self {
                written: Some(written.0.into()),
                durable: Some(durable.0.into()),
                finished,
                ..nothing
            },
            WriterEvent::Drained => Self {
                drained: true,
                ..nothing
            },
            WriterEvent::Failed(error) => Self {
                failure: Some(error.to_json()),
                ..nothing
            },
        }
    }
}

/// A writer with its thread.
#[napi(js_name = "NativeWalWriter")]
pub struct BindingWalWriter {
    writer: Arc<Mutex<WalWriter>>,
}

#[napi]
impl BindingWalWriter {
    #[napi(constructor)]
    pub fn new(
        options: BindingWalWriterOptions,
        report: Function<BindingWalEvent, ()>,
    ) -> napi::Result<Self> {
        // Weak: a writer by itself keeps no process alive.
        let report = report
            .build_threadsafe_function()
            .weak::<true>()
            .callee_handled::<false>()
            .build()?;
        let start = lsn(&options.start).map_err(|error| to_napi(&error))?;
        let writer = WalWriter::start(
            SegmentWriterOptions {
                directory: PathBuf::from(options.directory),
                timeline: options.timeline,
                segment_size: options.segment_size,
                page_size: options.page_size,
                start,
            },
            options.budget as usize,
            Box::new(move |event| {
                report.call(event.into(), ThreadsafeFunctionCallMode::NonBlocking);
            }),
        );
        Ok(Self {
            writer: Arc::new(Mutex::new(writer.map_err(|error| to_napi(&error))?)),
        })
    }

    /// Takes the bytes that follow; `false` asks to wait until `drained` is reported.
    #[napi]
    pub fn push(&self, bytes: &[u8]) -> bool {
        lock(&self.writer).push(bytes)
    }

    /// Writes and syncs what waits; gives the last durable position.
    #[napi]
    pub fn close(&self) -> AsyncTask<Job<BigInt>> {
        let writer = Arc::clone(&self.writer);
        Job::start(move || lock(&writer).close().map(|lsn| lsn.0.into()))
    }

    /// Drops what waits.
    #[napi]
    pub fn abandon(&self) -> AsyncTask<Job<()>> {
        let writer = Arc::clone(&self.writer);
        Job::start(move || {
            lock(&writer).abandon();
            Ok(())
        })
    }
}

/// How a segment is kept.
#[napi(object)]
pub struct BindingStoreOptions {
    pub codec: String,
    pub level: i32,
    pub cipher: Option<String>,
    pub master_secret: Option<Buffer>,
}

impl TryFrom<BindingStoreOptions> for StoreOptions {
    type Error = Error;

    fn try_from(options: BindingStoreOptions) -> Result<Self> {
        let sealing = match (options.cipher, options.master_secret) {
            (None, _) => None,
            (Some(cipher), Some(secret)) => Some((
                CipherMode::from_name(&cipher)?,
                MasterSecret::from_slice(&secret)?,
            )),
            (Some(_), None) => {
                return Err(Error::new(Code::Usage, "sealing a segment needs a master secret"));
            }
        };
        Ok(Self {
            spec: CodecSpec::new(Codec::from_name(&options.codec)?, options.level),
            sealing,
        })
    }
}

/// A segment in its kept form.
#[napi(object)]
pub struct BindingStoredForm {
    pub path: String,
    pub plain_size: i64,
    pub stored_size: i64,
}

/// Replaces a plain segment by its kept form.
#[napi]
pub fn store_wal_segment(
    plain: String,
    options: BindingStoreOptions,
) -> napi::Result<AsyncTask<Job<BindingStoredForm>>> {
    let options = StoreOptions::try_from(options).map_err(|error| to_napi(&error))?;
    Ok(Job::start(move || {
        let stored = store_segment(&PathBuf::from(&plain), &options)?;
        Ok(BindingStoredForm {
            path: stored.path.to_string_lossy().into_owned(),
            plain_size: i64::try_from(stored.plain_size).unwrap_or(i64::MAX),
            stored_size: i64::try_from(stored.stored_size).unwrap_or(i64::MAX),
        })
    }))
}

/// A position as JavaScript gives it.
pub fn lsn(value: &BigInt) -> Result<Lsn> {
    match value.get_u64() {
        (false, lsn, true) => Ok(Lsn(lsn)),
        _ => Err(Error::new(
            Code::Usage,
            "a WAL position is a whole number of 64 bits",
        )),
    }
}

fn lock(writer: &Mutex<WalWriter>) -> MutexGuard<'_, WalWriter> {
    writer.lock().unwrap_or_else(PoisonError::into_inner)
}

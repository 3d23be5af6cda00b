//! Writing one large stored file from a stream, for JavaScript.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use pgmoneta_core::cipher::{CipherMode, MasterSecret};
use pgmoneta_core::codec::{Codec, CodecSpec};
use pgmoneta_core::digest::to_hex;
use pgmoneta_core::receive::Sealing;
use pgmoneta_core::stored::{StoredFileOptions, StoredFileWriter};
use pgmoneta_core::{Code, Error, Result};

use crate::error::to_napi;
use crate::receiver::BindingCipher;
use crate::task::Job;

/// A file to be written.
#[napi(object)]
pub struct BindingStoredFileOptions {
    pub path: String,
    pub codec: String,
    pub level: i32,
    pub cipher: Option<BindingCipher>,
    pub workers: u32,
}

impl TryFrom<BindingStoredFileOptions> for StoredFileOptions {
    type Error = Error;

    fn try_from(options: BindingStoredFileOptions) -> Result<Self> {
        if !(1..=1024).contains(&options.workers) {
            let message = format!("a stored file has 1 to 1024 workers, not {}", options.workers);
            return Err(Error::new(Code::Usage, message));
        }
        let sealing = options.cipher.map(|cipher| {
            Ok(Sealing {
                mode: CipherMode::from_name(&cipher.mode)?,
                secret: MasterSecret::from_slice(&cipher.master_secret)?,
            })
        });
        Ok(Self {
            path: PathBuf::from(options.path),
            spec: CodecSpec::new(Codec::from_name(&options.codec)?, options.level),
            sealing: sealing.transpose()?,
            workers: options.workers as usize,
        })
    }
}

/// A file that is complete, read back and durable.
#[napi(object)]
pub struct BindingStoredFileReport {
    pub plain_size: i64,
    pub stored_size: i64,
    pub sha512: String,
}

type Slot = Arc<Mutex<Option<StoredFileWriter>>>;

/// The file while it is written.
#[napi(js_name = "NativeStoredFile")]
pub struct BindingStoredFile(Slot);

#[napi]
impl BindingStoredFile {
    #[napi(constructor)]
    pub fn new(options: BindingStoredFileOptions) -> napi::Result<Self> {
        let made = StoredFileOptions::try_from(options).and_then(StoredFileWriter::create);
        let writer = made.map_err(|error| to_napi(&error))?;
        Ok(Self(Arc::new(Mutex::new(Some(writer)))))
    }

    /// Takes the next plain bytes. The buffer is not to be changed before the promise settles.
    #[napi]
    pub fn push(&self, chunk: Buffer) -> AsyncTask<Job<()>> {
        let slot = Arc::clone(&self.0);
        Job::start(move || match &mut *lock(&slot) {
            Some(writer) => writer.push(&chunk),
            None => Err(over()),
        })
    }

    /// The stream is complete: makes the file durable and reads it back.
    #[napi]
    pub fn finish(&self) -> AsyncTask<Job<BindingStoredFileReport>> {
        let slot = Arc::clone(&self.0);
        Job::start(move || {
            let writer = lock(&slot).take().ok_or_else(over)?;
            let report = writer.finish()?;
            let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
            Ok(BindingStoredFileReport {
                plain_size: number(report.plain_size),
                stored_size: number(report.stored_size),
                sha512: to_hex(&report.sha512),
            })
        })
    }

    /// Gives the file up; what was written of it stays.
    #[napi]
    pub fn abort(&self) -> AsyncTask<Job<()>> {
        let slot = Arc::clone(&self.0);
        Job::start(move || {
            drop(lock(&slot).take());
            Ok(())
        })
    }
}

fn over() -> Error {
    Error::new(Code::Usage, "the stored file was finished or given up already")
}

fn lock(slot: &Slot) -> std::sync::MutexGuard<'_, Option<StoredFileWriter>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Codecs for JavaScript: files in place, and messages of the management link.

use std::path::Path;

use napi::Task;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use pgmoneta_core::codec::file::{compress_file, decompress_file};
use pgmoneta_core::codec::payload::{compress_payload, decompress_payload};
use pgmoneta_core::codec::{Codec, CodecSpec, Replaced};
use pgmoneta_core::{Code, Error, Result};

use crate::error::to_napi;

/// What took the place of a file.
#[napi(object)]
pub struct BindingReplaced {
    /// Path of the new file.
    pub destination: String,
    /// Bytes of the file that is gone.
    pub source_size: i64,
    /// Bytes of the new file.
    pub destination_size: i64,
}

impl From<Replaced> for BindingReplaced {
    fn from(replaced: Replaced) -> Self {
        Self {
            destination: replaced.destination.to_string_lossy().into_owned(),
            source_size: i64::try_from(replaced.source_size).unwrap_or(i64::MAX),
            destination_size: i64::try_from(replaced.destination_size).unwrap_or(i64::MAX),
        }
    }
}

/// Work on a thread of the pool, once.
pub struct FileTask(Box<dyn FnMut() -> Result<Replaced> + Send>);

impl FileTask {
    pub(crate) fn start(work: impl FnMut() -> Result<Replaced> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Box::new(work)))
    }
}

impl Task for FileTask {
    type Output = BindingReplaced;
    type JsValue = BindingReplaced;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        (self.0)()
            .map(BindingReplaced::from)
            .map_err(|error| to_napi(&error))
    }

    fn resolve(&mut self, _: napi::Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(output)
    }
}

/// Work on a thread of the pool that gives bytes.
pub struct BytesTask(Box<dyn FnMut() -> Result<Vec<u8>> + Send>);

impl BytesTask {
    pub(crate) fn start(work: impl FnMut() -> Result<Vec<u8>> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Box::new(work)))
    }
}

impl Task for BytesTask {
    type Output = Vec<u8>;
    type JsValue = Buffer;

    fn compute(&mut self) -> napi::Result<Self::Output> {
        (self.0)().map_err(|error| to_napi(&error))
    }

    fn resolve(&mut self, _: napi::Env, output: Self::Output) -> napi::Result<Self::JsValue> {
        Ok(output.into())
    }
}

/// Replaces a file by itself compressed; `codec` is `gzip`, `zstd`, `lz4` or `bzip2`.
#[napi(js_name = "compressFile")]
pub fn start_compress_file(source: String, codec: String, level: i32) -> AsyncTask<FileTask> {
    FileTask::start(move || {
        compress_file(
            Path::new(&source),
            CodecSpec::new(Codec::from_name(&codec)?, level),
        )
    })
}

/// Replaces a file by itself decompressed.
#[napi(js_name = "decompressFile")]
pub fn start_decompress_file(source: String) -> AsyncTask<FileTask> {
    FileTask::start(move || decompress_file(Path::new(&source)))
}

/// Compresses a message; `code` is the compression byte of the management link.
#[napi(js_name = "compressPayload")]
pub fn start_compress_payload(code: u32, plain: Buffer, limit: f64) -> AsyncTask<BytesTask> {
    BytesTask::start(move || compress_payload(link_codec(code)?, &plain, size(limit)?))
}

/// Decompresses a message; `code` is the compression byte of the management link.
#[napi(js_name = "decompressPayload")]
pub fn start_decompress_payload(code: u32, packed: Buffer, limit: f64) -> AsyncTask<BytesTask> {
    BytesTask::start(move || decompress_payload(link_codec(code)?, &packed, size(limit)?))
}

fn link_codec(code: u32) -> Result<Codec> {
    Codec::from_link_code(code).ok_or_else(|| {
        Error::new(
            Code::Usage,
            format!("unknown compression code {code}; 0 to 4 are known"),
        )
    })
}

fn size(limit: f64) -> Result<usize> {
    if (0.0..=9_007_199_254_740_991.0).contains(&limit) {
        return Ok(limit as usize);
    }
    Err(Error::new(
        Code::Usage,
        format!("a limit of {limit} bytes is not possible"),
    ))
}

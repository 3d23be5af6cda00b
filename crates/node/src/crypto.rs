//! Keys, sealed blobs and encrypted files for JavaScript.

use std::path::Path;

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use pgmoneta_core::Result;
use pgmoneta_core::cipher::file::{decrypt_file, encrypt_file};
use pgmoneta_core::cipher::{CipherMode, MasterSecret, legacy_open, open_blob, seal_blob};

use crate::codec::{BytesTask, FileTask};
use crate::error::to_napi;

/// Derives the 64-byte master secret on a thread: half a second of work.
#[napi(js_name = "deriveMasterSecret")]
pub fn start_derive_master_secret(password: Buffer, salt: Buffer) -> AsyncTask<BytesTask> {
    BytesTask::start(move || Ok(MasterSecret::derive(&password, &salt).as_bytes().to_vec()))
}

/// Seals bytes in memory, at once.
#[napi(js_name = "sealBlob")]
pub fn seal_blob_now(mode: String, master_secret: Buffer, plain: Buffer) -> napi::Result<Buffer> {
    seal(&mode, &master_secret, &plain)
        .map(Buffer::from)
        .map_err(|error| to_napi(&error))
}

/// Opens sealed bytes in memory, at once.
#[napi(js_name = "openBlob")]
pub fn open_blob_now(mode: String, master_secret: Buffer, sealed: Buffer) -> napi::Result<Buffer> {
    open(&mode, &master_secret, &sealed)
        .map(Buffer::from)
        .map_err(|error| to_napi(&error))
}

/// Opens a vault entry of 0.20 or before, at once.
#[napi(js_name = "openLegacyBlob")]
pub fn open_legacy_blob_now(password: Buffer, sealed: Buffer) -> napi::Result<Buffer> {
    legacy_open(&password, &sealed)
        .map(|plain| Buffer::from(plain.to_vec()))
        .map_err(|error| to_napi(&error))
}

/// Replaces a file by itself encrypted.
#[napi(js_name = "encryptFile")]
pub fn start_encrypt_file(source: String, mode: String, master_secret: Buffer) -> AsyncTask<FileTask> {
    FileTask::start(move || {
        let secret = MasterSecret::from_slice(&master_secret)?;
        encrypt_file(Path::new(&source), CipherMode::from_name(&mode)?, &secret)
    })
}

/// Replaces a file by itself decrypted; without a mode it is found out by trial.
#[napi(js_name = "decryptFile")]
pub fn start_decrypt_file(
    source: String,
    master_secret: Buffer,
    mode: Option<String>,
) -> AsyncTask<FileTask> {
    FileTask::start(move || {
        let secret = MasterSecret::from_slice(&master_secret)?;
        let mode = mode.as_deref().map(CipherMode::from_name).transpose()?;
        decrypt_file(Path::new(&source), &secret, mode)
    })
}

fn seal(mode: &str, secret: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
    seal_blob(
        CipherMode::from_name(mode)?,
        &MasterSecret::from_slice(secret)?,
        plain,
    )
}

fn open(mode: &str, secret: &[u8], sealed: &[u8]) -> Result<Vec<u8>> {
    let plain = open_blob(
        CipherMode::from_name(mode)?,
        &MasterSecret::from_slice(secret)?,
        sealed,
    )?;
    Ok(plain.to_vec())
}

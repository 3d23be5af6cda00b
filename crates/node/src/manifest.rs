//! Small looks into a backup, for JavaScript: the control file, the header of `backup.json`, one line of the hash list.

use std::path::Path;

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use pgmoneta_core::block::{ControlFile, read_control};
use pgmoneta_core::digest::from_hex;
use pgmoneta_core::manifest::text::format_lsn;
use pgmoneta_core::manifest::{BackupJsonReader, check_stored_manifest, replace_hash_line};
use pgmoneta_core::{Code, Error};

use crate::error::to_napi;
use crate::receiver::BindingWalRange;
use crate::task::Job as Task;

/// What a control file says.
#[napi(object)]
pub struct BindingControl {
    pub system_identifier: String,
    pub control_version: u32,
    pub catalog_version: u32,
    pub major_version: Option<u32>,
    pub state: u32,
    pub checkpoint_lsn: String,
    pub redo_lsn: String,
    pub timeline: u32,
    pub previous_timeline: u32,
    pub min_recovery_lsn: String,
    pub min_recovery_timeline: u32,
    pub backup_start_lsn: String,
    pub backup_end_lsn: String,
    pub backup_end_required: bool,
    pub wal_level: i32,
    pub block_size: u32,
    pub relseg_size: u32,
    pub wal_block_size: u32,
    pub wal_segment_size: u32,
    pub data_checksum_version: u32,
}

impl From<ControlFile> for BindingControl {
    fn from(control: ControlFile) -> Self {
        Self {
            system_identifier: control.system_identifier.to_string(),
            control_version: control.control_version,
            catalog_version: control.catalog_version,
            major_version: control.major_version(),
            state: control.state,
            checkpoint_lsn: format_lsn(control.checkpoint),
            redo_lsn: format_lsn(control.redo),
            timeline: control.timeline,
            previous_timeline: control.previous_timeline,
            min_recovery_lsn: format_lsn(control.min_recovery_point),
            min_recovery_timeline: control.min_recovery_timeline,
            backup_start_lsn: format_lsn(control.backup_start),
            backup_end_lsn: format_lsn(control.backup_end),
            backup_end_required: control.backup_end_required,
            wal_level: control.wal_level,
            block_size: control.block_size,
            relseg_size: control.relseg_size,
            wal_block_size: control.wal_block_size,
            wal_segment_size: control.wal_segment_size,
            data_checksum_version: control.data_checksum_version,
        }
    }
}

/// Reads a control file.
#[napi(js_name = "readPgControl")]
pub fn read_pg_control(bytes: Buffer) -> napi::Result<BindingControl> {
    read_control(&bytes)
        .map(BindingControl::from)
        .map_err(|error| to_napi(&error))
}

/// The `Backup` object of the `backup.json` in `directory`, as JSON text.
#[napi(js_name = "readBackupHeader")]
pub fn read_backup_header(directory: String) -> AsyncTask<Task<String>> {
    Task::start(move || {
        let reader = BackupJsonReader::open(&Path::new(&directory).join("backup.json"))?;
        Ok(reader.header_text().to_owned())
    })
}

/// What the `backup_manifest` of a stored backup says beside its files.
#[napi(object)]
pub struct BindingStoredManifest {
    pub system_identifier: Option<String>,
    pub files: i64,
    /// Newest timeline first.
    pub wal_ranges: Vec<BindingWalRange>,
}

/// Proves that the `backup_manifest` of the backup in `directory` is what was stored, and tells what it says.
#[napi(js_name = "checkStoredManifest")]
pub fn start_check_stored_manifest(directory: String) -> AsyncTask<Task<BindingStoredManifest>> {
    Task::start(move || {
        let summary = check_stored_manifest(Path::new(&directory))?;
        Ok(BindingStoredManifest {
            system_identifier: summary.system_identifier.map(|identifier| identifier.to_string()),
            files: i64::try_from(summary.files).unwrap_or(i64::MAX),
            wal_ranges: summary.wal_ranges.iter().map(BindingWalRange::from).collect(),
        })
    })
}

/// Replaces the line of one file in a `backup.sha512`, durably. `path` is relative to the directory of the backup.
#[napi(js_name = "replaceHashLine")]
pub fn start_replace_hash_line(list: String, path: String, sha512: String) -> AsyncTask<Task<bool>> {
    Task::start(move || {
        let digest = from_hex(sha512.as_bytes()).and_then(|bytes| bytes.try_into().ok());
        let digest =
            digest.ok_or_else(|| Error::new(Code::Usage, format!("\"{sha512}\" is not a SHA-512 digest")))?;
        replace_hash_line(Path::new(&list), path.as_bytes(), &digest)?;
        Ok(true)
    })
}

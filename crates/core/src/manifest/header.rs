//! The `Backup` object of `backup.json`: facts of a backup that `backup.info` has no place for.

use super::text;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A tablespace of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tablespace {
    /// Decimal OID.
    pub oid: String,
    /// Its name; the directory beside `data/` is `tblspc_<name>`.
    pub name: String,
    /// Where it was on the server.
    pub path: String,
}

/// Facts of a backup. Keys that this release does not know are kept in `other`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BackupHeader {
    pub label: String,
    pub server: String,
    /// Decimal; a string because it exceeds what JavaScript's numbers hold.
    pub system_identifier: String,
    pub major_version: u32,
    /// `X/X`.
    pub start_lsn: String,
    /// `X/X`.
    pub end_lsn: String,
    pub start_timeline: u32,
    pub end_timeline: u32,
    /// ISO 8601, UTC.
    pub start_time: String,
    /// ISO 8601, UTC.
    pub stop_time: String,
    /// Canonical word of the setting, for example `client-zstd`.
    pub compression: String,
    pub compression_level: i32,
    /// Canonical word of the setting, for example `aes-256-gcm`.
    pub encryption: String,
    /// Canonical word of the setting, for example `crc32c`.
    pub manifest_checksums: String,
    pub block_size: u32,
    pub relseg_size: u32,
    pub wal_segment_size: u64,
    pub product_version: String,
    pub tablespaces: Vec<Tablespace>,
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl BackupHeader {
    /// The start LSN as a number.
    #[must_use]
    pub fn start(&self) -> Option<u64> {
        text::parse_lsn(&self.start_lsn)
    }
}

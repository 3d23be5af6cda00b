//! The lists of files that travel with a backup, each read and written as a stream with limits:
//!
//! | File | Reader | Writer |
//! |---|---|---|
//! | `data/backup_manifest`, PostgreSQL's own | [`PgManifestReader`] | [`PgManifestWriter`] |
//! | `backup.json`, ours | [`BackupJsonReader`] | [`BackupJsonWriter`] |
//! | `backup.sha512`, digests of the stored bytes | [`HashListReader`] | [`HashListWriter`], [`replace_hash_line`] |
//! | `backup.manifest`, digests of the plain bytes | [`PlainListReader`] | [`PlainListWriter`] |
//!
//! Paths are bytes, relative, and cleaned by [`text::clean_path`]: no reader gives out a path that leaves its root.

mod backup_json;
mod hash_list;
mod header;
mod lines;
mod plain_list;
mod postgres;
mod postgres_writer;
mod stored_manifest;
pub mod text;
mod tokens;

pub use backup_json::{
    BackupJsonReader, BackupJsonWriter, BackupRecord, MAX_PIECES, PIECE, StoredFile, read_file_record,
};
pub use hash_list::{HashLine, HashListReader, HashListWriter, replace_hash_line};
pub use header::{BackupHeader, Tablespace};
pub use plain_list::{PlainLine, PlainListReader, PlainListWriter};
pub use postgres::{ChecksumAlgorithm, ManifestFile, ManifestSummary, PgManifestReader, WalRange};
pub use postgres_writer::PgManifestWriter;
pub use stored_manifest::check_stored_manifest;

//! The Node addon: each file converts the arguments of one capability and calls `pgmoneta_core`.

// In a test build napi exports nothing, so that nothing seems to be used.
#![cfg_attr(test, allow(dead_code, unused_imports))]

mod codec;
mod crypto;
mod error;
mod fs;
mod manifest;
mod receiver;
mod restore;
mod stored;
mod system;
mod task;
mod verify;
mod wal_link;
mod wal_scan;
mod wal_survey;
mod wal_writer;

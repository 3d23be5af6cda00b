//! The Node addon: each file converts the arguments of one capability and calls `pgmoneta_core`.

mod codec;
mod crypto;
mod error;
mod fs;
mod manifest;
mod receiver;
mod restore;
mod system;
mod task;
mod verify;

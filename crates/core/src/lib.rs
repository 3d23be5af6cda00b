//! The work on bytes of pgmoneta. Nothing in this crate knows Node.

pub mod block;
pub mod cipher;
pub mod codec;
pub mod digest;
pub mod error;
pub mod fs;
pub mod manifest;
pub mod receive;
pub mod restore;
pub mod rollup;
pub mod stored;
pub mod tar;
pub mod verify;
pub mod wal;

pub use error::{Code, Error, Result};

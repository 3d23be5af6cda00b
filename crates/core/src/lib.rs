//! The work on bytes of pgmoneta. Nothing in this crate knows Node.

pub mod cipher;
pub mod codec;
pub mod digest;
pub mod error;
pub mod manifest;
pub mod fs;
pub mod tar;

pub use error::{Code, Error, Result};

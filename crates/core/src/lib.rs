//! The work on bytes of pgmoneta. Nothing in this crate knows Node.

pub mod error;

pub use error::{Code, Error, Result};

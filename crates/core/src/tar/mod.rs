//! Reading tar archives as they arrive, without any I/O: bytes go in, members and slices of their data come out.
//!
//! Understood: ustar, pax headers (`path`, `linkpath`, `size`, also global ones), GNU long names and base-256
//! numbers. PostgreSQL's base backups are plain ustar, with or without the two zero blocks at the end.

mod demuxer;
mod header;
mod name;
mod pax;
#[cfg(test)]
pub(crate) mod testing;

pub use demuxer::{Demuxer, Sink};
pub use header::{BLOCK, Kind, Member};
pub use name::MAX_PATH;

//! Receiving a base backup in one pass: the archives of the server go in, and durable, compressed, sealed and hashed
//! files come out, checked against PostgreSQL's manifest.
//!
//! ```text
//! push -> [decode] -> demultiplex -> small files in batches, large files in frames     (the sender's thread)
//!                                      |  digest, encode                               (any worker, any order)
//!                                      v  assemble, seal, hash, write                  (one lane a file, in order)
//!                                    journal -> check against the manifest -> lists -> sync
//! ```

mod buffers;
mod compare;
mod directories;
mod finish;
mod front;
mod journal;
mod lane;
mod links;
mod naming;
mod options;
mod output;
mod receiver;
mod shared;
mod stream;
mod summary;
#[cfg(test)]
mod tests;
mod worker;

pub use crate::block::BlockShape;
pub use buffers::Waker;
pub use naming::tablespace_directory;
pub use options::{DEFAULT_BUDGET, LinkOptions, Options, Sealing};
pub(crate) use output::Output;
pub use receiver::{Finished, Receiver, Watch};
pub use shared::Progress;
pub use summary::Received;

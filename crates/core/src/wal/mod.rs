//! The write-ahead log: what its pages and records say, and the files that hold it.
//!
//! [`WalDecoder`] finds the records in bytes that are pushed into it, checks all that PostgreSQL checks, and knows up to
//! where the WAL is proved. Everything above it reads stored segments: [`scan`] looks for commits, restore points and the
//! place where a recovery would stop, [`copy_segments`] brings segments into a cluster, [`prove_segment`] checks one.

mod decoder;
mod lsn;
mod page;
mod record;
#[cfg(test)]
pub(crate) mod testing;

pub use decoder::{EndOfWal, Options, Pending, Reason, Stop, WalDecoder};
pub use lsn::{Lsn, check_segment_size};
pub use page::{PageFault, PageHeader, SegmentFacts, Version};
pub use record::{
    BlockReference, Body, BodyFault, Image, ImageCompression, Record, RecordHeader, Relation,
    resource_manager,
};

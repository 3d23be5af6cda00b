//! The write-ahead log: what its pages and records say, and the files that hold it.
//!
//! [`WalDecoder`] finds the records in bytes that are pushed into it, checks all that PostgreSQL checks, and knows up to
//! where the WAL is proved. Everything above it reads stored segments: [`scan`] looks for commits, restore points and the
//! place where a recovery would stop, [`copy_segments`] brings segments into a cluster, [`prove_segment`] checks one;
//! [`survey`] reads no more than their names.

mod ahead;
mod copy;
mod decoder;
mod frames;
mod lsn;
mod page;
mod prove;
mod record;
mod scan;
mod segment_store;
mod segment_writer;
mod stored;
mod survey;
mod target;
#[cfg(test)]
pub(crate) mod testing;
mod transaction;
mod wal_link;
mod wal_writer;

pub use copy::{CopiedSegment, CopyOptions, SegmentCopy, copy_segment, copy_segments};
pub use decoder::{EndOfWal, Options, Pending, Reason, Stop, WalDecoder};
pub use frames::{FrameSink, WalFrames, status_update};
pub use lsn::{Lsn, check_segment_size};
pub use page::{PageFault, PageHeader, SegmentFacts, Version};
pub use prove::{SegmentProof, prove_segment};
pub use record::{
    BlockReference, Body, BodyFault, Image, ImageCompression, Record, RecordHeader, Relation,
    resource_manager,
};
pub use scan::{
    Commit, EndKind, Ending, MAX_RESTORE_POINTS, RestorePoint, ScanOptions, ScanReport, scan, scan_with,
};
pub use segment_store::{StoreOptions, StoredForm, store_segment};
pub use segment_writer::{SegmentWriter, SegmentWriterOptions};
pub use stored::StoredSegment;
pub use survey::{SegmentRun, Survey, survey};
pub use target::{Target, TargetStop};
pub use transaction::{Event, Timestamp, event};
pub use wal_link::{LinkEvent, LinkOptions, LinkPositions, WalLink};
pub use wal_writer::{WalWriter, WriterEvent};

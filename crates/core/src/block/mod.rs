//! PostgreSQL's own structures that a backup is checked with: the control file, page headers, names of relation files.

mod control;
mod page;
mod relation;

#[cfg(test)]
pub(crate) use control::tests::control_file;
pub use control::{ControlFile, read_control};
pub use page::{PageFault, PageScan, page_checksum};
pub use relation::{RelationSegment, relation_segment};

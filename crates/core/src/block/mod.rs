//! PostgreSQL's own structures that a backup is checked with and made of: the control file, page headers, names of
//! relation files, files of changed blocks.

mod control;
mod incremental;
mod page;
mod relation;

#[cfg(test)]
pub(crate) use control::tests::control_file;
pub use control::{ControlFile, read_control};
#[cfg(test)]
pub(crate) use incremental::tests::{file as changed_blocks, misaligned_file};
pub use incremental::{
    BlockShape, EMPTY_SIZE, HeaderScan, IncrementalHeader, incremental_path, is_incremental, whole_path,
};
pub use page::{PageFault, PageScan, page_checksum};
pub use relation::{RelationSegment, relation_segment};

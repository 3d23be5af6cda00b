//! One file that is written as a stream and read back before it counts: an archive.

mod writer;

pub use writer::{StoredFile, StoredFileOptions, StoredFileWriter};

//! A restore that takes files from an existing tree where they are already what they should be.
//!
//! The existing tree is read and never written. A file that equals is linked into the new tree, or copied where it
//! cannot be linked; nothing of the backup is unpacked for it when a digest of its plain bytes is known. When the tree is known
//! to be what an older backup of the chain had made, only what is newer is read of files of changed blocks.

mod base;
mod compare;
mod existing;
mod step;
mod tally;
#[cfg(test)]
mod tests;

pub(super) use base::OldBackup;
pub use compare::compare;
pub use existing::{Base, Existing};
pub(super) use existing::{Found, OldFile, OldTree, may_reuse};
pub(super) use step::Step;
pub(super) use tally::{Fate, Tallies};
pub use tally::{Reuse, Tally};

use super::evidence::Evidence;
use super::inventory::BackupFile;
use crate::digest::{DigestKind, DigestValue};

/// A digest that is shorter than this many bytes does not prove that a file, which anybody may have written, is the
/// one that it should be.
const STRONG: usize = 20;

/// The digest of a file's plain bytes, where one is known that a file may be recognised by.
pub(super) fn known_digest(file: &BackupFile) -> Option<(DigestKind, DigestValue)> {
    match &file.evidence {
        Evidence::Plain(kind, value) if kind.size() >= STRONG && file.sources.is_none() => {
            Some((*kind, *value))
        }
        _ => None,
    }
}

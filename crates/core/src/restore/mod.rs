//! From a stored backup to a plain cluster, every file in one pass: read, open, decode, digest, write, compare.
//!
//! [`StoredBackup`] knows what a backup holds, ours or one of pgmoneta in C, and opens its files. [`RestorePlan`] tells
//! what a restore writes. [`restore`] carries it out. Both take a [`Chain`]: a full backup, or an incremental one with
//! everything that it builds on, whose files are combined as they are read.

mod chain;
mod evidence;
mod facts;
mod inventory;
mod job;
mod manifest_copy;
mod ours;
mod pass;
mod plan;
mod pool;
mod reuse;
mod run;
mod source;
mod stored_digests;
mod suffix;
mod target;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod theirs;
mod tree;

pub use chain::{Chain, ChainOptions};
pub use evidence::Evidence;
pub use facts::BackupFacts;
pub use inventory::{BackupFile, Inventory, ManifestFacts, StoredTablespace};
pub use job::{Job, Progress};
pub use plan::{PlannedTablespace, RestorePlan, plan};
pub use reuse::{Base, Existing, Reuse, Tally, compare};
pub use run::{RestoreOptions, RestoreReport, restore};
pub use source::{Keys, PlainStream, StoredBackup};
pub use target::Destination;

#[cfg(test)]
pub(crate) use chain::history;
pub(crate) use chain::{CombinedDigests, write_entries};
pub(crate) use inventory::split_tablespace;
pub(crate) use pass::{Pass, PassResult};
pub(crate) use plan::page_rules;
pub(crate) use pool::run_pool;
pub(crate) use stored_digests::StoredDigests;
pub(crate) use tree::{TreeKind, walk};

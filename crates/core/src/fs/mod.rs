//! The only way in which files are created, locked, synchronised and removed. What these functions report as done
//! is durable.

mod ahead;
mod copy;
mod durable;
mod exchange;
mod list;
mod lock;
mod space;
mod tree;

pub use ahead::{WriteAhead, start_write_back};
pub use copy::{copy_file, hash_file_sha512};
pub use durable::{
    DurableFile, Existing, create_directory_exclusive, create_new, sync_directory, sync_parent,
    write_file_durable,
};
pub use exchange::exchange;
pub use list::list_files;
pub use lock::{Mode, RepositoryLock, read_owners};
pub use space::{FreeSpace, free_space};
pub use tree::{TreeSync, remove_tree, sync_tree};

//! Durable files, trees and locks for JavaScript.

use std::path::{Path, PathBuf};

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use pgmoneta_core::fs::{self, Existing, Mode, RepositoryLock};
use pgmoneta_core::{Code, Error};

use crate::error::to_napi;
use crate::task::Job;

/// A lock that is held until it is released, or this process ends.
#[napi(js_name = "NativeLock")]
pub struct BindingLock(Option<RepositoryLock>);

#[napi]
impl BindingLock {
    /// Gives the lock back; a second call does nothing.
    #[napi]
    pub fn release(&mut self) {
        self.0 = None;
    }
}

/// Takes a lock without waiting; `owner` is a JSON object.
#[napi]
pub fn acquire_lock(path: String, mode: String, owner: String) -> napi::Result<BindingLock> {
    let acquired = match mode.as_str() {
        "shared" => RepositoryLock::acquire(Path::new(&path), Mode::Shared, &owner),
        "exclusive" => RepositoryLock::acquire(Path::new(&path), Mode::Exclusive, &owner),
        _ => Err(Error::new(
            Code::Usage,
            format!("a lock is shared or exclusive, not {mode}"),
        )),
    };
    acquired
        .map(|lock| BindingLock(Some(lock)))
        .map_err(|error| to_napi(&error))
}

/// The holders of a lock, each as a JSON object.
#[napi]
pub fn read_lock_owners(path: String) -> napi::Result<Vec<String>> {
    let owners = fs::read_owners(Path::new(&path)).map_err(|error| to_napi(&error))?;
    Ok(owners.iter().map(ToString::to_string).collect())
}

/// Writes a whole file durably.
#[napi]
pub fn write_file_durable(path: String, data: Buffer, replace: bool) -> AsyncTask<Job<()>> {
    Job::start(move || fs::write_file_durable(Path::new(&path), &data, existing(replace)))
}

/// Copies a whole file durably and gives its size.
#[napi]
pub fn copy_file_durable(source: String, target: String, replace: bool) -> AsyncTask<Job<i64>> {
    Job::start(move || {
        let copied = fs::copy_file(Path::new(&source), Path::new(&target), existing(replace))?;
        Ok(i64::try_from(copied).unwrap_or(i64::MAX))
    })
}

/// SHA-512 of a file, in hexadecimal.
#[napi]
pub fn hash_file_sha512(path: String) -> AsyncTask<Job<String>> {
    Job::start(move || fs::hash_file_sha512(Path::new(&path)))
}

/// Creates a directory that must not exist, durably.
#[napi]
pub fn create_directory_exclusive(path: String) -> AsyncTask<Job<()>> {
    Job::start(move || fs::create_directory_exclusive(Path::new(&path)))
}

/// Makes a directory's entries durable.
#[napi]
pub fn sync_directory(path: String) -> AsyncTask<Job<()>> {
    Job::start(move || fs::sync_directory(Path::new(&path)))
}

/// Makes a whole tree durable.
#[napi]
pub fn sync_tree(path: String) -> AsyncTask<Job<()>> {
    Job::start(move || fs::sync_tree(Path::new(&path)))
}

/// Removes a file or a tree without following links.
#[napi]
pub fn remove_tree(path: String) -> AsyncTask<Job<()>> {
    Job::start(move || fs::remove_tree(Path::new(&path)))
}

/// Lets two names change places.
#[napi]
pub fn exchange(a: String, b: String) -> AsyncTask<Job<()>> {
    Job::start(move || fs::exchange(Path::new(&a), Path::new(&b)))
}

/// Names of the regular files in a directory, ascending, each with a NUL behind it; null: there is no such directory.
/// One piece of memory, whatever their number.
#[napi]
pub fn list_files(path: String) -> AsyncTask<Job<Option<Buffer>>> {
    Job::start(move || {
        let names = fs::list_files(Path::new(&path))?;
        Ok(names.map(|names| {
            let mut bytes = Vec::with_capacity(names.iter().map(|name| name.len() + 1).sum());
            for name in names {
                bytes.extend_from_slice(name.as_bytes());
                bytes.push(0);
            }
            bytes.into()
        }))
    })
}

/// What a file system has left.
#[napi(object)]
pub struct BindingFreeSpace {
    /// Number of the file system, as text: it may exceed what numbers hold.
    pub device: String,
    pub available: i64,
    pub total: i64,
    pub block_size: i64,
}

/// Free space of the file system that holds a path.
#[napi]
pub fn free_space(path: String) -> AsyncTask<Job<BindingFreeSpace>> {
    let path = PathBuf::from(path);
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    Job::start(move || {
        let space = fs::free_space(&path)?;
        Ok(BindingFreeSpace {
            device: space.device.to_string(),
            available: number(space.available),
            total: number(space.total),
            block_size: number(space.block_size),
        })
    })
}

fn existing(replace: bool) -> Existing {
    if replace {
        Existing::Replace
    } else {
        Existing::Refuse
    }
}

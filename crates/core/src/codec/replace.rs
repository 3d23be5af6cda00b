//! Replacing a file by another form of itself (compressed, sealed, or back) without ever being without a whole one.
//!
//! The new file is written beside the old one under a temporary name, synced, read back and compared, published under
//! its name and made durable; only then does the old one go. A crash at any moment leaves the old file, the new one,
//! or both.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fs::{create_new, sync_parent};
use crate::{Code, Error, Result};

const BUFFER: usize = 256 * 1024;

/// What took the place of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    pub destination: PathBuf,
    /// Bytes of the file that is gone.
    pub source_size: u64,
    /// Bytes of the file that took its place.
    pub destination_size: u64,
}

/// The BLAKE3 of a file's plain bytes.
pub(crate) type PlainHash = [u8; 32];

/// The new file while it is written.
pub(crate) struct Output {
    file: File,
    path: PathBuf,
    written: u64,
}

impl Output {
    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .map_err(|error| Error::io("write", &self.path, &error))?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Replaces `source` by `target`.
///
/// `transform` writes the new form and gives the hash of the plain bytes that it saw; `verify` reads the new
/// form back and gives the hash of the plain bytes in it. When the two differ, `source` stays.
///
/// # Errors
/// [`Code::Io`] and [`Code::NoSpace`] of the system, [`Code::Usage`] when `source` is no regular file or `target`
/// exists, [`Code::Corrupt`] when the new file does not read back or `source` changed meanwhile, and those of the two
/// functions. `source` is there after any of them.
pub(crate) fn replace(
    source: &Path,
    target: &Path,
    transform: impl FnOnce(File, &mut Output) -> Result<PlainHash>,
    verify: impl FnOnce(File) -> Result<PlainHash>,
) -> Result<Replaced> {
    let file = open_source(source)?;
    let before = file
        .metadata()
        .map_err(|error| Error::io("examine", source, &error))?;
    if target.symlink_metadata().is_ok() {
        return Err(exists(target));
    }
    let temporary = Temporary(temporary_name(target));
    let mut output = Output {
        file: create_new(&temporary.0)?,
        path: temporary.0.clone(),
        written: 0,
    };
    let expected = transform(file, &mut output).map_err(|error| error.at(source))?;
    output
        .file
        .sync_all()
        .map_err(|error| Error::io("sync", &temporary.0, &error))?;
    let written = File::open(&temporary.0).map_err(|error| Error::io("open", &temporary.0, &error))?;
    let found = verify(written).map_err(|error| error.at(&temporary.0))?;
    if found != expected {
        return Err(Error::corrupt(format!(
            "{} was not kept: read back, it does not hold the bytes of {}",
            target.display(),
            source.display()
        ))
        .hint("check the disk and the memory of this host; the original file is untouched"));
    }
    unchanged(source, &before)?;
    publish(&temporary.0, target)?;
    fs::remove_file(source).map_err(|error| Error::io("remove", source, &error))?;
    sync_parent(source)?;
    Ok(Replaced {
        destination: target.to_path_buf(),
        source_size: before.len(),
        destination_size: output.written,
    })
}

/// Opens a regular file, neither following a link nor waiting for the other end of a pipe.
pub(crate) fn open_source(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP | libc::EMLINK) => not_regular(path),
            _ => Error::io("open", path, &error),
        })?;
    let metadata = file
        .metadata()
        .map_err(|error| Error::io("examine", path, &error))?;
    if metadata.is_file() {
        Ok(file)
    } else {
        Err(not_regular(path))
    }
}

/// Reads all of `source` in pieces, `piece` bytes each but the last.
pub(crate) fn in_pieces(
    source: &mut dyn Read,
    path: &Path,
    piece: usize,
    mut each: impl FnMut(&mut [u8]) -> Result<()>,
) -> Result<()> {
    let mut buffer = vec![0; piece.max(1)];
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match source.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::reading(path, &error)),
            }
        }
        if filled > 0 {
            each(&mut buffer[..filled])?;
        }
        if filled < buffer.len() {
            return Ok(());
        }
    }
}

/// Copies what `source` gives into `output` and hashes it.
pub(crate) fn copy_hashing(source: &mut dyn Read, path: &Path, output: &mut Output) -> Result<PlainHash> {
    let mut hasher = blake3::Hasher::new();
    in_pieces(source, path, BUFFER, |bytes| {
        hasher.update(bytes);
        output.write(bytes)
    })?;
    Ok(*hasher.finalize().as_bytes())
}

/// Hashes what `source` gives.
pub(crate) fn hash(source: &mut dyn Read, path: &Path) -> Result<PlainHash> {
    let mut hasher = blake3::Hasher::new();
    in_pieces(source, path, BUFFER, |bytes| {
        hasher.update(bytes);
        Ok(())
    })?;
    Ok(*hasher.finalize().as_bytes())
}

/// `path` with `suffix` added to its name.
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A name of the form that start-up sweeps.
fn temporary_name(target: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    with_suffix(target, &format!(".tmp-{}-{number}", std::process::id()))
}

/// Removes the temporary file, if it still is there.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; start-up sweeps names of this form.
        let _ = fs::remove_file(&self.0);
    }
}

/// Gives the new file its name, which must be free, and makes the name durable.
fn publish(temporary: &Path, target: &Path) -> Result<()> {
    // A hard link takes a name only when it is free; some file systems have none.
    match fs::hard_link(temporary, target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(exists(target)),
        Err(_) if target.symlink_metadata().is_ok() => return Err(exists(target)),
        Err(_) => {
            fs::rename(temporary, target).map_err(|error| Error::io("create", target, &error))?;
        }
    }
    sync_parent(target)
}

fn unchanged(source: &Path, before: &fs::Metadata) -> Result<()> {
    let after = source
        .symlink_metadata()
        .map_err(|error| Error::io("examine", source, &error))?;
    let same = |this: &fs::Metadata, that: &fs::Metadata| {
        (
            this.dev(),
            this.ino(),
            this.len(),
            this.mtime(),
            this.mtime_nsec(),
        ) == (
            that.dev(),
            that.ino(),
            that.len(),
            that.mtime(),
            that.mtime_nsec(),
        )
    };
    if same(before, &after) {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "{} was changed by another program meanwhile; it was left alone",
        source.display()
    ))
    .hint("try again when nothing writes to the file"))
}

fn not_regular(path: &Path) -> Error {
    Error::new(Code::Usage, format!("{} is not a regular file", path.display()))
        .hint("name the file itself, not a link, directory or device")
}

fn exists(target: &Path) -> Error {
    let mut error = Error::new(
        Code::Usage,
        format!("{} exists already; nothing was changed", target.display()),
    )
    .hint("move or remove that file if it is not needed, then try again");
    error.path = Some(target.to_path_buf());
    error
}

//! One stored file while it is written: assembled, sealed, hashed and written, in order and in one pass.

use super::options::Sealing;
use crate::cipher::Sealer;
use crate::digest::{Digest, DigestKind};
use crate::fs::{create_new, start_write_back};
use crate::{Error, Result};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};

/// Written bytes after which the system is asked to begin with writing them to disk.
const WRITE_BACK: u64 = 8 << 20;

/// A stored file being written.
pub struct Output {
    file: File,
    path: PathBuf,
    sealer: Option<Sealer>,
    sha512: Digest,
    offset: u64,
    flushed: u64,
    scratch: Vec<u8>,
}

/// What is known of a complete stored file.
pub struct Stored {
    pub size: u64,
    pub sha512: [u8; 64],
}

impl Output {
    /// Creates the file, and its directory when the archive did not have it, and writes the cipher's header.
    pub fn create(path: &Path, sealing: Option<&Sealing>) -> Result<Self> {
        let file = create_with_parents(path)?;
        let sealer = sealing
            .map(|sealing| Sealer::new(sealing.mode, &sealing.secret))
            .transpose()?;
        let mut output = Self {
            file,
            path: path.to_path_buf(),
            sealer,
            sha512: Digest::new(DigestKind::Sha512),
            offset: 0,
            flushed: 0,
            scratch: Vec::new(),
        };
        if let Some(header) = output.sealer.as_ref().map(Sealer::header) {
            output.store(&header)?;
        }
        Ok(output)
    }

    /// Bytes stored so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Seals (in place where the cipher can) and stores the next bytes.
    pub fn write(&mut self, bytes: &mut [u8]) -> Result<()> {
        match &mut self.sealer {
            None => {}
            Some(sealer) if sealer.in_place() => {
                sealer.update(bytes).map_err(|error| error.at(&self.path))?
            }
            Some(sealer) => {
                let mut sealed = std::mem::take(&mut self.scratch);
                sealed.clear();
                sealer
                    .update_into(bytes, &mut sealed)
                    .map_err(|error| error.at(&self.path))?;
                let stored = self.store(&sealed);
                self.scratch = sealed;
                return stored;
            }
        }
        self.store(bytes)
    }

    /// Writes plain bytes at their place, ahead of their turn; `written` has to follow in order.
    pub fn write_ahead(file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
        file.write_all_at(bytes, offset)
            .map_err(|error| Error::io("write", path, &error))
    }

    /// Takes account of bytes that `write_ahead` has written.
    pub fn written(&mut self, bytes: &[u8]) {
        self.sha512.update(bytes);
        self.advance(bytes.len());
    }

    /// A second handle, for `write_ahead`.
    pub fn handle(&self) -> Result<File> {
        self.file
            .try_clone()
            .map_err(|error| Error::io("open", &self.path, &error))
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<Stored> {
        if let Some(sealer) = self.sealer.take() {
            let tail = sealer.finish().map_err(|error| error.at(&self.path))?;
            self.store(&tail)?;
        }
        let mut sha512 = [0; 64];
        sha512.copy_from_slice(self.sha512.finish().as_bytes());
        Ok(Stored {
            size: self.offset,
            sha512,
        })
    }

    fn store(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        Self::write_ahead(&self.file, &self.path, bytes, self.offset)?;
        self.written(bytes);
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.offset += bytes as u64;
        if self.offset - self.flushed >= WRITE_BACK {
            start_write_back(&self.file, self.flushed, self.offset - self.flushed);
            self.flushed = self.offset;
        }
    }
}

/// Creates a file, and directories above it that the archive did not have. Two workers may come to the same directory
/// at the same moment, so the second attempt says what is wrong.
fn create_with_parents(path: &Path) -> Result<File> {
    create_new(path).or_else(|_| {
        create_parents(path)?;
        create_new(path)
    })
}

/// Creates the directories above a path, mode 0700.
pub fn create_parents(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(|error| Error::io("create directory", parent, &error))
}

/// Creates a directory, mode 0700; one that is there already is fine, a link is not.
pub fn create_directory(path: &Path) -> Result<()> {
    let create = || DirBuilder::new().mode(0o700).create(path);
    let made = match create() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_parents(path)?;
            create()
        }
        made => made,
    };
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match path.symlink_metadata() {
            Ok(found) if found.is_dir() => Ok(()),
            _ => Err(Error::io("create directory", path, &error)),
        },
        made => made.map_err(|error| Error::io("create directory", path, &error)),
    }
}

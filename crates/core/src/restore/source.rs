//! Opens the files of a stored backup: read, open, decode.

use super::evidence::Evidence;
use super::inventory::{BackupFile, Inventory};
use super::{ours, theirs};
use crate::cipher::{CipherMode, LegacyMode, MasterSecret, identify, legacy_opener, opener};
use crate::codec::{PlainRead, decoder};
use crate::digest::{Digest, DigestKind, DigestValue};
use crate::{Code, Error, Result};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use zeroize::Zeroizing;

/// Most links that are followed from one deduplicated file to the next.
const MAX_LINKS: usize = 32;
/// How many sealed files are tried to find out the cipher.
const PROBES: usize = 3;

/// What opens sealed files.
#[derive(Clone, Default)]
pub struct Keys {
    /// Derived from the master key.
    pub secret: Option<MasterSecret>,
    /// The master password itself: files of 0.20 and before are sealed with it.
    pub password: Option<Zeroizing<Vec<u8>>>,
    /// The mode that the caller believes in; it is used when no file can be opened to find out.
    pub mode: Option<CipherMode>,
}

/// The plain bytes of one file. They are true only when the reader has ended without an error and the digest fits.
pub struct PlainStream {
    /// Fails with an [`Error`] inside, see [`Error::reading`].
    pub reader: Box<dyn PlainRead + Send>,
    /// The stored file, for messages.
    pub path: PathBuf,
    /// Plain bytes, where that is known before they are read.
    pub size: Option<u64>,
    tally: Arc<Mutex<Tally>>,
}

struct Tally {
    bytes: u64,
    digest: Option<Digest>,
}

impl PlainStream {
    /// Bytes that come from no single stored file; `path` is for messages.
    pub(super) fn of(reader: Box<dyn PlainRead + Send>, path: PathBuf, size: Option<u64>) -> Self {
        let tally = Arc::new(Mutex::new(Tally {
            bytes: 0,
            digest: None,
        }));
        Self {
            reader,
            path,
            size,
            tally,
        }
    }

    /// Size and SHA-512 of the stored bytes, after the reader has ended. The digest is absent when it was not asked for.
    pub fn stored(&self) -> (u64, Option<DigestValue>) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        (tally.bytes, tally.digest.take().map(Digest::finish))
    }
}

/// Reads a stored file and counts, and digests when asked.
struct Counted {
    file: File,
    tally: Arc<Mutex<Tally>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.bytes += count as u64;
        if let Some(digest) = &mut tally.digest {
            digest.update(&buffer[..count]);
        }
        Ok(count)
    }
}

#[derive(Clone, Copy)]
enum Seal {
    Mode(Option<CipherMode>),
    Legacy(LegacyMode),
}

/// A backup on disk: its inventory and the way into its files.
pub struct StoredBackup {
    pub inventory: Inventory,
    keys: Keys,
    seal: Seal,
    /// Whether the key opened none of the sealed files that were tried.
    key_fails: bool,
}

impl StoredBackup {
    /// Opens a backup: ours when it has a `backup.json`, else one of pgmoneta in C.
    ///
    /// # Errors
    /// `IO`; `CORRUPT` when its lists are damaged.
    pub fn open(directory: &Path, keys: Keys) -> Result<Self> {
        if !directory.is_dir() {
            return Err(Error::new(Code::Io, "there is no such backup directory").at(directory));
        }
        let ours = directory.join("backup.json").exists();
        let inventory = if ours {
            ours::read(directory)?
        } else {
            theirs::read(directory)?
        };
        let mut this = Self {
            inventory,
            keys,
            seal: Seal::Mode(None),
            key_fails: false,
        };
        (this.seal, this.key_fails) = this.find_seal();
        Ok(this)
    }

    /// The error of a key that opened none of the sealed files that were tried.
    ///
    /// # Errors
    /// `CORRUPT`.
    pub fn check_key(&self) -> Result<()> {
        if !self.key_fails {
            return Ok(());
        }
        let message = "the encrypted files of the backup cannot be opened: the smallest ones were tried, with every \
                       mode, and none is authentic";
        Err(Error::corrupt(message)
            .at(&self.inventory.directory)
            .hint("check that ~/.pgmoneta/master.key is the one that the backup was made with"))
    }

    /// Whether a key is missing for this file.
    #[must_use]
    pub fn is_locked(&self, file: &BackupFile) -> bool {
        let has_key = match self.seal {
            Seal::Mode(_) => self.keys.secret.is_some(),
            Seal::Legacy(_) => self.keys.password.is_some(),
        };
        file.wrapping.sealed && !has_key
    }

    /// Finds out by trial how files are sealed; the smallest ones are tried. What is recorded is used when no trial
    /// succeeds, so that each file then tells by itself what is wrong.
    fn find_seal(&self) -> (Seal, bool) {
        let facts = &self.inventory.facts;
        let recorded = Seal::Mode(facts.cipher.or(self.keys.mode));
        let mut sealed: Vec<_> = self
            .inventory
            .files
            .iter()
            .filter(|file| file.wrapping.sealed)
            .collect();
        if sealed.is_empty() {
            return (recorded, false);
        }
        let smallest = PROBES.min(sealed.len());
        sealed.select_nth_unstable_by_key(smallest - 1, |file| file.stored_size);
        if let Some(secret) = &self.keys.secret {
            for file in &sealed[..smallest] {
                let found = resolve_link(&self.inventory.stored_file(file)).and_then(File::open);
                if let Some(mode) = found.ok().and_then(|mut file| identify(secret, &mut file).ok()) {
                    return (Seal::Mode(Some(mode)), false);
                }
            }
        }
        match (facts.cipher, facts.legacy_cipher, &self.keys.password) {
            (None, Some(legacy), Some(_)) => (Seal::Legacy(legacy), false),
            _ => (recorded, self.keys.secret.is_some()),
        }
    }

    /// The whole of a small file.
    ///
    /// # Errors
    /// As [`Self::open_hashed`]; `CORRUPT` when it has more than `limit` bytes or is damaged.
    pub fn read_small(&self, file: &BackupFile, limit: u64) -> Result<Vec<u8>> {
        let mut stream = self.open_hashed(file, false)?;
        read_all(&mut stream, limit)
    }

    /// The same, compared with everything that is known about the file.
    ///
    /// # Errors
    /// As [`Self::read_small`].
    pub fn read_proved(&self, file: &BackupFile, limit: u64) -> Result<Vec<u8>> {
        let mut stream = self.open_file(file)?;
        let bytes = read_all(&mut stream, limit)?;
        let digest = file.evidence.plain_kind().map(|kind| kind.of(&bytes));
        file.prove(bytes.len() as u64, digest, stream.stored().1)
            .map_err(|error| file.advise(error.at(&stream.path)))?;
        Ok(bytes)
    }

    /// Plain bytes of a file of which no list tells the size: it is unpacked.
    pub(crate) fn measure(&self, file: &BackupFile) -> Result<u64> {
        let mut stream = self.open_hashed(file, false)?;
        let size = io::copy(&mut stream.reader, &mut io::sink());
        size.map_err(|error| Error::reading(&stream.path, &error))
    }

    /// Opens a file of the inventory, with the digest of the stored bytes when that is its evidence.
    ///
    /// # Errors
    /// As [`Self::open_hashed`].
    pub fn open_file(&self, file: &BackupFile) -> Result<PlainStream> {
        self.open_hashed(file, matches!(file.evidence, Evidence::Stored(_)))
    }

    /// Opens a file of the inventory. With `hash_stored` the SHA-512 of the stored bytes is computed on the way.
    ///
    /// # Errors
    /// `IO` when a stored file cannot be opened, `USAGE` when the key for it is missing.
    pub fn open_hashed(&self, file: &BackupFile, hash_stored: bool) -> Result<PlainStream> {
        let path = self.inventory.stored_file(file);
        let opened = resolve_link(&path).and_then(File::open);
        let stored = opened.map_err(|error| Error::io("open", &path, &error))?;
        let digest = hash_stored.then(|| Digest::new(DigestKind::Sha512));
        let tally = Arc::new(Mutex::new(Tally { bytes: 0, digest }));
        let mut reader: Box<dyn Read + Send> = Box::new(Counted {
            file: stored,
            tally: Arc::clone(&tally),
        });
        if file.wrapping.sealed {
            reader = match (self.seal, &self.keys.secret, &self.keys.password) {
                (Seal::Mode(mode), Some(secret), _) => opener(mode, secret, reader),
                (Seal::Legacy(mode), _, Some(password)) => legacy_opener(mode, password, reader)?,
                _ => {
                    return Err(Error::new(Code::Usage, "the file is encrypted and there is no master key")
                        .at(&path)
                        .hint("install the master key that the backup was made with in ~/.pgmoneta/master.key"));
                }
            };
        }
        let reader = decoder(file.wrapping.codec, reader);
        Ok(PlainStream {
            reader,
            path,
            size: file.size,
            tally,
        })
    }
}

fn read_all(stream: &mut PlainStream, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut reader = stream.reader.by_ref().take(limit + 1);
    reader
        .read_to_end(&mut bytes)
        .map_err(|error| Error::reading(&stream.path, &error))?;
    if bytes.len() as u64 > limit {
        return Err(Error::corrupt(format!("it has more than {limit} bytes")).at(&stream.path));
    }
    Ok(bytes)
}

/// The file that a chain of links of deduplication leads to. Links are absolute in repositories of pgmoneta in C; when
/// the repository was moved, the same path is looked for beside the backup that has the link.
pub fn resolve_link(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if !path.symlink_metadata()?.file_type().is_symlink() {
            return Ok(path);
        }
        let target = std::fs::read_link(&path)?;
        let direct = path.parent().unwrap_or(Path::new("/")).join(&target);
        path = if direct.symlink_metadata().is_ok() {
            direct
        } else {
            moved(&path, &target).unwrap_or(direct)
        };
    }
    Err(io::Error::other("too many links from one to the next"))
}

/// `<anything>/<label>/data/x` as seen from `<here>/<other label>/data/…`: `<here>/<label>/data/x`.
fn moved(link: &Path, target: &Path) -> Option<PathBuf> {
    let label = |part: &OsStr| part.len() == 14 && part.as_bytes().iter().all(u8::is_ascii_digit);
    let repository = link
        .ancestors()
        .find(|part| part.file_name().is_some_and(label))?
        .parent()?;
    let parts: Vec<&OsStr> = target.iter().collect();
    let at = parts.iter().rposition(|part| label(part))?;
    let found = parts[at..]
        .iter()
        .fold(repository.to_path_buf(), |path, part| path.join(part));
    (!parts[at..].contains(&OsStr::new("..")) && found.symlink_metadata().is_ok()).then_some(found)
}

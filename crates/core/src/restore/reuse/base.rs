//! A tree that is known to be what a restore of an older backup of the chain had made.

use super::super::chain::{Chain, Standing};
use super::existing::{Existing, OldFile};
use crate::Result;
use crate::digest::{DigestKind, DigestValue};
use crate::manifest::{PgManifestReader, WalRange};
use std::collections::HashMap;
use std::path::Path;

/// What the manifest of the tree says of a file.
struct Listed {
    size: u64,
    digest: Option<(DigestKind, DigestValue)>,
}

/// The files of a manifest, by path.
type ListedFiles = HashMap<Vec<u8>, Listed>;

/// The backup that the tree was made of, and what it consists of.
pub struct OldBackup {
    /// Its number in the chain, from the newest, which is 0.
    number: usize,
    stamp: i64,
    files: ListedFiles,
}

impl OldBackup {
    /// Reads the manifest of the tree. `None` when nothing is known of the tree, or when what is said of it cannot be
    /// true: it is then compared like any other, and `warnings` tells why.
    pub fn read(existing: &Existing, chain: &Chain, warnings: &mut Vec<String>) -> Option<Self> {
        let base = existing.base.as_ref()?;
        let found = chain
            .number_of(&base.backup)
            .ok_or("it is not in the chain".to_owned());
        let read = found.and_then(|number| {
            let (files, ranges) =
                read_manifest(&existing.directory.join("backup_manifest")).map_err(|error| error.message)?;
            let stored =
                ranges_of(&base.backup.join("data/backup_manifest")).map_err(|error| error.message)?;
            if ranges != stored {
                return Err("its manifest is that of another backup".to_owned());
            }
            Ok(Self {
                number,
                stamp: base.stamp,
                files,
            })
        });
        match read {
            Ok(this) => Some(this),
            Err(why) => {
                let (directory, backup) = (existing.directory.display(), base.backup.display());
                warnings.push(format!(
                    "{directory} is not known to be what a restore of {backup} had made: {why}; every file is compared"
                ));
                None
            }
        }
    }

    /// The file as an older backup had made it, when nobody touched it since.
    pub fn standing<'p>(&self, path: &[u8], old: &'p OldFile) -> Option<Standing<'p>> {
        let listed = self.files.get(path)?;
        (listed.size == old.size && old.is_older_than(self.stamp)).then(|| Standing {
            backup: self.number,
            path: &old.path,
            size: old.size,
        })
    }

    /// The digest that the file has if it is as it was, when one of this kind is known.
    pub fn digest(&self, path: &[u8], wanted: DigestKind) -> Option<DigestValue> {
        let (kind, value) = self.files.get(path)?.digest?;
        (kind == wanted).then_some(value)
    }
}

fn read_manifest(path: &Path) -> Result<(ListedFiles, Vec<WalRange>)> {
    let mut reader = PgManifestReader::open(path)?;
    let mut files = HashMap::new();
    while let Some(file) = reader.next_file()? {
        let kind = file.algorithm.digest_kind();
        let digest = kind.and_then(|kind| Some((kind, DigestValue::new(&file.checksum)?)));
        let listed = Listed {
            size: file.size,
            digest,
        };
        files.insert(file.path, listed);
    }
    Ok((files, reader.finish()?.wal_ranges))
}

fn ranges_of(path: &Path) -> Result<Vec<WalRange>> {
    Ok(PgManifestReader::open(path)?.finish()?.wal_ranges)
}

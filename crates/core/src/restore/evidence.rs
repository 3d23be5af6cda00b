//! What proves that the plain bytes of a file are those that the server sent.

use super::inventory::BackupFile;
use crate::digest::{DigestKind, DigestValue};
use crate::manifest::ChecksumAlgorithm;
use crate::{Code, Error, Result};
use std::sync::Arc;

/// The strongest proof at hand for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A digest of the plain bytes.
    Plain(DigestKind, DigestValue),
    /// SHA-512 of the stored bytes, for files that no list of plain bytes names.
    Stored(DigestValue),
    /// BLAKE3 of each piece of the plain bytes: what is read of the file is proved, what is not wanted need not be read.
    Pieces(Arc<[[u8; 32]]>),
    /// The file is made of others, and each of those is proved when it is read.
    Sources,
    /// Nothing.
    None,
}

impl Evidence {
    /// Of a manifest's entry.
    pub fn of_manifest(algorithm: ChecksumAlgorithm, checksum: &[u8]) -> Self {
        let Some(kind) = algorithm.digest_kind() else {
            return Self::None;
        };
        DigestValue::new(checksum).map_or(Self::None, |value| Self::Plain(kind, value))
    }

    /// How much it proves, for comparisons: the length of the digest of the plain bytes, 1 for one of stored bytes.
    pub fn strength(&self) -> usize {
        match self {
            Self::Plain(kind, _) => kind.size(),
            Self::Stored(_) => 1,
            Self::Pieces(_) => DigestKind::Blake3.size(),
            Self::Sources | Self::None => 0,
        }
    }

    /// The kind of digest that has to be computed over the plain bytes.
    pub fn plain_kind(&self) -> Option<DigestKind> {
        match self {
            Self::Plain(kind, _) => Some(*kind),
            _ => None,
        }
    }
}

impl BackupFile {
    /// Compares what was read with the size and the evidence: the digest of the plain bytes of the kind that the
    /// evidence has, and that of the stored bytes.
    ///
    /// # Errors
    /// `CORRUPT` with what differs.
    pub(crate) fn prove(
        &self,
        size: u64,
        plain: Option<DigestValue>,
        stored: Option<DigestValue>,
    ) -> Result<()> {
        if let Some(expected) = self.size.filter(|expected| *expected != size) {
            return Err(Error::corrupt(format!(
                "it has {size} bytes instead of {expected}"
            )));
        }
        let (kind, expected, found) = match &self.evidence {
            Evidence::None | Evidence::Sources => return Ok(()),
            Evidence::Plain(kind, expected) => (kind.name(), expected, plain),
            Evidence::Stored(expected) => ("sha512 of the stored bytes", expected, stored),
            Evidence::Pieces(_) => {
                return Err(Error::new(
                    Code::Internal,
                    "pieces are proved where they are read",
                ));
            }
        };
        match found {
            Some(found) if found == *expected => Ok(()),
            _ => {
                let found = found.map_or_else(|| "none".to_owned(), |value| value.to_hex());
                Err(Error::corrupt(format!(
                    "its {kind} is {found} instead of {}",
                    expected.to_hex()
                )))
            }
        }
    }

    /// Adds what to do about a damaged file, where the error does not say it.
    pub(crate) fn advise(&self, error: Error) -> Error {
        if error.code != Code::Corrupt || error.hint.is_some() {
            return error;
        }
        error.hint(if self.wrapping.sealed {
            "the stored file is damaged, or sealed with another key than ~/.pgmoneta/master.key: take another copy or \
             backup"
        } else {
            "the stored file is damaged: take another backup, or this file from another copy of this one"
        })
    }
}

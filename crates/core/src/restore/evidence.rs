//! What proves that the plain bytes of a file are those that the server sent.

use crate::digest::{DigestKind, DigestValue};
use crate::manifest::ChecksumAlgorithm;

/// The strongest proof at hand for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A digest of the plain bytes.
    Plain(DigestKind, DigestValue),
    /// SHA-512 of the stored bytes, for files that no list of plain bytes names.
    Stored(DigestValue),
    /// Nothing.
    None,
}

impl Evidence {
    /// Of a manifest's entry.
    pub fn of_manifest(algorithm: ChecksumAlgorithm, checksum: &[u8]) -> Self {
        let kind = match algorithm {
            ChecksumAlgorithm::None => return Self::None,
            ChecksumAlgorithm::Crc32c => DigestKind::Crc32c,
            ChecksumAlgorithm::Sha224 => DigestKind::Sha224,
            ChecksumAlgorithm::Sha256 => DigestKind::Sha256,
            ChecksumAlgorithm::Sha384 => DigestKind::Sha384,
            ChecksumAlgorithm::Sha512 => DigestKind::Sha512,
        };
        DigestValue::new(checksum).map_or(Self::None, |value| Self::Plain(kind, value))
    }

    /// How much it proves, for comparisons: the length of the digest of the plain bytes, 1 for one of stored bytes.
    pub fn strength(&self) -> usize {
        match self {
            Self::Plain(kind, _) => kind.size(),
            Self::Stored(_) => 1,
            Self::None => 0,
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

//! One face for every digest.

use std::fmt;

use ring::digest::{Context, SHA256, SHA384, SHA512};
use sha2::Digest as _;

use crate::{Code, Error, Result};

use super::hex::to_hex;

/// Which digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestKind {
    Crc32c,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Blake3,
}

impl DigestKind {
    /// The name in settings and in `backup.json`: `crc32c`, `sha224`, ..., `blake3`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DigestKind::Crc32c => "crc32c",
            DigestKind::Sha224 => "sha224",
            DigestKind::Sha256 => "sha256",
            DigestKind::Sha384 => "sha384",
            DigestKind::Sha512 => "sha512",
            DigestKind::Blake3 => "blake3",
        }
    }

    /// Reads a name in either case, as PostgreSQL's manifest has `CRC32C`.
    ///
    /// # Errors
    /// [`Code::Usage`] for any other text; `none` is one of them, it is no digest.
    pub fn from_name(name: &str) -> Result<Self> {
        [
            DigestKind::Crc32c,
            DigestKind::Sha224,
            DigestKind::Sha256,
            DigestKind::Sha384,
            DigestKind::Sha512,
            DigestKind::Blake3,
        ]
        .into_iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            Error::new(Code::Usage, format!("unknown digest '{name}'"))
                .hint("use crc32c, sha224, sha256, sha384, sha512 or blake3")
        })
    }

    /// How many bytes a value has.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            DigestKind::Crc32c => 4,
            DigestKind::Sha224 => 28,
            DigestKind::Sha256 | DigestKind::Blake3 => 32,
            DigestKind::Sha384 => 48,
            DigestKind::Sha512 => 64,
        }
    }

    /// The value for `data`.
    #[must_use]
    pub fn of(self, data: &[u8]) -> DigestValue {
        let mut digest = Digest::new(self);
        digest.update(data);
        digest.finish()
    }
}

/// A digest value: up to 64 bytes, no allocation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DigestValue {
    bytes: [u8; 64],
    size: u8,
}

impl DigestValue {
    /// A value from its bytes; `None` for more than 64.
    #[must_use]
    pub fn new(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; 64];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self {
            bytes,
            size: value.len() as u8,
        })
    }

    /// The value of a CRC-32C: little-endian, as PostgreSQL's manifest has it.
    #[must_use]
    pub fn from_crc32c(crc: u32) -> Self {
        Self::filled(&crc.to_le_bytes())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }

    /// Lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(&self) -> String {
        to_hex(self.as_bytes())
    }

    /// `value` has at most 64 bytes; more would be cut.
    fn filled(value: &[u8]) -> Self {
        let mut bytes = [0; 64];
        let size = value.len().min(64);
        bytes[..size].copy_from_slice(&value[..size]);
        Self {
            bytes,
            size: size as u8,
        }
    }
}

impl fmt::Debug for DigestValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_hex())
    }
}

/// A running digest of one stream of bytes.
#[derive(Clone)]
pub struct Digest {
    state: State,
}

#[derive(Clone)]
enum State {
    Crc32c(u32),
    Sha224(Box<sha2::Sha224>),
    Ring(Box<Context>),
    Blake3(Box<blake3::Hasher>),
}

impl Digest {
    /// A digest of nothing yet.
    #[must_use]
    pub fn new(kind: DigestKind) -> Self {
        let state = match kind {
            DigestKind::Crc32c => State::Crc32c(0),
            DigestKind::Sha224 => State::Sha224(Box::default()),
            DigestKind::Sha256 => State::Ring(Box::new(Context::new(&SHA256))),
            DigestKind::Sha384 => State::Ring(Box::new(Context::new(&SHA384))),
            DigestKind::Sha512 => State::Ring(Box::new(Context::new(&SHA512))),
            DigestKind::Blake3 => State::Blake3(Box::default()),
        };
        Self { state }
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Crc32c(crc) => *crc = ::crc32c::crc32c_append(*crc, data),
            State::Sha224(hasher) => hasher.update(data),
            State::Ring(context) => context.update(data),
            State::Blake3(hasher) => {
                hasher.update(data);
            }
        }
    }

    /// The value of all bytes added.
    #[must_use]
    pub fn finish(self) -> DigestValue {
        match self.state {
            State::Crc32c(crc) => DigestValue::from_crc32c(crc),
            State::Sha224(hasher) => DigestValue::filled(&hasher.finalize()),
            State::Ring(context) => DigestValue::filled(context.finish().as_ref()),
            State::Blake3(hasher) => DigestValue::filled(hasher.finalize().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Digest, DigestKind};

    /// Published values for `abc`.
    const ABC: [(DigestKind, &str); 6] = [
        (DigestKind::Crc32c, "b73f4b36"),
        (
            DigestKind::Sha224,
            "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
        ),
        (
            DigestKind::Sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            DigestKind::Sha384,
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            DigestKind::Sha512,
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            DigestKind::Blake3,
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        ),
    ];

    #[test]
    fn published_values() {
        for (kind, expected) in ABC {
            assert_eq!(kind.of(b"abc").to_hex(), expected, "{kind:?}");
            let mut digest = Digest::new(kind);
            digest.update(b"a");
            digest.update(b"");
            digest.update(b"bc");
            let value = digest.finish();
            assert_eq!(value.to_hex(), expected);
            assert_eq!(value.as_bytes().len(), kind.size());
            assert_eq!(DigestKind::from_name(&kind.name().to_uppercase()).unwrap(), kind);
        }
        assert!(DigestKind::from_name("none").is_err());
    }
}

//! The envelope of CBC and CTR files: encrypt, then MAC.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 4 | `PGMA` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | code of the mode |
//! | 6 | 2 | 0 |
//! | 8 | 16 | salt |
//! | 24 | 16 | IV |
//! | 40 | n | ciphertext; CBC with PKCS#7 padding |
//! | 40 + n | 32 | HMAC-SHA-256 of everything before |

use ring::hmac;

use crate::{Error, Result};

use super::mode::CipherMode;
use super::secret::{EnvelopeKeys, MasterSecret};

pub(super) const MAGIC: &[u8; 4] = b"PGMA";
pub(super) const HEADER: usize = 40;
pub(super) const MAC: usize = 32;
const VERSION: u8 = 1;

/// What stands before the ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) mode: CipherMode,
    pub(super) salt: [u8; 16],
    pub(super) iv: [u8; 16],
}

impl Header {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[VERSION, self.mode.code(), 0, 0]);
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&self.iv);
        bytes
    }

    /// Reads a header; `None` when the bytes do not begin with one, an error when they do but cannot be understood.
    pub(super) fn parse(bytes: &[u8]) -> Option<Result<Self>> {
        if !bytes.starts_with(MAGIC) {
            return None;
        }
        Some(Self::parse_marked(bytes))
    }

    fn parse_marked(bytes: &[u8]) -> Result<Self> {
        let fields = bytes.get(..HEADER).ok_or_else(|| {
            Error::corrupt(format!(
                "truncated: an encrypted file has a header of {HEADER} bytes"
            ))
        })?;
        let mode = CipherMode::from_code(u32::from(fields[5])).filter(|mode| !mode.is_gcm());
        match (fields[4], mode, &fields[6..8]) {
            (VERSION, Some(mode), [0, 0]) => {
                let (mut salt, mut iv) = ([0; 16], [0; 16]);
                salt.copy_from_slice(&fields[8..24]);
                iv.copy_from_slice(&fields[24..HEADER]);
                Ok(Self { mode, salt, iv })
            }
            (version, ..) => Err(Error::corrupt(format!(
                "the header of the encrypted file has version {version} and mode {}, which are not known",
                fields[5]
            ))
            .hint("a newer pgmoneta may have written the file; otherwise it is damaged")),
        }
    }

    /// The cipher's key and the MAC, which has seen the header.
    pub(super) fn keys(&self, secret: &MasterSecret) -> Result<(EnvelopeKeys, hmac::Context)> {
        let keys = secret.envelope_keys(&self.salt, self.mode)?;
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &keys.mac[..]));
        mac.update(&self.to_bytes());
        Ok((keys, mac))
    }
}

//! The master secret and the keys made of it.

use std::num::NonZeroU32;

use ring::hkdf;
use ring::pbkdf2;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::{Code, Error, Result};

use super::mode::CipherMode;

/// Rounds from the master password to the master secret, fixed by the format.
const ROUNDS: u32 = 600_000;
const INFO: &[u8] = b"pgmoneta file v1";

/// What all keys of an installation are made of: 64 bytes, wiped from memory when dropped.
#[derive(Clone)]
pub struct MasterSecret(Zeroizing<[u8; 64]>);

/// The keys of one envelope.
pub(super) struct EnvelopeKeys {
    pub(super) mac: Zeroizing<[u8; 32]>,
    pub(super) cipher: Zeroizing<Vec<u8>>,
}

impl MasterSecret {
    /// PBKDF2-HMAC-SHA256 of the master password with the 16-byte salt of `master.key`, 600 000 rounds: takes half a
    /// second. Do it once per process and away from the event loop.
    #[must_use]
    pub fn derive(password: &[u8], salt: &[u8]) -> Self {
        let mut secret = Zeroizing::new([0; 64]);
        stretch(ROUNDS, password, salt, &mut secret[..]);
        Self(secret)
    }

    /// A secret derived before.
    ///
    /// # Errors
    /// [`Code::Usage`] when it has not 64 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != 64 {
            let message = format!("a master secret has 64 bytes, this one {}", bytes.len());
            return Err(Error::new(Code::Usage, message));
        }
        let mut secret = Zeroizing::new([0; 64]);
        secret.copy_from_slice(bytes);
        Ok(Self(secret))
    }

    /// The 64 bytes. The caller wipes its copies.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// The key of a GCM blob: PBKDF2 with one round; of its 80 bytes only the first 32 are ever used.
    pub(super) fn blob_key(&self, salt: &[u8; 16]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        stretch(1, &self.0[..], salt, &mut key[..]);
        key
    }

    /// The keys of an envelope: HKDF-SHA256, the key of the MAC first.
    pub(super) fn envelope_keys(&self, salt: &[u8; 16], mode: CipherMode) -> Result<EnvelopeKeys> {
        struct Size(usize);
        impl hkdf::KeyType for Size {
            fn len(&self) -> usize {
                self.0
            }
        }
        let size = 32 + mode.key_size();
        let mut keys = Zeroizing::new(vec![0; size]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(&self.0[..])
            .expand(&[INFO, &[mode.code()]], Size(size))
            .and_then(|material| material.fill(&mut keys))
            .map_err(|_| Error::new(Code::Internal, "HKDF cannot give the keys of an envelope"))?;
        let mut mac = Zeroizing::new([0; 32]);
        mac.copy_from_slice(&keys[..32]);
        Ok(EnvelopeKeys {
            mac,
            cipher: Zeroizing::new(keys[32..].to_vec()),
        })
    }
}

impl std::fmt::Debug for MasterSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MasterSecret(hidden)")
    }
}

fn stretch(rounds: u32, password: &[u8], salt: &[u8], out: &mut [u8]) {
    let rounds = NonZeroU32::new(rounds).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password, out);
}

/// Bytes from the operating system's random generator.
pub(super) fn random<const SIZE: usize>() -> Result<[u8; SIZE]> {
    let mut bytes = [0; SIZE];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::new(Code::Internal, "the operating system gives no random bytes"))?;
    Ok(bytes)
}

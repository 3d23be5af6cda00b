//! Sealing one file, message or entry as a stream.

use ring::hmac;

use crate::{Code, Error, Result};

use super::aes_cbc::{self, Blocks};
use super::envelope::Header;
use super::gcm::{Gcm, StreamCipherSend, counter_mode};
use super::mode::{CipherMode, Operation};
use super::secret::{MasterSecret, random};

/// Seals one stream of bytes: write [`Sealer::header`], then what `update` gives, then [`Sealer::finish`].
pub struct Sealer {
    header: Vec<u8>,
    body: Body,
}

enum Body {
    Gcm(Gcm),
    Ctr {
        keystream: Box<dyn StreamCipherSend>,
        mac: hmac::Context,
    },
    Cbc {
        blocks: Box<dyn Blocks>,
        mac: hmac::Context,
        partial: Vec<u8>,
    },
}

impl Sealer {
    /// With a fresh random salt and IV.
    ///
    /// # Errors
    /// [`Code::Internal`] when the operating system gives no random bytes.
    pub fn new(mode: CipherMode, secret: &MasterSecret) -> Result<Self> {
        Self::with_nonces(mode, secret, random()?, random()?)
    }

    /// With a given salt and IV (GCM takes the first 12 bytes): for tests against published values only.
    pub(super) fn with_nonces(
        mode: CipherMode,
        secret: &MasterSecret,
        salt: [u8; 16],
        iv: [u8; 16],
    ) -> Result<Self> {
        if mode.is_gcm() {
            let mut short = [0; 12];
            short.copy_from_slice(&iv[..12]);
            let key = secret.blob_key(&salt);
            let gcm = Gcm::new(&key[..mode.key_size()], &short)?;
            return Ok(Self {
                header: [&salt[..], &short[..]].concat(),
                body: Body::Gcm(gcm),
            });
        }
        let header = Header { mode, salt, iv };
        let (keys, mac) = header.keys(secret)?;
        let body = match mode.operation() {
            Operation::Cbc => Body::Cbc {
                blocks: aes_cbc::encryptor(&keys.cipher, &iv)?,
                mac,
                partial: Vec::with_capacity(16),
            },
            _ => Body::Ctr {
                keystream: counter_mode(&keys.cipher, &iv)?,
                mac,
            },
        };
        Ok(Self {
            header: header.to_bytes(),
            body,
        })
    }

    /// What comes first: 28 bytes for GCM, 40 for CBC and CTR.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        self.header.clone()
    }

    /// Whether ciphertext is as long as its plain text, so that [`Sealer::update`] can be used: all modes but CBC.
    #[must_use]
    pub fn in_place(&self) -> bool {
        !matches!(self.body, Body::Cbc { .. })
    }

    /// Encrypts in place.
    ///
    /// # Errors
    /// [`Code::Usage`] when a GCM message would exceed 2^36 - 32 bytes; [`Code::Internal`] for CBC.
    pub fn update(&mut self, data: &mut [u8]) -> Result<()> {
        match &mut self.body {
            Body::Gcm(gcm) => gcm.encrypt(data),
            Body::Ctr { keystream, mac } => {
                for step in data.chunks_mut(8 * 1024) {
                    keystream.apply(step);
                    mac.update(step);
                }
                Ok(())
            }
            Body::Cbc { .. } => Err(Error::new(
                Code::Internal,
                "AES-CBC cannot encrypt in place, its blocks need room",
            )),
        }
    }

    /// Encrypts `data` and adds the ciphertext to `out`; works for every mode.
    ///
    /// # Errors
    /// As [`Sealer::update`].
    pub fn update_into(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let start = out.len();
        let Body::Cbc { blocks, mac, partial } = &mut self.body else {
            out.extend_from_slice(data);
            return self.update(&mut out[start..]);
        };
        let whole = (partial.len() + data.len()) / 16 * 16;
        if whole == 0 {
            partial.extend_from_slice(data);
            return Ok(());
        }
        let (now, later) = data.split_at(whole - partial.len());
        out.reserve(whole);
        out.append(partial);
        out.extend_from_slice(now);
        partial.extend_from_slice(later);
        blocks.apply(&mut out[start..]);
        mac.update(&out[start..]);
        Ok(())
    }

    /// What comes last: the tag or MAC, for CBC behind the padded last block.
    ///
    /// # Errors
    /// None at present; sealing ends with a `Result` as a cipher may have to refuse here.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self.body {
            Body::Gcm(gcm) => Ok(gcm.tag().to_vec()),
            Body::Ctr { mac, .. } => Ok(mac.sign().as_ref().to_vec()),
            Body::Cbc {
                mut blocks,
                mut mac,
                mut partial,
            } => {
                let padding = 16 - partial.len();
                partial.resize(16, padding as u8);
                blocks.apply(&mut partial);
                mac.update(&partial);
                partial.extend_from_slice(mac.sign().as_ref());
                Ok(partial)
            }
        }
    }
}

//! AES-GCM as a stream: 12-byte IV, 16-byte tag, no additional data, one message of any length.
//!
//! The usual crates seal whole buffers only; a stored file is far larger than memory, so counter mode and GHASH are
//! driven side by side here, in steps that stay in the first-level cache.

use aes::cipher::{
    BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, KeyIvInit, StreamCipher, consts::U16,
};
use aes::{Aes128, Aes192, Aes256};
use ctr::{Ctr32BE, CtrCore, flavors};
use ghash::{Block, GHash, universal_hash::UniversalHash};

use crate::{Code, Error, Result};

/// The largest message that GCM allows: 2^36 - 32 bytes.
pub(super) const MESSAGE_MAX: u64 = (1 << 36) - 32;

/// Counter mode and GHASH of a step find it in the first-level cache.
const STEP: usize = 8 * 1024;

/// One message, being sealed or opened.
pub(super) struct Gcm {
    keystream: Box<dyn StreamCipherSend>,
    ghash: GHash,
    mask: [u8; 16],
    length: u64,
    /// Ciphertext that does not fill a block yet.
    partial: [u8; 16],
    partial_len: usize,
}

/// A keystream of any key size.
pub(super) trait StreamCipherSend: Send {
    fn apply(&mut self, data: &mut [u8]);
}

impl<C: StreamCipher + Send> StreamCipherSend for C {
    fn apply(&mut self, data: &mut [u8]) {
        // The counter cannot run out: the length of a message is checked before.
        self.apply_keystream(data);
    }
}

impl Gcm {
    /// A message under a key of 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8], iv: &[u8; 12]) -> Result<Self> {
        match key.len() {
            16 => Self::with::<Aes128>(key, iv),
            24 => Self::with::<Aes192>(key, iv),
            32 => Self::with::<Aes256>(key, iv),
            size => Err(Error::new(
                Code::Internal,
                format!("AES has no keys of {size} bytes"),
            )),
        }
    }

    fn with<A>(key: &[u8], iv: &[u8; 12]) -> Result<Self>
    where
        A: KeyInit + BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Send + 'static,
    {
        let wrong = |_| Error::new(Code::Internal, "AES refuses its key");
        let cipher = A::new_from_slice(key).map_err(wrong)?;
        let mut hash_key = Block::default();
        cipher.encrypt_block(&mut hash_key);
        let ghash = GHash::new(&hash_key);
        let mut counter = Block::default();
        counter[..12].copy_from_slice(iv);
        counter[15] = 1;
        let mut keystream =
            Ctr32BE::from_core(CtrCore::<A, flavors::Ctr32BE>::inner_iv_init(cipher, &counter));
        // The first block of the keystream masks the tag.
        let mut mask = [0; 16];
        keystream.apply_keystream(&mut mask);
        Ok(Self {
            keystream: Box::new(keystream),
            ghash,
            mask,
            length: 0,
            partial: [0; 16],
            partial_len: 0,
        })
    }

    /// Encrypts in place.
    pub(super) fn encrypt(&mut self, data: &mut [u8]) -> Result<()> {
        self.count(data.len())?;
        for step in data.chunks_mut(STEP) {
            self.keystream.apply(step);
            self.hash(step);
        }
        Ok(())
    }

    /// Decrypts in place.
    pub(super) fn decrypt(&mut self, data: &mut [u8]) -> Result<()> {
        self.count(data.len())?;
        for step in data.chunks_mut(STEP) {
            self.hash(step);
            self.keystream.apply(step);
        }
        Ok(())
    }

    /// Takes ciphertext into the tag without decrypting it.
    pub(super) fn authenticate(&mut self, data: &[u8]) -> Result<()> {
        self.count(data.len())?;
        self.hash(data);
        Ok(())
    }

    /// The tag of everything.
    pub(super) fn tag(mut self) -> [u8; 16] {
        if self.partial_len > 0 {
            self.partial[self.partial_len..].fill(0);
            self.ghash.update(&[self.partial.into()]);
        }
        let mut lengths = Block::default();
        lengths[8..].copy_from_slice(&(self.length * 8).to_be_bytes());
        self.ghash.update(&[lengths]);
        let mut tag: [u8; 16] = self.ghash.finalize().into();
        for (byte, mask) in tag.iter_mut().zip(self.mask) {
            *byte ^= mask;
        }
        tag
    }

    fn count(&mut self, more: usize) -> Result<()> {
        self.length += more as u64;
        if self.length > MESSAGE_MAX {
            return Err(Error::new(
                Code::Usage,
                "AES-GCM seals at most 68719476704 bytes (64 GiB less 32 bytes) in one file; this one is larger",
            )
            .hint("compress the file, or use a mode without that limit, for example encryption = aes-256-ctr"));
        }
        Ok(())
    }

    fn hash(&mut self, mut data: &[u8]) {
        if self.partial_len > 0 {
            let count = data.len().min(16 - self.partial_len);
            self.partial[self.partial_len..self.partial_len + count].copy_from_slice(&data[..count]);
            self.partial_len += count;
            data = &data[count..];
            if self.partial_len < 16 {
                return;
            }
            self.ghash.update(&[self.partial.into()]);
            self.partial_len = 0;
        }
        let (blocks, rest) = Block::slice_as_chunks(data);
        self.ghash.update(blocks);
        self.partial[..rest.len()].copy_from_slice(rest);
        self.partial_len = rest.len();
    }
}

/// AES-CTR with a 128-bit counter, of any key size.
pub(super) fn counter_mode(key: &[u8], iv: &[u8; 16]) -> Result<Box<dyn StreamCipherSend>> {
    let wrong = |_| Error::new(Code::Internal, "AES refuses its key");
    Ok(match key.len() {
        16 => Box::new(ctr::Ctr128BE::<Aes128>::new_from_slices(key, iv).map_err(wrong)?),
        24 => Box::new(ctr::Ctr128BE::<Aes192>::new_from_slices(key, iv).map_err(wrong)?),
        _ => Box::new(ctr::Ctr128BE::<Aes256>::new_from_slices(key, iv).map_err(wrong)?),
    })
}

#[cfg(test)]
mod tests {
    use super::{Gcm, MESSAGE_MAX};

    #[test]
    fn messages_end_at_the_limit() {
        let mut gcm = Gcm::new(&[0; 32], &[0; 12]).unwrap();
        gcm.length = MESSAGE_MAX - 1;
        assert!(gcm.encrypt(&mut [0; 1]).is_ok());
        assert!(gcm.encrypt(&mut [0; 1]).is_err());
    }
}

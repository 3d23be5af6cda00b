//! AES-CBC of any key size, whole blocks only; padding is the caller's.

use aes::cipher::{Array, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, consts::U16};
use aes::{Aes128, Aes192, Aes256};

use crate::{Code, Error, Result};

/// Encrypts or decrypts whole blocks in place.
pub(super) trait Blocks: Send {
    /// `data` is a multiple of 16 bytes.
    fn apply(&mut self, data: &mut [u8]);
}

struct Encrypt<M>(M);
struct Decrypt<M>(M);

impl<M: BlockModeEncrypt<BlockSize = U16> + Send> Blocks for Encrypt<M> {
    fn apply(&mut self, data: &mut [u8]) {
        self.0
            .encrypt_blocks(Array::<u8, U16>::slice_as_chunks_mut(data).0);
    }
}

impl<M: BlockModeDecrypt<BlockSize = U16> + Send> Blocks for Decrypt<M> {
    fn apply(&mut self, data: &mut [u8]) {
        self.0
            .decrypt_blocks(Array::<u8, U16>::slice_as_chunks_mut(data).0);
    }
}

pub(super) fn encryptor(key: &[u8], iv: &[u8; 16]) -> Result<Box<dyn Blocks>> {
    Ok(match key.len() {
        16 => Box::new(Encrypt(
            cbc::Encryptor::<Aes128>::new_from_slices(key, iv).map_err(wrong)?,
        )),
        24 => Box::new(Encrypt(
            cbc::Encryptor::<Aes192>::new_from_slices(key, iv).map_err(wrong)?,
        )),
        _ => Box::new(Encrypt(
            cbc::Encryptor::<Aes256>::new_from_slices(key, iv).map_err(wrong)?,
        )),
    })
}

pub(super) fn decryptor(key: &[u8], iv: &[u8; 16]) -> Result<Box<dyn Blocks>> {
    Ok(match key.len() {
        16 => Box::new(Decrypt(
            cbc::Decryptor::<Aes128>::new_from_slices(key, iv).map_err(wrong)?,
        )),
        24 => Box::new(Decrypt(
            cbc::Decryptor::<Aes192>::new_from_slices(key, iv).map_err(wrong)?,
        )),
        _ => Box::new(Decrypt(
            cbc::Decryptor::<Aes256>::new_from_slices(key, iv).map_err(wrong)?,
        )),
    })
}

fn wrong<E>(_: E) -> Error {
    Error::new(Code::Internal, "AES refuses its key")
}

/// How many bytes of the last decrypted block are data, by its PKCS#7 padding; `None` when the padding is wrong.
pub(super) fn unpadded(last: &[u8]) -> Option<usize> {
    let count = usize::from(*last.last()?);
    let keep = last.len().checked_sub(count)?;
    (count > 0 && last[keep..].iter().all(|byte| usize::from(*byte) == count)).then_some(keep)
}

//! Files and vault entries of 0.20 and before: bare AES-CBC or AES-CTR, no header, no salt, no tag. Read only.
//!
//! Key and IV are OpenSSL's `EVP_BytesToKey` with SHA-1, no salt and one round of the master password. Nothing
//! authenticates such data: wrong padding is noticed, other damage only by the hash list of the backup.

use std::io::{self, Read};

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::{Error, Result};

use super::aes_cbc::{self, Blocks};
use super::gcm::{StreamCipherSend, counter_mode};

const BUFFER: usize = 64 * 1024;

/// `ENCRYPTION` of 0.20 and before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegacyMode {
    Aes256Cbc,
    Aes192Cbc,
    Aes128Cbc,
    Aes256Ctr,
    Aes192Ctr,
    Aes128Ctr,
}

impl LegacyMode {
    /// The mode of an `ENCRYPTION` value, 1 to 6.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(LegacyMode::Aes256Cbc),
            2 => Some(LegacyMode::Aes192Cbc),
            3 => Some(LegacyMode::Aes128Cbc),
            4 => Some(LegacyMode::Aes256Ctr),
            5 => Some(LegacyMode::Aes192Ctr),
            6 => Some(LegacyMode::Aes128Ctr),
            _ => None,
        }
    }

    fn key_size(self) -> usize {
        match self {
            LegacyMode::Aes256Cbc | LegacyMode::Aes256Ctr => 32,
            LegacyMode::Aes192Cbc | LegacyMode::Aes192Ctr => 24,
            LegacyMode::Aes128Cbc | LegacyMode::Aes128Ctr => 16,
        }
    }

    fn is_counter(self) -> bool {
        matches!(
            self,
            LegacyMode::Aes256Ctr | LegacyMode::Aes192Ctr | LegacyMode::Aes128Ctr
        )
    }
}

/// Reads a file of 0.20 or before with the master password itself. See the module on what is noticed.
///
/// # Errors
/// [`crate::Code::Internal`] when the cipher cannot be made.
pub fn legacy_opener(
    mode: LegacyMode,
    password: &[u8],
    source: Box<dyn Read + Send>,
) -> Result<Box<dyn Read + Send>> {
    let (key, iv) = bytes_to_key(password, mode.key_size());
    if mode.is_counter() {
        return Ok(Box::new(Counter {
            source,
            keystream: counter_mode(&key, &iv)?,
        }));
    }
    Ok(Box::new(Chained {
        source,
        blocks: aes_cbc::decryptor(&key, &iv)?,
        buffer: vec![0; BUFFER],
        given: 0,
        plain: 0,
        filled: 0,
        ended: false,
    }))
}

/// Opens a vault entry of 0.20 or before: AES-256-CBC.
///
/// # Errors
/// [`crate::Code::Corrupt`] when its size or padding is wrong.
pub fn legacy_open(password: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let source = Box::new(io::Cursor::new(sealed.to_vec()));
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    legacy_opener(LegacyMode::Aes256Cbc, password, source)?
        .read_to_end(&mut plain)
        .map_err(|error| Error::corrupt(error.to_string()))?;
    Ok(plain)
}

fn bytes_to_key(password: &[u8], key_size: usize) -> (Zeroizing<Vec<u8>>, [u8; 16]) {
    let mut material = Zeroizing::new(Vec::with_capacity(64));
    let mut last = Zeroizing::new(Vec::new());
    while material.len() < key_size + 16 {
        let mut hash = Sha1::new();
        hash.update(&*last);
        hash.update(password);
        *last = hash.finalize().to_vec();
        material.extend_from_slice(&last);
    }
    let mut iv = [0; 16];
    iv.copy_from_slice(&material[key_size..key_size + 16]);
    (Zeroizing::new(material[..key_size].to_vec()), iv)
}

struct Counter {
    source: Box<dyn Read + Send>,
    keystream: Box<dyn StreamCipherSend>,
}

impl Read for Counter {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(out)?;
        self.keystream.apply(&mut out[..count]);
        Ok(count)
    }
}

struct Chained {
    source: Box<dyn Read + Send>,
    blocks: Box<dyn Blocks>,
    /// Plain bytes to be given out are `given..plain`; ciphertext is `plain..filled`.
    buffer: Vec<u8>,
    given: usize,
    plain: usize,
    filled: usize,
    ended: bool,
}

impl Chained {
    /// Decrypts some more, holding back the last block, which has the padding.
    fn advance(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.plain..self.filled, 0);
        self.filled -= self.plain;
        (self.given, self.plain) = (0, 0);
        let count = loop {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if count > 0 {
            self.filled += count;
            self.plain = (self.filled - 1) / 16 * 16;
            self.blocks.apply(&mut self.buffer[..self.plain]);
            return Ok(());
        }
        self.ended = true;
        let last = &mut self.buffer[..self.filled];
        self.filled = 0;
        if last.len() != 16 {
            return Err(damaged("is cut: its size is no multiple of 16 bytes"));
        }
        self.blocks.apply(last);
        self.plain = aes_cbc::unpadded(last)
            .ok_or_else(|| damaged("has wrong padding: it is damaged, or the master key is another one"))?;
        self.filled = self.plain;
        Ok(())
    }
}

impl Read for Chained {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.given == self.plain {
            if self.ended {
                return Ok(0);
            }
            self.advance()?;
        }
        let count = out.len().min(self.plain - self.given);
        out[..count].copy_from_slice(&self.buffer[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        Error::corrupt(format!("the file, encrypted by 0.20 or before, {what}")),
    )
}

//! Opening what was sealed, as a stream.

use std::io::{self, Read};

use ring::hmac;
use subtle::ConstantTimeEq;

use crate::{Error, Result};

use super::aes_cbc::{self, Blocks};
use super::envelope::{HEADER, Header, MAC};
use super::gcm::{Gcm, StreamCipherSend, counter_mode};
use super::mode::{CipherMode, Operation};
use super::secret::MasterSecret;

const BUFFER: usize = 64 * 1024;
const TAG: usize = 16;
pub(super) const GCM_HEADER: usize = 16 + 12;

/// Reads what a [`super::Sealer`] (or pgmoneta 0.21) sealed.
///
/// With a GCM mode the source is that; with any other mode or none an envelope tells its own mode, and without one
/// AES-256-GCM is assumed ([`super::identify`] finds out, for a source that can be read twice).
///
/// The reader gives plain bytes before they are authenticated. Only when it has ended without an error was all of
/// it true: nothing may be published before. Errors hold an [`Error`], see [`Error::reading`].
#[must_use]
pub fn opener(
    mode_hint: Option<CipherMode>,
    secret: &MasterSecret,
    source: Box<dyn Read + Send>,
) -> Box<dyn Read + Send> {
    Box::new(Opener {
        source,
        stage: Stage::Header {
            hint: mode_hint,
            secret: secret.clone(),
        },
        buffer: vec![0; BUFFER],
        given: 0,
        plain: 0,
        filled: 0,
    })
}

/// The error of data that is not what was sealed.
pub(super) fn not_authentic() -> Error {
    Error::corrupt("the encrypted data is not authentic: it was changed or cut, or sealed with another key or mode")
        .hint("check that ~/.pgmoneta/master.key is the one the data was encrypted with; otherwise take another copy")
}

struct Opener {
    source: Box<dyn Read + Send>,
    stage: Stage,
    /// Plain bytes to be given out are `given..plain`; ciphertext and tag are `plain..filled`.
    buffer: Vec<u8>,
    given: usize,
    plain: usize,
    filled: usize,
}

enum Stage {
    Header {
        hint: Option<CipherMode>,
        secret: MasterSecret,
    },
    Body(Box<Body>),
    /// Everything was authenticated.
    Ended,
    Failed(Error),
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
    },
}

impl Body {
    /// How many bytes at the end may be something else than ciphertext to be given out.
    fn held_back(&self) -> usize {
        match self {
            Body::Gcm(_) => TAG,
            Body::Ctr { .. } => MAC,
            // The last block holds the padding, and is looked at after the MAC.
            Body::Cbc { .. } => MAC + 16,
        }
    }

    fn decrypt(&mut self, data: &mut [u8]) -> Result<()> {
        match self {
            Body::Gcm(gcm) => gcm.decrypt(data)?,
            Body::Ctr { keystream, mac } => {
                mac.update(data);
                keystream.apply(data);
            }
            Body::Cbc { blocks, mac } => {
                mac.update(data);
                blocks.apply(data);
            }
        }
        Ok(())
    }

    /// Checks the end of the data; gives how many plain bytes its start now holds.
    fn end(self, rest: &mut [u8]) -> Result<usize> {
        if rest.len() != self.held_back() {
            return Err(not_authentic());
        }
        match self {
            Body::Gcm(gcm) => authentic(&gcm.tag(), rest).map(|()| 0),
            Body::Ctr { mac, .. } => authentic(mac.sign().as_ref(), rest).map(|()| 0),
            Body::Cbc { mut blocks, mut mac } => {
                let (block, tag) = rest.split_at_mut(16);
                mac.update(block);
                authentic(mac.sign().as_ref(), tag)?;
                blocks.apply(block);
                aes_cbc::unpadded(block).ok_or_else(|| {
                    Error::corrupt("the encrypted data has wrong padding, though it is authentic")
                })
            }
        }
    }
}

fn authentic(expected: &[u8], found: &[u8]) -> Result<()> {
    if bool::from(expected.ct_eq(found)) {
        Ok(())
    } else {
        Err(not_authentic())
    }
}

impl Opener {
    /// Reads the header and leaves what was read beyond it in the buffer.
    fn begin(&mut self, hint: Option<CipherMode>, secret: &MasterSecret) -> io::Result<Body> {
        let mut start = Vec::with_capacity(HEADER);
        self.source.by_ref().take(HEADER as u64).read_to_end(&mut start)?;
        let envelope = match hint {
            Some(mode) if mode.is_gcm() => None,
            _ => Header::parse(&start),
        };
        let (body, size) = match envelope {
            Some(header) => (
                open_envelope(&header.map_err(invalid)?, secret).map_err(invalid)?,
                HEADER,
            ),
            None => (open_gcm(hint, secret, &start).map_err(invalid)?, GCM_HEADER),
        };
        let rest = &start[size..];
        self.buffer[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
        Ok(body)
    }

    /// Decrypts some more; false at the authentic end.
    fn advance(&mut self, body: &mut Body) -> io::Result<bool> {
        self.buffer.copy_within(self.plain..self.filled, 0);
        self.filled -= self.plain;
        (self.given, self.plain) = (0, 0);
        let count = loop {
            match self.source.read(&mut self.buffer[self.filled..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        if count == 0 {
            return Ok(false);
        }
        self.filled += count;
        let ready = self.filled.saturating_sub(body.held_back());
        self.plain = if matches!(body, Body::Cbc { .. }) {
            ready / 16 * 16
        } else {
            ready
        };
        body.decrypt(&mut self.buffer[..self.plain]).map_err(invalid)?;
        Ok(true)
    }

    fn fail(&mut self, error: io::Error) -> io::Error {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Error>())
            .cloned();
        self.stage = Stage::Failed(inner.unwrap_or_else(|| Error::corrupt(error.to_string())));
        error
    }

    /// Gets plain bytes into the buffer; false when there are no more.
    fn refill(&mut self) -> io::Result<bool> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Ended) {
                Stage::Ended => return Ok(false),
                Stage::Failed(error) => {
                    self.stage = Stage::Failed(error.clone());
                    return Err(invalid(error));
                }
                Stage::Header { hint, secret } => {
                    let body = self.begin(hint, &secret).map_err(|error| self.fail(error))?;
                    self.stage = Stage::Body(Box::new(body));
                }
                Stage::Body(mut body) => match self.advance(&mut body) {
                    Err(error) => return Err(self.fail(error)),
                    Ok(true) => self.stage = Stage::Body(body),
                    Ok(false) => {
                        let end = body.end(&mut self.buffer[..self.filled]);
                        self.plain = end.map_err(|error| self.fail(invalid(error)))?;
                    }
                },
            }
            if self.given < self.plain {
                return Ok(true);
            }
        }
    }
}

fn open_gcm(hint: Option<CipherMode>, secret: &MasterSecret, start: &[u8]) -> Result<Body> {
    let mode = hint.unwrap_or(CipherMode::Aes256Gcm);
    if !mode.is_gcm() {
        return Err(Error::corrupt(format!(
            "the data is not encrypted with {} by pgmoneta",
            mode.name()
        )));
    }
    gcm_of(mode, secret, start).map(Body::Gcm)
}

/// A GCM message from its header, which `start` begins with.
pub(super) fn gcm_of(mode: CipherMode, secret: &MasterSecret, start: &[u8]) -> Result<Gcm> {
    let (mut salt, mut iv) = ([0; 16], [0; 12]);
    let header = start.get(..GCM_HEADER).ok_or_else(|| {
        Error::corrupt(format!(
            "truncated: {} bytes are too few for encrypted data",
            start.len()
        ))
    })?;
    salt.copy_from_slice(&header[..16]);
    iv.copy_from_slice(&header[16..]);
    Gcm::new(&secret.blob_key(&salt)[..mode.key_size()], &iv)
}

fn open_envelope(header: &Header, secret: &MasterSecret) -> Result<Body> {
    let (keys, mac) = header.keys(secret)?;
    Ok(match header.mode.operation() {
        Operation::Cbc => Body::Cbc {
            blocks: aes_cbc::decryptor(&keys.cipher, &header.iv)?,
            mac,
        },
        _ => Body::Ctr {
            keystream: counter_mode(&keys.cipher, &header.iv)?,
            mac,
        },
    })
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Read for Opener {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || (self.given == self.plain && !self.refill()?) {
            return Ok(0);
        }
        let count = out.len().min(self.plain - self.given);
        out[..count].copy_from_slice(&self.buffer[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

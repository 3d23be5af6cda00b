//! Sealing and opening of small things in memory: vault entries, messages.

use std::io::{Cursor, Read};

use zeroize::Zeroizing;

use crate::{Error, Result};

use super::mode::CipherMode;
use super::opener::opener;
use super::sealer::Sealer;
use super::secret::MasterSecret;

/// Seals `plain`; for GCM: salt (16), IV (12), ciphertext, tag (16).
///
/// # Errors
/// As [`Sealer::new`] and [`Sealer::update`].
pub fn seal_blob(mode: CipherMode, secret: &MasterSecret, plain: &[u8]) -> Result<Vec<u8>> {
    seal_with(Sealer::new(mode, secret)?, plain)
}

pub(super) fn seal_with(mut sealer: Sealer, plain: &[u8]) -> Result<Vec<u8>> {
    let mut out = sealer.header();
    out.reserve(plain.len() + 64);
    sealer.update_into(plain, &mut out)?;
    out.extend_from_slice(&sealer.finish()?);
    Ok(out)
}

/// Opens what [`seal_blob`] sealed. Gives nothing unless all of it is authentic.
///
/// # Errors
/// [`crate::Code::Corrupt`] when it is not, with this secret and mode.
pub fn open_blob(mode: CipherMode, secret: &MasterSecret, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len()));
    opener(Some(mode), secret, Box::new(Cursor::new(sealed.to_vec())))
        .read_to_end(&mut plain)
        .map_err(|error| inner(&error))?;
    Ok(plain)
}

fn inner(error: &std::io::Error) -> Error {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Error>())
        .cloned()
        .unwrap_or_else(|| Error::corrupt(error.to_string()))
}

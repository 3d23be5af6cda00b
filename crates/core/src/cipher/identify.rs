//! Finding out how something was sealed, by trial.

use std::io::{self, Read};

use subtle::ConstantTimeEq;

use crate::{Code, Error, Result};

use super::envelope::{HEADER, Header};
use super::mode::CipherMode;
use super::opener::{GCM_HEADER, gcm_of, not_authentic};
use super::secret::MasterSecret;

const BUFFER: usize = 64 * 1024;
const TAG: usize = 16;

/// The mode that `source` was sealed with, with this secret: an envelope says so itself (its MAC is not checked here);
/// otherwise the three GCM modes are tried side by side in one pass, which checks the whole source.
///
/// # Errors
/// [`Code::Corrupt`] when no mode fits: the data is damaged, or sealed with another master key.
pub fn identify(secret: &MasterSecret, source: &mut dyn Read) -> Result<CipherMode> {
    let mut buffer = vec![0; BUFFER];
    let mut held = read_full(source, &mut buffer[..HEADER])?;
    if let Some(header) = Header::parse(&buffer[..held]) {
        return Ok(header?.mode);
    }
    let mut trials = Vec::with_capacity(3);
    for mode in CipherMode::GCM {
        trials.push((mode, gcm_of(mode, secret, &buffer[..held])?));
    }
    buffer.copy_within(GCM_HEADER..held, 0);
    held -= GCM_HEADER;
    loop {
        let count = read_full(source, &mut buffer[held..])?;
        let filled = held + count;
        let ready = filled.saturating_sub(TAG);
        for (_, gcm) in &mut trials {
            gcm.authenticate(&buffer[..ready])?;
        }
        buffer.copy_within(ready..filled, 0);
        held = filled - ready;
        if count == 0 || filled < buffer.len() {
            break;
        }
    }
    if held != TAG {
        return Err(not_authentic());
    }
    let found = &buffer[..TAG];
    trials
        .into_iter()
        .find_map(|(mode, gcm)| bool::from(gcm.tag().ct_eq(found)).then_some(mode))
        .ok_or_else(not_authentic)
}

fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match source.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Error::new(
                    Code::Io,
                    format!("cannot read the encrypted data: {error}"),
                ));
            }
        }
    }
    Ok(have)
}

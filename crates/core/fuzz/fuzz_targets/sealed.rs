//! Sealed files: any bytes never open, and a sealed file never opens after a change.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::cipher::{
    CipherMode, LegacyMode, MasterSecret, identify, legacy_opener, opener, seal_blob,
};

fuzz_target!(|input: &[u8]| {
    let [pick, at, flip, data @ ..] = input else {
        return;
    };
    let Ok(secret) = MasterSecret::from_slice(&[0x5a; 64]) else {
        return;
    };
    let mode = CipherMode::ALL[usize::from(*pick) % CipherMode::ALL.len()];
    let open = |hint, sealed: &[u8]| {
        opener(hint, &secret, Box::new(Cursor::new(sealed.to_vec()))).read_to_end(&mut Vec::new())
    };
    assert!(open(None, data).is_err());
    assert!(open(Some(mode), data).is_err());
    let _ = identify(&secret, &mut &data[..]);
    if let Some(legacy) = LegacyMode::from_code(u32::from(*pick) % 6 + 1)
        && let Ok(mut reader) = legacy_opener(legacy, b"password", Box::new(Cursor::new(data.to_vec())))
    {
        let _ = reader.read_to_end(&mut Vec::new());
    }
    let Ok(mut sealed) = seal_blob(mode, &secret, data) else {
        return;
    };
    assert_eq!(open(Some(mode), &sealed).ok(), Some(data.len()));
    if *flip != 0 {
        let index = usize::from(*at) * sealed.len() / 256;
        sealed[index] ^= flip;
        assert!(open(Some(mode), &sealed).is_err());
    }
});

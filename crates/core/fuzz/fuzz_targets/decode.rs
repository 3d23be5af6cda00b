//! Any bytes as a stored file of each codec: an error or plain bytes, never a panic, and no more memory than a window.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::codec::{Codec, decoder};

/// A few bytes may stand for terabytes; the rest of such a stream shows nothing new.
const ENOUGH: usize = 8 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((pick, stored)) = input.split_first() else {
        return;
    };
    let codec = Codec::COMPRESSING[usize::from(*pick) % Codec::COMPRESSING.len()];
    let mut reader = decoder(codec, Box::new(Cursor::new(stored.to_vec())));
    let (mut buffer, mut total) = (vec![0; 64 * 1024], 0);
    while let Ok(count) = reader.read(&mut buffer) {
        total += count;
        if count == 0 || total > ENOUGH {
            break;
        }
    }
});

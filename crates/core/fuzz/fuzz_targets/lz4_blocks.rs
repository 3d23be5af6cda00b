//! Files of linked LZ4 blocks, cut from the input so that lengths are right more often than by chance.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::codec::{Codec, decoder};

fuzz_target!(|input: &[u8]| {
    let Some((size, data)) = input.split_first() else {
        return;
    };
    let mut stored = Vec::with_capacity(data.len() * 2);
    for block in data.chunks(usize::from(*size) + 1) {
        stored.extend_from_slice(&(block.len() as u32).to_le_bytes());
        stored.extend_from_slice(block);
    }
    let mut plain = Vec::new();
    let whole = decoder(Codec::Lz4, Box::new(Cursor::new(stored.clone())))
        .read_to_end(&mut plain)
        .is_ok();
    assert!(
        plain.len() <= 4096 * stored.len().div_ceil(5),
        "a block gives 4096 bytes at most"
    );
    if whole && !stored.is_empty() {
        // Cut within the last block, it must be an error.
        stored.pop();
        assert!(
            decoder(Codec::Lz4, Box::new(Cursor::new(stored)))
                .read_to_end(&mut Vec::new())
                .is_err()
        );
    }
});

//! Messages of the management link: never more plain bytes than allowed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::codec::Codec;
use pgmoneta_core::codec::payload::decompress_payload;

const LIMIT: usize = 256 * 1024;

fuzz_target!(|input: &[u8]| {
    let Some((pick, packed)) = input.split_first() else {
        return;
    };
    let Some(codec) = Codec::from_link_code(u32::from(*pick) % 5) else {
        return;
    };
    if let Ok(plain) = decompress_payload(codec, packed, LIMIT) {
        assert!(plain.len() <= LIMIT);
    }
});

//! What a codec stored comes back, whatever the bytes and the borders of frames are.
#![no_main]

use std::io::{Cursor, Read};

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::codec::{Assembler, Codec, CodecSpec, EncodedFrame, FrameEncoder, decoder};

fuzz_target!(|input: &[u8]| {
    let [pick, level, size, data @ ..] = input else {
        return;
    };
    let spec = CodecSpec::new(
        Codec::COMPRESSING[usize::from(*pick) % Codec::COMPRESSING.len()],
        i32::from(*level % 10),
    );
    let Ok(mut encoder) = FrameEncoder::new(spec) else {
        return;
    };
    let mut assembler = Assembler::new(spec);
    let (mut frame, mut stored) = (EncodedFrame::default(), Vec::new());
    for piece in data.chunks(usize::from(*size) + 1) {
        assert!(encoder.encode(piece, &mut frame).is_ok());
        assembler.append(&frame, &mut stored);
    }
    assembler.finish(&mut stored);
    let mut plain = Vec::new();
    let read = decoder(spec.codec, Box::new(Cursor::new(stored))).read_to_end(&mut plain);
    assert!(read.is_ok() && plain == data);
});

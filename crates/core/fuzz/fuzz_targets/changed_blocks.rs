//! Any bytes as a file of changed blocks: both readers of its header agree, nothing panics, and a header that is read
//! is written to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::block::{BlockShape, HeaderScan, IncrementalHeader};

const PATH: &[u8] = b"base/1/INCREMENTAL.5";

fuzz_target!(|data: &[u8]| {
    // Small shapes, so that short input gets behind the check of the size.
    let Some((first, bytes)) = data.split_first() else { return };
    let shape = BlockShape {
        block_size: 64 << (first & 3),
        relseg_size: 16 << (first >> 4),
    };
    let size = bytes.len() as u64;
    let mut rest = bytes;
    let read = IncrementalHeader::read(&mut rest, shape, PATH, size);
    let mut scan = HeaderScan::new(shape, PATH, size);
    let scanned = bytes
        .chunks(7)
        .try_for_each(|piece| scan.push(piece))
        .and_then(|()| scan.finish());
    let Ok(header) = read else {
        // The reader wants the padding too, which the scan passes over; sizes are checked by both.
        return;
    };
    assert_eq!((bytes.len() - rest.len()) as u64, header.data_offset);
    assert!(header.blocks.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(header.block_length() <= shape.relseg_size);
    if header.misaligned {
        assert!(scanned.is_err());
        return;
    }
    assert_eq!(scanned.unwrap(), header.block_length());
    let written = IncrementalHeader::encode(shape, header.truncation, &header.blocks).unwrap();
    let words = 12 + 4 * header.blocks.len();
    assert_eq!(written.len() as u64, header.data_offset);
    assert_eq!(written[12..words], bytes[12..words]);
});

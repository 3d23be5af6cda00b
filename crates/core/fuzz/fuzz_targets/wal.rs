//! Any bytes as WAL: records or an end, never a panic, never more memory than was pushed, and the same whatever way the
//! bytes are cut. As a fuzzer finds neither checksums nor addresses, the input is also taken for the bodies of records of
//! real WAL, which is then damaged in one place: what is still told must be what was written.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::wal::{Body, EndOfWal, Lsn, Options, Record, Version, WalDecoder, event};

const PAGE: usize = 1024;
const SEGMENT: usize = 8 * 1024;
const START: u64 = 4 * SEGMENT as u64;

type Told = (Lsn, Lsn, Vec<u8>);

fn decode(bytes: &[u8], piece: usize) -> (Vec<Told>, EndOfWal) {
    let options = Options {
        segment_size: SEGMENT as u32,
        timeline: None,
        system_identifier: None,
        start: Lsn(START),
    };
    let mut decoder = WalDecoder::new(options).unwrap();
    let mut records = Vec::new();
    for chunk in bytes.chunks(piece) {
        let flow = decoder.push(chunk, &mut |record: &Record<'_>| {
            let _ = event(record);
            records.push((record.lsn, record.end, record.body.to_vec()));
            ControlFlow::Continue(())
        });
        if flow.is_break() {
            break;
        }
    }
    let end = decoder.end_of_wal();
    assert!(end.proved.0 >= START && end.position.0 <= START + bytes.len() as u64);
    let told: usize = records.iter().map(|(_, _, body)| body.len() + 24).sum();
    assert!(told <= bytes.len());
    (records, end)
}

fn page_header(at: u64, rest: usize) -> Vec<u8> {
    let first = at.is_multiple_of(SEGMENT as u64);
    let flags = u16::from(rest > 0) | if first { 2 } else { 0 };
    let mut header = [
        &0xd116u16.to_le_bytes()[..],
        &flags.to_le_bytes(),
        &1u32.to_le_bytes(),
    ]
    .concat();
    header.extend(at.to_le_bytes());
    header.extend((rest as u64).to_le_bytes());
    if first {
        header.extend(7u64.to_le_bytes());
        header.extend((SEGMENT as u32).to_le_bytes());
        header.extend((PAGE as u32).to_le_bytes());
    }
    header
}

/// WAL whose records have pieces of `data` as their bodies.
fn build(data: &[u8]) -> (Vec<u8>, Vec<Told>) {
    let (mut wal, mut written, mut prev) = (Vec::new(), Vec::new(), 0u64);
    let mut rest = data;
    while let [size, manager, info, more @ ..] = rest {
        let (body, later) = more.split_at((usize::from(*size) * 13).min(more.len()));
        rest = later;
        // A switch would leave the segment: the records after it would not be where they are put here.
        let manager = if manager % 3 == 0 && info & 0xf0 != 0x40 {
            0
        } else {
            1
        };
        let mut record = (24 + body.len() as u32).to_le_bytes().to_vec();
        record.extend(9u32.to_le_bytes());
        record.extend(prev.to_le_bytes());
        record.extend([*info, manager, 0, 0]);
        let crc = crc32c::crc32c_append(crc32c::crc32c(body), &record);
        record.extend(crc.to_le_bytes());
        record.extend(body);
        if wal.len() % PAGE == 0 {
            wal.extend(page_header(START + wal.len() as u64, 0));
        }
        prev = START + wal.len() as u64;
        let mut left = &record[..];
        while !left.is_empty() {
            if wal.len() % PAGE == 0 {
                wal.extend(page_header(START + wal.len() as u64, left.len()));
            }
            let (now, then) = left.split_at(left.len().min(PAGE - wal.len() % PAGE));
            wal.extend(now);
            left = then;
        }
        wal.resize(wal.len().next_multiple_of(8), 0);
        written.push((Lsn(prev), Lsn(START + wal.len() as u64), body.to_vec()));
    }
    (wal, written)
}

fuzz_target!(|data: &[u8]| {
    let [cut, place, flip, bytes @ ..] = data else {
        return;
    };
    let piece = usize::from(*cut) + 1;
    assert_eq!(decode(bytes, usize::MAX), decode(bytes, piece));
    for version in Version::ALL {
        let _ = Body::parse(bytes, version, 8192);
    }
    let (mut wal, written) = build(bytes);
    let (told, end) = decode(&wal, piece);
    assert_eq!((told, end.stop), (written.clone(), None));
    if let Some(at) = (!wal.is_empty()).then(|| usize::from(*place) * wal.len() / 256) {
        wal[at] ^= flip;
        let (told, _) = decode(&wal, piece);
        assert!(written.starts_with(&told));
    }
});

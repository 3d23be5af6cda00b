//! Bytes to measure with: repeatable, and of the kinds that backups consist of.

#![allow(dead_code)] // each bench uses some of it

/// Bytes that do not compress.
pub fn random(size: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Lines of words and numbers, as in logs and text columns.
pub fn text(size: usize) -> Vec<u8> {
    let words = [
        "checkpoint",
        "starting",
        "immediate",
        "relation",
        "of",
        "database",
        "was",
        "not",
        "found",
    ];
    let mut bytes = Vec::with_capacity(size + 64);
    for (line, byte) in random(size / 8 + 16).into_iter().enumerate() {
        if bytes.len() >= size {
            break;
        }
        bytes.extend_from_slice(words[usize::from(byte) % words.len()].as_bytes());
        bytes.extend_from_slice(format!(" {} ", line.wrapping_mul(2_654_435_761) % 99_991).as_bytes());
    }
    bytes.resize(size, b'\n');
    bytes
}

/// Heap pages of 8 KiB in the shape of `pgbench_accounts`: header, item pointers, a hole, tuples of counters, a filler
/// of blanks and some bytes that look random.
pub fn pages(size: usize) -> Vec<u8> {
    const TUPLE: usize = 128;
    let noise = random(size);
    let mut bytes = vec![0u8; size];
    for (number, page) in bytes.chunks_mut(8192).enumerate() {
        page[..8].copy_from_slice(&(0x0100_0000 + number as u64 * 8192).to_le_bytes());
        page[8..24].copy_from_slice(&[0x21, 0x43, 4, 0, 0, 1, 0, 1, 0, 0x20, 4, 0x20, 0, 0, 0, 0]);
        for (row, start) in (320..8192 - TUPLE + 1).step_by(TUPLE).enumerate() {
            let id = (number * 61 + row) as u32;
            page[24 + row * 4..28 + row * 4].copy_from_slice(&((start as u32) | 0x9f00_0000).to_le_bytes());
            page[start..start + 4].copy_from_slice(&(700 + id / 100).to_le_bytes());
            page[start + 12..start + 16].copy_from_slice(&(number as u32).to_le_bytes());
            page[start + 24..start + 28].copy_from_slice(&id.to_le_bytes());
            page[start + 32..start + 44].copy_from_slice(&noise[start..start + 12]);
            page[start + 44..start + TUPLE].fill(b' ');
        }
    }
    bytes
}

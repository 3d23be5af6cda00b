//! Builds archives for tests.

use super::BLOCK;

/// A header block of ustar; the size goes to base-256 when eleven octal digits are not enough.
pub fn header(name: &[u8], kind: u8, size: u64, link: &[u8]) -> Vec<u8> {
    header_with(name, kind, size, link, b"")
}

/// The same with a ustar prefix.
pub fn header_with(name: &[u8], kind: u8, size: u64, link: &[u8], prefix: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000600\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    if size < 1 << 33 {
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    } else {
        block[124] = 0x80;
        block[128..136].copy_from_slice(&size.to_be_bytes());
    }
    block[136..148].copy_from_slice(b"14717510100\0");
    block[148..156].fill(b' ');
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..345 + prefix.len()].copy_from_slice(prefix);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Appends a member with its data and padding.
pub fn add(archive: &mut Vec<u8>, name: &[u8], kind: u8, data: &[u8], link: &[u8]) {
    archive.extend(header(name, kind, data.len() as u64, link));
    archive.extend_from_slice(data);
    pad(archive);
}

/// Fills up to a whole block.
pub fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
}

/// Appends a regular file.
pub fn add_file(archive: &mut Vec<u8>, name: &str, data: &[u8]) {
    add(archive, name.as_bytes(), b'0', data, b"");
}

/// Appends a directory as PostgreSQL does.
pub fn add_directory(archive: &mut Vec<u8>, name: &str) {
    add(archive, format!("{name}/").as_bytes(), b'5', b"", b"");
}

/// The two zero blocks at the end.
pub fn close(archive: &mut Vec<u8>) {
    archive.resize(archive.len() + 2 * BLOCK, 0);
}

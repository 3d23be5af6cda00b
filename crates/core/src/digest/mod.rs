//! Digests: the checksums of PostgreSQL's manifest, the strong digest of plain bytes (BLAKE3), and SHA-512 of stored
//! bytes.
//!
//! CRC-32C and BLAKE3 can be computed for the pieces of a file in parallel and put together afterwards
//! ([`crc32c_combine`], [`Blake3Pieces`]); the SHA-2 family cannot.

mod combine;
mod hasher;
mod hex;
mod tree;

pub use hasher::{Digest, DigestKind, DigestValue};
pub use hex::{from_hex, to_hex};
pub use tree::{Blake3Pieces, PieceCheck, PieceHash, blake3_piece};

/// CRC-32C of `data`, PostgreSQL's and iSCSI's (initial value and final xor all ones).
#[must_use]
pub fn crc32c(data: &[u8]) -> u32 {
    ::crc32c::crc32c(data)
}

/// CRC-32C of a byte string whose first part has `crc` and whose rest is `data`.
#[must_use]
pub fn crc32c_append(crc: u32, data: &[u8]) -> u32 {
    ::crc32c::crc32c_append(crc, data)
}

/// CRC-32C of two byte strings behind one another, from the checksums of both and the length of the second.
#[must_use]
pub fn crc32c_combine(first: u32, second: u32, second_len: usize) -> u32 {
    combine::combine(first, second, second_len as u64)
}

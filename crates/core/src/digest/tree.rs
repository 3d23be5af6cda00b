//! BLAKE3 of a file whose pieces are hashed in parallel.
//!
//! BLAKE3 is a binary tree over 1 KiB chunks. A piece whose size is a power of two and that begins at a multiple of
//! its size is a subtree of it; the values of the subtrees are merged to the digest of the whole, which is the
//! same as `b3sum` of the file.

use std::sync::Arc;

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

/// The hash of one piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceHash {
    /// The piece is the whole file: its digest.
    Whole([u8; 32]),
    /// The value of a subtree.
    Part([u8; 32]),
}

/// Hashes the piece of a file that begins at byte `offset`.
///
/// `only` says that the piece is the whole file (`offset` is then 0). All pieces of a file have the same size, a power
/// of two of at least 1024, but for the last, which may be shorter and must not be empty.
#[must_use]
pub fn blake3_piece(offset: u64, data: &[u8], only: bool) -> PieceHash {
    if only {
        return PieceHash::Whole(*blake3::hash(data).as_bytes());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.set_input_offset(offset);
    hasher.update(data);
    PieceHash::Part(hasher.finalize_non_root())
}

/// Merges the hashes of the pieces of one file, handed over in order.
#[derive(Debug, Clone, Default)]
pub struct Blake3Pieces {
    whole: Option<[u8; 32]>,
    /// Subtrees not merged yet, the largest first.
    stack: Vec<ChainingValue>,
    count: u64,
}

impl Blake3Pieces {
    /// For one file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next piece.
    pub fn push(&mut self, piece: PieceHash) {
        match piece {
            PieceHash::Whole(hash) => self.whole = Some(hash),
            PieceHash::Part(value) => {
                // Subtrees of equal size are merged only now, as the last merge of all has to be the root's.
                self.merge_down_to(self.count.count_ones() as usize);
                self.stack.push(value);
                self.count += 1;
            }
        }
    }

    /// The digest of the file; that of an empty file when no piece was added. `None` when pieces and a whole file were
    /// mixed, or when one piece was hashed as a part of more.
    #[must_use]
    pub fn finish(mut self) -> Option<[u8; 32]> {
        if let Some(whole) = self.whole {
            return (self.count == 0).then_some(whole);
        }
        if self.count == 0 {
            return Some(*blake3::hash(&[]).as_bytes());
        }
        self.merge_down_to(2);
        let (right, left) = (self.stack.pop()?, self.stack.pop()?);
        Some(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes())
    }

    fn merge_down_to(&mut self, size: usize) {
        while self.stack.len() > size {
            if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
                self.stack
                    .push(merge_subtrees_non_root(&left, &right, Mode::Hash));
            }
        }
    }
}

/// Compares a file with the values of its pieces while it is read from its beginning to its end. Whole pieces may be
/// left out: each is proved by itself.
#[derive(Debug, Clone)]
pub struct PieceCheck {
    piece: u64,
    size: u64,
    values: Arc<[[u8; 32]]>,
    hasher: blake3::Hasher,
}

impl PieceCheck {
    /// For a file of `size` bytes with these values, of pieces of `piece` bytes: see [`blake3_piece`].
    #[must_use]
    pub fn new(values: Arc<[[u8; 32]]>, piece: u64, size: u64) -> Self {
        Self {
            piece,
            size,
            values,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Whether nothing is left to be proved when the file was read to `offset`, and a piece may be left out.
    #[must_use]
    pub fn is_between(&self, offset: u64) -> bool {
        offset.is_multiple_of(self.piece) || offset == self.size
    }

    /// Takes the bytes that follow at `offset`; false when they complete a piece that is not what it should be, or
    /// go beyond the end.
    #[must_use]
    pub fn update(&mut self, mut offset: u64, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let start = offset - offset % self.piece;
            let end = (start + self.piece).min(self.size);
            if offset >= end {
                return false;
            }
            if offset == start {
                self.hasher = blake3::Hasher::new();
                self.hasher.set_input_offset(start);
            }
            let (part, rest) = bytes.split_at((end - offset).min(bytes.len() as u64) as usize);
            self.hasher.update(part);
            (offset, bytes) = (offset + part.len() as u64, rest);
            let value = usize::try_from(start / self.piece)
                .ok()
                .and_then(|index| self.values.get(index));
            if offset == end && value != Some(&self.hasher.finalize_non_root()) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{crc32c, crc32c_append, crc32c_combine};
    use super::{Arc, Blake3Pieces, PieceCheck, PieceHash, blake3_piece};

    fn by_pieces(data: &[u8], piece: usize) -> [u8; 32] {
        let mut merge = Blake3Pieces::new();
        for (index, part) in data.chunks(piece).enumerate() {
            merge.push(blake3_piece((index * piece) as u64, part, data.len() <= piece));
        }
        merge.finish().unwrap()
    }

    #[test]
    fn every_number_of_pieces() {
        let data: Vec<u8> = (0..40_000u32).map(|value| (value % 251) as u8).collect();
        for size in (0..data.len())
            .step_by(509)
            .chain([1024, 1025, 2048, 2049, 32 * 1024, 40_000])
        {
            for piece in [1024, 2048, 8192] {
                assert_eq!(
                    by_pieces(&data[..size], piece),
                    *blake3::hash(&data[..size]).as_bytes()
                );
            }
        }
    }

    #[test]
    fn wrong_use_is_noticed() {
        let mut single = Blake3Pieces::new();
        single.push(blake3_piece(0, &[1; 1024], false));
        assert_eq!(single.finish(), None);
        let mut mixed = Blake3Pieces::new();
        mixed.push(PieceHash::Whole([0; 32]));
        mixed.push(PieceHash::Part([0; 32]));
        assert_eq!(mixed.finish(), None);
    }

    #[test]
    fn pieces_are_proved_one_by_one() {
        let data: Vec<u8> = (0..10_000u32).map(|value| (value % 251) as u8).collect();
        let value = |(index, part): (usize, &[u8])| match blake3_piece(index as u64 * 4096, part, false) {
            PieceHash::Part(value) | PieceHash::Whole(value) => value,
        };
        let values: Arc<[[u8; 32]]> = data.chunks(4096).enumerate().map(value).collect();
        let check = || PieceCheck::new(Arc::clone(&values), 4096, 10_000);
        assert!(check().update(0, &data));
        // the second one is left out, and what is read comes in parts
        let mut parts = check();
        assert!(parts.update(0, &data[..4096]) && parts.is_between(4096) && parts.is_between(8192));
        assert!(parts.update(8192, &data[8192..9000]) && !parts.is_between(9000));
        assert!(parts.update(9000, &data[9000..]) && parts.is_between(10_000));
        let mut damaged = data.clone();
        damaged[5000] ^= 1;
        assert!(!check().update(0, &damaged));
        assert!(check().update(8192, &damaged[8192..]) && !check().update(4096, &damaged[4096..8192]));
        // bytes of another place, and more than there should be
        assert!(!check().update(4096, &data[..4096]));
        assert!(!check().update(0, &[&data[..], &[0]].concat()));
    }

    proptest! {
        #[test]
        fn checksums_of_parts_combine(data in proptest::collection::vec(any::<u8>(), 0..10_000), at in any::<prop::sample::Index>()) {
            let (first, second) = data.split_at(at.index(data.len() + 1));
            let whole = crc32c(&data);
            prop_assert_eq!(crc32c_combine(crc32c(first), crc32c(second), second.len()), whole);
            prop_assert_eq!(crc32c_append(crc32c(first), second), whole);
        }
    }
}

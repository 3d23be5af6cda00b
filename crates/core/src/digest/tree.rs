//! BLAKE3 of a file whose pieces are hashed in parallel.
//!
//! BLAKE3 is a binary tree over 1 KiB chunks. A piece whose size is a power of two and that begins at a multiple of
//! its size is a subtree of it; the values of the subtrees are merged to the digest of the whole, which is the
//! same as `b3sum` of the file.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{crc32c, crc32c_append, crc32c_combine};
    use super::{Blake3Pieces, PieceHash, blake3_piece};

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

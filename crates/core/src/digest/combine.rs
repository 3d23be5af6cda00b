//! CRC-32C of two byte strings behind one another, from their checksums alone.
//!
//! Appending `n` bytes multiplies the checksum so far by x^(8n) modulo the polynomial. With the powers x^(2^k) from a
//! table that is one multiplication per bit of `n`: a microsecond, where the `crc32c` crate's matrices take as long as
//! reading a mebibyte again.

/// Castagnoli's polynomial, lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x^0 in that order of bits.
const ONE: u32 = 1 << 31;

/// x^(2^k) for k from 0 to 63.
const POWERS: [u32; 64] = {
    let mut table = [0; 64];
    table[0] = 1 << 30;
    let mut k = 1;
    while k < 64 {
        table[k] = multiply(table[k - 1], table[k - 1]);
        k += 1;
    }
    table
};

/// `a` times `b` modulo the polynomial.
const fn multiply(a: u32, b: u32) -> u32 {
    let (mut factor, mut product, mut bit) = (b, 0, ONE);
    while bit != 0 {
        if a & bit != 0 {
            product ^= factor;
        }
        bit >>= 1;
        factor = (factor >> 1) ^ if factor & 1 == 1 { POLYNOMIAL } else { 0 };
    }
    product
}

/// The checksum of the whole, from those of both parts and the length of the second.
pub(super) fn combine(first: u32, second: u32, second_len: u64) -> u32 {
    let mut shift = ONE;
    let mut rest = second_len;
    // The lowest bit of the length stands for 8 = 2^3 bits. x^(2^k) repeats after 32 steps at most, but a file has
    // fewer than 2^61 bytes, so the table never ends too early.
    let mut k = 3;
    while rest != 0 && k < POWERS.len() {
        if rest & 1 == 1 {
            shift = multiply(POWERS[k], shift);
        }
        rest >>= 1;
        k += 1;
    }
    multiply(shift, first) ^ second
}

#[cfg(test)]
mod tests {
    use super::combine;

    #[test]
    fn as_the_checksum_of_the_whole() {
        let data: Vec<u8> = (0..70_000u32).map(|value| (value * 31 % 253) as u8).collect();
        for at in [0, 1, 7, 8, 9, 1024, 4096, 65_535, 65_536, 69_999, 70_000] {
            let (first, second) = data.split_at(at);
            let combined = combine(crc32c::crc32c(first), crc32c::crc32c(second), second.len() as u64);
            assert_eq!(combined, crc32c::crc32c(&data), "split at {at}");
        }
    }

    #[test]
    fn as_the_crate_for_long_parts() {
        for len in [1usize << 20, (1 << 30) + 5, (1 << 40) + 12_345] {
            assert_eq!(
                combine(0x1234_5678, 0x9abc_def0, len as u64),
                crc32c::crc32c_combine(0x1234_5678, 0x9abc_def0, len)
            );
        }
    }
}

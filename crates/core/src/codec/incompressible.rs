//! Telling data that cannot be compressed from data that can, for less than it costs to compress it.
//!
//! On random bytes high levels take many times as long as the fastest (lz4 3: fifteen times) and save nothing either
//! way. Three tests, each only when the one before it says "random": the histogram of a few kilobytes; a slice at
//! the wanted level; the whole frame at the fastest level, whose result is then what is kept. The last two see
//! repetitions that a histogram cannot (duplicate TOAST values, copies of compressed data).

use crate::Result;

use super::encode::EncodedFrame;

/// Frames below this are compressed as asked: there is nothing to win.
const SMALLEST: usize = 32 * 1024;
const SAMPLES: usize = 64;
const SAMPLE: usize = 64;
const SLICE: usize = 32 * 1024;

/// Encodes `plain` with `run(bytes, level, out)` at `level`, or at `fastest` when it does not shrink anyway.
pub(super) fn encode_adaptive<F>(
    plain: &[u8],
    level: i32,
    fastest: i32,
    out: &mut EncodedFrame,
    mut run: F,
) -> Result<()>
where
    F: FnMut(&[u8], i32, &mut EncodedFrame) -> Result<()>,
{
    if level <= fastest || plain.len() < SMALLEST || !flat_histogram(plain) {
        return run(plain, level, out);
    }
    let slice = SLICE.min(plain.len() / 8);
    let start = (plain.len() - slice) / 2;
    run(&plain[start..start + slice], level, out)?;
    if shrinks(slice, out.data.len()) {
        return run(plain, level, out);
    }
    run(plain, fastest, out)?;
    if shrinks(plain.len(), out.data.len()) {
        return run(plain, level, out);
    }
    Ok(())
}

/// Whether at least one byte of a hundred was saved.
fn shrinks(before: usize, after: usize) -> bool {
    after < before - before / 100
}

/// Whether 4 KiB, taken from 64 places, have the byte frequencies of random data.
///
/// The measure is the sum of squared frequencies: n + n(n-1)/256 is expected of random bytes, ten times that of text.
/// The places are spread unevenly, as an even step would always meet the headers of 8 KiB pages.
fn flat_histogram(plain: &[u8]) -> bool {
    let stride = plain.len() / SAMPLES;
    let room = stride.saturating_sub(SAMPLE).max(1);
    let mut counts = [0u32; 256];
    let mut spread: u32 = 0x9e37_79b9;
    for index in 0..SAMPLES {
        spread = spread.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let start = index * stride + (spread >> 8) as usize % room;
        for byte in plain.iter().skip(start).take(SAMPLE) {
            counts[usize::from(*byte)] += 1;
        }
    }
    let total = (SAMPLES * SAMPLE) as u64;
    let squares: u64 = counts
        .iter()
        .map(|count| u64::from(*count) * u64::from(*count))
        .sum();
    let expected = total + total * (total - 1) / 256;
    squares < expected + expected / 4
}

#[cfg(test)]
mod tests {
    use super::super::tests::{pages, random, text};
    use super::flat_histogram;

    #[test]
    fn only_random_bytes_are_flat() {
        assert!(flat_histogram(&random(1 << 20, 1)));
        assert!(!flat_histogram(&text(1 << 20)));
        assert!(!flat_histogram(&pages(1 << 20)));
        assert!(!flat_histogram(&vec![0; 1 << 20]));
    }
}

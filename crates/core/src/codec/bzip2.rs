//! bzip2: one stream whose blocks were compressed independently and are joined at bit level.
//!
//! A stream is `BZh<level>`, blocks, a 48-bit end mark and a 32-bit check that is made of the blocks' checks. Blocks
//! are not aligned to bytes, so they are shifted into place.

use bzip2::{Action, Compress, Compression, Decompress, Status};

use crate::{Code, Error, Result};

use super::decode::{Engine, Step};
use super::encode::EncodedFrame;
use super::spec::Codec;

const END_MARK: u64 = 0x1772_4538_5090;
const HEADER_BITS: u64 = 32;
const TRAILER_BITS: u64 = 48 + 32;
/// Where a block keeps its check: after its 48-bit mark.
const BLOCK_CHECK_AT: usize = 4 + 6;

/// Compresses one block and cuts it out of the stream that the library makes of it.
pub(super) fn encode_block(plain: &[u8], level: i32, out: &mut EncodedFrame) -> Result<()> {
    if plain.len() > Codec::Bzip2.frame_size(level) {
        return Err(Error::new(
            Code::Internal,
            format!("{} bytes do not fit into one bzip2 block", plain.len()),
        ));
    }
    compress_stream(plain, level, &mut out.data)?;
    let defect = || {
        Error::new(
            Code::Internal,
            "the bzip2 library made a stream of another form than one block",
        )
    };
    let stream = &out.data;
    let check = stream
        .get(BLOCK_CHECK_AT..BLOCK_CHECK_AT + 4)
        .and_then(|bytes| <[u8; 4]>::try_from(bytes).ok())
        .map(u32::from_be_bytes)
        .ok_or_else(defect)?;
    let total = stream.len() as u64 * 8;
    // The last byte has 0 to 7 bits of padding; the end mark tells how many.
    let end = (0..8)
        .map(|padding| total - padding)
        .find(|end| {
            end.checked_sub(TRAILER_BITS).is_some_and(|mark| {
                bits_at(stream, mark, 48) == Some(END_MARK)
                    && bits_at(stream, mark + 48, 32) == Some(u64::from(check))
            })
        })
        .ok_or_else(defect)?;
    out.bits = end - TRAILER_BITS - HEADER_BITS;
    out.check = check;
    out.data.drain(..4);
    out.data.truncate(out.bits.div_ceil(8) as usize);
    Ok(())
}

/// Compresses into one whole stream.
pub(super) fn compress_stream(plain: &[u8], level: i32, out: &mut Vec<u8>) -> Result<()> {
    let mut compress = Compress::new(Compression::new(level.unsigned_abs()), 30);
    out.clear();
    out.reserve(plain.len() + plain.len() / 100 + 600);
    loop {
        let taken = usize::try_from(compress.total_in())
            .unwrap_or(usize::MAX)
            .min(plain.len());
        let status = compress
            .compress_vec(&plain[taken..], out, Action::Finish)
            .map_err(|error| Error::new(Code::Internal, format!("bzip2 cannot compress: {error}")))?;
        if status == Status::StreamEnd {
            return Ok(());
        }
        out.reserve(out.capacity() / 8 + 600);
    }
}

/// Reads `count` (at most 56) bits from bit `start`.
fn bits_at(bytes: &[u8], start: u64, count: u32) -> Option<u64> {
    let first = usize::try_from(start / 8).ok()?;
    let last = usize::try_from((start + u64::from(count)).div_ceil(8)).ok()?;
    let mut value: u64 = 0;
    for byte in bytes.get(first..last)? {
        value = (value << 8) | u64::from(*byte);
    }
    let surplus = last as u64 * 8 - (start + u64::from(count));
    let mask = (1u64 << count) - 1;
    Some((value >> surplus) & mask)
}

/// Header, shifted blocks and trailer of one stream.
pub(super) struct StreamWriter {
    level: i32,
    check: u32,
    started: bool,
    /// Bits that do not fill a byte yet, right-aligned.
    pending: u32,
    pending_bits: u32,
}

impl StreamWriter {
    pub(super) fn new(level: i32) -> Self {
        Self {
            level,
            check: 0,
            started: false,
            pending: 0,
            pending_bits: 0,
        }
    }

    pub(super) fn append(&mut self, frame: &EncodedFrame, out: &mut Vec<u8>) {
        self.start(out);
        let whole = (frame.bits / 8) as usize;
        let rest = (frame.bits % 8) as u32;
        self.put_bytes(&frame.data[..whole], out);
        if rest > 0 {
            self.put_bits(u32::from(frame.data[whole] >> (8 - rest)), rest, out);
        }
        self.check = self.check.rotate_left(1) ^ frame.check;
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        let mark = END_MARK.to_be_bytes();
        self.put_bytes(&mark[2..], out);
        self.put_bytes(&self.check.to_be_bytes(), out);
        if self.pending_bits > 0 {
            self.put_bits(0, 8 - self.pending_bits, out);
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let digit = b'0' + self.level.clamp(1, 9).unsigned_abs() as u8;
            out.extend_from_slice(&[b'B', b'Z', b'h', digit]);
        }
    }

    fn put_bytes(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if self.pending_bits == 0 {
            out.extend_from_slice(bytes);
            return;
        }
        let shift = self.pending_bits;
        let mut carry = self.pending;
        out.extend(bytes.iter().map(|byte| {
            let value = (carry << 8) | u32::from(*byte);
            carry = value & ((1 << shift) - 1);
            (value >> shift) as u8
        }));
        self.pending = carry;
    }

    /// Adds fewer than 8 bits, right-aligned in `bits`.
    fn put_bits(&mut self, bits: u32, count: u32, out: &mut Vec<u8>) {
        let value = (self.pending << count) | (bits & ((1 << count) - 1));
        let total = self.pending_bits + count;
        if total >= 8 {
            let left = total - 8;
            out.push((value >> left) as u8);
            self.pending = value & ((1 << left) - 1);
            self.pending_bits = left;
        } else {
            self.pending = value;
            self.pending_bits = total;
        }
    }
}

pub(super) struct Bzip2Decoder {
    decompress: Decompress,
}

impl Bzip2Decoder {
    pub(super) fn new() -> Self {
        Self {
            decompress: Decompress::new(false),
        }
    }
}

impl Engine for Bzip2Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let (before_in, before_out) = (self.decompress.total_in(), self.decompress.total_out());
        let status = self
            .decompress
            .decompress(input, output)
            .map_err(|error| Error::corrupt(format!("damaged bzip2 data: {error}")))?;
        if status == Status::MemNeeded {
            return Err(Error::new(Code::Internal, "no memory to decompress bzip2 data"));
        }
        Ok(Step {
            consumed: (self.decompress.total_in() - before_in) as usize,
            produced: (self.decompress.total_out() - before_out) as usize,
            ended: status == Status::StreamEnd,
        })
    }

    fn next_frame(&mut self) -> Result<()> {
        self.decompress = Decompress::new(false);
        Ok(())
    }
}

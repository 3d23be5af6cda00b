//! gzip: one RFC 1952 member made of independently deflated pieces.
//!
//! Each piece is deflated without history and ends with a sync flush, that is on a byte border and without a final
//! block, so that pieces can simply follow one another; an empty final block ends the data.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{Code, Error, Result};

use super::decode::{Engine, Step};
use super::encode::EncodedFrame;
use super::incompressible::encode_adaptive;

/// The level for data that does not shrink: stored blocks. Level 1 of the library would enlarge it by a twentieth.
const STORED: i32 = 0;

/// An empty final block with fixed codes.
const FINAL_BLOCK: [u8; 2] = [0x03, 0x00];

pub(super) struct GzipEncoder {
    level: i32,
    wanted: Compress,
    /// Made when the first incompressible piece is met.
    stored: Option<Compress>,
}

impl GzipEncoder {
    pub(super) fn new(level: i32) -> Self {
        Self {
            level,
            wanted: deflater(level),
            stored: None,
        }
    }

    pub(super) fn encode(&mut self, plain: &[u8], level: i32, out: &mut EncodedFrame) -> Result<()> {
        encode_adaptive(plain, level, STORED, out, |bytes, level, out| {
            self.piece(bytes, level, &mut out.data)
        })?;
        if out.data.len() > plain.len() {
            self.piece(plain, STORED, &mut out.data)?;
        }
        out.check = crc32fast::hash(plain);
        Ok(())
    }

    fn piece(&mut self, plain: &[u8], level: i32, out: &mut Vec<u8>) -> Result<()> {
        let deflate = if level == self.level {
            &mut self.wanted
        } else {
            self.stored.get_or_insert_with(|| deflater(level))
        };
        deflate.reset();
        deflate_piece(deflate, plain, out)
    }
}

fn deflater(level: i32) -> Compress {
    Compress::new(Compression::new(level.unsigned_abs()), false)
}

fn deflate_piece(deflate: &mut Compress, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
    out.clear();
    out.reserve(plain.len() + plain.len() / 1000 + 64);
    loop {
        let taken = usize::try_from(deflate.total_in())
            .unwrap_or(usize::MAX)
            .min(plain.len());
        let status = deflate
            .compress_vec(&plain[taken..], out, FlushCompress::Sync)
            .map_err(|error| Error::new(Code::Internal, format!("deflate failed: {error}")))?;
        let all = deflate.total_in() == plain.len() as u64;
        // A full buffer means that the flush may be incomplete.
        if all && out.len() < out.capacity() {
            return Ok(());
        }
        if status == Status::StreamEnd {
            return Err(Error::new(Code::Internal, "deflate ended before its input"));
        }
        out.reserve(out.capacity() / 8 + 64);
    }
}

/// Header, pieces and trailer of one member.
pub(super) struct MemberWriter {
    level: i32,
    crc: crc32fast::Hasher,
    plain: u64,
    started: bool,
}

impl MemberWriter {
    pub(super) fn new(level: i32) -> Self {
        Self {
            level,
            crc: crc32fast::Hasher::new(),
            plain: 0,
            started: false,
        }
    }

    pub(super) fn append(&mut self, frame: &EncodedFrame, out: &mut Vec<u8>) {
        self.start(out);
        out.extend_from_slice(&frame.data);
        let piece = crc32fast::Hasher::new_with_initial_len(frame.check, frame.plain_len as u64);
        self.crc.combine(&piece);
        self.plain += frame.plain_len as u64;
    }

    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        out.extend_from_slice(&FINAL_BLOCK);
        out.extend_from_slice(&self.crc.clone().finalize().to_le_bytes());
        // The size is kept modulo 2^32.
        out.extend_from_slice(&((self.plain & 0xffff_ffff) as u32).to_le_bytes());
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !self.started {
            self.started = true;
            let hint = match self.level {
                9 => 2,
                1 => 4,
                _ => 0,
            };
            // Deflate, no flags, no time, no name, made on Unix.
            out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, hint, 3]);
        }
    }
}

pub(super) struct GzipDecoder {
    inflate: Decompress,
}

impl GzipDecoder {
    pub(super) fn new() -> Self {
        Self {
            inflate: Decompress::new_gzip(15),
        }
    }
}

impl Engine for GzipDecoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, output, FlushDecompress::None)
            .map_err(|error| Error::corrupt(format!("damaged gzip data: {error}")))?;
        Ok(Step {
            consumed: (self.inflate.total_in() - before_in) as usize,
            produced: (self.inflate.total_out() - before_out) as usize,
            ended: status == Status::StreamEnd,
        })
    }

    fn next_frame(&mut self) -> Result<()> {
        // `reset` would forget that a gzip header is expected.
        self.inflate = Decompress::new_gzip(15);
        Ok(())
    }
}

//! Joining encoded frames into one file.

use super::bzip2::StreamWriter;
use super::encode::EncodedFrame;
use super::gzip::MemberWriter;
use super::lz4;
use super::spec::{Codec, CodecSpec};
use super::zstd;

/// Joins the frames of one file, in order. Frames without plain bytes are left out.
pub struct Assembler {
    kind: Kind,
    frames: u64,
}

enum Kind {
    None,
    Gzip(MemberWriter),
    Zstd,
    Lz4,
    Bzip2(StreamWriter),
}

impl Assembler {
    /// An assembler for one file.
    #[must_use]
    pub fn new(spec: CodecSpec) -> Self {
        let spec = CodecSpec::new(spec.codec, spec.level);
        let kind = match spec.codec {
            Codec::None => Kind::None,
            Codec::Gzip => Kind::Gzip(MemberWriter::new(spec.level)),
            Codec::Zstd => Kind::Zstd,
            Codec::Lz4 => Kind::Lz4,
            Codec::Bzip2 => Kind::Bzip2(StreamWriter::new(spec.level)),
        };
        Self { kind, frames: 0 }
    }

    /// Whether stored bytes are the frames' bytes as they are, so that [`Assembler::append_in_place`] copies nothing.
    #[must_use]
    pub fn is_concatenation(&self) -> bool {
        matches!(self.kind, Kind::None | Kind::Zstd | Kind::Lz4)
    }

    /// Adds the bytes to be stored for the next frame to the end of `out`.
    pub fn append(&mut self, frame: &EncodedFrame, out: &mut Vec<u8>) {
        if frame.plain_len == 0 {
            return;
        }
        self.frames += 1;
        match &mut self.kind {
            Kind::None | Kind::Zstd | Kind::Lz4 => out.extend_from_slice(&frame.data),
            Kind::Gzip(member) => member.append(frame, out),
            Kind::Bzip2(stream) => stream.append(frame, out),
        }
    }

    /// As [`Assembler::append`], but gives the bytes to be stored without a copy where that is possible: the
    /// frame's own, else those put into `scratch` (which is emptied first). The caller may seal them in place.
    pub fn append_in_place<'a>(
        &mut self,
        frame: &'a mut EncodedFrame,
        scratch: &'a mut Vec<u8>,
    ) -> &'a mut [u8] {
        if self.is_concatenation() {
            self.frames += u64::from(frame.plain_len > 0);
            return &mut frame.data;
        }
        scratch.clear();
        self.append(frame, scratch);
        scratch
    }

    /// Adds what ends the file; for a file without frames, that is a whole empty stream. Call it once.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.kind {
            Kind::None => {}
            Kind::Zstd if self.frames == 0 => out.extend_from_slice(&zstd::EMPTY_FRAME),
            Kind::Lz4 if self.frames == 0 => out.extend_from_slice(&lz4::EMPTY_FRAME),
            Kind::Zstd | Kind::Lz4 => {}
            Kind::Gzip(member) => member.finish(out),
            Kind::Bzip2(stream) => stream.finish(out),
        }
    }
}

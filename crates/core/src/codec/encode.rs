//! Encoding one piece of a file; nothing here knows of the pieces around it.

use crate::Result;

use super::bzip2;
use super::gzip::GzipEncoder;
use super::lz4::Lz4Encoder;
use super::spec::{Codec, CodecSpec};
use super::zstd::ZstdEncoder;

/// One encoded piece of a file, to be handed to the [`super::Assembler`] of the file. Reuse it: its buffer stays.
#[derive(Debug, Default, Clone)]
pub struct EncodedFrame {
    /// The encoded bytes. For zstd, lz4 and none they are what is stored.
    pub data: Vec<u8>,
    /// How many plain bytes it stands for.
    pub plain_len: usize,
    /// gzip: CRC-32 of the plain bytes; bzip2: the CRC of the block.
    pub(super) check: u32,
    /// bzip2: how many bits of `data` belong to the block.
    pub(super) bits: u64,
}

impl EncodedFrame {
    pub(super) fn clear(&mut self) {
        self.data.clear();
        self.plain_len = 0;
        self.check = 0;
        self.bits = 0;
    }
}

/// Encodes pieces; one per worker thread, as it keeps the codec's context (zstd 3: about 1.3 MiB, lz4: 16 KiB,
/// gzip: 300 KiB).
pub struct FrameEncoder {
    spec: CodecSpec,
    kind: Kind,
}

enum Kind {
    None,
    Gzip(Box<GzipEncoder>),
    Zstd(ZstdEncoder),
    Lz4(Lz4Encoder),
    Bzip2,
}

impl FrameEncoder {
    /// Makes the context of the codec.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] when the codec's library cannot allocate it.
    pub fn new(spec: CodecSpec) -> Result<Self> {
        let spec = CodecSpec::new(spec.codec, spec.level);
        let kind = match spec.codec {
            Codec::None => Kind::None,
            Codec::Gzip => Kind::Gzip(Box::new(GzipEncoder::new(spec.level))),
            Codec::Zstd => Kind::Zstd(ZstdEncoder::new()?),
            Codec::Lz4 => Kind::Lz4(Lz4Encoder::new()?),
            Codec::Bzip2 => Kind::Bzip2,
        };
        Ok(Self { spec, kind })
    }

    /// Encodes one piece of at most [`Codec::frame_size`] bytes; what `out` held before is forgotten. Data that
    /// does not shrink is encoded at the codec's fastest level.
    ///
    /// # Errors
    /// [`crate::Code::Internal`] when the codec's library fails or a bzip2 piece is too large for one block.
    pub fn encode(&mut self, plain: &[u8], out: &mut EncodedFrame) -> Result<()> {
        out.clear();
        if plain.is_empty() {
            return Ok(());
        }
        match &mut self.kind {
            Kind::None => out.data.extend_from_slice(plain),
            Kind::Gzip(encoder) => encoder.encode(plain, self.spec.level, out)?,
            Kind::Zstd(encoder) => encoder.encode(plain, self.spec.level, out)?,
            Kind::Lz4(encoder) => encoder.encode(plain, self.spec.level, out)?,
            Kind::Bzip2 => bzip2::encode_block(plain, self.spec.level, out)?,
        }
        out.plain_len = plain.len();
        Ok(())
    }
}

//! zstd: standard frames with content size and content checksum.

use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer};

use crate::{Code, Error, Result};

use super::decode::{Engine, Extent, Step};
use super::encode::EncodedFrame;
use super::incompressible::encode_adaptive;

/// The level for data that does not shrink.
const FASTEST: i32 = 1;

/// Frames that need a larger window than 128 MiB are refused: a stored file must not decide how much memory we take.
const WINDOW_LOG_MAX: u32 = 27;

/// Magic, descriptor (single segment, checksum, one byte of size), size 0, last raw block of 0 bytes, low half of
/// XXH64 of nothing.
pub(super) const EMPTY_FRAME: [u8; 13] = [
    0x28, 0xb5, 0x2f, 0xfd, 0x24, 0x00, 0x01, 0x00, 0x00, 0x99, 0xe9, 0xd8, 0x51,
];

pub(super) struct ZstdEncoder {
    context: CCtx<'static>,
}

impl ZstdEncoder {
    pub(super) fn new() -> Result<Self> {
        let mut context = CCtx::try_create()
            .ok_or_else(|| Error::new(Code::Internal, "no memory for a zstd compression context"))?;
        context
            .set_parameter(CParameter::ChecksumFlag(true))
            .map_err(failure)?;
        Ok(Self { context })
    }

    pub(super) fn encode(&mut self, plain: &[u8], level: i32, out: &mut EncodedFrame) -> Result<()> {
        let context = &mut self.context;
        encode_adaptive(plain, level, FASTEST, out, |bytes, level, out| {
            context
                .set_parameter(CParameter::CompressionLevel(level))
                .map_err(failure)?;
            out.data.clear();
            out.data.reserve(zstd_safe::compress_bound(bytes.len()));
            context.compress2(&mut out.data, bytes).map_err(failure)?;
            Ok(())
        })
    }
}

fn failure(code: usize) -> Error {
    Error::new(
        Code::Internal,
        format!("zstd cannot compress: {}", zstd_safe::get_error_name(code)),
    )
}

pub(super) struct ZstdDecoder {
    context: DCtx<'static>,
}

impl ZstdDecoder {
    pub(super) fn new() -> Result<Self> {
        let mut context = DCtx::try_create()
            .ok_or_else(|| Error::new(Code::Internal, "no memory for a zstd decompression context"))?;
        context
            .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
            .map_err(|code| Error::new(Code::Internal, zstd_safe::get_error_name(code)))?;
        Ok(Self { context })
    }
}

impl Engine for ZstdDecoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let mut source = InBuffer::around(input);
        let mut target = OutBuffer::around(output);
        let left = self
            .context
            .decompress_stream(&mut target, &mut source)
            .map_err(|code| {
                Error::corrupt(format!("damaged zstd data: {}", zstd_safe::get_error_name(code)))
            })?;
        Ok(Step {
            consumed: source.pos(),
            produced: target.pos(),
            ended: left == 0,
        })
    }

    fn next_frame(&mut self) -> Result<()> {
        Ok(())
    }

    fn extent(&self, input: &[u8]) -> Extent {
        let Ok(Some(plain)) = zstd_safe::get_frame_content_size(input) else {
            return Extent::Unknown;
        };
        match zstd_safe::find_frame_compressed_size(input) {
            Ok(stored) => Extent::Whole { stored, plain },
            Err(_) => Extent::Incomplete { plain },
        }
    }

    fn decode_whole(&mut self, input: &[u8], output: &mut [u8]) -> Result<()> {
        let size = self.context.decompress(output, input).map_err(|code| {
            Error::corrupt(format!("damaged zstd data: {}", zstd_safe::get_error_name(code)))
        })?;
        if size != output.len() {
            return Err(Error::corrupt(
                "damaged zstd data: a frame has not the size that it states",
            ));
        }
        Ok(())
    }
}

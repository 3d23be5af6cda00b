//! lz4: standard frames with content size and content checksum, made of independent 1 MiB blocks.

use std::ffi::CStr;
use std::ptr;

use lz4_sys::{
    BlockChecksum, BlockMode, BlockSize, ContentChecksum, FrameType, LZ4F_VERSION, LZ4F_compressBegin,
    LZ4F_compressBound, LZ4F_compressEnd, LZ4F_compressUpdate, LZ4F_createCompressionContext,
    LZ4F_createDecompressionContext, LZ4F_decompress, LZ4F_freeCompressionContext,
    LZ4F_freeDecompressionContext, LZ4F_getErrorName, LZ4F_isError, LZ4FCompressionContext,
    LZ4FDecompressionContext, LZ4FFrameInfo, LZ4FPreferences,
};

use crate::{Code, Error, Result};

use super::decode::{Engine, Step};
use super::encode::EncodedFrame;
use super::incompressible::encode_adaptive;

const FASTEST: i32 = 1;
/// Magic and the largest header of a frame.
const HEADER_MAX: usize = 19;

/// Magic, flags (version 1, independent blocks, content checksum), 64 KiB blocks, header check, end mark, XXH32 of
/// nothing.
pub(super) const EMPTY_FRAME: [u8; 15] = [
    0x04, 0x22, 0x4d, 0x18, 0x64, 0x40, 0xa7, 0x00, 0x00, 0x00, 0x00, 0x05, 0x5d, 0xcc, 0x02,
];

pub(super) struct Lz4Encoder {
    context: LZ4FCompressionContext,
}

impl Lz4Encoder {
    pub(super) fn new() -> Result<Self> {
        let mut context = LZ4FCompressionContext(ptr::null_mut());
        // SAFETY: the library fills in the pointer; the context is freed once, in `drop`.
        check(unsafe { LZ4F_createCompressionContext(&mut context, LZ4F_VERSION) })
            .map_err(|name| Error::new(Code::Internal, format!("no lz4 compression context: {name}")))?;
        Ok(Self { context })
    }

    pub(super) fn encode(&mut self, plain: &[u8], level: i32, out: &mut EncodedFrame) -> Result<()> {
        encode_adaptive(plain, level, FASTEST, out, |bytes, level, out| {
            self.frame(bytes, level, &mut out.data)
                .map_err(|name| Error::new(Code::Internal, format!("lz4 cannot compress: {name}")))
        })
    }

    fn frame(&mut self, plain: &[u8], level: i32, out: &mut Vec<u8>) -> std::result::Result<(), String> {
        let preferences = LZ4FPreferences {
            frame_info: LZ4FFrameInfo {
                block_size_id: BlockSize::Max1MB,
                block_mode: BlockMode::Independent,
                content_checksum_flag: ContentChecksum::ChecksumEnabled,
                frame_type: FrameType::Frame,
                content_size: plain.len() as u64,
                dict_id: 0,
                block_checksum_flag: BlockChecksum::NoBlockChecksum,
            },
            compression_level: level.clamp(1, 12).unsigned_abs(),
            auto_flush: 1,
            favor_dec_speed: 0,
            reserved: [0; 3],
        };
        // SAFETY: the preferences live through the call.
        let bound = unsafe { LZ4F_compressBound(plain.len(), &preferences) };
        out.clear();
        out.reserve(HEADER_MAX + bound);
        let (start, room) = (out.as_mut_ptr(), out.capacity());
        // SAFETY: every call writes at `start + written` and is told how much room is left there; the room is
        // reserved capacity of `out`. Source and preferences live through the calls, the context is ours alone.
        unsafe {
            let mut written = check(LZ4F_compressBegin(self.context, start, room, &preferences))?;
            written += check(LZ4F_compressUpdate(
                self.context,
                start.add(written),
                room - written,
                plain.as_ptr(),
                plain.len(),
                ptr::null(),
            ))?;
            written += check(LZ4F_compressEnd(
                self.context,
                start.add(written),
                room - written,
                ptr::null(),
            ))?;
            out.set_len(written);
        }
        Ok(())
    }
}

impl Drop for Lz4Encoder {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed only here.
        unsafe { LZ4F_freeCompressionContext(self.context) };
    }
}

/// The value of a call of the library, or the name of its error.
fn check(code: usize) -> std::result::Result<usize, String> {
    // SAFETY: a pure function of the code.
    if unsafe { LZ4F_isError(code) } == 0 {
        return Ok(code);
    }
    // SAFETY: the library gives a pointer to a static text for every error code.
    Err(unsafe { CStr::from_ptr(LZ4F_getErrorName(code)) }
        .to_string_lossy()
        .into_owned())
}

pub(super) struct Lz4Decoder {
    context: LZ4FDecompressionContext,
}

impl Lz4Decoder {
    pub(super) fn new() -> Result<Self> {
        let mut context = LZ4FDecompressionContext(ptr::null_mut());
        // SAFETY: the library fills in the pointer; the context is freed once, in `drop`.
        check(unsafe { LZ4F_createDecompressionContext(&mut context, LZ4F_VERSION) })
            .map_err(|name| Error::new(Code::Internal, format!("no lz4 decompression context: {name}")))?;
        Ok(Self { context })
    }
}

impl Engine for Lz4Decoder {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step> {
        let mut consumed = input.len();
        let mut produced = output.len();
        // SAFETY: both lengths are those of the slices; the library reads and writes no more than that and puts the
        // used lengths in their place. After an error the caller never calls again.
        let left = check(unsafe {
            LZ4F_decompress(
                self.context,
                output.as_mut_ptr(),
                &mut produced,
                input.as_ptr(),
                &mut consumed,
                ptr::null(),
            )
        })
        .map_err(|name| Error::corrupt(format!("damaged lz4 data: {name}")))?;
        Ok(Step {
            consumed,
            produced,
            ended: left == 0,
        })
    }

    fn next_frame(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Drop for Lz4Decoder {
    fn drop(&mut self) {
        // SAFETY: made in `new`, freed only here.
        unsafe { LZ4F_freeDecompressionContext(self.context) };
    }
}

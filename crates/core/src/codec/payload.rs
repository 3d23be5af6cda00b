//! Compression of the management link's messages, in memory and with limits.
//!
//! gzip: one member, level 9. zstd: one frame with content size, level 1. lz4: the plain size as big-endian uint32,
//! then one raw block. bzip2: one stream, level 9.

use std::io::{Cursor, Read};

use lz4_sys::{LZ4_compress_default, LZ4_compressBound, LZ4_decompress_safe};

use crate::{Code, Error, Result};

use super::encode::EncodedFrame;
use super::zstd::ZstdEncoder;
use super::{Assembler, Codec, CodecSpec, FrameEncoder, bzip2, decoder};

/// LZ4 takes no larger input.
const LZ4_INPUT_MAX: usize = 0x7e00_0000;

/// Compresses a message.
///
/// # Errors
/// [`Code::Usage`] when the result has more than `limit` bytes, or the message is too large for lz4.
pub fn compress_payload(codec: Codec, plain: &[u8], limit: usize) -> Result<Vec<u8>> {
    let packed = match codec {
        Codec::None => plain.to_vec(),
        Codec::Gzip => compress_gzip(plain)?,
        Codec::Zstd => {
            let mut frame = EncodedFrame::default();
            ZstdEncoder::new()?.encode(plain, 1, &mut frame)?;
            frame.data
        }
        Codec::Lz4 => compress_lz4(plain)?,
        Codec::Bzip2 => {
            let mut stream = Vec::new();
            bzip2::compress_stream(plain, 9, &mut stream)?;
            stream
        }
    };
    if packed.len() > limit {
        return Err(Error::new(
            Code::Usage,
            format!(
                "the message has {} bytes after {} compression, {limit} are allowed",
                packed.len(),
                codec.name()
            ),
        ));
    }
    Ok(packed)
}

/// Decompresses a message of at most `limit` plain bytes.
///
/// # Errors
/// [`Code::Corrupt`] when it is damaged, cut, followed by other bytes, or larger than `limit`.
pub fn decompress_payload(codec: Codec, packed: &[u8], limit: usize) -> Result<Vec<u8>> {
    if codec == Codec::Lz4 {
        return decompress_lz4(packed, limit);
    }
    let mut plain = Vec::new();
    decoder(codec, Box::new(Cursor::new(packed.to_vec())))
        .take((limit as u64).saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(|error| Error::corrupt(format!("the message cannot be decompressed: {error}")))?;
    if plain.len() > limit {
        return Err(too_large(codec, limit));
    }
    Ok(plain)
}

fn compress_gzip(plain: &[u8]) -> Result<Vec<u8>> {
    let spec = CodecSpec::new(Codec::Gzip, 9);
    let mut encoder = FrameEncoder::new(spec)?;
    let mut assembler = Assembler::new(spec);
    let (mut frame, mut out) = (EncodedFrame::default(), Vec::new());
    for piece in plain.chunks(spec.frame_size()) {
        encoder.encode(piece, &mut frame)?;
        assembler.append(&frame, &mut out);
    }
    assembler.finish(&mut out);
    Ok(out)
}

fn compress_lz4(plain: &[u8]) -> Result<Vec<u8>> {
    let size = i32::try_from(plain.len())
        .ok()
        .filter(|_| plain.len() <= LZ4_INPUT_MAX)
        .ok_or_else(|| {
            Error::new(
                Code::Usage,
                format!("a message of {} bytes is too large for lz4", plain.len()),
            )
        })?;
    // SAFETY: a pure function of the size.
    let bound = unsafe { LZ4_compressBound(size) };
    let mut out = size.to_be_bytes().to_vec();
    out.resize(4 + bound.unsigned_abs() as usize, 0);
    // SAFETY: `plain` is readable for `size` bytes, `out` writable for `bound` bytes from its fifth.
    let written =
        unsafe { LZ4_compress_default(plain.as_ptr().cast(), out.as_mut_ptr().add(4).cast(), size, bound) };
    if written <= 0 {
        return Err(Error::new(Code::Internal, "lz4 cannot compress the message"));
    }
    out.truncate(4 + written.unsigned_abs() as usize);
    Ok(out)
}

fn decompress_lz4(packed: &[u8], limit: usize) -> Result<Vec<u8>> {
    if let Some((prefix, block)) = packed.split_first_chunk::<4>() {
        let size = u32::from_be_bytes(*prefix) as usize;
        if size <= limit
            && let Some(plain) = lz4_block(block, size).filter(|plain| plain.len() == size)
        {
            return Ok(plain);
        }
    }
    // Older peers send the bare block; they expect at most four times its size.
    lz4_block(packed, packed.len().saturating_mul(4).min(limit)).ok_or_else(|| {
        Error::corrupt(format!(
            "the message is no lz4 data, is damaged, or has more than {limit} bytes"
        ))
    })
}

/// Decodes one block of at most `capacity` plain bytes.
fn lz4_block(block: &[u8], capacity: usize) -> Option<Vec<u8>> {
    let (size, room) = (i32::try_from(block.len()).ok()?, i32::try_from(capacity).ok()?);
    if size == 0 {
        return None;
    }
    let mut plain = vec![0; capacity];
    // SAFETY: both lengths are those of the buffers; the library checks every copy against them.
    let count = unsafe { LZ4_decompress_safe(block.as_ptr().cast(), plain.as_mut_ptr().cast(), size, room) };
    plain.truncate(usize::try_from(count).ok()?);
    Some(plain)
}

fn too_large(codec: Codec, limit: usize) -> Error {
    Error::corrupt(format!(
        "the {} message has more than {limit} bytes when decompressed",
        codec.name()
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{random, text};
    use super::*;

    const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2];

    #[test]
    fn messages_come_back_within_limits() {
        for codec in ALL {
            for plain in [vec![], b"{}".to_vec(), text(1_200_000), random(70_000, 6)] {
                let packed = compress_payload(codec, &plain, usize::MAX).unwrap();
                assert!(
                    decompress_payload(codec, &packed, plain.len()).unwrap() == plain,
                    "{codec:?}"
                );
                if let Some(less) = plain.len().checked_sub(1) {
                    assert!(decompress_payload(codec, &packed, less).is_err(), "{codec:?}");
                }
                assert!(compress_payload(codec, &plain, packed.len()).is_ok());
                if let Some(less) = packed.len().checked_sub(1) {
                    assert!(compress_payload(codec, &plain, less).is_err());
                }
            }
        }
    }

    #[test]
    fn the_forms_are_those_of_the_link() {
        let plain = text(300_000);
        let zstd = compress_payload(Codec::Zstd, &plain, usize::MAX).unwrap();
        assert_eq!(zstd_safe::get_frame_content_size(&zstd).ok(), Some(Some(300_000)));
        assert_eq!(zstd_safe::find_frame_compressed_size(&zstd), Ok(zstd.len()));
        let lz4 = compress_payload(Codec::Lz4, &plain, usize::MAX).unwrap();
        assert_eq!(lz4[..4], 300_000u32.to_be_bytes());
        let text = text(900);
        let bare = compress_payload(Codec::Lz4, &text, usize::MAX).unwrap();
        assert_eq!(decompress_payload(Codec::Lz4, &bare[4..], 10_000).unwrap(), text);
        assert!(
            compress_payload(Codec::Gzip, &plain, usize::MAX)
                .unwrap()
                .starts_with(&[0x1f, 0x8b])
        );
        assert!(
            compress_payload(Codec::Bzip2, &plain, usize::MAX)
                .unwrap()
                .starts_with(b"BZh9")
        );
    }

    #[test]
    fn a_bomb_is_refused() {
        let plain = vec![0; 50_000_000];
        for codec in [Codec::Zstd, Codec::Lz4] {
            let packed = compress_payload(codec, &plain, usize::MAX).unwrap();
            assert!(
                decompress_payload(codec, &packed, 1_000_000).is_err(),
                "{codec:?}"
            );
        }
        assert!(decompress_payload(Codec::Lz4, &[0xff; 9], 1_000_000).is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            for codec in ALL {
                let _ = decompress_payload(codec, &bytes, 100_000);
            }
        }
    }
}

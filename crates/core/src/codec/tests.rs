//! Tests of every codec through the public interface, against the ordinary programs and against damage.

use std::io::{Cursor, Read, Write};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::{Assembler, Codec, CodecSpec, EncodedFrame, FrameEncoder, decoder};

/// Repeatable bytes that do not compress.
pub(crate) fn random(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Lines of words and numbers.
pub(crate) fn text(size: usize) -> Vec<u8> {
    let words = [
        "checkpoint",
        "starting",
        "immediate",
        "relation",
        "of",
        "database",
        "was",
        "not",
        "found",
    ];
    let mut bytes = Vec::with_capacity(size + 64);
    for (line, byte) in random(size / 8 + 16, 7).into_iter().enumerate() {
        if bytes.len() >= size {
            break;
        }
        bytes.extend_from_slice(words[usize::from(byte) % words.len()].as_bytes());
        bytes.extend_from_slice(format!(" {} ", line % 977).as_bytes());
    }
    bytes.resize(size, b'\n');
    bytes
}

/// Something like heap pages: a header, item pointers, a hole, rows of counters and random payload.
pub(crate) fn pages(size: usize) -> Vec<u8> {
    let noise = random(size, 3);
    let mut bytes = vec![0u8; size];
    for (number, page) in bytes.chunks_mut(8192).enumerate() {
        for (row, start) in (512..page.len().saturating_sub(64)).step_by(64).enumerate() {
            let id = (number * 128 + row) as u32;
            page[start..start + 4].copy_from_slice(&id.to_le_bytes());
            page[start + 24..start + 40].copy_from_slice(&noise[start..start + 16]);
        }
        if let Some(header) = page.get_mut(..8) {
            header.copy_from_slice(&(number as u64).to_le_bytes());
        }
    }
    bytes
}

fn encode(spec: CodecSpec, plain: &[u8]) -> Vec<u8> {
    let mut encoder = FrameEncoder::new(spec).unwrap();
    let mut assembler = Assembler::new(spec);
    let (mut frame, mut out) = (EncodedFrame::default(), Vec::new());
    for piece in plain.chunks(spec.frame_size()) {
        encoder.encode(piece, &mut frame).unwrap();
        assembler.append(&frame, &mut out);
    }
    assembler.finish(&mut out);
    out
}

fn decode(codec: Codec, stored: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder(codec, Box::new(Cursor::new(stored.to_vec()))).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Gives odd pieces.
struct Pieces(Cursor<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(7001);
        self.0.read(&mut out[..count])
    }
}

/// Gives one byte per call, as a slow source may.
struct Slowly(Cursor<Vec<u8>>);

impl Read for Slowly {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = out.len().min(1);
        self.0.read(&mut out[..count])
    }
}

fn inputs() -> Vec<Vec<u8>> {
    let mut mixed = random(300_000, 5);
    mixed.extend(text(900_000));
    mixed.extend(vec![0; 300_000]);
    vec![
        vec![],
        vec![0],
        b"hello pgmoneta".to_vec(),
        vec![b'a'; 1_048_576],
        vec![b'a'; 1_048_577],
        random(1_200_000, 1),
        pages(1_500_000),
        mixed,
    ]
}

const LEVELS: [i32; 3] = [1, 3, 9];

#[test]
fn every_codec_gives_back_what_it_got() {
    for codec in [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2] {
        for level in LEVELS {
            for plain in inputs() {
                let stored = encode(CodecSpec::new(codec, level), &plain);
                assert!(
                    decode(codec, &stored).unwrap() == plain,
                    "{codec:?} {level} {}",
                    plain.len()
                );
            }
        }
    }
}

#[test]
fn frames_of_zstd_are_passed_over_and_the_rest_is_what_it_was() {
    const FRAME: usize = 1 << 20;
    let plain = [pages(2 * FRAME), random(FRAME, 3), text(FRAME + 5)].concat();
    let stored = encode(CodecSpec::new(Codec::Zstd, 3), &plain);
    for slow in [false, true] {
        let source: Box<dyn Read + Send> = match slow {
            true => Box::new(Pieces(Cursor::new(stored.clone()))),
            false => Box::new(Cursor::new(stored.clone())),
        };
        let mut reader = decoder(Codec::Zstd, source);
        assert_eq!(
            reader.pass_over(FRAME as u64 - 1).unwrap(),
            0,
            "not the whole frame"
        );
        assert_eq!(reader.pass_over(u64::MAX).unwrap(), FRAME as u64);
        let mut some = [0; 1000];
        reader.read_exact(&mut some).unwrap();
        assert!(some == plain[FRAME..FRAME + 1000]);
        assert_eq!(reader.pass_over(u64::MAX).unwrap(), 0, "within a frame");
        let mut rest = vec![0; FRAME - 1000];
        reader.read_exact(&mut rest).unwrap();
        assert!(rest == plain[FRAME + 1000..2 * FRAME]);
        assert_eq!(reader.pass_over(2 * FRAME as u64).unwrap(), FRAME as u64);
        rest.clear();
        reader.read_to_end(&mut rest).unwrap();
        assert!(rest == plain[3 * FRAME..]);
        assert_eq!(reader.pass_over(u64::MAX).unwrap(), 0);
    }
    for codec in [Codec::None, Codec::Gzip, Codec::Lz4, Codec::Bzip2] {
        let stored = encode(CodecSpec::new(codec, 1), &plain);
        assert_eq!(
            decoder(codec, Box::new(Cursor::new(stored)))
                .pass_over(u64::MAX)
                .unwrap(),
            0
        );
    }
}

#[test]
fn a_frame_that_cannot_be_passed_over_is_decoded() {
    // larger than ours, without its size, and cut short
    let plain = text(3_000_000);
    let large = zstd::bulk::compress(&plain, 3).unwrap();
    let mut unsized_frame = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    std::io::Write::write_all(&mut unsized_frame, &plain).unwrap();
    for stored in [large.clone(), unsized_frame.finish().unwrap()] {
        let mut reader = decoder(Codec::Zstd, Box::new(Cursor::new(stored)));
        assert_eq!(reader.pass_over(u64::MAX).unwrap(), 0);
        let mut found = Vec::new();
        reader.read_to_end(&mut found).unwrap();
        assert!(found == plain);
    }
    let stored = encode(CodecSpec::new(Codec::Zstd, 3), &plain);
    let mut reader = decoder(
        Codec::Zstd,
        Box::new(Cursor::new(stored[..stored.len() - 1].to_vec())),
    );
    while reader.pass_over(u64::MAX).unwrap() > 0 {}
    assert!(reader.read_to_end(&mut Vec::new()).is_err());
}

#[test]
fn sources_and_readers_of_one_byte_are_served() {
    let plain = text(10_000);
    for codec in Codec::COMPRESSING {
        let mut stored = encode(CodecSpec::new(codec, 3), &plain);
        stored.extend(encode(CodecSpec::new(codec, 1), &plain));
        let mut reader = decoder(codec, Box::new(Slowly(Cursor::new(stored))));
        let (mut one, mut out) = ([0u8; 1], Vec::new());
        while reader.read(&mut one).unwrap() == 1 {
            out.push(one[0]);
        }
        assert!(out == [plain.clone(), plain.clone()].concat(), "{codec:?}");
    }
}

#[test]
fn ordinary_programs_read_it() {
    for (codec, program) in [
        (Codec::Gzip, "gzip"),
        (Codec::Zstd, "zstd"),
        (Codec::Lz4, "lz4"),
        (Codec::Bzip2, "bzip2"),
    ] {
        if Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .is_err()
        {
            eprintln!("{program} is not installed: its reading is not checked");
            continue;
        }
        for level in LEVELS {
            for plain in inputs() {
                let stored = encode(CodecSpec::new(codec, level), &plain);
                let read = pipe(program, &["-d", "-c"], stored);
                assert!(read == plain, "{program} level {level} size {}", plain.len());
            }
        }
    }
}

#[test]
fn files_of_ordinary_programs_are_read() {
    for (codec, program) in [
        (Codec::Gzip, "gzip"),
        (Codec::Zstd, "zstd"),
        (Codec::Lz4, "lz4"),
        (Codec::Bzip2, "bzip2"),
    ] {
        if Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .is_err()
        {
            eprintln!("{program} is not installed: its files are not checked");
            continue;
        }
        for plain in inputs() {
            let stored = pipe(program, &["-c"], plain.clone());
            assert!(
                decode(codec, &stored).unwrap() == plain,
                "{program} size {}",
                plain.len()
            );
        }
    }
}

fn pipe(program: &str, arguments: &[&str], input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} failed");
    output.stdout
}

#[test]
fn truncation_is_an_error_at_every_byte() {
    let plain = text(3_000);
    for codec in Codec::COMPRESSING {
        let stored = encode(CodecSpec::new(codec, 3), &plain);
        // A stored lz4 file of 0 bytes is an empty file of the C program.
        let first = usize::from(codec == Codec::Lz4);
        for end in first..stored.len() {
            let result = decode(codec, &stored[..end]);
            assert!(result.is_err(), "{codec:?} cut to {end} of {}", stored.len());
        }
        assert!(decode(codec, &stored).unwrap() == plain);
    }
}

#[test]
fn trailing_garbage_is_an_error() {
    for codec in Codec::COMPRESSING {
        for garbage in [
            &b"\0"[..],
            b"x",
            b"\0\0\0\0\0\0\0\0",
            b"garbage behind the data",
            b"\x1f",
        ] {
            let mut stored = encode(CodecSpec::new(codec, 3), &text(3_000));
            stored.extend_from_slice(garbage);
            assert!(decode(codec, &stored).is_err(), "{codec:?} {garbage:?}");
        }
    }
}

#[test]
fn an_error_stays_an_error() {
    let mut stored = encode(CodecSpec::new(Codec::Zstd, 3), &random(100_000, 2));
    stored[50_000] ^= 1;
    let mut reader = decoder(Codec::Zstd, Box::new(Cursor::new(stored)));
    let mut sink = Vec::new();
    assert!(reader.read_to_end(&mut sink).is_err());
    assert!(reader.read(&mut [0; 16]).is_err());
}

#[test]
fn compressible_data_is_hardly_larger_for_the_shortcut() {
    // Random blocks that repeat: flat in the histogram, yet half of it can be saved.
    let mut repeated = random(400_000, 9);
    repeated.extend_from_within(..);
    // Random bytes with zeros between.
    let mut sparse = random(1 << 20, 4);
    sparse.chunks_mut(100).for_each(|chunk| chunk[..8].fill(0));
    for plain in [repeated, sparse, pages(1 << 20), text(1 << 20)] {
        for level in [3, 9, 19] {
            let stored = encode(CodecSpec::new(Codec::Zstd, level), &plain).len();
            let reference = ::zstd::bulk::compress(&plain, level).unwrap().len();
            assert!(
                stored * 100 <= reference * 102 + 2_000,
                "level {level}: {stored} against {reference}"
            );
        }
    }
}

#[test]
fn random_data_grows_by_less_than_a_hundredth() {
    for codec in [Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2] {
        for level in LEVELS {
            for size in [20_000, 1 << 20] {
                let stored = encode(CodecSpec::new(codec, level), &random(size, 11)).len();
                // The tables of a bzip2 block take some hundred bytes.
                assert!(
                    stored < size + size / 100 + 600,
                    "{codec:?} {level}: {size} became {stored}"
                );
            }
        }
    }
}

#[test]
fn names_and_codes() {
    for codec in Codec::COMPRESSING {
        assert_eq!(Codec::from_name(codec.name()).unwrap(), codec);
        assert_eq!(
            Codec::from_path(format!("base/1/1259{}", codec.suffix()).as_ref()),
            codec
        );
        assert!(codec.frame_size(9).is_power_of_two());
    }
    assert!(Codec::from_name("lzma").is_err());
    assert_eq!(Codec::from_path("base/1/1259".as_ref()), Codec::None);
    assert_eq!(Codec::from_info_code(18), Some(Codec::Zstd));
    assert_eq!(Codec::from_info_code(6), Some(Codec::Zstd));
    assert_eq!(Codec::from_info_code(36), None);
    assert_eq!(CodecSpec::new(Codec::Gzip, 40).level, 9);
}

/// Blocks as the C program writes them, made with the library's own linked compression.
fn old_blocks(plain: &[u8], empty_at_end: bool) -> Vec<u8> {
    use lz4_sys::{LZ4_compress_continue, LZ4_createStream, LZ4_freeStream};
    let mut out = Vec::new();
    // SAFETY: the stream is made and freed here; `plain` stays in place, so that history is where it was.
    unsafe {
        let stream = LZ4_createStream();
        for block in plain.chunks(4096) {
            let mut stored = [0u8; 4200];
            let size = LZ4_compress_continue(
                stream,
                block.as_ptr().cast(),
                stored.as_mut_ptr().cast(),
                block.len() as i32,
            );
            out.extend_from_slice(&size.to_le_bytes());
            out.extend_from_slice(&stored[..size as usize]);
        }
        LZ4_freeStream(stream);
    }
    if empty_at_end {
        out.extend_from_slice(&[1, 0, 0, 0, 0]);
    }
    out
}

#[test]
fn old_lz4_blocks_are_read() {
    for plain in inputs() {
        for empty in [false, true] {
            let stored = old_blocks(&plain, empty);
            assert!(
                decode(Codec::Lz4, &stored).unwrap() == plain,
                "{} {empty}",
                plain.len()
            );
        }
    }
    assert!(decode(Codec::Lz4, &[0xff, 0xff, 0, 0, 1]).is_err());
    let stored = old_blocks(&text(20_000), false);
    assert!(decode(Codec::Lz4, &stored[..stored.len() - 1]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_come_back(plain in proptest::collection::vec(any::<u8>(), 0..200_000), level in 1..9i32) {
        for codec in Codec::COMPRESSING {
            let stored = encode(CodecSpec::new(codec, level), &plain);
            prop_assert!(decode(codec, &stored).unwrap() == plain);
        }
    }

    #[test]
    fn a_flipped_bit_never_gives_other_bytes(at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let plain = text(20_000);
        for codec in Codec::COMPRESSING {
            let mut stored = encode(CodecSpec::new(codec, 3), &plain);
            let index = at.index(stored.len());
            stored[index] ^= 1 << bit;
            // Some bits mean nothing (gzip's time, the padding of bzip2); all others must be noticed.
            if let Ok(read) = decode(codec, &stored) {
                prop_assert!(read == plain, "{codec:?} byte {index}");
            }
        }
    }

    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..5_000)) {
        for codec in Codec::COMPRESSING {
            let _ = decode(codec, &bytes);
        }
    }
}

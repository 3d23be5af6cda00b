//! Speed of the codecs, one thread, per kind of data. `cargo bench -p pgmoneta-core --bench codec`

#![allow(clippy::expect_used)] // a bench that cannot go on has nothing to measure

mod data;

use std::hint::black_box;
use std::io::{Cursor, Read};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgmoneta_core::codec::{Assembler, Codec, CodecSpec, EncodedFrame, FrameEncoder, decoder};

const SIZE: usize = 8 << 20;

const SPECS: [(Codec, i32); 8] = [
    (Codec::None, 0),
    (Codec::Zstd, 1),
    (Codec::Zstd, 3),
    (Codec::Zstd, 9),
    (Codec::Lz4, 1),
    (Codec::Lz4, 3),
    (Codec::Gzip, 6),
    (Codec::Bzip2, 9),
];

fn encode(criterion: &mut Criterion) {
    for (kind, plain) in [
        ("random", data::random(SIZE)),
        ("pages", data::pages(SIZE)),
        ("text", data::text(SIZE)),
    ] {
        let mut group = criterion.benchmark_group(format!("encode/{kind}"));
        group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
        for (codec, level) in SPECS {
            let spec = CodecSpec::new(codec, level);
            let mut encoder = FrameEncoder::new(spec).expect("an encoder");
            let mut frame = EncodedFrame::default();
            let mut stored = 0;
            group.bench_function(format!("{}-{level}", codec.name()), |bencher| {
                bencher.iter(|| {
                    stored = 0;
                    for piece in plain.chunks(spec.frame_size()) {
                        encoder.encode(piece, &mut frame).expect("a frame");
                        stored += black_box(&frame.data).len();
                    }
                });
            });
            println!(
                "{} {level} on {kind}: {:.1} % of the plain size",
                codec.name(),
                stored as f64 * 100.0 / SIZE as f64
            );
        }
        group.finish();
    }
}

fn decode(criterion: &mut Criterion) {
    let plain = data::pages(SIZE);
    let mut group = criterion.benchmark_group("decode/pages");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    for (codec, level) in SPECS {
        let spec = CodecSpec::new(codec, level);
        let mut encoder = FrameEncoder::new(spec).expect("an encoder");
        let mut assembler = Assembler::new(spec);
        let (mut frame, mut stored) = (EncodedFrame::default(), Vec::new());
        for piece in plain.chunks(spec.frame_size()) {
            encoder.encode(piece, &mut frame).expect("a frame");
            assembler.append(&frame, &mut stored);
        }
        assembler.finish(&mut stored);
        let mut buffer = vec![0; 256 * 1024];
        group.bench_function(format!("{}-{level}", codec.name()), |bencher| {
            bencher.iter(|| {
                let mut reader = decoder(codec, Box::new(Cursor::new(stored.clone())));
                while reader.read(black_box(&mut buffer)).expect("plain bytes") > 0 {}
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encode, decode);
criterion_main!(benches);

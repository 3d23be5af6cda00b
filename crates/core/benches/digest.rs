//! Speed of the digests, one thread. `cargo bench -p pgmoneta-core --bench digest`

#![allow(clippy::expect_used)] // a bench that cannot go on has nothing to measure

mod data;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgmoneta_core::digest::{Blake3Pieces, DigestKind, blake3_piece, crc32c_combine};

const SIZE: usize = 8 << 20;
const PIECE: usize = 1 << 20;

fn digests(criterion: &mut Criterion) {
    let bytes = [data::pages(SIZE / 2), data::text(SIZE / 2)].concat();
    let mut group = criterion.benchmark_group("digest");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    for kind in [
        DigestKind::Crc32c,
        DigestKind::Blake3,
        DigestKind::Sha224,
        DigestKind::Sha256,
        DigestKind::Sha384,
        DigestKind::Sha512,
    ] {
        group.bench_function(kind.name(), |bencher| bencher.iter(|| black_box(kind.of(&bytes))));
    }
    group.bench_function("blake3 in pieces", |bencher| {
        bencher.iter(|| {
            let mut pieces = Blake3Pieces::new();
            for (index, piece) in bytes.chunks(PIECE).enumerate() {
                pieces.push(blake3_piece((index * PIECE) as u64, piece, false));
            }
            black_box(pieces.finish())
        });
    });
    group.finish();
    criterion.bench_function("crc32c combine", |bencher| {
        bencher.iter(|| black_box(crc32c_combine(black_box(1), black_box(2), PIECE)));
    });
    let small = data::random(8192);
    criterion.bench_function("blake3 of 8 KiB", |bencher| {
        bencher.iter(|| black_box(DigestKind::Blake3.of(&small)))
    });
}

criterion_group!(benches, digests);
criterion_main!(benches);

//! Speed of the ciphers, one thread. `cargo bench -p pgmoneta-core --bench cipher`

#![allow(clippy::expect_used)] // a bench that cannot go on has nothing to measure

mod data;

use std::hint::black_box;
use std::io::{Cursor, Read};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgmoneta_core::cipher::{CipherMode, MasterSecret, Sealer, opener, seal_blob};

const SIZE: usize = 8 << 20;

fn seal(criterion: &mut Criterion) {
    let secret = MasterSecret::from_slice(&[7; 64]).expect("a secret");
    let mut bytes = data::random(SIZE);
    let mut group = criterion.benchmark_group("seal");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    for mode in CipherMode::ALL {
        let mut out = Vec::with_capacity(SIZE + 64);
        group.bench_function(mode.name(), |bencher| {
            bencher.iter(|| {
                let mut sealer = Sealer::new(mode, &secret).expect("a sealer");
                for piece in bytes.chunks_mut(1 << 20) {
                    if sealer.in_place() {
                        sealer.update(piece).expect("sealed bytes");
                    } else {
                        out.clear();
                        sealer.update_into(piece, &mut out).expect("sealed bytes");
                    }
                }
                black_box(sealer.finish().expect("a tag"));
            });
        });
    }
    group.finish();
}

fn open(criterion: &mut Criterion) {
    let secret = MasterSecret::from_slice(&[7; 64]).expect("a secret");
    let plain = data::random(SIZE);
    let mut group = criterion.benchmark_group("open");
    group.throughput(Throughput::Bytes(SIZE as u64)).sample_size(10);
    for mode in CipherMode::ALL {
        let sealed = seal_blob(mode, &secret, &plain).expect("sealed bytes");
        let mut buffer = vec![0; 256 * 1024];
        group.bench_function(mode.name(), |bencher| {
            bencher.iter(|| {
                let mut reader = opener(Some(mode), &secret, Box::new(Cursor::new(sealed.clone())));
                while reader.read(black_box(&mut buffer)).expect("plain bytes") > 0 {}
            });
        });
    }
    group.finish();
}

fn small(criterion: &mut Criterion) {
    let secret = MasterSecret::from_slice(&[7; 64]).expect("a secret");
    criterion.bench_function("seal 8 KiB file", |bencher| {
        bencher
            .iter(|| black_box(seal_blob(CipherMode::Aes256Gcm, &secret, &[1; 8192]).expect("sealed bytes")));
    });
}

criterion_group!(benches, seal, open, small);
criterion_main!(benches);

//! Memory does not grow with the backup: 3 GiB go through a receiver, and the process stays small. A test of its own
//! process, as the peak of a process is what the system tells.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // all of this file is a test

use pgmoneta_core::codec::{Codec, CodecSpec};
use pgmoneta_core::receive::{Options, Receiver};

const GIB: u64 = 1 << 30;
const BUDGET: usize = 16 << 20;

/// A ustar header of a regular file.
fn header(name: &str, size: u64) -> Vec<u8> {
    let mut block = vec![0u8; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000600\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"14717510100\0");
    block[148..156].fill(b' ');
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn push(receiver: &mut Receiver, bytes: &[u8]) {
    if !receiver.push(bytes).unwrap() {
        let (wake, woken) = std::sync::mpsc::channel();
        receiver
            .watch()
            .on_drained(Box::new(move || wake.send(()).unwrap_or_default()));
        woken.recv().unwrap();
    }
}

/// Peak of the resident set, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn three_gibibytes_and_many_files_in_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        directory: directory.path().join("staging"),
        spec: CodecSpec::new(Codec::Zstd, 1),
        sealing: None,
        workers: 2,
        budget: BUDGET,
        manifest: None,
        server_codec: None,
        link: None,
        incremental: None,
    };
    let before = peak();
    let mut receiver = Receiver::new(options).unwrap();
    receiver.begin_archive(None).unwrap();
    let zeros = vec![0u8; 1 << 20];
    for file in 0..3 {
        push(&mut receiver, &header(&format!("base/1/{file}"), GIB));
        (0..GIB >> 20).for_each(|_| push(&mut receiver, &zeros));
    }
    for file in 0..2000 {
        push(&mut receiver, &header(&format!("base/2/{file}"), 0));
    }
    receiver.end_archive().unwrap();
    let error = receiver.check().unwrap_err();
    assert!(error.message.contains("no backup manifest"), "{error}");
    let progress = receiver.watch().progress();
    assert_eq!((progress.plain_bytes, progress.files), (3 * GIB, 2003));
    let grown = peak() - before;
    assert!(
        grown < 3 * BUDGET as u64,
        "{} MiB for a budget of {} MiB",
        grown >> 20,
        BUDGET >> 20
    );
}

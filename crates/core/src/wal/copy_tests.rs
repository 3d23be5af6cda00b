use super::*;
use crate::cipher::{CipherMode, file::encrypt_file};
use crate::codec::{Codec, CodecSpec, file::compress_file};
use crate::wal::prove_segment;
use crate::wal::testing::{SYSTEM, WalBuilder};
use std::os::unix::fs::PermissionsExt;

const SIZE: u32 = 1 << 20;
const START: u64 = 7 * SIZE as u64;

fn options() -> CopyOptions {
    CopyOptions {
        segment_size: SIZE,
        system_identifier: Some(SYSTEM),
        secret: Some(MasterSecret::from_slice(&[3; 64]).unwrap()),
    }
}

fn sample() -> WalBuilder {
    let mut wal = WalBuilder::sized(START, 8192, SIZE);
    for _ in 0..150 {
        wal.filler(9000);
    }
    wal
}

/// A file with a segment's name and a copy of it to be made.
fn prepared(directory: &Path, name: &str, bytes: &[u8], pad: bool) -> SegmentCopy {
    let source = directory.join(name);
    std::fs::write(&source, bytes).unwrap();
    let number = u64::from_str_radix(&name[16..24], 16).unwrap();
    let target = directory.join("target").join(&name[..24]);
    std::fs::create_dir_all(directory.join("target")).unwrap();
    SegmentCopy {
        source,
        target,
        timeline: 1,
        number,
        pad,
    }
}

fn copy(copy: &SegmentCopy) -> Result<CopiedSegment> {
    copy_segment(copy, &options(), &Job::default())
}

/// Nothing was left: no target, no temporary file.
fn is_clean(copy: &SegmentCopy) -> bool {
    std::fs::read_dir(copy.target.parent().unwrap()).unwrap().count() == 0
}

#[test]
fn every_stored_form_is_copied() {
    let wal = sample();
    let secret = options().secret.unwrap();
    for (codec, mode) in [
        (Codec::None, None),
        (Codec::Zstd, None),
        (Codec::Lz4, Some(CipherMode::Aes256Gcm)),
        (Codec::Gzip, Some(CipherMode::Aes128Ctr)),
        (Codec::None, Some(CipherMode::Aes192Gcm)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let name = "000000010000000000000007";
        let mut order = prepared(directory.path(), name, &wal.segment_bytes(0), false);
        if codec != Codec::None {
            order.source = compress_file(&order.source, CodecSpec::new(codec, 1))
                .unwrap()
                .destination;
        }
        if let Some(mode) = mode {
            order.source = encrypt_file(&order.source, mode, &secret).unwrap().destination;
        }
        std::fs::write(&order.target, b"what the backup brought").unwrap();
        assert_eq!(
            copy(&order).unwrap(),
            CopiedSegment {
                end: None,
                written: true
            }
        );
        assert!(std::fs::read(&order.target).unwrap() == wal.segment_bytes(0));
        let mode = std::fs::metadata(&order.target).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_is_not_the_segment_is_refused() {
    let wal = sample();
    let whole = wal.segment_bytes(0);
    let name = "000000010000000000000007";
    let refused = |bytes: &[u8], message: &str| {
        let directory = tempfile::tempdir().unwrap();
        let order = prepared(directory.path(), name, bytes, false);
        let error = copy(&order).unwrap_err();
        assert_eq!(error.code, Code::Corrupt);
        assert_eq!(error.path.as_ref(), Some(&order.source));
        assert!(error.message.contains(message), "{}", error.message);
        assert!(error.hint.is_some() && is_clean(&order));
    };
    refused(&whole[..whole.len() - 1], "1048575 bytes instead of 1048576");
    refused(&[&whole[..], &[0]].concat(), "more than the 1048576 bytes");
    refused(&[], "0 bytes instead");
    refused(&whole[..20], "20 bytes only");
    refused(&vec![0; SIZE as usize], "all zeros");
    refused(&wal.segment_bytes(1), "0/800000");
    let mut other = whole.clone();
    other[24] ^= 1;
    refused(&other, "belongs to the system");
    let mut newer = whole.clone();
    newer[4] = 2;
    refused(&newer, "timeline 2");
    let directory = tempfile::tempdir().unwrap();
    let mut order = prepared(directory.path(), name, &whole, false);
    order.number = 8;
    assert_eq!(copy(&order).unwrap_err().code, Code::Usage);
    order.number = 7;
    order.source = directory.path().join("000000010000000000000007.aes");
    assert_eq!(copy(&order).unwrap_err().code, Code::Io);
    std::fs::write(&order.source, &whole).unwrap();
    let without = CopyOptions {
        secret: None,
        ..options()
    };
    let error = copy_segment(&order, &without, &Job::default()).unwrap_err();
    assert_eq!(error.code, Code::Usage);
    assert!(error.hint.unwrap().contains("master.key") && is_clean(&order));
}

#[test]
fn an_unfinished_segment_is_filled_up_behind_its_last_record() {
    let mut wal = WalBuilder::sized(START, 8192, SIZE);
    for size in [100, 9000, 20_000, 60] {
        wal.filler(size);
    }
    // What a reused file held: WAL of the segment before.
    let mut old = WalBuilder::sized(START - u64::from(SIZE), 8192, SIZE);
    for _ in 0..150 {
        old.raw(10, 0, 1, &[0xa5; 9000]);
    }
    let old = old.segment_bytes(0);
    let name = "000000010000000000000007.partial";
    for size in [wal.bytes.len(), wal.bytes.len() - 30, 29_000, 9500, 200, 100, 40] {
        let proved = wal
            .records
            .iter()
            .rev()
            .find(|record| record.end.0 - START <= size as u64);
        let kept = proved.map_or(0, |record| usize::try_from(record.end.0 - START).unwrap());
        let received = wal.bytes[..size].to_vec();
        let mut padded = received.clone();
        padded.resize(SIZE as usize, 0);
        let mut stale = received.clone();
        stale.extend(&old[size..]);
        for stored in [received, padded, stale] {
            let directory = tempfile::tempdir().unwrap();
            let order = prepared(directory.path(), name, &stored, true);
            let copied = copy(&order).unwrap();
            // Cut within the padding of a record, it is whole all the same.
            let end = usize::try_from(copied.end.unwrap().0 - START).unwrap();
            assert!(
                copied.written && end >= kept && end <= kept + 9100,
                "{size} {end} {kept}"
            );
            let mut expected = wal.bytes[..end].to_vec();
            expected.resize(SIZE as usize, 0);
            assert!(std::fs::read(&order.target).unwrap() == expected, "{size}");
        }
    }
}

#[test]
fn the_rest_of_a_record_from_before_is_kept() {
    // The last record of the WAL begins in one segment and ends in the next: it must not be lost.
    let mut wal = WalBuilder::sized(START, 8192, SIZE);
    while wal.position() < START + u64::from(SIZE) - 9000 {
        wal.filler(3000);
    }
    wal.filler(30_000);
    let end = wal.position();
    assert!(end > START + u64::from(SIZE) + 16_384);
    let directory = tempfile::tempdir().unwrap();
    let order = prepared(
        directory.path(),
        "000000010000000000000008.partial",
        &wal.segment_bytes(1),
        true,
    );
    assert_eq!(copy(&order).unwrap().end, Some(Lsn(end)));
    assert!(std::fs::read(&order.target).unwrap() == wal.segment_bytes(1));
    // Received in part only: there is no telling, so it stays, up to the first page that is not there.
    let cut = usize::try_from(end - START).unwrap() - SIZE as usize - 10_000;
    let mut bytes = wal.segment_bytes(1);
    bytes[cut..].fill(0);
    let order = prepared(directory.path(), "000000010000000000000008.partial", &bytes, true);
    let kept = copy(&order).unwrap().end.unwrap();
    assert!(kept.0 >= START + u64::from(SIZE) + cut as u64);
    assert!(std::fs::read(&order.target).unwrap() == bytes);
}

#[test]
fn a_segment_that_got_nothing_is_left_out() {
    for bytes in [Vec::new(), vec![0; SIZE as usize]] {
        let directory = tempfile::tempdir().unwrap();
        let order = prepared(directory.path(), "000000010000000000000007.partial", &bytes, true);
        assert_eq!(
            copy(&order).unwrap(),
            CopiedSegment {
                end: None,
                written: false
            }
        );
        assert!(is_clean(&order));
    }
}

#[test]
fn many_are_copied_or_the_failure_is_told() {
    let mut wal = WalBuilder::sized(START, 8192, SIZE);
    for _ in 0..8 {
        wal.filler(1_000_000);
    }
    let directory = tempfile::tempdir().unwrap();
    let name = |index: u64| format!("0000000100000000000000{:02X}", 7 + index);
    let orders: Vec<_> = (0..8)
        .map(|index| {
            let bytes = wal.segment_bytes(usize::try_from(index).unwrap());
            prepared(directory.path(), &name(index), &bytes, index == 7)
        })
        .collect();
    let job = Job::default();
    let copied = copy_segments(&orders, &options(), 3, &job).unwrap();
    assert!(copied.len() == 8 && copied.iter().all(|one| one.written));
    assert_eq!(copied[7].end, Some(Lsn(wal.position())));
    assert_eq!((job.progress().files_done, job.progress().files_total), (8, 8));
    std::fs::write(&orders[2].source, b"short").unwrap();
    let error = copy_segments(&orders, &options(), 3, &Job::default()).unwrap_err();
    assert_eq!(error.path.as_ref(), Some(&orders[2].source));
    job.cancel();
    assert_eq!(
        copy_segments(&orders, &options(), 3, &job).unwrap_err().code,
        Code::Cancelled
    );
    assert_eq!(
        std::fs::read_dir(directory.path().join("target"))
            .unwrap()
            .count(),
        8
    );
    assert!(
        copy_segments(&[], &options(), 3, &Job::default())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_segment_is_proved() {
    let wal = sample();
    let directory = tempfile::tempdir().unwrap();
    let prove = |name: &str, bytes: &[u8]| {
        let order = prepared(directory.path(), name, bytes, false);
        let segment = StoredSegment::parse(&order.source, SIZE).unwrap();
        prove_segment(&segment, SIZE, Some(SYSTEM), None, &Job::default()).unwrap()
    };
    let proof = prove("000000010000000000000007", &wal.segment_bytes(0));
    let last = wal
        .records
        .iter()
        .rev()
        .find(|record| record.end.0 <= START + u64::from(SIZE))
        .unwrap();
    assert_eq!((proof.proved, proof.last_record), (last.end, Some(last.lsn)));
    assert_eq!(
        (proof.first_record, proof.start.0),
        (Some(wal.records[0].lsn), START)
    );
    assert!(proof.whole && proof.message.is_empty() && proof.records > 100);
    assert_eq!(
        (proof.major_version, proof.system_identifier),
        (Some(17), Some(SYSTEM))
    );
    let proof = prove("000000010000000000000008", &wal.segment_bytes(1));
    assert_eq!((proof.proved.0, proof.whole), (wal.position(), false));
    assert!(proof.message.contains("zeros"), "{}", proof.message);
    let mut bytes = wal.segment_bytes(0);
    bytes[500_000] ^= 4;
    let proof = prove("000000010000000000000007", &bytes);
    assert!(!proof.whole && proof.message.contains("CRC") && proof.proved.0 < START + 500_000);
    let proof = prove("000000010000000000000007", &wal.segment_bytes(0)[..300_000]);
    assert!(!proof.whole && proof.message.contains("300000 bytes instead"));
    let longer = [&wal.segment_bytes(0)[..], &wal.bytes[SIZE as usize..]].concat();
    let proof = prove("000000010000000000000007", &longer);
    assert!(!proof.whole && proof.message.contains("instead of") && proof.proved == last.end);
    let proof = prove("000000010000000000000007.gz", b"not gzip");
    assert!(!proof.whole && proof.message.contains("gzip") && proof.records == 0);
    let mut switched = WalBuilder::sized(START, 8192, SIZE);
    switched.filler(60);
    switched.switch();
    let proof = prove("000000010000000000000007", &switched.bytes);
    assert!(proof.whole && proof.proved.0 == START + u64::from(SIZE));
}

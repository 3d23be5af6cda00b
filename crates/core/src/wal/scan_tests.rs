use super::*;
use crate::wal::testing::{SYSTEM, WalBuilder};
use std::path::Path;

const SIZE: u32 = 1 << 20;
const START: u64 = 7 * SIZE as u64;

fn name(timeline: u32, number: u64) -> String {
    format!("{timeline:08X}{:08X}{:08X}", number >> 12, number & 0xfff)
}

/// Writes the segments of `wal`; gives their paths.
fn store(directory: &Path, wal: &WalBuilder) -> Vec<PathBuf> {
    let count = wal.bytes.len().div_ceil(SIZE as usize);
    let store_one = |index: usize| {
        let path = directory.join(name(wal.timeline, wal.start / u64::from(SIZE) + index as u64));
        std::fs::write(&path, wal.segment_bytes(index)).unwrap();
        path
    };
    (0..count).map(store_one).collect()
}

fn options(segments: Vec<PathBuf>) -> ScanOptions {
    ScanOptions {
        segments,
        segment_size: SIZE,
        system_identifier: Some(SYSTEM),
        start: Lsn(START),
        secret: None,
        target: None,
        workers: 2,
    }
}

fn run(options: &ScanOptions) -> ScanReport {
    scan(options, &Job::default()).unwrap()
}

/// Two and a half segments: transactions 100 to 399 with rising times, restore points, big records between.
fn sample() -> WalBuilder {
    let mut wal = WalBuilder::sized(START, 8192, SIZE);
    for n in 0..300u32 {
        wal.filler(8000);
        if n % 10 == 9 {
            wal.abort(100 + n, i64::from(n) * 10);
        } else {
            wal.commit(100 + n, i64::from(n) * 10);
        }
        if n % 100 == 50 {
            wal.restore_point("again", i64::from(n) * 10 + 5);
        }
    }
    wal
}

#[test]
fn everything_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let wal = sample();
    let segments = store(directory.path(), &wal);
    assert_eq!(segments.len(), 3);
    for workers in [1, 2, 5] {
        let job = Job::default();
        let report = scan(
            &ScanOptions {
                workers,
                ..options(segments.clone())
            },
            &job,
        )
        .unwrap();
        assert_eq!(report.end.0, wal.position());
        assert_eq!((report.records, report.commits, report.aborts), (603, 270, 30));
        assert_eq!(report.first_commit.unwrap().xid, 100);
        let last = report.last_commit.unwrap();
        assert_eq!((last.xid, last.time), (398, Timestamp(2980)));
        let points: Vec<_> = report.restore_points.iter().map(|point| point.time.0).collect();
        assert_eq!((points, report.restore_point_count), (vec![505, 1505, 2505], 3));
        assert_eq!(
            (report.major_version, report.system_identifier),
            (Some(17), Some(SYSTEM))
        );
        assert_eq!((report.timeline, report.stop), (1, None));
        // The rest of the last file is zeros.
        assert_eq!(
            (report.ending.kind, report.ending.at.0),
            (EndKind::EndOfWal, wal.position())
        );
        assert_eq!(job.progress().bytes_done, 3 * u64::from(SIZE));
        assert_eq!(job.progress().files_done, 3);
    }
    let report = run(&options(segments[..2].to_vec()));
    assert_eq!(
        (report.ending.kind, report.ending.at.0),
        (EndKind::Whole, START + 2 * u64::from(SIZE))
    );
    assert!(report.end.0 < START + 2 * u64::from(SIZE));
}

#[test]
fn records_before_the_start_do_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let wal = sample();
    let segments = store(directory.path(), &wal);
    let start = wal.records[10].lsn;
    let report = run(&ScanOptions {
        start,
        ..options(segments.clone())
    });
    assert_eq!(report.records, 603 - 10);
    let report = run(&ScanOptions {
        start: Lsn(START + u64::from(SIZE) * 2),
        ..options(segments[2..].to_vec())
    });
    assert!(report.records > 0 && report.end.0 == wal.position());
    for start in [Lsn(START - 1), Lsn(START + u64::from(SIZE))] {
        let error = scan(
            &ScanOptions {
                start,
                ..options(segments.clone())
            },
            &Job::default(),
        )
        .unwrap_err();
        assert_eq!(error.code, Code::Usage);
    }
}

/// Record, whether it is replayed, end of the replay, time, xid.
type Stopped = (Lsn, bool, Lsn, Option<i64>, Option<u32>);

fn stop(segments: &[PathBuf], target: Target) -> Option<Stopped> {
    let report = run(&ScanOptions {
        target: Some(target),
        ..options(segments.to_vec())
    });
    assert_eq!(report.ending.kind == EndKind::Target, report.stop.is_some());
    let stop = report.stop?;
    assert_eq!(report.end, stop.end);
    Some((
        stop.lsn,
        stop.replayed,
        stop.end,
        stop.time.map(|time| time.0),
        stop.xid,
    ))
}

#[test]
fn targets_stop_where_postgresql_would() {
    let directory = tempfile::tempdir().unwrap();
    let wal = sample();
    let segments = store(directory.path(), &wal);
    let at = |xid: u32| {
        wal.records
            .iter()
            .position(|record| record.xid == xid && record.body.len() == 10)
            .unwrap()
    };
    let record = |index: usize| &wal.records[index];
    let point = wal
        .records
        .iter()
        .position(|record| record.body.len() == 74)
        .unwrap();
    let name = |text: &str| Target::Name(text.as_bytes().to_vec());
    // The first point of that name, replayed.
    let found = stop(&segments, name("again"));
    assert_eq!(
        found,
        Some((record(point).lsn, true, record(point).end, Some(505), None))
    );
    assert_eq!(stop(&segments, name("agai")), None);
    // A commit and an abort by xid.
    for xid in [250, 259] {
        let (index, time) = (at(xid), Some(i64::from(xid - 100) * 10));
        let found = stop(&segments, Target::Xid { xid, inclusive: true });
        assert_eq!(
            found,
            Some((record(index).lsn, true, record(index).end, time, Some(xid)))
        );
        let found = stop(
            &segments,
            Target::Xid {
                xid,
                inclusive: false,
            },
        );
        assert_eq!(
            found,
            Some((record(index).lsn, false, record(index - 1).end, time, Some(xid)))
        );
    }
    assert_eq!(
        stop(
            &segments,
            Target::Xid {
                xid: 99,
                inclusive: true
            }
        ),
        None
    );
    // Times: inclusive replays all that are as late, exclusive none of them; an abort stops as well.
    let time = |micros, inclusive| {
        stop(
            &segments,
            Target::Time {
                time: Timestamp(micros),
                inclusive,
            },
        )
    };
    let before = |xid: u32| {
        let index = at(xid);
        Some((
            record(index).lsn,
            false,
            record(index - 1).end,
            Some(i64::from(xid - 100) * 10),
            Some(xid),
        ))
    };
    assert_eq!(time(1500, true), before(251));
    assert_eq!(time(1500, false), before(250));
    assert_eq!(time(1501, false), before(251));
    assert_eq!(time(1580, true), before(259));
    assert_eq!(time(2990, true), None);
    assert_eq!(time(2990, false), before(399));
    // LSNs: the first record that begins there or later.
    let lsn = |lsn, inclusive| stop(&segments, Target::Lsn { lsn, inclusive });
    for index in [0usize, 5, 500] {
        let end_before = index
            .checked_sub(1)
            .map_or(Lsn(START), |before| record(before).end);
        let lsn_of = record(index).lsn;
        assert_eq!(
            lsn(lsn_of, true),
            Some((lsn_of, true, record(index).end, None, None))
        );
        assert_eq!(lsn(lsn_of, false), Some((lsn_of, false, end_before, None, None)));
        assert_eq!(lsn(Lsn(lsn_of.0 - 1), true).unwrap().0, lsn_of);
        assert_eq!(lsn(Lsn(lsn_of.0 + 1), true).unwrap().0, record(index + 1).lsn);
    }
    assert_eq!(lsn(Lsn(wal.position()), true), None);
}

#[test]
fn timelines_follow_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let mut old = WalBuilder::sized(START, 8192, SIZE);
    for xid in 0..200 {
        old.filler(8000);
        old.commit(xid, 0);
    }
    // A server was promoted here, in the second segment; the old timeline went on.
    let mut new = WalBuilder::sized(START, 8192, SIZE);
    new.bytes.clone_from(&old.bytes);
    (new.prev, new.timeline) = (old.prev, 2);
    let switch = new.position();
    for xid in 1000..1100 {
        new.filler(9000);
        new.commit(xid, 0);
    }
    for _ in 0..10 {
        old.commit(500, 0);
    }
    let old_segments = store(directory.path(), &old);
    std::fs::rename(
        &old_segments[1],
        directory.path().join(format!("{}.partial", name(1, 8))),
    )
    .unwrap();
    let partial = directory.path().join(format!("{}.partial", name(1, 8)));
    let new_segments = store(directory.path(), &new);
    assert_eq!((old_segments.len(), new_segments.len()), (2, 3));
    let both = vec![
        old_segments[0].clone(),
        partial.clone(),
        new_segments[1].clone(),
        new_segments[2].clone(),
    ];
    let one = vec![
        old_segments[0].clone(),
        new_segments[1].clone(),
        new_segments[2].clone(),
    ];
    for segments in [both, one] {
        let report = run(&options(segments));
        assert_eq!((report.commits, report.timeline), (300, 2));
        assert_eq!(
            (report.end.0, report.ending.kind),
            (new.position(), EndKind::EndOfWal)
        );
        assert!(report.end.0 > switch);
    }
    let report = run(&options(vec![old_segments[0].clone(), partial]));
    assert_eq!(
        (report.commits, report.timeline, report.end.0),
        (210, 1, old.position())
    );
    let back = vec![new_segments[0].clone(), old_segments[0].clone()];
    assert_eq!(
        scan(&options(back), &Job::default()).unwrap_err().code,
        Code::Usage
    );
}

#[test]
fn damage_in_the_middle_is_told_from_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let wal = sample();
    let segments = store(directory.path(), &wal);
    let whole = std::fs::read(&segments[1]).unwrap();
    let last = std::fs::read(&segments[2]).unwrap();
    let damaged = |index: usize, bytes: &[u8]| {
        let before = std::fs::read(&segments[index]).unwrap();
        std::fs::write(&segments[index], bytes).unwrap();
        let report = run(&options(segments.clone()));
        std::fs::write(&segments[index], before).unwrap();
        assert_eq!(report.ending.path.as_ref(), Some(&segments[index]));
        assert!(report.end <= report.ending.at);
        (report.ending.kind, report.ending.message)
    };
    let mut bytes = whole.clone();
    bytes[300_000] ^= 1;
    let (kind, message) = damaged(1, &bytes);
    assert_eq!(kind, EndKind::Damaged);
    assert!(message.contains("CRC"), "{message}");
    // A lost sector, in the middle and in the last file: what follows shows that it is not the end.
    for (index, from) in [(1, &whole), (2, &last)] {
        let mut bytes = from.clone();
        bytes[100_000..104_096].fill(0);
        assert_eq!(damaged(index, &bytes).0, EndKind::Damaged);
    }
    let (kind, message) = damaged(1, &whole[..500_000]);
    assert_eq!(
        (kind, message.contains("500000 bytes instead of 1048576")),
        (EndKind::Damaged, true)
    );
    let longer = [&whole[..], &[0]].concat();
    assert!(damaged(1, &longer).1.contains("more than"));
    let (kind, message) = damaged(2, &last[..500_000]);
    assert_eq!((kind, message.contains("instead of")), (EndKind::Damaged, true));
    // In a file that was being received, anything behind the end is no harm.
    let partial = directory.path().join(format!("{}.partial", name(1, 9)));
    let received = usize::try_from(wal.position() - START - 2 * u64::from(SIZE)).unwrap();
    for bytes in [
        last[..received].to_vec(),
        [&last[..received], &whole[..5000]].concat(),
        last.clone(),
    ] {
        std::fs::write(&partial, bytes).unwrap();
        let report = run(&options(vec![
            segments[0].clone(),
            segments[1].clone(),
            partial.clone(),
        ]));
        assert_eq!(
            (report.ending.kind, report.end.0),
            (EndKind::EndOfWal, wal.position())
        );
    }
}

#[test]
fn a_file_that_does_not_decode_is_damage_and_a_missing_one_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let wal = sample();
    let mut segments = store(directory.path(), &wal);
    let spec = crate::codec::CodecSpec::new(crate::codec::Codec::Zstd, 3);
    let stored = crate::codec::file::compress_file(&segments[1], spec)
        .unwrap()
        .destination;
    segments[1] = stored.clone();
    assert_eq!(run(&options(segments.clone())).end.0, wal.position());
    let bytes = std::fs::read(&stored).unwrap();
    std::fs::write(&stored, &bytes[..bytes.len() / 2]).unwrap();
    let report = run(&options(segments.clone()));
    assert_eq!(
        (report.ending.kind, report.ending.path.as_ref()),
        (EndKind::Damaged, Some(&stored))
    );
    assert!(report.ending.message.contains("truncated") && report.ending.message.contains("another copy"));
    assert!(report.records > 0);
    std::fs::remove_file(&stored).unwrap();
    let error = scan(&options(segments.clone()), &Job::default()).unwrap_err();
    assert_eq!((error.code, error.path), (Code::Io, Some(stored)));
    let hole = vec![segments[0].clone(), segments[2].clone()];
    assert_eq!(
        scan(&options(hole), &Job::default()).unwrap_err().code,
        Code::Usage
    );
    assert_eq!(
        scan(&options(Vec::new()), &Job::default()).unwrap_err().code,
        Code::Usage
    );
}

#[test]
fn it_can_be_cancelled_and_stops_early_without_hanging() {
    let directory = tempfile::tempdir().unwrap();
    let mut wal = WalBuilder::sized(START, 8192, SIZE);
    wal.commit(5, 5);
    for _ in 0..12 {
        wal.filler(900_000);
    }
    let segments = store(directory.path(), &wal);
    let job = Job::default();
    job.cancel();
    assert_eq!(
        scan(&options(segments.clone()), &job).unwrap_err().code,
        Code::Cancelled
    );
    for workers in [1, 3, 20] {
        let target = Some(Target::Xid {
            xid: 5,
            inclusive: true,
        });
        let report = run(&ScanOptions {
            target,
            workers,
            ..options(segments.clone())
        });
        assert_eq!((report.ending.kind, report.records), (EndKind::Target, 1));
    }
}

#[test]
fn restore_points_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let mut wal = WalBuilder::sized(START, 8192, SIZE);
    for n in 0..1500 {
        wal.restore_point(&format!("point {n}"), n);
    }
    let report = run(&options(store(directory.path(), &wal)));
    assert_eq!(
        (report.restore_points.len(), report.restore_point_count),
        (MAX_RESTORE_POINTS, 1500)
    );
    assert_eq!(report.restore_points[0].name, b"point 500");
    assert_eq!(report.restore_points[999].name, b"point 1499");
}

use super::super::testing::WalBuilder;
use super::*;
use crate::wal::Version;
use crate::wal::testing::page_header;

const SEGMENT: u32 = 1 << 20;
const PAGE: u32 = 8192;

/// Pages with right headers from `start` on, the rest of each filled with a number.
fn wal(start: u64, bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes);
    while out.len() < bytes {
        let address = start + out.len() as u64;
        let mut page = page_header(address, 1, Version::from_major(17).unwrap(), 0);
        page.resize(PAGE as usize, (address / u64::from(PAGE)) as u8);
        out.extend(page);
    }
    out.truncate(bytes);
    out
}

fn writer(directory: &Path, start: u64) -> SegmentWriter {
    SegmentWriter::new(SegmentWriterOptions {
        directory: directory.to_path_buf(),
        timeline: 1,
        segment_size: SEGMENT,
        page_size: PAGE,
        start: Lsn(start),
    })
    .unwrap()
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

const FIRST: &str = "0000000100000000000000FF";

#[test]
fn segments_get_their_names_when_they_are_whole() {
    let start = 255u64 << 20;
    let all = wal(start, 2 * SEGMENT as usize + 100);
    for step in [7, 8191, 100_000, all.len()] {
        let directory = tempfile::tempdir().unwrap();
        let mut writer = writer(directory.path(), start);
        for piece in all.chunks(step) {
            writer.write(piece).unwrap();
        }
        assert_eq!(writer.position(), Lsn(start + all.len() as u64));
        assert_eq!(writer.durable(), Lsn(start + 2 * u64::from(SEGMENT)));
        assert_eq!(writer.sync().unwrap(), writer.position());
        let expected = [FIRST, "000000010000000000000100"];
        assert_eq!(writer.take_finished(), expected);
        assert!(writer.take_finished().is_empty());
        assert_eq!(
            names(directory.path()),
            [
                FIRST,
                "000000010000000000000100",
                "000000010000000000000101.partial"
            ]
        );
        let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
        let size = SEGMENT as usize;
        assert!(read(FIRST) == all[..size]);
        assert!(read("000000010000000000000100") == all[size..2 * size]);
        let open = read("000000010000000000000101.partial");
        assert_eq!(open.len(), size);
        assert!(open[..100] == all[2 * size..] && open[100..].iter().all(|byte| *byte == 0));
    }
}

#[test]
fn the_last_segment_of_a_log_id_is_followed_by_the_first_of_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let start = 0x1_0000_0000 - u64::from(SEGMENT);
    let mut writer = writer(directory.path(), start);
    writer.write(&wal(start, SEGMENT as usize + 50)).unwrap();
    assert_eq!(
        names(directory.path()),
        ["000000010000000000000FFF", "000000010000000100000000.partial"]
    );
}

#[test]
fn an_open_segment_keeps_its_bytes_until_they_come_again() {
    let directory = tempfile::tempdir().unwrap();
    let start = 255u64 << 20;
    let all = wal(start, 300_000);
    let partial = directory.path().join(format!("{FIRST}.partial"));
    for size in [0, 150_000, SEGMENT as usize, SEGMENT as usize + 5] {
        let mut old = all.clone();
        old.resize(size, 0);
        std::fs::write(&partial, &old).unwrap();
        let mut writer = writer(directory.path(), start);
        writer.write(&all[..10_000]).unwrap();
        let now = std::fs::read(&partial).unwrap();
        assert_eq!(now.len(), SEGMENT as usize);
        let kept = size.min(all.len()).max(10_000);
        assert!(now[..kept] == all[..kept], "size {size}");
    }
}

#[test]
fn records_that_were_durable_are_not_overwritten_by_others() {
    let mut builder = WalBuilder::sized(0, PAGE, SEGMENT);
    for xid in 10..40 {
        builder.record(1, 0, xid, &[xid as u8; 5000]);
    }
    let first = builder.bytes.clone();
    let last = builder.records.last().unwrap().lsn.0 as usize;
    let resume = |bytes: &[u8]| {
        let directory = tempfile::tempdir().unwrap();
        writer(directory.path(), 0).write(&first).unwrap();
        let mut again = writer(directory.path(), 0);
        let result = bytes.chunks(3000).try_for_each(|piece| again.write(piece));
        let partial = directory.path().join("000000010000000000000000.partial");
        (result, std::fs::read(partial).unwrap())
    };
    // The same again, and more behind it.
    let mut longer = WalBuilder::sized(0, PAGE, SEGMENT);
    for xid in 10..60 {
        longer.record(1, 0, xid, &[xid as u8; 5000]);
    }
    let (result, content) = resume(&longer.bytes);
    result.unwrap();
    assert!(content[..longer.bytes.len()] == longer.bytes);
    // Other records in the place of durable ones.
    for at in [100, last / 2, last + 30] {
        let mut other = first.clone();
        other[at] ^= 1;
        let (result, content) = resume(&other);
        let error = result.unwrap_err();
        assert_eq!(error.code, Code::Diverged);
        assert!(error.message.contains("sends other WAL for"), "{error}");
        assert!(content[..first.len()] == first);
    }
    // A record of which only a part had come may become another one: its server gave it up.
    let directory = tempfile::tempdir().unwrap();
    writer(directory.path(), 0).write(&first[..last + 1000]).unwrap();
    let mut other = first.clone();
    other[last + 100] ^= 1;
    writer(directory.path(), 0).write(&other).unwrap();
}

#[test]
fn what_is_not_wal_of_the_place_is_not_written() {
    let start = 255u64 << 20;
    let good = wal(start, 100_000);
    let spoil = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        bad
    };
    let page = 8192 * 3;
    for (bad, why) in [
        (spoil(page), "mark"),
        (spoil(page + 5), "timeline"),
        (spoil(page + 9), "belongs to"),
        (wal(start + 8192, 100_000), "belongs to"),
    ] {
        for step in [5, 8192, good.len()] {
            let directory = tempfile::tempdir().unwrap();
            let mut writer = writer(directory.path(), start);
            let error = bad
                .chunks(step)
                .try_for_each(|piece| writer.write(piece))
                .unwrap_err();
            assert_eq!(error.code, Code::Protocol);
            assert!(error.message.contains(why), "{error}");
            let written = (writer.position().0 - start) as usize;
            assert!(written <= page);
            let partial =
                std::fs::read(directory.path().join(format!("{FIRST}.partial"))).unwrap_or_default();
            assert!(partial.iter().skip(written).all(|byte| *byte == 0));
        }
    }
}

#[test]
fn zeros_after_a_switch_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let mut builder = WalBuilder::sized(0, PAGE, SEGMENT);
    builder.record(1, 0, 10, b"something");
    let mut bytes = builder.bytes.clone();
    bytes.resize(SEGMENT as usize, 0);
    let mut writer = writer(directory.path(), 0);
    writer.write(&bytes).unwrap();
    assert_eq!(names(directory.path()), ["000000010000000000000000"]);
}

#[test]
fn what_is_prepared_in_idle_time_changes_nothing_that_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let start = 255u64 << 20;
    let all = wal(start, 3 * SEGMENT as usize + 100);
    let mut writer = writer(directory.path(), start);
    for (count, piece) in all.chunks(200_000).enumerate() {
        writer.write(piece).unwrap();
        writer.sync().unwrap();
        writer.idle();
        if count % 3 == 0 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    for index in 0..3 {
        let name = format!("0000000100000000{:08X}", 255 + index);
        let content = std::fs::read(directory.path().join(name)).unwrap();
        assert!(content == all[index * SEGMENT as usize..][..SEGMENT as usize]);
    }
    let open = std::fs::read(directory.path().join("000000010000000000000102.partial")).unwrap();
    assert!(open.len() == SEGMENT as usize && open[..100] == all[3 * SEGMENT as usize..]);
    drop(writer);
    std::thread::sleep(std::time::Duration::from_millis(200));
    assert_eq!(names(directory.path()).len(), 4, "no spare stays");
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let start = 255u64 << 20;
    std::fs::write(directory.path().join(FIRST), b"mine").unwrap();
    let error = writer(directory.path(), start)
        .write(&wal(start, SEGMENT as usize))
        .unwrap_err();
    assert!(error.message.contains("is there already"), "{error}");
    assert_eq!(std::fs::read(directory.path().join(FIRST)).unwrap(), b"mine");
}

#[test]
fn nonsense_is_refused() {
    let options = SegmentWriterOptions {
        directory: PathBuf::from("/nowhere"),
        timeline: 1,
        segment_size: SEGMENT,
        page_size: PAGE,
        start: Lsn(0),
    };
    for bad in [
        SegmentWriterOptions {
            start: Lsn(5),
            ..options.clone()
        },
        SegmentWriterOptions {
            segment_size: 5 << 20,
            ..options.clone()
        },
        SegmentWriterOptions {
            page_size: 1000,
            ..options.clone()
        },
    ] {
        assert_eq!(SegmentWriter::new(bad).unwrap_err().code, Code::Usage);
    }
    let mut writer = SegmentWriter::new(options).unwrap();
    assert_eq!(writer.write(&wal(0, 100)).unwrap_err().code, Code::Io);
}

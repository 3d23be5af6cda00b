use super::*;
use crate::wal::testing::{PAGE, SEGMENT, SYSTEM, WalBuilder, Written};
use proptest::prelude::*;

fn options(start: u64) -> Options {
    Options {
        segment_size: SEGMENT,
        timeline: Some(1),
        system_identifier: Some(SYSTEM),
        start: Lsn(start),
    }
}

/// Decodes bytes cut into pieces; the sizes of the pieces are taken from `cuts`, again and again.
fn decode_with(options: Options, bytes: &[u8], cuts: &[usize]) -> (Vec<Written>, EndOfWal) {
    let mut decoder = WalDecoder::new(options).unwrap();
    let mut records = Vec::new();
    let mut rest = bytes;
    for cut in cuts.iter().cycle() {
        let (now, later) = rest.split_at((*cut).clamp(1, rest.len().max(1)).min(rest.len()));
        rest = later;
        let flow = decoder.push(now, &mut |record: &Record<'_>| {
            records.push(Written {
                lsn: record.lsn,
                end: record.end,
                xid: record.header.xid,
                body: record.body.to_vec(),
            });
            ControlFlow::Continue(())
        });
        assert_eq!(flow.is_break(), decoder.has_stopped());
        if rest.is_empty() || decoder.has_stopped() {
            break;
        }
    }
    let end = decoder.end_of_wal();
    assert_eq!(
        end.proved,
        records.last().map_or(options.start, |record| record.end)
    );
    assert_eq!(end.last_record, records.last().map(|record| record.lsn));
    (records, end)
}

fn decode(start: u64, bytes: &[u8]) -> (Vec<Written>, EndOfWal) {
    decode_with(options(start), bytes, &[usize::MAX])
}

/// Three segments: records within a page, over pages, over a segment border, over more than a whole segment.
fn sample() -> WalBuilder {
    let mut wal = WalBuilder::new(u64::from(SEGMENT));
    for size in [
        0,
        1,
        7,
        100,
        953,
        8,
        3000,
        15,
        SEGMENT as usize + 5000,
        40,
        0,
        9000,
        60,
    ] {
        wal.filler(size);
    }
    wal
}

#[test]
fn records_over_pages_and_segments_are_found() {
    let wal = sample();
    let (records, end) = decode(wal.start, &wal.bytes);
    assert_eq!(records, wal.records);
    assert_eq!((end.proved.0, end.stop), (wal.position(), None));
    assert!(wal.position() > wal.start + 2 * u64::from(SEGMENT));
}

#[test]
fn every_piece_size_gives_the_same() {
    let wal = sample();
    for size in 1..60 {
        assert_eq!(
            decode_with(options(wal.start), &wal.bytes, &[size]).0,
            wal.records,
            "{size}"
        );
    }
}

#[test]
fn headers_split_over_pages_at_every_place() {
    for gap in (0..PAGE as usize).step_by(8) {
        let mut wal = WalBuilder::new(u64::from(SEGMENT));
        wal.filler(gap);
        for size in [10, 2000, 0] {
            wal.filler(size);
        }
        let (records, end) = decode(wal.start, &wal.bytes);
        assert_eq!(records, wal.records, "{gap}");
        assert_eq!(end.stop, None);
    }
}

#[test]
fn torn_at_every_byte_the_proved_part_is_right() {
    let wal = sample();
    for size in (0..wal.bytes.len()).step_by(3) {
        let whole: Vec<_> = wal
            .records
            .iter()
            .filter(|record| (record.end.0 - wal.start) <= size as u64)
            .cloned()
            .collect();
        // Cut: nothing follows. The rounding of a record's end may be cut off without harm.
        let (records, end) = decode(wal.start, &wal.bytes[..size]);
        assert!(
            records.starts_with(&whole) && records.len() <= whole.len() + 1,
            "{size}"
        );
        assert_eq!(end.stop, None);
        // Zeros from there on, as in a file that is being received.
        let mut bytes = wal.bytes[..size].to_vec();
        bytes.resize(wal.bytes.len() + 5000, 0);
        let (records, end) = decode(wal.start, &bytes);
        assert!(records.starts_with(&whole), "{size}");
        let surplus = &records[whole.len()..];
        assert_eq!(surplus, &wal.records[whole.len()..records.len()], "{size}");
        let stop = end.stop.unwrap();
        assert!(stop.at >= end.proved, "{size}");
        if let Pending::Record(lsn) = end.pending {
            assert_eq!(lsn, wal.records[records.len()].lsn);
        }
    }
}

#[test]
fn the_end_of_the_wal_is_zeros() {
    let mut wal = sample();
    let end_of_records = wal.position();
    wal.fill_segment();
    let (records, end) = decode(wal.start, &wal.bytes);
    assert_eq!(records, wal.records);
    assert_eq!(end.proved.0, end_of_records);
    assert_eq!(
        end.stop,
        Some(Stop {
            reason: Reason::Zeros,
            at: Lsn(end_of_records)
        })
    );
    assert_eq!(end.position.0, end_of_records);
    assert_eq!(end.pending, Pending::Nothing);
}

#[test]
fn old_records_behind_the_end_are_not_taken() {
    // A reused file: its old content is WAL of one segment before, cut where new WAL ends.
    let (mut old, mut new) = (
        WalBuilder::new(u64::from(SEGMENT)),
        WalBuilder::new(u64::from(SEGMENT) * 2),
    );
    for _ in 0..100 {
        old.filler(104);
    }
    for _ in 0..30 {
        new.filler(104);
    }
    let mut bytes = old.segment_bytes(0);
    bytes[..new.bytes.len()].copy_from_slice(&new.bytes);
    let (records, end) = decode(new.start, &bytes);
    assert_eq!(records, new.records);
    let stop = end.stop.unwrap();
    assert!(matches!(stop.reason, Reason::Previous { .. }), "{}", stop.reason);
    // The same where the new WAL ends with its page.
    let whole_page = new.bytes.len() / PAGE as usize * PAGE as usize;
    let mut bytes = old.segment_bytes(0);
    bytes[..whole_page].copy_from_slice(&new.bytes[..whole_page]);
    let end = decode(new.start, &bytes).1;
    assert_eq!(
        end.stop.unwrap().reason,
        Reason::Page(PageFault::Address(Lsn(old.start + whole_page as u64)))
    );
    assert!(matches!(end.pending, Pending::Record(_)));
}

#[test]
fn a_switch_passes_the_rest_of_its_segment() {
    let mut wal = WalBuilder::new(u64::from(SEGMENT));
    wal.filler(50);
    wal.switch();
    wal.filler(60);
    // Whatever stands there: a server leaves page headers and zeros.
    let rest = wal.records[1].lsn.0 - wal.start + 24;
    let rest = usize::try_from(rest).unwrap();
    for byte in &mut wal.bytes[rest..SEGMENT as usize] {
        *byte = 0x55;
    }
    for size in [1, 7, usize::MAX] {
        let (records, end) = decode_with(options(wal.start), &wal.bytes, &[size]);
        assert_eq!(records, wal.records);
        assert_eq!(records[1].end.0, wal.start + u64::from(SEGMENT));
        assert_eq!(end.stop, None);
    }
    let (_, end) = decode(wal.start, &wal.bytes[..rest]);
    assert_eq!(end.proved.0, wal.start + u64::from(SEGMENT));
}

#[test]
fn a_switch_that_ends_with_its_segment() {
    let mut wal = WalBuilder::new(u64::from(SEGMENT));
    while wal.position() < wal.start + u64::from(SEGMENT) - 24 {
        let left = wal.start + u64::from(SEGMENT) - 24 - wal.position();
        let page_left = u64::from(PAGE) - wal.position() % u64::from(PAGE);
        let want = left.min(page_left.max(24 + 8)).saturating_sub(24);
        wal.filler(usize::try_from(want).unwrap().min(900));
    }
    assert_eq!(wal.position(), wal.start + u64::from(SEGMENT) - 24);
    wal.switch();
    wal.filler(10);
    let (records, end) = decode(wal.start, &wal.bytes);
    assert_eq!(records, wal.records);
    assert_eq!(end.stop, None);
}

#[test]
fn an_overwritten_record_is_left_out() {
    let mut wal = WalBuilder::new(u64::from(SEGMENT));
    wal.filler(10);
    wal.filler(5000);
    let lost = wal.crash_in_last_record(99);
    wal.filler(70);
    assert!(wal.records.iter().all(|record| record.lsn != lost));
    for size in [1, 11, usize::MAX] {
        let (records, end) = decode_with(options(wal.start), &wal.bytes, &[size]);
        assert_eq!(records, wal.records);
        assert_eq!(end.stop, None);
    }
}

#[test]
fn reading_begins_in_the_middle_of_a_record() {
    let wal = sample();
    for segment in [1, 2] {
        let at = segment * SEGMENT as usize;
        let start = wal.start + at as u64;
        let (records, end) = decode(start, &wal.bytes[at..]);
        let expected: Vec<_> = wal
            .records
            .iter()
            .filter(|record| record.lsn.0 >= start)
            .cloned()
            .collect();
        assert_eq!(records, expected);
        assert!(end.stop.is_none() && !records.is_empty());
    }
    // Within the record that fills the second segment.
    let at = SEGMENT as usize;
    let (records, end) = decode(wal.start + at as u64, &wal.bytes[at..at + 2000]);
    assert!(records.is_empty());
    assert_eq!((end.pending, end.stop), (Pending::Skipped, None));
}

#[test]
fn pages_of_the_usual_size_can_be_the_start() {
    let mut wal = WalBuilder::sized(1 << 20, 8192, 1 << 20);
    for _ in 0..50 {
        wal.filler(3000);
    }
    let how = Options {
        segment_size: 1 << 20,
        ..options(wal.start + 3 * 8192)
    };
    let (records, end) = decode_with(how, &wal.bytes[3 * 8192..], &[4096]);
    let expected: Vec<_> = wal
        .records
        .iter()
        .filter(|record| record.lsn >= how.start)
        .cloned()
        .collect();
    assert_eq!((records, end.stop), (expected, None));
    for start in [8, 4096, (1 << 20) + 1, u64::MAX - 8191] {
        assert!(
            WalDecoder::new(Options {
                start: Lsn(start),
                ..how
            })
            .is_err()
        );
    }
    assert!(
        WalDecoder::new(Options {
            segment_size: 5000,
            ..how
        })
        .is_err()
    );
}

#[test]
fn damage_stops_and_says_why() {
    let wal = sample();
    let record = usize::try_from(wal.records[3].lsn.0 - wal.start).unwrap();
    let change = |at: usize, value: u8| {
        let mut bytes = wal.bytes.clone();
        bytes[at] ^= value;
        let (records, end) = decode(wal.start, &bytes);
        let stop = end.stop.unwrap();
        assert_eq!((records.len(), stop.at), (3, wal.records[3].lsn));
        stop.reason.to_string()
    };
    assert!(change(record + 30, 1).contains("CRC"));
    assert!(change(record + 20, 1).contains("CRC"));
    assert!(change(record + 4, 1).contains("CRC"));
    assert!(change(record + 8, 8).contains("follows the one at"));
    assert!(change(record + 17, 0x40).contains("resource manager 74"));
    assert!(change(record + 3, 0x80).contains("length of 2147483"));
    assert!(change(record, 24 ^ (100 + 24)).contains("CRC"));
    // A page header in the middle of a record that goes over several pages.
    let over = usize::try_from(wal.records[6].lsn.0 - wal.start).unwrap();
    let page = over.next_multiple_of(PAGE as usize);
    for (at, message) in [
        (16, "are missing"),
        (2, "should go on"),
        (8, "the one at"),
        (4, "timeline"),
    ] {
        let mut bytes = wal.bytes.clone();
        bytes[page + at] ^= 1;
        let end = decode(wal.start, &bytes).1;
        assert_eq!(end.pending, Pending::Record(wal.records[6].lsn));
        assert!(
            end.stop.as_ref().unwrap().reason.to_string().contains(message),
            "{end:?}"
        );
    }
}

#[test]
fn a_wrong_length_does_not_collect_memory() {
    let mut wal = WalBuilder::sized(1 << 20, 8192, 1 << 20);
    wal.filler(10);
    let at = wal.bytes.len();
    wal.filler(20);
    wal.bytes[at + 3] = 0x3f;
    wal.bytes[at + 8] ^= 8;
    let mut decoder = WalDecoder::new(Options {
        segment_size: 1 << 20,
        ..options(wal.start)
    })
    .unwrap();
    assert!(
        decoder
            .push(&wal.bytes, &mut |_| ControlFlow::Continue(()))
            .is_break()
    );
    assert!(matches!(
        decoder.end_of_wal().stop.unwrap().reason,
        Reason::Previous { .. }
    ));
}

#[test]
fn the_sink_can_end_it() {
    let wal = sample();
    let mut decoder = WalDecoder::new(options(wal.start)).unwrap();
    let mut seen = 0;
    let flow = decoder.push(&wal.bytes, &mut |_| {
        seen += 1;
        if seen == 4 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(flow.is_break() && !decoder.has_stopped());
    assert_eq!((seen, decoder.end_of_wal().proved), (4, wal.records[3].end));
}

#[test]
fn newer_timelines_only_when_they_are_due() {
    let mut wal = WalBuilder::new(u64::from(SEGMENT));
    wal.filler(3000);
    wal.timeline = 2;
    wal.filler(3000);
    let (records, end) = decode(wal.start, &wal.bytes);
    assert_eq!(records.len(), 1);
    assert!(end.stop.unwrap().reason.to_string().contains("timeline 2"));
    for timeline in [None, Some(2)] {
        let how = Options {
            timeline,
            ..options(wal.start)
        };
        assert_eq!(decode_with(how, &wal.bytes, &[usize::MAX]).0, wal.records);
    }
    let mut decoder = WalDecoder::new(options(wal.start)).unwrap();
    decoder.raise_timeline(2);
    assert!(
        decoder
            .push(&wal.bytes, &mut |_| ControlFlow::Continue(()))
            .is_continue()
    );
    // Never back to an older one.
    let page = wal.bytes.len() / PAGE as usize * PAGE as usize;
    wal.bytes[page + 4] = 1;
    let how = Options {
        timeline: None,
        ..options(wal.start)
    };
    let end = decode_with(how, &wal.bytes, &[usize::MAX]).1;
    assert!(
        end.stop
            .unwrap()
            .reason
            .to_string()
            .contains("after one of timeline 2")
    );
}

fn builder(sizes: &[usize], actions: &[u8]) -> WalBuilder {
    let mut wal = WalBuilder::new(u64::from(SEGMENT) * 5);
    for (size, action) in sizes.iter().zip(actions.iter().cycle()) {
        wal.filler(*size);
        let last = wal.records.last().unwrap();
        let page = u64::from(PAGE);
        match action {
            0 => drop(wal.switch()),
            1 if last.lsn.0 / page != (last.end.0 - 1) / page => drop(wal.crash_in_last_record(5)),
            _ => {}
        }
    }
    wal
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![0usize..200, 800usize..1200, 0usize..6000, 15_000usize..40_000];
    prop::collection::vec(size, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cut_gives_the_same_records(
        sizes in sizes(),
        actions in prop::collection::vec(0u8..8, 1..6),
        cuts in prop::collection::vec(1usize..3000, 1..20),
    ) {
        let wal = builder(&sizes, &actions);
        let (records, end) = decode_with(options(wal.start), &wal.bytes, &cuts);
        prop_assert_eq!(records, wal.records);
        prop_assert_eq!(end.stop, None);
    }

    #[test]
    fn a_flipped_bit_is_noticed_or_lies_outside_of_records(
        sizes in sizes(),
        actions in prop::collection::vec(0u8..8, 1..6),
        place: prop::sample::Index,
        bit in 0u8..8,
    ) {
        let wal = builder(&sizes, &actions);
        let at = place.index(wal.bytes.len());
        let mut bytes = wal.bytes.clone();
        bytes[at] ^= 1 << bit;
        let (records, end) = decode(wal.start, &bytes);
        // Whatever is told was written like that.
        prop_assert!(wal.records.starts_with(&records), "{} {:?}", at, end);
        let within = wal.parts.iter().any(|(_, part)| part.contains(&at));
        prop_assert!(!within || records.len() < wal.records.len(), "{at} {end:?}");
    }

    #[test]
    fn any_bytes_end_without_panic(bytes: Vec<u8>, start in 0u64..4, cut in 1usize..100) {
        decode_with(Options { system_identifier: None, ..options(start * u64::from(SEGMENT)) }, &bytes, &[cut]);
    }
}

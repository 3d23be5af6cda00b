//! What records say about recovery: ends of transactions, restore points, checkpoints, switches.
//!
//! Layouts are those of PostgreSQL 13 to 18 (`xl_xact_commit`, `xl_restore_point`, `CheckPoint` and their like).

use super::lsn::Lsn;
use super::page::{DEFAULT_PAGE, Version, u32_at, u64_at};
use super::record::{Body, BodyFault, Record, resource_manager};

/// Bytes of the name of a restore point, the closing zero included.
const NAME: usize = 64;
/// Bits of `xinfo`.
mod xinfo {
    pub const DATABASE: u32 = 1 << 0;
    pub const SUBTRANSACTIONS: u32 = 1 << 1;
    pub const RELATIONS: u32 = 1 << 2;
    pub const INVALIDATIONS: u32 = 1 << 3;
    pub const TWO_PHASE: u32 = 1 << 4;
    pub const DROPPED_STATISTICS: u32 = 1 << 8;
}

/// Microseconds since 2000-01-01 00:00:00 UTC, as PostgreSQL counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    const UNIX_EPOCH: i64 = 946_684_800_000_000;

    /// Microseconds since 1970-01-01 00:00:00 UTC; the largest or smallest number when it does not fit.
    #[must_use]
    pub fn unix_micros(self) -> i64 {
        self.0.saturating_add(Self::UNIX_EPOCH)
    }

    /// The inverse of [`Self::unix_micros`].
    #[must_use]
    pub fn from_unix_micros(micros: i64) -> Self {
        Self(micros.saturating_sub(Self::UNIX_EPOCH))
    }
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A transaction, prepared or not, has committed or aborted.
    TransactionEnd {
        xid: u32,
        time: Timestamp,
        committed: bool,
        prepared: bool,
    },
    RestorePoint {
        name: &'a [u8],
        time: Timestamp,
    },
    /// Nothing more comes in this segment.
    Switch,
    Checkpoint {
        shutdown: bool,
        redo: Lsn,
        timeline: u32,
        previous_timeline: u32,
        /// Seconds since 1970-01-01 00:00:00 UTC.
        time: i64,
    },
    /// A server has been promoted.
    EndOfRecovery {
        time: Timestamp,
        timeline: u32,
        previous_timeline: u32,
    },
    /// A base backup has ended that began here.
    BackupEnd {
        start: Lsn,
    },
    /// The record that begins here was not completed, and never will be.
    OverwriteContrecord {
        lsn: Lsn,
        time: Timestamp,
    },
}

/// What a record says about recovery; `None` for all others.
///
/// # Errors
/// When its body is not one, or too short for what it is.
pub fn event<'a>(record: &Record<'a>) -> Result<Option<Event<'a>>, BodyFault> {
    let info = record.header.info;
    match record.header.resource_manager {
        resource_manager::TRANSACTION if matches!(info & 0x70, 0x00 | 0x20 | 0x30 | 0x40) => {
            let main = main_data(record)?;
            transaction_end(record, main).map(Some)
        }
        resource_manager::XLOG => xlog(record),
        _ => Ok(None),
    }
}

/// Main data of a record. The size of relation pages matters to page images alone, which such records have none of.
fn main_data<'a>(record: &Record<'a>) -> Result<&'a [u8], BodyFault> {
    Body::parse(record.body, record.version, DEFAULT_PAGE).map(|body| body.main)
}

fn xlog<'a>(record: &Record<'a>) -> Result<Option<Event<'a>>, BodyFault> {
    let info = record.header.info & 0xf0;
    if info == 0x40 {
        return Ok(Some(Event::Switch));
    }
    if !matches!(info, 0x00 | 0x10 | 0x50 | 0x70 | 0x90 | 0xd0) {
        return Ok(None);
    }
    let main = main_data(record)?;
    let at_least = |size: usize| {
        if main.len() < size {
            Err(BodyFault::Short)
        } else {
            Ok(())
        }
    };
    let found = match info {
        0x50 => {
            at_least(8)?;
            Event::BackupEnd {
                start: Lsn(u64_at(main, 0)),
            }
        }
        0x70 => {
            at_least(8 + NAME)?;
            let field = &main[8..8 + NAME];
            let length = field.iter().position(|byte| *byte == 0).unwrap_or(NAME);
            Event::RestorePoint {
                name: &field[..length],
                time: time_at(main, 0),
            }
        }
        0x90 => {
            at_least(16)?;
            Event::EndOfRecovery {
                time: time_at(main, 0),
                timeline: u32_at(main, 8),
                previous_timeline: u32_at(main, 12),
            }
        }
        0xd0 => {
            at_least(16)?;
            Event::OverwriteContrecord {
                lsn: Lsn(u64_at(main, 0)),
                time: time_at(main, 8),
            }
        }
        _ => {
            at_least(88)?;
            Event::Checkpoint {
                shutdown: info == 0x00,
                redo: Lsn(u64_at(main, 0)),
                timeline: u32_at(main, 8),
                previous_timeline: u32_at(main, 12),
                time: u64_at(main, 64).cast_signed(),
            }
        }
    };
    Ok(Some(found))
}

fn time_at(bytes: &[u8], at: usize) -> Timestamp {
    Timestamp(u64_at(bytes, at).cast_signed())
}

/// `xl_xact_commit` and `xl_xact_abort` begin alike; the xid of a prepared transaction comes late in them.
fn transaction_end<'a>(record: &Record<'a>, main: &[u8]) -> Result<Event<'a>, BodyFault> {
    const HAS_INFO: u8 = 0x80;
    if main.len() < 8 {
        return Err(BodyFault::Short);
    }
    let info = record.header.info;
    let prepared = matches!(info & 0x70, 0x30 | 0x40);
    let committed = matches!(info & 0x70, 0x00 | 0x30);
    let mut xid = record.header.xid;
    if prepared {
        let bits = if info & HAS_INFO == 0 { 0 } else { u32_at(main, 8) };
        // Without it PostgreSQL takes zero for the xid, which is that of no transaction.
        xid = two_phase_xid(main.get(12..).unwrap_or(&[]), bits, committed, record.version)?.unwrap_or(0);
    }
    Ok(Event::TransactionEnd {
        xid,
        time: time_at(main, 0),
        committed,
        prepared,
    })
}

/// Passes over the lists that come before the xid of a prepared transaction.
fn two_phase_xid(rest: &[u8], bits: u32, commit: bool, version: Version) -> Result<Option<u32>, BodyFault> {
    if bits & xinfo::TWO_PHASE == 0 {
        return Ok(None);
    }
    let statistics = if version.major() >= 18 { 16 } else { 12 };
    let lists = [
        (bits & xinfo::SUBTRANSACTIONS != 0, 4),
        (bits & xinfo::RELATIONS != 0, 12),
        (
            bits & xinfo::DROPPED_STATISTICS != 0 && version.major() >= 15,
            statistics,
        ),
        (bits & xinfo::INVALIDATIONS != 0 && commit, 16),
    ];
    let mut at = if bits & xinfo::DATABASE == 0 { 0 } else { 8usize };
    for (_, item) in lists.into_iter().filter(|(present, _)| *present) {
        let count = part4(rest, at)? as usize;
        at = count
            .checked_mul(item)
            .and_then(|size| at.checked_add(4)?.checked_add(size))
            .ok_or(BodyFault::Short)?;
    }
    part4(rest, at).map(Some)
}

fn part4(bytes: &[u8], at: usize) -> Result<u32, BodyFault> {
    let there = at.checked_add(4).is_some_and(|end| end <= bytes.len());
    if there {
        Ok(u32_at(bytes, at))
    } else {
        Err(BodyFault::Short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::record::RecordHeader;
    use crate::wal::testing::main_only;

    fn look(major: u32, manager: u8, info: u8, main: &[u8]) -> Result<Option<String>, BodyFault> {
        let body = main_only(main);
        let record = Record {
            lsn: Lsn(0x100_0028),
            end: Lsn(0x100_0100),
            header: RecordHeader {
                total: 24 + u32::try_from(body.len()).unwrap(),
                xid: 77,
                prev: Lsn(0),
                info,
                resource_manager: manager,
                crc: 0,
            },
            body: &body,
            timeline: 1,
            version: Version::from_major(major).unwrap(),
        };
        event(&record).map(|event| event.map(|event| format!("{event:?}")))
    }

    fn ended(xid: u32, time: i64, committed: bool, prepared: bool) -> Result<Option<String>, BodyFault> {
        let time = Timestamp(time);
        Ok(Some(format!(
            "{:?}",
            Event::TransactionEnd {
                xid,
                time,
                committed,
                prepared
            }
        )))
    }

    #[test]
    fn commits_and_aborts() {
        let time = 700_000_000_000_000i64.to_le_bytes();
        assert_eq!(
            look(17, 1, 0x00, &time),
            ended(77, 700_000_000_000_000, true, false)
        );
        assert_eq!(
            look(17, 1, 0x20, &time),
            ended(77, 700_000_000_000_000, false, false)
        );
        assert_eq!(look(17, 1, 0x00, &time[..7]), Err(BodyFault::Short));
        assert_eq!(look(17, 1, 0x10, &time), Ok(None));
        assert_eq!(look(17, 1, 0x50, &time), Ok(None));
        assert_eq!(look(17, 10, 0x00, &time), Ok(None));
    }

    /// An end of a prepared transaction with every list there is.
    fn prepared(bits: u32, statistics: usize, invalidations: bool) -> Vec<u8> {
        let mut main = 5i64.to_le_bytes().to_vec();
        main.extend(bits.to_le_bytes());
        main.extend([1; 8]);
        for (count, size) in [(3usize, 4usize), (2, 12), (4, statistics)] {
            main.extend(u32::try_from(count).unwrap().to_le_bytes());
            main.extend(vec![2; count * size]);
        }
        if invalidations {
            main.extend(5u32.to_le_bytes());
            main.extend([3; 80]);
        }
        main.extend(4711u32.to_le_bytes());
        main.extend(b"gid\0");
        main
    }

    #[test]
    fn the_xid_of_prepared_transactions_is_behind_the_lists() {
        let bits = 0b1_1001_1111;
        for (major, statistics) in [(15, 12), (16, 12), (17, 12), (18, 16)] {
            let main = prepared(bits, statistics, true);
            assert_eq!(look(major, 1, 0xb0, &main), ended(4711, 5, true, true), "{major}");
            let main = prepared(bits, statistics, false);
            assert_eq!(
                look(major, 1, 0xc0, &main),
                ended(4711, 5, false, true),
                "{major}"
            );
        }
        let mut plain = 5i64.to_le_bytes().to_vec();
        plain.extend(0x10u32.to_le_bytes());
        plain.extend(9u32.to_le_bytes());
        assert_eq!(look(13, 1, 0xb0, &plain), ended(9, 5, true, true));
        assert_eq!(look(13, 1, 0xb0, &plain[..15]), Err(BodyFault::Short));
        assert_eq!(look(13, 1, 0x30, &plain), ended(0, 5, true, true));
        let mut huge = 5i64.to_le_bytes().to_vec();
        huge.extend(0x12u32.to_le_bytes());
        huge.extend(u32::MAX.to_le_bytes());
        assert_eq!(look(18, 1, 0xb0, &huge), Err(BodyFault::Short));
    }

    #[test]
    fn records_of_the_log_itself() {
        let mut point = 9i64.to_le_bytes().to_vec();
        point.extend(b"before the \xff upgrade\0old bytes");
        point.resize(72, 7);
        let text = look(14, 0, 0x70, &point).unwrap().unwrap();
        let expected = Event::RestorePoint {
            name: b"before the \xff upgrade",
            time: Timestamp(9),
        };
        assert_eq!(text, format!("{expected:?}"));
        assert_eq!(look(14, 0, 0x70, &point[..71]), Err(BodyFault::Short));
        point[8..].fill(b'x');
        assert!(look(14, 0, 0x70, &point).unwrap().is_some());
        assert_eq!(look(14, 0, 0x40, &[]), Ok(Some("Switch".to_owned())));
        let mut checkpoint = 0x16_b374_d848u64.to_le_bytes().to_vec();
        checkpoint.extend([3, 0, 0, 0, 2, 0, 0, 0]);
        checkpoint.resize(88, 0);
        checkpoint[64..72].copy_from_slice(&1_700_000_000u64.to_le_bytes());
        for (info, shutdown) in [(0x00, true), (0x10, false)] {
            let expected = Event::Checkpoint {
                shutdown,
                redo: Lsn(0x16_b374_d848),
                timeline: 3,
                previous_timeline: 2,
                time: 1_700_000_000,
            };
            assert_eq!(look(18, 0, info, &checkpoint), Ok(Some(format!("{expected:?}"))));
        }
        let mut end = 11i64.to_le_bytes().to_vec();
        end.extend([3, 0, 0, 0, 2, 0, 0, 0]);
        let expected = Event::EndOfRecovery {
            time: Timestamp(11),
            timeline: 3,
            previous_timeline: 2,
        };
        assert_eq!(look(13, 0, 0x90, &end), Ok(Some(format!("{expected:?}"))));
        let expected = Event::BackupEnd { start: Lsn(0xb) };
        assert_eq!(look(13, 0, 0x50, &end), Ok(Some(format!("{expected:?}"))));
        let expected = Event::OverwriteContrecord {
            lsn: Lsn(0xb),
            time: Timestamp(0x2_0000_0003),
        };
        assert_eq!(look(14, 0, 0xd0, &end), Ok(Some(format!("{expected:?}"))));
        for (info, size) in [(0x00, 87), (0x90, 15), (0x50, 7), (0xd0, 15)] {
            assert_eq!(look(17, 0, info, &checkpoint[..size]), Err(BodyFault::Short));
        }
        assert_eq!(look(17, 0, 0xb0, &checkpoint), Ok(None));
    }

    #[test]
    fn times() {
        assert_eq!(Timestamp(0).unix_micros(), 946_684_800_000_000);
        assert_eq!(Timestamp::from_unix_micros(946_684_800_000_001), Timestamp(1));
        assert_eq!(Timestamp(i64::MAX).unix_micros(), i64::MAX);
    }

    #[test]
    fn any_bytes_are_no_panic() {
        proptest::proptest!(|(bytes: Vec<u8>, major in 13u32..=18, manager in 0u8..2, info: u8)| {
            let _ = look(major, manager, info, &bytes);
        });
    }
}

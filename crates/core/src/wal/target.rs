//! Where a recovery stops: PostgreSQL's rules for `recovery_target_name`, `_xid`, `_time` and `_lsn`.
//!
//! A server asks twice for each record, before it replays it and after. Names are looked at after (they are always
//! inclusive), and the first restore point of that name counts. Transaction ids must be equal, as transactions do not end
//! in the order of their ids; commits and aborts count alike. Times stop before the first end of a transaction that is
//! later (or, exclusively, as late): the record itself is never replayed. LSNs are compared with the begin of records.

use super::lsn::Lsn;
use super::record::Record;
use super::transaction::{Event, Timestamp};

/// A recovery target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Name(Vec<u8>),
    Xid { xid: u32, inclusive: bool },
    Time { time: Timestamp, inclusive: bool },
    Lsn { lsn: Lsn, inclusive: bool },
}

/// Where a recovery stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetStop {
    /// The record that it stops at.
    pub lsn: Lsn,
    /// Whether that record is replayed.
    pub replayed: bool,
    /// End of the last record that is replayed.
    pub end: Lsn,
    pub timeline: u32,
    /// Of that record, where it has one.
    pub time: Option<Timestamp>,
    /// Of the transaction that it ends.
    pub xid: Option<u32>,
}

impl Target {
    /// Whether a recovery stops at this record; `before` is the end of the record before it, `timeline` its own.
    #[must_use]
    pub fn stops_at(
        &self,
        record: &Record<'_>,
        event: Option<&Event<'_>>,
        before: Lsn,
        timeline: u32,
    ) -> Option<TargetStop> {
        let replayed = self.decide(record.lsn, event)?;
        let (time, xid) = match (self, event) {
            (Self::Lsn { .. }, _) => (None, None),
            (_, Some(Event::TransactionEnd { time, xid, .. })) => (Some(*time), Some(*xid)),
            (_, Some(Event::RestorePoint { time, .. })) => (Some(*time), None),
            _ => (None, None),
        };
        Some(TargetStop {
            lsn: record.lsn,
            replayed,
            end: if replayed { record.end } else { before },
            timeline,
            time,
            xid,
        })
    }

    /// `Some(whether the record is replayed)` when recovery stops at it.
    fn decide(&self, at: Lsn, event: Option<&Event<'_>>) -> Option<bool> {
        match (self, event) {
            (Self::Lsn { lsn, inclusive }, _) => (at >= *lsn).then_some(*inclusive),
            (Self::Name(wanted), Some(Event::RestorePoint { name, .. })) => (wanted == name).then_some(true),
            (
                Self::Xid {
                    xid: wanted,
                    inclusive,
                },
                Some(Event::TransactionEnd { xid, .. }),
            ) => (xid == wanted).then_some(*inclusive),
            (
                Self::Time {
                    time: wanted,
                    inclusive,
                },
                Some(Event::TransactionEnd { time, .. }),
            ) => {
                let late = if *inclusive { time > wanted } else { time >= wanted };
                late.then_some(false)
            }
            _ => None,
        }
    }
}

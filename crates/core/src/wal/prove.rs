//! Up to where one stored segment is proved.

use std::ops::ControlFlow;

use super::decoder::{EndOfWal, Options, Pending, WalDecoder};
use super::lsn::Lsn;
use super::stored::StoredSegment;
use crate::cipher::MasterSecret;
use crate::restore::Job;
use crate::{Code, Result};

const PIECE: usize = 256 * 1024;

/// What a stored segment is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentProof {
    pub timeline: u32,
    pub number: u64,
    /// Its first byte.
    pub start: Lsn,
    /// Up to here everything is proved by the CRCs of records: end of the last one that ends in it; the start when none
    /// does. What a record from before puts into it is proved by [`super::scan`] alone, which sees that record whole.
    pub proved: Lsn,
    /// First bytes of the first and the last record that begin and end in it.
    pub first_record: Option<Lsn>,
    pub last_record: Option<Lsn>,
    pub records: u64,
    /// It has its full size, and nothing in it is wrong: records follow each other up to its end, or a switch does.
    pub whole: bool,
    /// Why it is not whole; empty when it is.
    pub message: String,
    pub major_version: Option<u32>,
    pub system_identifier: Option<u64>,
}

/// Reads a stored segment and checks every record of it. Damage is no error but part of the answer.
///
/// # Errors
/// [`Code::Io`]; [`Code::Usage`] when it is encrypted and there is no secret; [`Code::Cancelled`].
pub fn prove_segment(
    segment: &StoredSegment,
    segment_size: u32,
    system_identifier: Option<u64>,
    secret: Option<&MasterSecret>,
    job: &Job,
) -> Result<SegmentProof> {
    let mut decoder = WalDecoder::new(Options {
        segment_size,
        timeline: Some(segment.timeline),
        system_identifier,
        start: segment.start(),
    })?;
    let (mut first_record, mut records) = (None, 0);
    let mut sink = |record: &super::record::Record<'_>| {
        first_record.get_or_insert(record.lsn);
        records += 1;
        ControlFlow::Continue(())
    };
    let mut size = 0u64;
    let read = read_all(segment, secret, job, &mut |bytes| {
        size += bytes.len() as u64;
        // What is beyond the segment is counted only; reading goes on after a stop to know the size.
        let room = u64::from(segment_size).saturating_sub(size - bytes.len() as u64);
        let within = usize::try_from(room).map_or(bytes.len(), |room| room.min(bytes.len()));
        let _ = decoder.push(&bytes[..within], &mut sink);
    });
    let failure = match read {
        Ok(()) => None,
        Err(error) if error.code == Code::Corrupt => {
            Some(format!("{}; {}", error.message, error.hint.unwrap_or_default()))
        }
        Err(error) => return Err(error),
    };
    let end = decoder.end_of_wal();
    let message = failure
        .or_else(|| {
            (size != u64::from(segment_size))
                .then(|| format!("it has {size} bytes instead of {segment_size}"))
        })
        .or_else(|| explain(&end))
        .unwrap_or_default();
    Ok(SegmentProof {
        timeline: segment.timeline,
        number: segment.number,
        start: segment.start(),
        proved: end.proved.min(segment.end()),
        first_record,
        last_record: end.last_record,
        records,
        whole: message.is_empty(),
        message,
        major_version: decoder.version().map(super::page::Version::major),
        system_identifier: decoder.system_identifier(),
    })
}

/// What stopped the decoder, for people.
pub(super) fn explain(end: &EndOfWal) -> Option<String> {
    let stop = end.stop.as_ref()?;
    let mut message = format!("at {}: {}", stop.at, stop.reason);
    if let Pending::Record(lsn) = end.pending {
        message.push_str(&format!("; the record that begins at {lsn} is not complete"));
    }
    Some(message)
}

/// Hands all plain bytes of a segment to `sink`.
pub(super) fn read_all(
    segment: &StoredSegment,
    secret: Option<&MasterSecret>,
    job: &Job,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<()> {
    let mut reader = segment.open(secret)?;
    let mut buffer = vec![0; PIECE];
    loop {
        job.check()?;
        let count = segment.read(&mut reader, &mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        job.add_bytes(count);
        sink(&buffer[..count]);
    }
}

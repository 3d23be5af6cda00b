//! Reading stored WAL, for JavaScript: scanning, copying, proving. LSNs cross as text, times as microseconds since 1970.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use pgmoneta_core::cipher::MasterSecret;
use pgmoneta_core::wal::{
    Body, CopiedSegment, CopyOptions, Lsn, Record, ScanOptions, ScanReport, SegmentCopy, SegmentProof,
    StoredSegment, Target, Timestamp, check_segment_size, copy_segments, prove_segment, scan, scan_with,
};
use pgmoneta_core::{Code, Error, Result};

use crate::error::to_napi;
use crate::restore::{NativeJob, number, workers};
use crate::task::Job as Task;

/// Records that a list has at most.
const MAX_LISTED: u32 = 1_000_000;

/// What stored segments belong to, and what opens them.
#[napi(object)]
pub struct BindingWalFacts {
    pub segment_size: u32,
    pub system_identifier: Option<String>,
    pub master_secret: Option<Buffer>,
}

impl BindingWalFacts {
    fn identifier(&self) -> Result<Option<u64>> {
        let parse = |text: &String| {
            text.parse().map_err(|_| {
                Error::new(
                    Code::Usage,
                    format!("\"{text}\" is not the identifier of a system"),
                )
            })
        };
        self.system_identifier.as_ref().map(parse).transpose()
    }

    fn secret(&self) -> Result<Option<MasterSecret>> {
        let secret = self.master_secret.as_ref();
        secret.map(|bytes| MasterSecret::from_slice(bytes)).transpose()
    }
}

/// A recovery target: one of the four.
#[napi(object)]
pub struct BindingWalTarget {
    pub name: Option<String>,
    pub xid: Option<u32>,
    pub time: Option<i64>,
    pub lsn: Option<String>,
    pub inclusive: bool,
}

impl TryFrom<&BindingWalTarget> for Target {
    type Error = Error;

    fn try_from(target: &BindingWalTarget) -> Result<Self> {
        let inclusive = target.inclusive;
        match (&target.name, target.xid, target.time, &target.lsn) {
            (Some(name), None, None, None) => Ok(Self::Name(name.as_bytes().to_vec())),
            (None, Some(xid), None, None) => Ok(Self::Xid { xid, inclusive }),
            (None, None, Some(micros), None) => Ok(Self::Time {
                time: Timestamp::from_unix_micros(micros),
                inclusive,
            }),
            (None, None, None, Some(lsn)) => Ok(Self::Lsn {
                lsn: lsn.parse()?,
                inclusive,
            }),
            _ => Err(Error::new(
                Code::Usage,
                "a recovery target is one of a name, a transaction, a time and an LSN",
            )),
        }
    }
}

/// What is scanned.
#[napi(object)]
pub struct BindingScanOptions {
    pub segments: Vec<String>,
    pub facts: BindingWalFacts,
    pub start: String,
    pub target: Option<BindingWalTarget>,
    pub workers: u32,
}

impl TryFrom<&BindingScanOptions> for ScanOptions {
    type Error = Error;

    fn try_from(options: &BindingScanOptions) -> Result<Self> {
        Ok(Self {
            segments: options.segments.iter().map(PathBuf::from).collect(),
            segment_size: options.facts.segment_size,
            system_identifier: options.facts.identifier()?,
            start: options.start.parse()?,
            secret: options.facts.secret()?,
            target: options.target.as_ref().map(Target::try_from).transpose()?,
            workers: workers(options.workers)?,
        })
    }
}

/// A commit.
#[napi(object)]
pub struct BindingCommit {
    pub lsn: String,
    pub end: String,
    pub xid: u32,
    pub time: i64,
}

/// A restore point.
#[napi(object)]
pub struct BindingRestorePoint {
    pub name: String,
    pub time: i64,
    pub lsn: String,
    pub end: String,
}

/// Where a recovery stops.
#[napi(object)]
pub struct BindingTargetStop {
    pub lsn: String,
    pub replayed: bool,
    pub end: String,
    pub timeline: u32,
    pub time: Option<i64>,
    pub xid: Option<u32>,
}

/// Why a scan ended.
#[napi(object)]
pub struct BindingEnding {
    pub kind: String,
    pub at: String,
    pub path: Option<String>,
    pub message: String,
}

/// What a scan found.
#[napi(object)]
pub struct BindingScanReport {
    pub end: String,
    pub timeline: u32,
    pub records: i64,
    pub commits: i64,
    pub aborts: i64,
    pub first_commit: Option<BindingCommit>,
    pub last_commit: Option<BindingCommit>,
    pub restore_points: Vec<BindingRestorePoint>,
    pub restore_point_count: i64,
    pub major_version: Option<u32>,
    pub system_identifier: Option<String>,
    pub ending: BindingEnding,
    pub stop: Option<BindingTargetStop>,
}

impl From<ScanReport> for BindingScanReport {
    fn from(report: ScanReport) -> Self {
        let commit = |commit: pgmoneta_core::wal::Commit| BindingCommit {
            lsn: commit.lsn.to_string(),
            end: commit.end.to_string(),
            xid: commit.xid,
            time: commit.time.unix_micros(),
        };
        let point = |point: pgmoneta_core::wal::RestorePoint| BindingRestorePoint {
            name: String::from_utf8_lossy(&point.name).into_owned(),
            time: point.time.unix_micros(),
            lsn: point.lsn.to_string(),
            end: point.end.to_string(),
        };
        Self {
            end: report.end.to_string(),
            timeline: report.timeline,
            records: number(report.records),
            commits: number(report.commits),
            aborts: number(report.aborts),
            first_commit: report.first_commit.map(commit),
            last_commit: report.last_commit.map(commit),
            restore_points: report.restore_points.into_iter().map(point).collect(),
            restore_point_count: number(report.restore_point_count),
            major_version: report.major_version,
            system_identifier: report.system_identifier.map(|identifier| identifier.to_string()),
            ending: BindingEnding {
                kind: report.ending.kind.name().to_owned(),
                at: report.ending.at.to_string(),
                path: report.ending.path.map(|path| path.to_string_lossy().into_owned()),
                message: report.ending.message,
            },
            stop: report.stop.map(|stop| BindingTargetStop {
                lsn: stop.lsn.to_string(),
                replayed: stop.replayed,
                end: stop.end.to_string(),
                timeline: stop.timeline,
                time: stop.time.map(Timestamp::unix_micros),
                xid: stop.xid,
            }),
        }
    }
}

/// Scans stored WAL; `job` cancels and counts.
#[napi(js_name = "scanWal")]
pub fn start_scan(
    options: BindingScanOptions,
    job: &NativeJob,
) -> napi::Result<AsyncTask<Task<BindingScanReport>>> {
    let options = ScanOptions::try_from(&options).map_err(|error| to_napi(&error))?;
    let job = Arc::clone(&job.job);
    Ok(Task::start(move || {
        scan(&options, &job).map(BindingScanReport::from)
    }))
}

/// A block that a record is about.
#[napi(object)]
pub struct BindingBlock {
    pub relation: String,
    pub fork: u32,
    pub block: u32,
    pub image: bool,
}

/// A record.
#[napi(object)]
pub struct BindingWalRecord {
    pub lsn: String,
    pub end: String,
    pub prev: String,
    pub xid: u32,
    pub resource_manager: u32,
    pub info: u32,
    pub size: u32,
    pub main_size: u32,
    pub blocks: Vec<BindingBlock>,
}

fn listed(record: &Record<'_>, page_size: u32) -> Result<BindingWalRecord> {
    let body = Body::parse(record.body, record.version, page_size)
        .map_err(|fault| Error::corrupt(format!("at {}: {fault}", record.lsn)))?;
    let block = |block: &pgmoneta_core::wal::BlockReference<'_>| BindingBlock {
        relation: format!(
            "{}/{}/{}",
            block.relation.tablespace, block.relation.database, block.relation.number
        ),
        fork: u32::from(block.fork),
        block: block.block,
        image: block.image.is_some(),
    };
    Ok(BindingWalRecord {
        lsn: record.lsn.to_string(),
        end: record.end.to_string(),
        prev: record.header.prev.to_string(),
        xid: record.header.xid,
        resource_manager: u32::from(record.header.resource_manager),
        info: u32::from(record.header.info),
        size: record.header.total,
        main_size: u32::try_from(body.main.len()).unwrap_or(u32::MAX),
        blocks: body.blocks.iter().map(block).collect(),
    })
}

/// The records of stored WAL, `limit` of them at most; `page_size` is that of relations.
#[napi(js_name = "listWal")]
pub fn start_list(
    options: BindingScanOptions,
    page_size: u32,
    limit: u32,
    job: &NativeJob,
) -> napi::Result<AsyncTask<Task<Vec<BindingWalRecord>>>> {
    let options = ScanOptions::try_from(&options).map_err(|error| to_napi(&error))?;
    let limit = limit.min(MAX_LISTED) as usize;
    let job = Arc::clone(&job.job);
    Ok(Task::start(move || {
        let (mut records, mut failure) = (Vec::new(), None);
        scan_with(&options, &job, &mut |record| {
            if records.len() < limit && failure.is_none() {
                match listed(record, page_size) {
                    Ok(record) => records.push(record),
                    Err(error) => failure = Some(error),
                }
            }
        })?;
        failure.map_or(Ok(records), Err)
    }))
}

/// One segment to be copied.
#[napi(object)]
pub struct BindingSegmentCopy {
    pub source: String,
    pub target: String,
    pub timeline: u32,
    pub start: String,
    pub pad: bool,
}

/// What a copy made.
#[napi(object)]
pub struct BindingCopiedSegment {
    pub end: Option<String>,
    pub written: bool,
}

impl From<CopiedSegment> for BindingCopiedSegment {
    fn from(copied: CopiedSegment) -> Self {
        Self {
            end: copied.end.map(|end| end.to_string()),
            written: copied.written,
        }
    }
}

fn copy_of(copy: &BindingSegmentCopy, segment_size: u32) -> Result<SegmentCopy> {
    let start: Lsn = copy.start.parse()?;
    Ok(SegmentCopy {
        source: PathBuf::from(&copy.source),
        target: PathBuf::from(&copy.target),
        timeline: copy.timeline,
        number: start.0 / u64::from(segment_size),
        pad: copy.pad,
    })
}

/// Copies stored segments into a cluster; `job` cancels and counts.
#[napi(js_name = "copySegments")]
pub fn start_copy(
    segments: Vec<BindingSegmentCopy>,
    facts: BindingWalFacts,
    threads: u32,
    job: &NativeJob,
) -> napi::Result<AsyncTask<Task<Vec<BindingCopiedSegment>>>> {
    let convert = || {
        check_segment_size(facts.segment_size)?;
        let options = CopyOptions {
            segment_size: facts.segment_size,
            system_identifier: facts.identifier()?,
            secret: facts.secret()?,
        };
        let copies: Result<Vec<_>> = segments
            .iter()
            .map(|copy| copy_of(copy, facts.segment_size))
            .collect();
        Ok((options, copies?, workers(threads)?))
    };
    let (options, copies, threads) = convert().map_err(|error: Error| to_napi(&error))?;
    let job = Arc::clone(&job.job);
    Ok(Task::start(move || {
        let copied = copy_segments(&copies, &options, threads, &job)?;
        Ok(copied.into_iter().map(BindingCopiedSegment::from).collect())
    }))
}

/// What a stored segment is worth.
#[napi(object)]
pub struct BindingSegmentProof {
    pub timeline: u32,
    pub start: String,
    pub proved: String,
    pub first_record: Option<String>,
    pub last_record: Option<String>,
    pub records: i64,
    pub whole: bool,
    pub message: String,
    pub major_version: Option<u32>,
    pub system_identifier: Option<String>,
}

impl From<SegmentProof> for BindingSegmentProof {
    fn from(proof: SegmentProof) -> Self {
        Self {
            timeline: proof.timeline,
            start: proof.start.to_string(),
            proved: proof.proved.to_string(),
            first_record: proof.first_record.map(|lsn| lsn.to_string()),
            last_record: proof.last_record.map(|lsn| lsn.to_string()),
            records: number(proof.records),
            whole: proof.whole,
            message: proof.message,
            major_version: proof.major_version,
            system_identifier: proof.system_identifier.map(|identifier| identifier.to_string()),
        }
    }
}

/// Checks every record of one stored segment; `job` cancels and counts.
#[napi(js_name = "proveSegment")]
pub fn start_prove(
    path: String,
    facts: BindingWalFacts,
    job: &NativeJob,
) -> napi::Result<AsyncTask<Task<BindingSegmentProof>>> {
    let convert = || {
        let segment = StoredSegment::parse(Path::new(&path), facts.segment_size)?;
        Ok((segment, facts.identifier()?, facts.secret()?))
    };
    let (segment, identifier, secret) = convert().map_err(|error: Error| to_napi(&error))?;
    let size = facts.segment_size;
    let job = Arc::clone(&job.job);
    Ok(Task::start(move || {
        prove_segment(&segment, size, identifier, secret.as_ref(), &job).map(BindingSegmentProof::from)
    }))
}

//! Verifying for JavaScript.

use std::path::Path;
use std::sync::Arc;

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use pgmoneta_core::restore::Keys;
use pgmoneta_core::verify::{Finding, VerifyOptions, VerifyReport, verify};

use crate::error::to_napi;
use crate::restore::{BindingKeys, NativeJob, number, workers};
use crate::task::Job as Task;

/// What is verified, and how.
#[napi(object)]
pub struct BindingVerifyOptions {
    pub backup: String,
    pub keys: BindingKeys,
    pub workers: u32,
    pub all: Option<bool>,
    pub pages: Option<bool>,
}

/// One file.
#[napi(object)]
pub struct BindingFinding {
    pub path: String,
    pub reason: Option<String>,
    pub algorithm: String,
    pub original: String,
    pub calculated: String,
    pub message: String,
}

impl From<Finding> for BindingFinding {
    fn from(finding: Finding) -> Self {
        Self {
            path: finding.path,
            reason: finding.reason.map(|reason| reason.name().to_owned()),
            algorithm: finding.algorithm,
            original: finding.original,
            calculated: finding.calculated,
            message: finding.message,
        }
    }
}

/// What was found.
#[napi(object)]
pub struct BindingVerifyReport {
    pub files: i64,
    pub bytes: i64,
    pub failed: Vec<BindingFinding>,
    pub all: Option<Vec<BindingFinding>>,
    pub pages: i64,
    pub replayed_pages: i64,
    pub warnings: Vec<String>,
    pub seconds: f64,
}

impl From<VerifyReport> for BindingVerifyReport {
    fn from(report: VerifyReport) -> Self {
        let findings = |list: Vec<Finding>| list.into_iter().map(BindingFinding::from).collect();
        Self {
            files: number(report.files),
            bytes: number(report.bytes),
            failed: findings(report.failed),
            all: report.all.map(findings),
            pages: number(report.pages),
            replayed_pages: number(report.replayed_pages),
            warnings: report.warnings,
            seconds: report.seconds,
        }
    }
}

/// Verifies a backup; `job` cancels and counts.
#[napi(js_name = "verifyBackup")]
pub fn start_verify(
    options: BindingVerifyOptions,
    job: &NativeJob,
) -> napi::Result<AsyncTask<Task<BindingVerifyReport>>> {
    let how = VerifyOptions {
        workers: workers(options.workers).map_err(|error| to_napi(&error))?,
        all: options.all.unwrap_or(false),
        pages: options.pages.unwrap_or(false),
    };
    let keys = Keys::try_from(options.keys).map_err(|error| to_napi(&error))?;
    let job = Arc::clone(&job.job);
    let directory = options.backup;
    Ok(Task::start(move || {
        verify(Path::new(&directory), keys.clone(), how, &job).map(BindingVerifyReport::from)
    }))
}

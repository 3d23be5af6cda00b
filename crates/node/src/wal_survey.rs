//! What a directory of WAL has, for JavaScript. Numbers cross in typed arrays: many runs cost no more than few.

use std::path::PathBuf;

use napi::bindgen_prelude::{AsyncTask, Float64Array};
use napi_derive::napi;
use pgmoneta_core::wal::{Survey, survey};

use crate::restore::number;
use crate::task::Job;

/// What a directory of WAL has.
#[napi(object)]
pub struct BindingWalSurvey {
    /// Timeline, first and last segment of each run.
    pub runs: Float64Array,
    /// Timeline and number of each segment of which there is no whole file.
    pub partials: Float64Array,
    pub histories: Vec<String>,
    pub misfits: Vec<String>,
    pub bytes: i64,
    pub size_on_disk: Option<u32>,
}

/// Counts of segments are below 2^44, so that they are exact.
#[allow(clippy::cast_precision_loss)]
fn exact(count: u64) -> f64 {
    count as f64
}

impl From<Survey> for BindingWalSurvey {
    fn from(survey: Survey) -> Self {
        let runs: Vec<f64> = survey
            .runs
            .iter()
            .flat_map(|run| [f64::from(run.timeline), exact(run.first), exact(run.last)])
            .collect();
        let partials: Vec<f64> = survey
            .partials
            .iter()
            .flat_map(|&(timeline, count)| [f64::from(timeline), exact(count)])
            .collect();
        Self {
            runs: runs.into(),
            partials: partials.into(),
            histories: survey.histories,
            misfits: survey.misfits,
            bytes: number(survey.bytes),
            size_on_disk: survey.size_on_disk,
        }
    }
}

/// Looks at the names in a directory of WAL; `with_bytes`: at the sizes of the files too.
#[napi]
pub fn survey_wal(
    directory: String,
    segment_size: u32,
    with_bytes: bool,
) -> AsyncTask<Job<BindingWalSurvey>> {
    let directory = PathBuf::from(directory);
    Job::start(move || survey(&directory, segment_size, with_bytes).map(BindingWalSurvey::from))
}

//! Work on a thread of the pool, once.

use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName};
use napi::{Env, Task};
use pgmoneta_core::Result;

use crate::error::to_napi;

/// A piece of work and what it gives.
pub struct Job<T>(Box<dyn FnMut() -> Result<T> + Send>);

impl<T: Send + ToNapiValue + TypeName + 'static> Job<T> {
    /// Starts it; the promise of JavaScript settles when it ends.
    pub fn start(work: impl FnMut() -> Result<T> + Send + 'static) -> AsyncTask<Self> {
        AsyncTask::new(Self(Box::new(work)))
    }
}

impl<T: Send + ToNapiValue + TypeName + 'static> Task for Job<T> {
    type Output = T;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<T> {
        (self.0)().map_err(|error| to_napi(&error))
    }

    fn resolve(&mut self, _: Env, output: T) -> napi::Result<T> {
        Ok(output)
    }
}

//! How errors of the core cross to JavaScript: as JSON in the message, taken apart in `src/native/errors.ts`.

/// Turns an error of the core into one of napi.
#[allow(dead_code)] // every capability uses it; the lint sees it before the first one exists
pub fn to_napi(error: &pgmoneta_core::Error) -> napi::Error {
    napi::Error::new(napi::Status::GenericFailure, error.to_json())
}

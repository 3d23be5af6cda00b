//! Reads a stored backup as a restore would, and writes nothing. One read of each stored file serves both digests:
//! SHA-512 of what is stored, and that of the plain bytes. The answer always comes: what cannot be read is a finding.

mod file;
mod finding;
mod lists;
mod run;
#[cfg(test)]
mod tests;

pub use finding::{Finding, Reason};
pub use run::{VerifyOptions, VerifyReport, verify};

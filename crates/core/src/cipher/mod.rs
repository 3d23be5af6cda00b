//! Ciphers: how stored files, vault entries and messages are sealed.
//!
//! Writing: AES-GCM in the form of pgmoneta 0.21 (salt, IV, ciphertext, tag), or AES-CBC and AES-CTR in an envelope of
//! our own that is always authenticated (`PGMA`). Reading: both, and the bare CBC and CTR files of 0.20 and
//! before. Reading as a stream gives plain bytes before the tag at the end is checked: who reads must not
//! publish anything before the end was reached without an error.

mod aes_cbc;
mod blob;
mod envelope;
pub mod file;
mod gcm;
mod identify;
mod legacy;
mod mode;
mod opener;
mod sealer;
mod secret;
#[cfg(test)]
mod tests;

pub use blob::{open_blob, seal_blob};
pub use identify::identify;
pub use legacy::{LegacyMode, legacy_open, legacy_opener};
pub use mode::CipherMode;
pub use opener::opener;
pub use sealer::Sealer;
pub use secret::MasterSecret;

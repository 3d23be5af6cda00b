//! What a receiver is asked to do.

use crate::block::BlockShape;
use crate::cipher::{CipherMode, MasterSecret};
use crate::codec::{Codec, CodecSpec};
use crate::digest::DigestKind;
use std::path::PathBuf;

/// Bytes in flight above which the sender is asked to pause, unless told otherwise: 64 MiB.
pub const DEFAULT_BUDGET: usize = 64 << 20;

/// How stored files are sealed.
#[derive(Debug, Clone)]
pub struct Sealing {
    pub mode: CipherMode,
    pub secret: MasterSecret,
}

/// The backup whose stored files may be linked to.
#[derive(Debug, Clone)]
pub struct LinkOptions {
    /// Its directory, with `backup.json`.
    pub directory: PathBuf,
    pub label: String,
}

/// Options of one receiver.
#[derive(Debug, Clone)]
pub struct Options {
    /// The staging directory; it is created when it is missing, and must not have `data/` in it.
    pub directory: PathBuf,
    pub spec: CodecSpec,
    pub sealing: Option<Sealing>,
    /// Threads that encode and write, at least 1.
    pub workers: usize,
    /// Bytes in flight above which `push` asks to pause.
    pub budget: usize,
    /// The checksums that PostgreSQL's manifest was asked to have; `None` for a manifest without.
    pub manifest: Option<DigestKind>,
    /// How the server compresses the archives.
    pub server_codec: Option<Codec>,
    pub link: Option<LinkOptions>,
    /// The backup is incremental: how the files are made that its `INCREMENTAL.*` files are parts of.
    pub incremental: Option<BlockShape>,
}

impl Options {
    /// The suffix of stored names.
    #[must_use]
    pub fn suffix(&self) -> String {
        format!(
            "{}{}",
            self.spec.codec.suffix(),
            if self.sealing.is_some() { ".aes" } else { "" }
        )
    }
}

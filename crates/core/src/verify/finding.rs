//! What a verification says about one file.

use crate::Error;

/// Why a file failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A digest, or the checksum of a page, is not what it should be.
    Mismatch,
    /// A list names the file, and it is not there.
    Missing,
    /// The file is there, and no list names it.
    Surplus,
    /// It cannot be read, opened or unpacked.
    Unreadable,
    /// It ends before its recorded size.
    Truncated,
    /// Its size is another one than recorded.
    Size,
}

impl Reason {
    /// The word in answers.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mismatch => "mismatch",
            Self::Missing => "missing",
            Self::Surplus => "surplus",
            Self::Unreadable => "unreadable",
            Self::Truncated => "truncated",
            Self::Size => "size",
        }
    }
}

/// A file that failed, or, when all were asked for, one that did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// The stored file, relative to the directory of the backup.
    pub path: String,
    /// Absent for a good file.
    pub reason: Option<Reason>,
    /// `sha512` is of the stored bytes unless PostgreSQL's manifest has it; `page` is PostgreSQL's page checksum.
    pub algorithm: String,
    /// What a list says.
    pub original: String,
    /// What was found.
    pub calculated: String,
    /// A sentence for people; empty for a good file.
    pub message: String,
}

impl Finding {
    pub(super) fn new(path: &[u8], reason: Reason, message: impl Into<String>) -> Self {
        Self {
            path: String::from_utf8_lossy(path).into_owned(),
            reason: Some(reason),
            message: message.into(),
            ..Self::default()
        }
    }

    pub(super) fn good(path: &[u8]) -> Self {
        Self {
            path: String::from_utf8_lossy(path).into_owned(),
            ..Self::default()
        }
    }

    pub(super) fn of_error(path: &[u8], error: &Error) -> Self {
        Self::new(path, Reason::Unreadable, error.message.clone())
    }

    pub(super) fn compared(mut self, algorithm: &str, original: String, calculated: String) -> Self {
        self.algorithm = algorithm.to_owned();
        self.original = original;
        self.calculated = calculated;
        self
    }
}

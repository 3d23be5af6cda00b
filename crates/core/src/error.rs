//! The one error type of the core. Every error says what happened and to which path; the code is a row of the
//! product's error table (`src/errors/table.ts`), so that it crosses the border without translation.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A row of the product's error table that the core can raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The operating system refused a file operation.
    Io,
    /// A file system is full, or a quota is used up.
    NoSpace,
    /// Data does not match its checksum, size or format.
    Corrupt,
    /// The caller asked for cancellation.
    Cancelled,
    /// Another process holds a lock.
    Locked,
    /// Options that cannot be carried out.
    Usage,
    /// A server sent what does not belong there.
    Protocol,
    /// A server and the WAL in the repository do not belong together.
    Diverged,
    /// A defect of the core itself.
    Internal,
}

impl Code {
    /// The name in the error table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Code::Io => "IO",
            Code::NoSpace => "NO_SPACE",
            Code::Corrupt => "CORRUPT",
            Code::Cancelled => "CANCELLED",
            Code::Locked => "REPOSITORY_LOCKED",
            Code::Usage => "USAGE",
            Code::Protocol => "POSTGRES_PROTOCOL",
            Code::Diverged => "WAL_DIVERGED",
            Code::Internal => "INTERNAL",
        }
    }
}

/// An error of the core: code, message, and where known the path and what to do next.
#[derive(Debug, Clone)]
pub struct Error {
    pub code: Code,
    pub message: String,
    pub path: Option<PathBuf>,
    pub hint: Option<String>,
    pub retryable: bool,
}

/// Result of the core.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a path.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            path: None,
            hint: None,
            retryable: false,
        }
    }

    /// Damaged or unexpected data.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(Code::Corrupt, message)
    }

    /// A failed file operation; `action` is a verb phrase such as `open for reading`.
    pub fn io(action: &str, path: &Path, source: &io::Error) -> Self {
        let full = matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT));
        Self {
            code: if full { Code::NoSpace } else { Code::Io },
            message: format!("cannot {action} {}: {source}", path.display()),
            path: Some(path.to_path_buf()),
            hint: full.then(|| "free space on that file system, then try again".to_owned()),
            retryable: full,
        }
    }

    /// A failed read of a decoding or opening reader: the error inside of `source` when there is one, with the path.
    pub fn reading(path: &Path, source: &io::Error) -> Self {
        match source.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
            Some(error) => error.clone().at(path),
            None => Self::io("read", path, source),
        }
    }

    /// Adds the path that the error is about.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        if self.path.is_none() {
            self.message = format!("{}: {}", path.display(), self.message);
            self.path = Some(path.to_path_buf());
        }
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says that doing it again may help.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// The form in which errors cross to JavaScript.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "code": self.code.name(),
            "message": self.message,
            "path": self.path.as_ref().map(|path| path.to_string_lossy()),
            "hint": self.hint,
            "retryable": self.retryable,
        })
        .to_string()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

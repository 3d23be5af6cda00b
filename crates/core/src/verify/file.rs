//! Checks one file of a backup.

use super::finding::{Finding, Reason};
use crate::digest::to_hex;
use crate::restore::{BackupFile, Evidence, Pass, PassResult, StoredBackup, StoredDigests};
use crate::{Code, Error, Result};
use std::path::Path;

/// What one file added to the totals.
#[derive(Debug, Default)]
pub struct Checked {
    pub bytes: u64,
    pub pages: u64,
    pub replayed_pages: u64,
    /// Only the stored bytes could be checked, for want of a key.
    pub locked: bool,
    /// No list says anything about it.
    pub unproven: bool,
    pub finding: Finding,
}

/// Reads a file once and compares it with everything that is known about it.
///
/// # Errors
/// `CANCELLED` alone; everything else is a finding.
pub fn check_file(
    pass: &mut Pass<'_>,
    backup: &StoredBackup,
    file: &BackupFile,
    digests: &StoredDigests,
) -> Result<Checked> {
    let stored = backup.inventory.stored_path(file);
    let expected = digests.get(&stored);
    let place = backup.inventory.stored_file(file);
    if backup.is_locked(file) {
        let finding = check_stored(&place, &stored, expected);
        return Ok(Checked {
            locked: true,
            unproven: expected.is_none(),
            finding,
            ..Checked::default()
        });
    }
    let read = backup
        .open_hashed(
            file,
            expected.is_some() || matches!(file.evidence, Evidence::Stored(_)),
        )
        .and_then(|mut stream| pass.run(file, file.evidence.plain_kind(), &mut stream, &mut |_| Ok(())));
    let result = match read {
        Ok(result) => result,
        Err(error) if error.code == Code::Cancelled => return Err(error),
        Err(error) => {
            let finding = explain(backup, file, &stored, &place, expected, &error);
            return Ok(Checked {
                finding,
                ..Checked::default()
            });
        }
    };
    let finding = compare(backup, file, &stored, expected, &result);
    let (pages, replayed_pages) = result
        .pages
        .as_ref()
        .map_or((0, 0), |scan| (scan.pages, scan.replayed));
    let unproven = expected.is_none() && file.evidence == Evidence::None;
    Ok(Checked {
        bytes: result.size,
        pages,
        replayed_pages,
        locked: false,
        unproven,
        finding,
    })
}

/// Compares the stored bytes of a file with their SHA-512, where there is one.
pub fn check_stored(place: &Path, stored: &[u8], expected: Option<&[u8; 64]>) -> Finding {
    if !place.exists() {
        return Finding::new(stored, Reason::Missing, format!("{} is missing", place.display()));
    }
    let Some(expected) = expected else {
        return Finding::good(stored);
    };
    let original = to_hex(expected);
    match crate::fs::hash_file_sha512(place) {
        Err(error) => Finding::of_error(stored, &error),
        Ok(found) if found == original => Finding::good(stored).compared("sha512", original, found),
        Ok(found) => {
            let message = format!("{}: the stored bytes do not match backup.sha512", place.display());
            Finding::new(stored, Reason::Mismatch, message).compared("sha512", original, found)
        }
    }
}

/// Why a file could not be read to its end. The stored bytes are hashed once more, this time without unpacking.
fn explain(
    backup: &StoredBackup,
    file: &BackupFile,
    stored: &[u8],
    place: &Path,
    expected: Option<&[u8; 64]>,
    error: &Error,
) -> Finding {
    let raw = check_stored(place, stored, expected);
    let found = std::fs::metadata(place).map_or(0, |found| found.len());
    let message = format!(
        "{}; {}",
        error.message,
        if raw.reason.is_some() { &raw.message } else { "" }
    );
    let message = message.trim_end_matches("; ").to_owned();
    if raw.reason == Some(Reason::Missing) {
        return raw;
    }
    if backup.inventory.ours && found < file.stored_size {
        let why = format!("{message}; it has {found} of {} stored bytes", file.stored_size);
        return Finding {
            reason: Some(Reason::Truncated),
            message: why,
            ..raw
        };
    }
    Finding {
        reason: raw.reason.or(Some(Reason::Unreadable)),
        message,
        ..raw
    }
}

fn compare(
    backup: &StoredBackup,
    file: &BackupFile,
    stored: &[u8],
    expected: Option<&[u8; 64]>,
    result: &PassResult,
) -> Finding {
    let path = file.path.escape_ascii();
    let sized = |reason, what: &str, original: u64, found: u64| {
        Finding::new(
            stored,
            reason,
            format!("{path}: {found} {what} bytes instead of {original}"),
        )
        .compared("size", original.to_string(), found.to_string())
    };
    if backup.inventory.ours && result.stored_size != file.stored_size {
        let short = result.stored_size < file.stored_size;
        let reason = if short { Reason::Truncated } else { Reason::Size };
        return sized(reason, "stored", file.stored_size, result.stored_size);
    }
    if let Some(size) = file.size.filter(|size| *size != result.size) {
        return sized(Reason::Size, "plain", size, result.size);
    }
    let mut finding = Finding::good(stored);
    let stored_sha = result
        .stored_digest
        .map(|value| value.to_hex())
        .unwrap_or_default();
    let listed = expected.map(|value| to_hex(value)).or(match &file.evidence {
        Evidence::Stored(value) => Some(value.to_hex()),
        _ => None,
    });
    if let Some(original) = listed {
        if original != stored_sha {
            return Finding::new(
                stored,
                Reason::Mismatch,
                format!("{path}: the stored bytes were changed"),
            )
            .compared("sha512", original, stored_sha);
        }
        finding = finding.compared("sha512", original, stored_sha);
    }
    if let Evidence::Plain(kind, original) = &file.evidence {
        let found = result.digest.map(|value| value.to_hex()).unwrap_or_default();
        if found != original.to_hex() {
            let message = format!("{path}: the plain bytes are not those that the server sent");
            return Finding::new(stored, Reason::Mismatch, message).compared(
                kind.name(),
                original.to_hex(),
                found,
            );
        }
        finding = finding.compared(kind.name(), original.to_hex(), found);
    }
    match result.pages.as_ref().filter(|scan| scan.damaged > 0) {
        None => finding,
        Some(scan) => {
            let fault = scan.faults.iter().find(|fault| !fault.replayed);
            let (block, stated, found) =
                fault.map_or((0, 0, 0), |fault| (fault.block, fault.stated, fault.found));
            let message = format!(
                "{path}: {} of {} pages are damaged, the first is block {block}; the server sent them so",
                scan.damaged, scan.pages
            );
            let (stated, found) = (format!("{stated:04x}"), format!("{found:04x}"));
            Finding::new(stored, Reason::Mismatch, message).compared("page", stated, found)
        }
    }
}

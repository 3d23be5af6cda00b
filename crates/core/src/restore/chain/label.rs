//! `backup_label`: where a backup begins and what it builds on.

use crate::manifest::text;
use crate::{Error, Result};

/// A backup label has a few hundred bytes.
pub const MAX_LABEL: u64 = 64 * 1024;

const FROM_LSN: &[u8] = b"INCREMENTAL FROM LSN: ";
const FROM_TIMELINE: &[u8] = b"INCREMENTAL FROM TLI: ";

/// A moment of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    pub lsn: u64,
    pub timeline: u32,
}

impl std::fmt::Display for Point {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lsn = text::format_lsn(self.lsn);
        write!(formatter, "{lsn} on timeline {}", self.timeline)
    }
}

/// What a label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    pub start: Point,
    /// Start of the backup that this one builds on; `None` in a full backup.
    pub from: Option<Point>,
}

/// Reads a label.
///
/// # Errors
/// `CORRUPT` when a line that is needed is missing or unreadable, or only one of the two about the parent is there.
pub fn parse(bytes: &[u8]) -> Result<Label> {
    let lsn = |key: &str| -> Result<Option<u64>> {
        let Some(value) = value_of(bytes, key) else {
            return Ok(None);
        };
        let word = value.split(' ').next().unwrap_or_default();
        text::parse_lsn(word).map(Some).ok_or_else(|| bad(key, &value))
    };
    let number = |key: &str| -> Result<Option<u32>> {
        let Some(value) = value_of(bytes, key) else {
            return Ok(None);
        };
        value.trim().parse().map(Some).map_err(|_| bad(key, &value))
    };
    let needed = |key: &str| Error::corrupt(format!("the backup label has no line \"{key}\""));
    let start = Point {
        lsn: lsn("START WAL LOCATION")?.ok_or_else(|| needed("START WAL LOCATION"))?,
        timeline: number("START TIMELINE")?.ok_or_else(|| needed("START TIMELINE"))?,
    };
    let from = match (lsn("INCREMENTAL FROM LSN")?, number("INCREMENTAL FROM TLI")?) {
        (Some(lsn), Some(timeline)) => Some(Point { lsn, timeline }),
        (None, None) => None,
        (Some(_), None) => return Err(needed("INCREMENTAL FROM TLI")),
        (None, Some(_)) => return Err(needed("INCREMENTAL FROM LSN")),
    };
    Ok(Label { start, from })
}

fn bad(key: &str, value: &str) -> Error {
    Error::corrupt(format!(
        "the backup label has \"{key}: {value}\", which cannot be read"
    ))
}

fn value_of(bytes: &[u8], key: &str) -> Option<String> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let mut values = lines.filter_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b": "));
    values
        .next()
        .map(|value| String::from_utf8_lossy(value).into_owned())
}

/// The label of the combined cluster: byte for byte that of the newest backup, without the lines about its parent,
/// with which PostgreSQL does not start.
pub fn without_parent(bytes: &[u8]) -> Vec<u8> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(FROM_LSN) && !line.starts_with(FROM_TIMELINE))
        .flatten()
        .copied()
        .collect()
}

/// The lines about a parent.
pub fn parent_lines(bytes: &[u8]) -> Vec<u8> {
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(FROM_LSN) || line.starts_with(FROM_TIMELINE))
        .flatten()
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = "START WAL LOCATION: 1/2000028 (file 000000020000000100000002)\nCHECKPOINT LOCATION: 1/2000060\n\
                        BACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-01-02 03:04:05 GMT\n\
                        LABEL: INCREMENTAL FROM nowhere\nSTART TIMELINE: 2\n";

    #[test]
    fn labels_are_read_and_stripped() {
        let full = parse(FULL.as_bytes()).unwrap();
        let start = Point {
            lsn: 0x1_0200_0028,
            timeline: 2,
        };
        assert_eq!(full, Label { start, from: None });
        assert_eq!(start.to_string(), "1/2000028 on timeline 2");
        for lsn in ["0/1000028", "0/01000028"] {
            let text = format!("{FULL}INCREMENTAL FROM LSN: {lsn}\nINCREMENTAL FROM TLI: 1\n");
            let from = parse(text.as_bytes()).unwrap().from;
            assert_eq!(
                from,
                Some(Point {
                    lsn: 0x0100_0028,
                    timeline: 1
                })
            );
            assert_eq!(without_parent(text.as_bytes()), FULL.as_bytes());
            assert_eq!(
                [FULL.as_bytes(), &parent_lines(text.as_bytes())].concat(),
                text.as_bytes()
            );
        }
        assert_eq!(without_parent(FULL.as_bytes()), FULL.as_bytes());
    }

    #[test]
    fn half_a_label_is_refused() {
        for (text, why) in [
            ("".to_owned(), "START WAL LOCATION"),
            (FULL.replace("START TIMELINE: 2\n", ""), "START TIMELINE"),
            (FULL.replace("TIMELINE: 2", "TIMELINE: two"), "two"),
            (FULL.replace("1/2000028", "x"), "cannot be read"),
            (format!("{FULL}INCREMENTAL FROM LSN: 0/28\n"), "FROM TLI"),
            (format!("{FULL}INCREMENTAL FROM TLI: 1\n"), "FROM LSN"),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert!(error.message.contains(why), "{why}: {}", error.message);
        }
    }
}

//! Small texts that several lists share: hexadecimal, JSON strings, LSNs, relative paths.

use crate::{Error, Result};
use std::fmt::Write as _;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends bytes as lower-case hexadecimal.
pub fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Bytes as lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Hexadecimal of either case to bytes; `None` for an odd length or another character.
#[must_use]
pub fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len() / 2);
    for pair in text.chunks_exact(2) {
        let (high, low) = (digit(pair[0])?, digit(pair[1])?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    Some(bytes)
}

/// Appends a JSON string with its quotes, escaped as PostgreSQL's server escapes it. The text must be UTF-8.
pub fn push_json_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                push_hex(out, &[byte]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// An LSN as PostgreSQL prints it: two hexadecimal halves.
#[must_use]
pub fn format_lsn(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

/// Reads an LSN of the form `X/X`.
#[must_use]
pub fn parse_lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let half = |part: &str| {
        let fits = (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        fits.then(|| u64::from_str_radix(part, 16).ok()).flatten()
    };
    Some(half(high)? << 32 | half(low)?)
}

/// A path of a list without empty and `.` parts.
///
/// # Errors
/// `CORRUPT` when it is empty, absolute, has a `..` part or a NUL: it would leave the directory it belongs to.
pub fn clean_path(path: &[u8]) -> Result<Vec<u8>> {
    let bad = |why: &str| Error::corrupt(format!("the path \"{}\" {why}", path.escape_ascii()));
    if path.first() == Some(&b'/') {
        return Err(bad("is absolute"));
    }
    if path.contains(&0) {
        return Err(bad("holds a NUL byte"));
    }
    let mut clean = Vec::with_capacity(path.len());
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return Err(bad("leaves the directory of the backup")),
            _ => {}
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(part);
    }
    if clean.is_empty() {
        Err(bad("is empty"))
    } else {
        Ok(clean)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_goes_both_ways() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(unhex(b"00aBfF"), Some(vec![0, 0xab, 0xff]));
        assert_eq!(unhex(b"0"), None);
        assert_eq!(unhex(b"0g"), None);
        assert_eq!(unhex("é".as_bytes()), None);
    }

    #[test]
    fn json_strings_are_escaped_as_the_server_does() {
        let mut out = Vec::new();
        push_json_string(&mut out, "a\"\\\u{8}\u{c}\n\r\t\u{1}ü".as_bytes());
        assert_eq!(out, "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001ü\"".as_bytes());
    }

    #[test]
    fn lsns_go_both_ways() {
        assert_eq!(parse_lsn("1/2000028"), Some(0x1_0200_0028));
        assert_eq!(parse_lsn("0/02000028"), Some(0x0200_0028));
        assert_eq!(format_lsn(0x1_0200_0028), "1/2000028");
        for bad in ["", "1", "/", "1/", "1/123456789", "g/1", "+1/1"] {
            assert_eq!(parse_lsn(bad), None, "{bad}");
        }
    }

    #[test]
    fn paths_cannot_leave_their_root() {
        assert_eq!(clean_path(b"./a//b/./c").unwrap(), b"a/b/c");
        for bad in [&b""[..], b".", b"/etc/passwd", b"a/../b", b"..", b"a\0b"] {
            assert!(clean_path(bad).is_err(), "{}", bad.escape_ascii());
        }
    }
}

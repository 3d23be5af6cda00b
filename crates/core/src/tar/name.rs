//! Names in archives are untrusted: nothing that could leave the directory of the backup gets through.

use crate::{Error, Result};

/// Longest path that a member may have, in bytes (`PATH_MAX` of Linux less its NUL).
pub const MAX_PATH: usize = 4095;

/// Longest single component, in bytes: stored names get a suffix of up to nine bytes (`.zstd.aes`).
const MAX_COMPONENT: usize = 255;

/// Brings the name of a member into the form `a/b/c`: without `./`, doubled or trailing slashes.
/// The root of the archive (`.` or `./`) becomes the empty path.
///
/// # Errors
/// Absolute names, `..`, NUL bytes and names over the limits.
pub fn sanitise(raw: &[u8]) -> Result<Vec<u8>> {
    let refuse = |why: &str| {
        let shown = String::from_utf8_lossy(&raw[..raw.len().min(200)]).into_owned();
        Err(Error::corrupt(format!(
            "the archive has a member named {shown:?}: {why}"
        )))
    };
    if raw.is_empty() {
        return refuse("a name cannot be empty");
    }
    if raw[0] == b'/' {
        return refuse("a name cannot be absolute");
    }
    if raw.len() > MAX_PATH {
        return refuse("a name cannot have more than 4095 bytes");
    }
    if memchr::memchr(0, raw).is_some() {
        return refuse("a name cannot hold a NUL byte");
    }
    let mut clean = Vec::with_capacity(raw.len());
    for component in raw.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return refuse("a name cannot climb with .."),
            _ if component.len() > MAX_COMPONENT => {
                return refuse("a component cannot have more than 255 bytes");
            }
            _ => {}
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(component);
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_names_are_brought_into_one_form() {
        for (raw, clean) in [
            ("base/1/1259", "base/1/1259"),
            ("./base//1/./1259", "base/1/1259"),
            ("pg_notify/", "pg_notify"),
            ("./", ""),
            (".", ""),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(sanitise(raw.as_bytes()).unwrap(), clean.as_bytes(), "{raw}");
        }
    }

    #[test]
    fn names_that_leave_the_backup_are_refused() {
        let long = "x".repeat(256);
        for raw in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a/..",
            "../a",
            "a\0b",
            &long,
            &"y/".repeat(2100),
        ] {
            assert!(sanitise(raw.as_bytes()).is_err(), "{raw}");
        }
    }
}

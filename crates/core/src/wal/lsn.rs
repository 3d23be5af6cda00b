//! Positions in the WAL.

use std::fmt;
use std::str::FromStr;

use crate::{Code, Error, Result};

/// A position in the WAL: bytes since its beginning. Written as PostgreSQL does, `%X/%X`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position `bytes` further on; the last one there is when that is beyond it.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// First byte of the segment that holds this position.
    #[must_use]
    pub fn segment_start(self, segment_size: u32) -> Self {
        Self(self.0 - self.0 % u64::from(segment_size))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let half = |part: &str| {
            let digits = (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits.then(|| u64::from_str_radix(part, 16).ok()).flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| {
                Error::new(Code::Usage, format!("\"{text}\" is not a WAL position"))
                    .hint("a WAL position is two hexadecimal numbers with a slash between them, for example 0/2000028")
            })
    }
}

/// Whether a size is one that initdb accepts for segments: a power of two, 1 MiB to 1 GiB.
///
/// # Errors
/// [`Code::Usage`] when it is not.
pub fn check_segment_size(bytes: u32) -> Result<()> {
    if bytes.is_power_of_two() && (1 << 20..=1 << 30).contains(&bytes) {
        return Ok(());
    }
    let message = format!("{bytes} bytes is not a size that WAL segments can have");
    Err(Error::new(Code::Usage, message).hint("wal_segment_size is a power of two from 1 MB to 1 GB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_there_and_back() {
        for (text, value) in [
            ("0/0", 0),
            ("0/2000028", 0x200_0028),
            ("16/B374D848", 0x16_b374_d848),
            ("FFFFFFFF/FFFFFFFF", u64::MAX),
        ] {
            assert_eq!(text.parse::<Lsn>().unwrap(), Lsn(value));
            assert_eq!(Lsn(value).to_string(), text);
        }
        for text in [
            "",
            "/",
            "0",
            "0/",
            "/0",
            "0/0/0",
            "+1/0",
            "0/G",
            "123456789/0",
            " 0/0",
        ] {
            assert_eq!(text.parse::<Lsn>().unwrap_err().code, Code::Usage, "{text}");
        }
    }

    #[test]
    fn segments() {
        assert_eq!(Lsn(0x1ff_ffff).segment_start(1 << 24), Lsn(0x100_0000));
        assert_eq!(Lsn(u64::MAX).plus(1), Lsn(u64::MAX));
        for size in [1 << 20, 1 << 24, 1 << 30] {
            check_segment_size(size).unwrap();
        }
        for size in [0, 1 << 19, (1 << 24) + 1, 1 << 31] {
            assert!(check_segment_size(size).is_err());
        }
    }
}

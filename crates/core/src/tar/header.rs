//! One 512-byte header block. Layout: POSIX.1-1988 (ustar), with GNU tar's base-256 numbers.

use crate::{Error, Result};

/// Size of a tar block, in bytes.
pub const BLOCK: usize = 512;

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
}

/// A member of the archive, with its name already made safe (see `name::sanitise`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Relative path without leading or trailing slash; empty for the root of the archive.
    pub path: Vec<u8>,
    pub kind: Kind,
    /// Bytes of data that follow; 0 for everything but files.
    pub size: u64,
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: i64,
    /// Target of a link, as it is in the archive; empty for others.
    pub link: Vec<u8>,
}

/// The type byte of a header, as far as it is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    Member(Kind),
    /// GNU: the data is the name of the next member.
    LongName,
    /// GNU: the data is the link target of the next member.
    LongLink,
    /// pax records for the next member.
    Pax,
    /// pax records for all following members.
    GlobalPax,
}

/// A header block, taken apart.
#[derive(Debug)]
pub struct Header {
    pub kind: Type,
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    pub size: u64,
    pub mode: u32,
    pub mtime: i64,
}

/// Takes a header block apart after checking its checksum.
pub fn parse(block: &[u8; BLOCK]) -> Result<Header> {
    check_sum(block)?;
    let name = full_name(block);
    let kind = match block[156] {
        b'0' | b'7' | 0 if name.ends_with(b"/") => Type::Member(Kind::Directory),
        b'0' | b'7' | 0 => Type::Member(Kind::File),
        b'1' => Type::Member(Kind::HardLink),
        b'2' => Type::Member(Kind::Symlink),
        b'5' => Type::Member(Kind::Directory),
        b'L' => Type::LongName,
        b'K' => Type::LongLink,
        b'x' => Type::Pax,
        b'g' => Type::GlobalPax,
        other => {
            return Err(Error::corrupt(format!(
                "member {:?} has the type {:?}, which a base backup cannot contain",
                String::from_utf8_lossy(&name),
                char::from(other)
            )));
        }
    };
    let size = number(&block[124..136], "size")?;
    let mode = number(&block[100..108], "mode")?;
    Ok(Header {
        kind,
        name,
        link: text(&block[157..257]).to_vec(),
        size: u64::try_from(size).map_err(|_| Error::corrupt("a member has a negative size"))?,
        mode: (mode & 0o7777) as u32,
        mtime: number(&block[136..148], "modification time")?,
    })
}

fn full_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = text(&block[0..100]);
    let posix = &block[257..263] == b"ustar\0";
    let prefix = text(&block[345..500]);
    if !posix || prefix.is_empty() {
        return name.to_vec();
    }
    [prefix, b"/", name].concat()
}

fn text(field: &[u8]) -> &[u8] {
    &field[..memchr::memchr(0, field).unwrap_or(field.len())]
}

/// The sum of all bytes with the checksum field read as blanks; old programs summed signed bytes.
fn check_sum(block: &[u8; BLOCK]) -> Result<()> {
    let stored = number(&block[148..156], "checksum")?;
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (index, &byte) in block.iter().enumerate() {
        let byte = if (148..156).contains(&index) { b' ' } else { byte };
        unsigned += i64::from(byte);
        signed += i64::from(byte as i8);
    }
    if stored == unsigned || stored == signed {
        return Ok(());
    }
    Err(Error::corrupt(format!(
        "a header has the checksum {stored}, calculated is {unsigned}"
    )))
}

/// Octal digits between blanks and NULs, or base-256 when the first bit is set (GNU; also PostgreSQL above 8 GiB).
fn number(field: &[u8], what: &str) -> Result<i64> {
    let bad = || Error::corrupt(format!("a header has an unreadable {what}"));
    if field[0] & 0x80 != 0 {
        let negative = field[0] & 0x40 != 0;
        let mut value: i64 = if negative { -1 } else { 0 };
        for (index, &byte) in field.iter().enumerate() {
            let byte = if index == 0 && !negative {
                byte & 0x7f
            } else {
                byte
            };
            value = value.checked_mul(256).ok_or_else(bad)? | i64::from(byte);
        }
        return Ok(value);
    }
    let mut value: i64 = 0;
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|byte| *byte == 0 || *byte == b' ')
        .unwrap_or(digits.len());
    for &byte in &digits[..end] {
        if !(b'0'..=b'7').contains(&byte) {
            return Err(bad());
        }
        value = value.checked_mul(8).ok_or_else(bad)? + i64::from(byte - b'0');
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::testing;

    #[test]
    fn numbers_are_read_in_both_notations() {
        assert_eq!(number(b"00000001750\0", "n").unwrap(), 0o1750);
        assert_eq!(number(b"   1750 \0\0\0\0", "n").unwrap(), 0o1750);
        assert_eq!(number(b"\0\0\0\0", "n").unwrap(), 0);
        assert_eq!(
            number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0", "n").unwrap(),
            0x2_0000_0000
        );
        assert_eq!(number(&[0xff; 12], "n").unwrap(), -1);
        assert!(number(b"00000009750\0", "n").is_err());
        assert!(number(b"\x80\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", "n").is_err());
    }

    #[test]
    fn a_flipped_bit_is_found_by_the_checksum() {
        let good: [u8; BLOCK] = testing::header(b"base/1/1", b'0', 5, b"")[..BLOCK]
            .try_into()
            .unwrap();
        assert!(parse(&good).is_ok());
        for index in [0, 50, 100, 130, 156, 400] {
            let mut bad = good;
            bad[index] ^= 1;
            assert!(parse(&bad).is_err(), "byte {index}");
        }
    }

    #[test]
    fn types_that_a_base_backup_cannot_contain_are_errors() {
        for kind in [b'3', b'4', b'6', b'S', b'V', b'?'] {
            let block: [u8; BLOCK] = testing::header(b"x", kind, 0, b"")[..BLOCK].try_into().unwrap();
            assert!(parse(&block).unwrap_err().message.contains("cannot contain"));
        }
    }
}

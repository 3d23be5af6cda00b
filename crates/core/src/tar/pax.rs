//! pax extended header records: `<length> <key>=<value>\n`, the length counting the whole record (POSIX.1-2001).

use crate::{Error, Result};

/// The records that matter to a base backup; everything else is skipped.
#[derive(Debug, Default, Clone)]
pub struct Records {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
}

impl Records {
    /// Adds the records of one extended header; later ones win.
    pub fn add(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (record, rest) = split(bytes)?;
            bytes = rest;
            let equals = memchr::memchr(b'=', record).ok_or_else(damaged)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => self.size = Some(decimal(value)?),
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(Error::corrupt(
                        "the archive has a sparse member, which a base backup cannot contain",
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The first record without its length and newline, and what follows it.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let blank = memchr::memchr(b' ', &bytes[..bytes.len().min(21)]).ok_or_else(damaged)?;
    let length = usize::try_from(decimal(&bytes[..blank])?).map_err(|_| damaged())?;
    if length <= blank + 1 || length > bytes.len() || bytes[length - 1] != b'\n' {
        return Err(damaged());
    }
    Ok((&bytes[blank + 1..length - 1], &bytes[length..]))
}

fn decimal(digits: &[u8]) -> Result<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(damaged());
    }
    std::str::from_utf8(digits)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(damaged)
}

fn damaged() -> Error {
    Error::corrupt("a pax header is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_later_ones_win() {
        let mut records = Records::default();
        records
            .add(b"11 path=ab\n11 path=cd\n13 size=1234\n10 atime=1\n")
            .unwrap_err();
        let mut records2 = Records::default();
        records2
            .add(b"11 path=ab\n11 path=cd\n13 size=1234\n11 atime=1\n")
            .unwrap();
        assert_eq!(records2.path.unwrap(), b"cd");
        assert_eq!(records2.size, Some(1234));
    }

    #[test]
    fn damaged_records_are_errors() {
        for bad in [
            &b"11 path=ab"[..],
            b"path=ab\n",
            b"0 path=ab\n",
            b"3 \n",
            b"99999999999999999999999 a=b\n",
            b"8 pathab\n",
            b"12 size=12x\n",
        ] {
            assert!(
                Records::default().add(bad).is_err(),
                "{}",
                String::from_utf8_lossy(bad)
            );
        }
    }
}

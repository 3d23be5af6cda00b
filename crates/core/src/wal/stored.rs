//! Segments as they are stored: `<24 hex digits>`, then `.partial`, or `.gz`, `.zstd`, `.lz4`, `.bz2` and `.aes`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::lsn::{Lsn, check_segment_size};
use crate::cipher::{MasterSecret, identify, opener};
use crate::codec::{Codec, decoder};
use crate::{Code, Error, Result};

const NAME: usize = 24;

/// What the name of a segment's file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoredName {
    pub timeline: u32,
    /// Count of segments since LSN 0.
    pub number: u64,
    pub codec: Codec,
    pub sealed: bool,
    pub partial: bool,
}

impl StoredName {
    /// `None` when it is not the name of a segment of that size.
    pub(super) fn parse(name: &[u8], segment_size: u32) -> Option<Self> {
        let (digits, suffix) = name.split_at_checked(NAME)?;
        let (codec, sealed, partial) = parse_suffix(suffix)?;
        let timeline = hex(&digits[..8])?;
        let (high, low) = hex(&digits[8..16]).zip(hex(&digits[16..]))?;
        let per_id = (1u64 << 32) / u64::from(segment_size);
        if timeline == 0 || u64::from(low) >= per_id {
            return None;
        }
        Some(Self {
            timeline,
            number: u64::from(high) * per_id + u64::from(low),
            codec,
            sealed,
            partial,
        })
    }

    /// Whether it is the name of a segment of some size.
    pub(super) fn fits_some_size(name: &[u8]) -> bool {
        name.split_at_checked(NAME).is_some_and(|(digits, suffix)| {
            parse_suffix(suffix).is_some() && digits.chunks(8).all(|part| hex(part).is_some())
        })
    }
}

/// A file that holds a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSegment {
    pub path: PathBuf,
    pub timeline: u32,
    /// Count of segments since LSN 0.
    pub number: u64,
    pub codec: Codec,
    /// The name ends in `.aes`.
    pub sealed: bool,
    /// The segment was being received, or its timeline ended in it.
    pub partial: bool,
    segment_size: u32,
}

impl StoredSegment {
    /// What a file's name says.
    ///
    /// # Errors
    /// [`Code::Usage`] when it is not the name of a segment of that size, or there is no such size.
    pub fn parse(path: &Path, segment_size: u32) -> Result<Self> {
        check_segment_size(segment_size)?;
        let wrong = || {
            let message = format!(
                "{} is not the name of a WAL segment of {segment_size} bytes",
                path.display()
            );
            Error::new(Code::Usage, message).hint(
                "a segment has 24 hexadecimal digits, then .partial or the suffixes of its codec and cipher",
            )
        };
        let name = path.file_name().map(OsStrExt::as_bytes).ok_or_else(wrong)?;
        let name = StoredName::parse(name, segment_size).ok_or_else(wrong)?;
        Ok(Self {
            path: path.to_path_buf(),
            timeline: name.timeline,
            number: name.number,
            codec: name.codec,
            sealed: name.sealed,
            partial: name.partial,
            segment_size,
        })
    }

    /// Its first byte.
    #[must_use]
    pub fn start(&self) -> Lsn {
        Lsn(self.number * u64::from(self.segment_size))
    }

    /// The byte after its last one.
    #[must_use]
    pub fn end(&self) -> Lsn {
        self.start().plus(u64::from(self.segment_size))
    }

    /// Opens it as a stream of plain bytes. Errors of the stream hold an [`Error`], see [`Error::reading`]; only when it
    /// has ended without one was all of it true. Of a sealed file the mode is found out first, which reads it once more.
    ///
    /// # Errors
    /// [`Code::Io`]; [`Code::Usage`] when it is sealed and there is no secret; [`Code::Corrupt`] when it is not authentic.
    pub fn open(&self, secret: Option<&MasterSecret>) -> Result<Box<dyn Read + Send>> {
        let mut file = open_file(&self.path)?;
        if !self.sealed {
            return Ok(decoder(self.codec, Box::new(file)));
        }
        let secret = secret.ok_or_else(|| {
            Error::new(
                Code::Usage,
                "the WAL segment is encrypted and there is no master key",
            )
            .at(&self.path)
            .hint("install the master key that it was encrypted with in ~/.pgmoneta/master.key")
        })?;
        let mode = identify(secret, &mut file).map_err(|error| error.at(&self.path))?;
        file.rewind()
            .map_err(|error| Error::io("read", &self.path, &error))?;
        Ok(decoder(self.codec, opener(Some(mode), secret, Box::new(file))))
    }

    /// Reads from what [`Self::open`] gave until the buffer is full or the segment has ended; gives the bytes read.
    ///
    /// # Errors
    /// [`Code::Io`]; [`Code::Corrupt`] with a hint on what to do.
    pub fn read(&self, source: &mut dyn Read, buffer: &mut [u8]) -> Result<usize> {
        let mut have = 0;
        while have < buffer.len() {
            match source.read(&mut buffer[have..]) {
                Ok(0) => break,
                Ok(count) => have += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(Error::reading(&self.path, &error))),
            }
        }
        Ok(have)
    }

    /// What opened with a wrong key may fail in the codec first, which cannot know why.
    fn explain(&self, error: Error) -> Error {
        match (&error.hint, error.code, self.sealed) {
            (None, Code::Corrupt, true) => error.hint(
                "check that ~/.pgmoneta/master.key is the one that the segment was encrypted with; if it is, the file is damaged: take another copy",
            ),
            (None, Code::Corrupt, false) => {
                error.hint("the file is damaged: take another copy, for example from wal_shipping or from the server")
            }
            _ => error,
        }
    }
}

fn open_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| Error::io("open for reading", path, &error))
}

fn parse_suffix(suffix: &[u8]) -> Option<(Codec, bool, bool)> {
    if suffix == b".partial" {
        return Some((Codec::None, false, true));
    }
    let (rest, sealed) = suffix
        .strip_suffix(b".aes")
        .map_or((suffix, false), |rest| (rest, true));
    let codecs = std::iter::once(Codec::None).chain(Codec::COMPRESSING);
    let codec = codecs
        .into_iter()
        .find(|codec| codec.suffix().as_bytes() == rest)?;
    Some((codec, sealed, false))
}

/// Eight upper-case digits, as PostgreSQL writes them.
fn hex(digits: &[u8]) -> Option<u32> {
    let good = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    let text = std::str::from_utf8(digits)
        .ok()
        .filter(|_| digits.iter().all(good))?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::{CipherMode, file::encrypt_file};
    use crate::codec::{CodecSpec, file::compress_file};

    const SIZE: u32 = 16 << 20;

    fn parse(name: &str) -> Result<StoredSegment> {
        StoredSegment::parse(&Path::new("/w").join(name), SIZE)
    }

    #[test]
    fn names_say_what_is_inside() {
        let found = parse("0000000A0000000200000003.zstd.aes").unwrap();
        assert_eq!((found.timeline, found.number), (10, 2 * 256 + 3));
        assert_eq!(
            (found.codec, found.sealed, found.partial),
            (Codec::Zstd, true, false)
        );
        assert_eq!(found.start().to_string(), "2/3000000");
        assert_eq!(found.end().to_string(), "2/4000000");
        for (suffix, codec, sealed, partial) in [
            ("", Codec::None, false, false),
            (".partial", Codec::None, false, true),
            (".gz", Codec::Gzip, false, false),
            (".lz4", Codec::Lz4, false, false),
            (".bz2.aes", Codec::Bzip2, true, false),
            (".aes", Codec::None, true, false),
        ] {
            let found = parse(&format!("0000000100000000000000FF{suffix}")).unwrap();
            assert_eq!(
                (found.codec, found.sealed, found.partial),
                (codec, sealed, partial)
            );
        }
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "000000010000000000000001.tmp-1-2",
            "000000010000000000000001.zst",
            "000000010000000000000001.aes.zstd",
            "000000010000000000000001.partial.zstd",
            "00000001000000000000000",
            "0000000100000000000000011",
            "0000000100000000000000g1",
            "00000001000000000000000a",
            "000000000000000000000001",
            "000000010000000000000100",
            "00000002.history",
            "é00000010000000000000001",
        ] {
            assert_eq!(parse(name).unwrap_err().code, Code::Usage, "{name}");
        }
        let path = Path::new("000000010000000000000100");
        assert_eq!(StoredSegment::parse(path, 1 << 20).unwrap().number, 256);
        assert!(StoredSegment::parse(path, 1000).is_err());
    }

    #[test]
    fn stored_forms_are_opened() {
        let secret = MasterSecret::from_slice(&[3; 64]).unwrap();
        let plain: Vec<u8> = (0..30_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let modes = CipherMode::ALL.into_iter().map(Some).chain([None]);
        for (codec, mode) in [Codec::None, Codec::Zstd, Codec::Lz4]
            .into_iter()
            .flat_map(|codec| modes.clone().map(move |mode| (codec, mode)))
        {
            let directory = tempfile::tempdir().unwrap();
            let mut path = directory.path().join("000000010000000000000001");
            std::fs::write(&path, &plain).unwrap();
            if codec != Codec::None {
                path = compress_file(&path, CodecSpec::new(codec, 1))
                    .unwrap()
                    .destination;
            }
            if let Some(mode) = mode {
                path = encrypt_file(&path, mode, &secret).unwrap().destination;
            }
            let segment = StoredSegment::parse(&path, SIZE).unwrap();
            let mut found = Vec::new();
            segment
                .open(Some(&secret))
                .unwrap()
                .read_to_end(&mut found)
                .unwrap();
            assert!(found == plain, "{codec:?} {mode:?}");
            assert_eq!(segment.open(None).is_err(), mode.is_some());
            if mode.is_some() {
                let other = MasterSecret::from_slice(&[4; 64]).unwrap();
                let read =
                    |mut reader: Box<dyn Read + Send>| segment.read(&mut reader, &mut vec![0; 200_000]);
                let error = segment.open(Some(&other)).and_then(read).unwrap_err();
                assert!(error.hint.unwrap().contains("master.key"));
                assert_eq!(error.path, Some(path));
            }
        }
    }
}

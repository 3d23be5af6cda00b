//! Which codecs there are, how they are named in settings, file names and `backup.info`.

use std::ffi::OsStr;
use std::path::Path;

use crate::{Code, Error, Result};

/// How a stored file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Stored as it is.
    None,
    /// One RFC 1952 member.
    Gzip,
    /// Independent standard frames, one after the other.
    Zstd,
    /// Independent standard frames, one after the other (`*.lz4` of the C program: linked 4 KiB blocks, read only).
    Lz4,
    /// One bzip2 stream.
    Bzip2,
}

/// A codec and its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecSpec {
    pub codec: Codec,
    /// Clamped to what the codec knows when an encoder is made: gzip 1..9, bzip2 1..9, lz4 1..12, zstd -131072..22.
    pub level: i32,
}

const MIB: usize = 1 << 20;

impl Codec {
    /// Every codec that changes the bytes.
    pub const COMPRESSING: [Codec; 4] = [Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2];

    /// The suffix of stored names: `.gz`, `.zstd`, `.lz4`, `.bz2`, or nothing.
    #[must_use]
    pub fn suffix(self) -> &'static str {
        match self {
            Codec::None => "",
            Codec::Gzip => ".gz",
            Codec::Zstd => ".zstd",
            Codec::Lz4 => ".lz4",
            Codec::Bzip2 => ".bz2",
        }
    }

    /// The name without `client-` or `server-`: `none`, `gzip`, `zstd`, `lz4`, `bzip2`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
            Codec::Lz4 => "lz4",
            Codec::Bzip2 => "bzip2",
        }
    }

    /// Reads a name of [`Codec::name`].
    ///
    /// # Errors
    /// [`Code::Usage`] for any other text.
    pub fn from_name(name: &str) -> Result<Self> {
        match name {
            "none" => Ok(Codec::None),
            "gzip" => Ok(Codec::Gzip),
            "zstd" => Ok(Codec::Zstd),
            "lz4" => Ok(Codec::Lz4),
            "bzip2" => Ok(Codec::Bzip2),
            _ => Err(Error::new(Code::Usage, format!("unknown codec '{name}'"))
                .hint("use none, gzip, zstd, lz4 or bzip2")),
        }
    }

    /// The codec that a stored name (without `.aes`) tells by its suffix; [`Codec::None`] when there is none.
    #[must_use]
    pub fn from_path(path: &Path) -> Self {
        match path.extension().and_then(OsStr::to_str) {
            Some("gz") => Codec::Gzip,
            Some("zstd") => Codec::Zstd,
            Some("lz4") => Codec::Lz4,
            Some("bz2") => Codec::Bzip2,
            _ => Codec::None,
        }
    }

    /// The codec of a `COMPRESSION` value of `backup.info`, of any version: its low nibble, but 5, 6 and 7 are the
    /// server-side values written up to 0.20. `None` for values that no version writes.
    #[must_use]
    pub fn from_info_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Codec::None),
            1 | 5 | 17 | 33 => Some(Codec::Gzip),
            2 | 6 | 18 | 34 => Some(Codec::Zstd),
            3 | 7 | 19 | 35 => Some(Codec::Lz4),
            4 | 20 => Some(Codec::Bzip2),
            _ => None,
        }
    }

    /// The codec of a compression byte of the management link: 0 none, 1 gzip, 2 zstd, 3 lz4, 4 bzip2.
    #[must_use]
    pub fn from_link_code(code: u32) -> Option<Self> {
        match code {
            0 => Some(Codec::None),
            1 => Some(Codec::Gzip),
            2 => Some(Codec::Zstd),
            3 => Some(Codec::Lz4),
            4 => Some(Codec::Bzip2),
            _ => None,
        }
    }

    /// The codec whose streams begin like this; [`Codec::None`] when none does. Blocks of the C program's `.lz4`
    /// have no mark and are not recognised.
    #[must_use]
    pub fn from_magic(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Codec::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Codec::Zstd,
            [0x04, 0x22, 0x4d, 0x18, ..] => Codec::Lz4,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Codec::Bzip2,
            _ => Codec::None,
        }
    }

    /// Plain bytes per frame, always a power of two, so that subtrees of BLAKE3 fall on frame borders.
    ///
    /// bzip2: the largest that surely fits into one block of the level (100 000 bytes times the level, where run
    /// coding may add a quarter).
    #[must_use]
    pub fn frame_size(self, level: i32) -> usize {
        match (self, level) {
            (Codec::Bzip2, ..=1) => MIB / 16,
            (Codec::Bzip2, 2..=3) => MIB / 8,
            (Codec::Bzip2, 4..=6) => MIB / 4,
            (Codec::Bzip2, _) => MIB / 2,
            _ => MIB,
        }
    }

    /// The level that the codec really uses for `level`.
    #[must_use]
    pub fn clamp_level(self, level: i32) -> i32 {
        match self {
            Codec::None => 0,
            Codec::Gzip | Codec::Bzip2 => level.clamp(1, 9),
            Codec::Lz4 => level.clamp(1, 12),
            Codec::Zstd => level.clamp(-131_072, 22),
        }
    }
}

impl CodecSpec {
    /// A codec with its level clamped to what the codec knows.
    #[must_use]
    pub fn new(codec: Codec, level: i32) -> Self {
        Self {
            codec,
            level: codec.clamp_level(level),
        }
    }

    /// [`Codec::frame_size`] of this codec and level.
    #[must_use]
    pub fn frame_size(self) -> usize {
        self.codec.frame_size(self.level)
    }
}

//! Names of stored files: the true name, then `.zstd` and the like, then `.aes`.

use crate::codec::Codec;

/// How a stored file was made of a plain one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapping {
    pub codec: Codec,
    /// Sealed: the name ends in `.aes`.
    pub sealed: bool,
}

impl Wrapping {
    pub const PLAIN: Self = Self {
        codec: Codec::None,
        sealed: false,
    };

    /// The end of the stored name.
    pub fn suffix(self) -> String {
        format!("{}{}", self.codec.suffix(), if self.sealed { ".aes" } else { "" })
    }

    /// Reads an end of a name, all of it.
    pub fn parse(suffix: &[u8]) -> Option<Self> {
        Self::all().find(|wrapping| wrapping.suffix().as_bytes() == suffix)
    }

    /// Every wrapping there is.
    pub fn all() -> impl Iterator<Item = Self> {
        let codecs = std::iter::once(Codec::None).chain(Codec::COMPRESSING);
        codecs.flat_map(|codec| [false, true].map(|sealed| Self { codec, sealed }))
    }

    /// Splits a stored name by its endings alone: the true name, and the wrapping. A name whose own ending looks like
    /// that of a codec is split wrongly; lists of true names come before this.
    pub fn split(stored: &[u8]) -> (&[u8], Self) {
        let (rest, sealed) = stored
            .strip_suffix(b".aes")
            .map_or((stored, false), |rest| (rest, true));
        for codec in Codec::COMPRESSING {
            if let Some(name) = rest.strip_suffix(codec.suffix().as_bytes()) {
                return (name, Self { codec, sealed });
            }
        }
        (
            rest,
            Self {
                codec: Codec::None,
                sealed,
            },
        )
    }
}

/// Files that are stored as they are, whatever the settings say.
pub fn is_exempt(path: &[u8]) -> bool {
    path.ends_with(b"backup_label") || path.ends_with(b"backup_manifest")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split() {
        let split = |name: &'static str| Wrapping::split(name.as_bytes());
        assert_eq!(
            split("a.zstd.aes"),
            (
                &b"a"[..],
                Wrapping {
                    codec: Codec::Zstd,
                    sealed: true
                }
            )
        );
        assert_eq!(
            split("a.aes"),
            (
                &b"a"[..],
                Wrapping {
                    codec: Codec::None,
                    sealed: true
                }
            )
        );
        assert_eq!(
            split("a.gz"),
            (
                &b"a"[..],
                Wrapping {
                    codec: Codec::Gzip,
                    sealed: false
                }
            )
        );
        assert_eq!(split("a"), (&b"a"[..], Wrapping::PLAIN));
        for wrapping in Wrapping::all() {
            assert_eq!(Wrapping::parse(wrapping.suffix().as_bytes()), Some(wrapping));
        }
        assert_eq!(Wrapping::parse(b".aes.zstd"), None);
        assert!(is_exempt(b"backup_label") && !is_exempt(b"tablespace_map"));
    }
}

//! Headers of WAL pages, as PostgreSQL 13 to 18 write them on little-endian hosts. A page has a short header of 24
//! bytes; the first page of a segment a long one of 40.

use std::fmt;

use super::lsn::Lsn;

/// Bytes of the header of a page.
pub const SHORT_HEADER: usize = 24;
/// Bytes of the header of the first page of a segment.
pub const LONG_HEADER: usize = 40;
/// Bytes of a WAL page, unless the server was built with another size.
pub const DEFAULT_PAGE: u32 = 8192;

const FIRST_IS_CONTRECORD: u16 = 0x0001;
const LONG: u16 = 0x0002;
const FIRST_IS_OVERWRITE_CONTRECORD: u16 = 0x0008;
const ALL_FLAGS: u16 = 0x000f;

/// Major version of the server that wrote the WAL, 13 to 18; the magic of a page tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u32);

/// `xlp_magic` and what writes it.
const MAGICS: [(u16, u32); 6] = [
    (0xd106, 13),
    (0xd10d, 14),
    (0xd110, 15),
    (0xd113, 16),
    (0xd116, 17),
    (0xd118, 18),
];

impl Version {
    /// Every version whose WAL is read.
    pub const ALL: [Self; 6] = [Self(13), Self(14), Self(15), Self(16), Self(17), Self(18)];

    /// The version that writes this `xlp_magic`.
    #[must_use]
    pub fn from_magic(magic: u16) -> Option<Self> {
        let found = MAGICS.iter().find(|(known, _)| *known == magic);
        found.map(|(_, major)| Self(*major))
    }

    /// The version with this major number.
    #[must_use]
    pub fn from_major(major: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.0 == major)
    }

    /// For example 17.
    #[must_use]
    pub fn major(self) -> u32 {
        self.0
    }

    /// The `xlp_magic` of this version.
    #[must_use]
    pub fn magic(self) -> u16 {
        MAGICS[(self.0 - 13) as usize].0
    }
}

/// The header of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageHeader {
    pub version: Version,
    /// The timeline of the first record on the page.
    pub timeline: u32,
    pub address: Lsn,
    /// Bytes of a record begun before, from here on over all following pages, their headers not counted; `None` when
    /// a record begins right after the header.
    pub continued: Option<u32>,
    /// The record that should be continued here was given up by its server; a record of its own says so.
    pub overwrites: bool,
    /// On the first page of a segment.
    pub segment: Option<SegmentFacts>,
}

/// What the long header adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentFacts {
    pub system_identifier: u64,
    pub segment_size: u32,
    pub page_size: u32,
}

/// What a page has to say about itself at its place.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    pub address: Lsn,
    pub segment_size: u32,
    /// `None`: any size that a server can have.
    pub page_size: Option<u32>,
    /// `None`: any.
    pub system_identifier: Option<u64>,
    pub version: Option<Version>,
    /// The timeline of the page before; timelines never go down.
    pub at_least_timeline: u32,
    /// The timeline whose WAL is read; pages of its ancestors have lower ones.
    pub at_most_timeline: Option<u32>,
}

/// Why a page is not the one expected at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageFault {
    /// All bytes of the header are zero: nothing was written here.
    Zeros,
    Magic(u16),
    /// WAL of another major version than that of the page before.
    VersionChanged {
        before: Version,
        found: Version,
    },
    Flags(u16),
    NoLongHeader,
    Address(Lsn),
    SystemIdentifier {
        expected: u64,
        found: u64,
    },
    SegmentSize {
        expected: u32,
        found: u32,
    },
    PageSize(u32),
    /// Lower than that of the page before, zero, or newer than the one that is read.
    Timeline {
        found: u32,
        lowest: u32,
        highest: Option<u32>,
    },
}

impl fmt::Display for PageFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros => write!(formatter, "the page header is all zeros"),
            Self::Magic(magic) if magic.swap_bytes() & 0xff00 == 0xd100 && magic & 0xff00 != 0xd100 => {
                write!(formatter, "the WAL comes from a host of the other byte order")
            }
            Self::Magic(magic) if (0xd119..=0xd1ff).contains(magic) => write!(
                formatter,
                "the page has magic number {magic:04X}: its server is newer than PostgreSQL 18, the newest that is known"
            ),
            Self::Magic(magic) => {
                write!(
                    formatter,
                    "the page has magic number {magic:04X}; PostgreSQL 13 to 18 write D106 to D118"
                )
            }
            Self::VersionChanged { before, found } => write!(
                formatter,
                "the page was written by PostgreSQL {}, the one before by PostgreSQL {}",
                found.major(),
                before.major()
            ),
            Self::Flags(flags) => write!(formatter, "the page has unknown flags {flags:04X}"),
            Self::NoLongHeader => write!(formatter, "the first page of the segment has no long header"),
            Self::Address(found) => write!(formatter, "the page says that it is the one at {found}"),
            Self::SystemIdentifier { expected, found } => write!(
                formatter,
                "the WAL belongs to the system {found}, expected was {expected}"
            ),
            Self::SegmentSize { expected, found } => {
                write!(
                    formatter,
                    "the WAL has segments of {found} bytes, expected were {expected}"
                )
            }
            Self::PageSize(found) => write!(formatter, "the WAL has pages of {found} bytes"),
            Self::Timeline {
                found,
                lowest,
                highest: Some(highest),
            } => {
                write!(
                    formatter,
                    "the page is of timeline {found}, expected was one of {lowest} to {highest}"
                )
            }
            Self::Timeline {
                found,
                lowest,
                highest: None,
            } => {
                write!(
                    formatter,
                    "the page is of timeline {found}, after one of timeline {lowest}"
                )
            }
        }
    }
}

/// Bytes of the header of the page at `address`.
#[must_use]
pub fn header_size(address: Lsn, segment_size: u32) -> usize {
    if address.0.is_multiple_of(u64::from(segment_size)) {
        LONG_HEADER
    } else {
        SHORT_HEADER
    }
}

/// Reads and checks a header; `bytes` are [`header_size`] of them.
///
/// # Errors
/// The first thing that is not as expected.
pub fn parse_page(bytes: &[u8], expected: &Expected) -> Result<PageHeader, PageFault> {
    let first = header_size(expected.address, expected.segment_size) == LONG_HEADER;
    if bytes.iter().all(|byte| *byte == 0) {
        return Err(PageFault::Zeros);
    }
    let magic = u16_at(bytes, 0);
    let version = Version::from_magic(magic).ok_or(PageFault::Magic(magic))?;
    if let Some(before) = expected.version.filter(|before| *before != version) {
        return Err(PageFault::VersionChanged {
            before,
            found: version,
        });
    }
    let flags = u16_at(bytes, 2);
    if flags & !ALL_FLAGS != 0 || (flags & LONG != 0 && !first) {
        return Err(PageFault::Flags(flags));
    }
    if first && flags & LONG == 0 {
        return Err(PageFault::NoLongHeader);
    }
    let segment = first.then(|| SegmentFacts {
        system_identifier: u64_at(bytes, 24),
        segment_size: u32_at(bytes, 32),
        page_size: u32_at(bytes, 36),
    });
    if let Some(facts) = segment {
        check_segment(&facts, expected)?;
    }
    let address = Lsn(u64_at(bytes, 8));
    if address != expected.address {
        return Err(PageFault::Address(address));
    }
    let timeline = u32_at(bytes, 4);
    let (lowest, highest) = (expected.at_least_timeline.max(1), expected.at_most_timeline);
    if timeline < lowest || highest.is_some_and(|highest| timeline > highest) {
        return Err(PageFault::Timeline {
            found: timeline,
            lowest,
            highest,
        });
    }
    Ok(PageHeader {
        version,
        timeline,
        address,
        continued: (flags & FIRST_IS_CONTRECORD != 0).then(|| u32_at(bytes, 16)),
        overwrites: flags & FIRST_IS_OVERWRITE_CONTRECORD != 0,
        segment,
    })
}

fn check_segment(facts: &SegmentFacts, expected: &Expected) -> Result<(), PageFault> {
    if let Some(identifier) = expected
        .system_identifier
        .filter(|id| *id != facts.system_identifier)
    {
        let found = facts.system_identifier;
        return Err(PageFault::SystemIdentifier {
            expected: identifier,
            found,
        });
    }
    if facts.segment_size != expected.segment_size {
        let (expected, found) = (expected.segment_size, facts.segment_size);
        return Err(PageFault::SegmentSize { expected, found });
    }
    let page = facts.page_size;
    let possible = page.is_power_of_two() && (1024..=65536).contains(&page) && page <= facts.segment_size;
    if !possible || expected.page_size.is_some_and(|size| size != page) {
        return Err(PageFault::PageSize(page));
    }
    Ok(())
}

/// Two bytes at a place that the caller knows to be there; zero beyond the end.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    part(bytes, at).map_or(0, u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    part(bytes, at).map_or(0, u32::from_le_bytes)
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    part(bytes, at).map_or(0, u64::from_le_bytes)
}

#[inline]
fn part<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wal::testing::{PAGE, SEGMENT, SYSTEM, page_header};

    fn expected(address: u64) -> Expected {
        Expected {
            address: Lsn(address),
            segment_size: SEGMENT,
            page_size: None,
            system_identifier: Some(SYSTEM),
            version: None,
            at_least_timeline: 1,
            at_most_timeline: Some(2),
        }
    }

    fn first(change: impl Fn(&mut Vec<u8>)) -> Result<PageHeader, PageFault> {
        let mut bytes = page_header(u64::from(SEGMENT), 1, Version(17), 0);
        change(&mut bytes);
        parse_page(&bytes, &expected(u64::from(SEGMENT)))
    }

    #[test]
    fn every_version_is_known_by_its_magic() {
        for version in Version::ALL {
            assert_eq!(Version::from_magic(version.magic()), Some(version));
            assert_eq!(Version::from_major(version.major()), Some(version));
            let page = first(|bytes| bytes[..2].copy_from_slice(&version.magic().to_le_bytes())).unwrap();
            assert_eq!(page.version, version);
        }
        assert_eq!(Version::from_major(12), None);
    }

    #[test]
    fn long_and_short_headers_are_read() {
        let page = first(|_| {}).unwrap();
        assert_eq!(page.segment.unwrap().system_identifier, SYSTEM);
        assert_eq!(page.segment.unwrap().page_size, PAGE);
        assert_eq!((page.timeline, page.continued, page.overwrites), (1, None, false));
        let address = u64::from(SEGMENT + PAGE);
        let page = parse_page(&page_header(address, 2, Version(14), 77), &expected(address)).unwrap();
        assert_eq!((page.segment, page.continued, page.timeline), (None, Some(77), 2));
    }

    #[test]
    fn what_is_wrong_is_said() {
        type Change = fn(&mut Vec<u8>);
        let cases: [(Change, &str); 14] = [
            (|b| b.fill(0), "all zeros"),
            (|b| b[0] = 0x21, "newer than PostgreSQL 18"),
            (|b| b.swap(0, 1), "other byte order"),
            (|b| b[0] = 0x05, "D105; PostgreSQL 13 to 18"),
            (|b| b[2] |= 0x10, "unknown flags 0012"),
            (|b| b[2] &= !2, "no long header"),
            (|b| b[24] ^= 1, "belongs to the system"),
            (|b| b[33] ^= 0x80, "segments of"),
            (|b| b[37] = 0xff, "pages of"),
            (|b| b[36] = 1, "pages of"),
            (|b| b[8] ^= 1, "the one at 0/4001"),
            (|b| b[15] ^= 1, "the one at 1000000/4000"),
            (|b| b[4] = 3, "timeline 3, expected was one of 1 to 2"),
            (|b| b[4] = 0, "timeline 0"),
        ];
        for (change, message) in cases {
            let found = first(change).unwrap_err().to_string();
            assert!(found.contains(message), "{found}: {message}");
        }
        let mut wrong = page_header(u64::from(PAGE), 1, Version(17), 0);
        wrong[2] |= 2;
        assert_eq!(
            parse_page(&wrong, &expected(u64::from(PAGE))),
            Err(PageFault::Flags(2))
        );
        let mut other = expected(u64::from(SEGMENT));
        other.version = Some(Version(16));
        other.page_size = Some(8192);
        let header = page_header(u64::from(SEGMENT), 1, Version(17), 0);
        assert!(
            parse_page(&header, &other)
                .unwrap_err()
                .to_string()
                .contains("PostgreSQL 17")
        );
        other.version = None;
        assert_eq!(parse_page(&header, &other), Err(PageFault::PageSize(PAGE)));
        other.page_size = None;
        (other.at_least_timeline, other.at_most_timeline) = (2, None);
        let message = parse_page(&header, &other).unwrap_err().to_string();
        assert!(message.contains("after one of timeline 2"), "{message}");
    }

    #[test]
    fn too_few_bytes_are_no_panic() {
        let bytes = page_header(u64::from(SEGMENT), 1, Version(17), 0);
        for size in 0..bytes.len() {
            assert!(parse_page(&bytes[..size], &expected(u64::from(SEGMENT))).is_err());
        }
    }
}

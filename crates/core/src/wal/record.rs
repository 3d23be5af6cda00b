//! WAL records: the header, its CRC-32C, and what the body announces. Everything here is a view of the bytes.

use std::fmt;

use super::lsn::Lsn;
use super::page::{Version, u16_at, u32_at, u64_at};

/// Bytes of the header of a record.
pub const RECORD_HEADER: usize = 24;
/// Records begin at multiples of this.
pub const ALIGNMENT: u64 = 8;
/// The largest record that is believed in; PostgreSQL takes no more than this either.
pub const MAX_RECORD: u32 = 1 << 30;

const BLOCK_LIMIT: u8 = 32;
const TOPLEVEL_XID: u8 = 252;
const ORIGIN: u8 = 253;
const MAIN_LONG: u8 = 254;
const MAIN_SHORT: u8 = 255;

/// Resource managers whose records are looked into.
pub mod resource_manager {
    pub const XLOG: u8 = 0;
    pub const TRANSACTION: u8 = 1;
}

/// The header of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes of the record, this header included.
    pub total: u32,
    pub xid: u32,
    /// Where the record before begins.
    pub prev: Lsn,
    /// High nibble: the operation of the resource manager; low nibble: flags of the writer.
    pub info: u8,
    pub resource_manager: u8,
    pub crc: u32,
}

impl RecordHeader {
    /// Reads a header; `None` when there are too few bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= RECORD_HEADER).then(|| Self {
            total: u32_at(bytes, 0),
            xid: u32_at(bytes, 4),
            prev: Lsn(u64_at(bytes, 8)),
            info: bytes[16],
            resource_manager: bytes[17],
            crc: u32_at(bytes, 20),
        })
    }

    /// Whether there can be a resource manager of this number: 0 to 21 are PostgreSQL's, 128 on are of extensions.
    #[must_use]
    pub fn is_known_manager(&self) -> bool {
        self.resource_manager <= 21 || self.resource_manager >= 128
    }
}

/// The CRC-32C that a whole record (header first) should state: of the body, then of the header up to the CRC.
#[must_use]
pub fn record_crc(record: &[u8]) -> u32 {
    let (header, body) = record.split_at(RECORD_HEADER.min(record.len()));
    crc32c::crc32c_append(crc32c::crc32c(body), &header[..20.min(header.len())])
}

/// A whole record whose CRC and place in the chain are right.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// First byte of its header.
    pub lsn: Lsn,
    /// PostgreSQL's `EndRecPtr`: after its last byte, rounded up to 8; the end of the segment for a switch.
    pub end: Lsn,
    pub header: RecordHeader,
    /// All after the header.
    pub body: &'a [u8],
    /// Timeline of the page that it begins on.
    pub timeline: u32,
    pub version: Version,
}

/// The relation that a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Relation {
    pub tablespace: u32,
    pub database: u32,
    pub number: u32,
}

/// How a page image is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageCompression {
    None,
    Pglz,
    Lz4,
    Zstd,
}

/// An image of a page, without its hole of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image<'a> {
    pub bytes: &'a [u8],
    pub compression: ImageCompression,
    pub hole_offset: u16,
    /// Told for compressed images only; for others it is the page size less the bytes.
    pub hole_length: Option<u16>,
    pub has_hole: bool,
    /// Replay puts it in the place of the page; otherwise it is there for comparing.
    pub apply: bool,
}

/// A block that a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockReference<'a> {
    pub id: u8,
    pub relation: Relation,
    /// 0 main, 1 free space map, 2 visibility map, 3 init.
    pub fork: u8,
    pub block: u32,
    /// Replay makes the page anew.
    pub will_init: bool,
    pub image: Option<Image<'a>>,
    pub data: &'a [u8],
}

/// What a record holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Body<'a> {
    /// Ids rise.
    pub blocks: Vec<BlockReference<'a>>,
    pub origin: Option<u16>,
    /// 14 and newer.
    pub toplevel_xid: Option<u32>,
    pub main: &'a [u8],
}

/// Why a body is not one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyFault {
    /// A header or the data that it announces is longer than what is there.
    Short,
    /// Bytes are left over that no header announces.
    Surplus(usize),
    UnknownId(u8),
    /// Ids of blocks do not rise.
    Order(u8),
    /// `SAME_REL` on the first block.
    NoRelation(u8),
    /// Flags of a block or its image contradict lengths.
    Contradiction(u8),
}

impl fmt::Display for BodyFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => write!(formatter, "the record is shorter than what it announces"),
            Self::Surplus(bytes) => write!(
                formatter,
                "the record has {bytes} bytes that it does not announce"
            ),
            Self::UnknownId(id) => write!(formatter, "the record has a part of unknown kind {id}"),
            Self::Order(id) => write!(formatter, "block {id} of the record is out of order"),
            Self::NoRelation(id) => write!(formatter, "block {id} of the record belongs to no relation"),
            Self::Contradiction(id) => {
                write!(
                    formatter,
                    "flags and lengths of block {id} of the record contradict each other"
                )
            }
        }
    }
}

/// Takes bytes from the front.
struct Front<'a>(&'a [u8]);

impl<'a> Front<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], BodyFault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BodyFault::Short)?;
        self.0 = rest;
        Ok(taken)
    }
    fn u8(&mut self) -> Result<u8, BodyFault> {
        self.take(1).map(|bytes| bytes[0])
    }
    fn u16(&mut self) -> Result<u16, BodyFault> {
        self.take(2).map(|bytes| u16_at(bytes, 0))
    }
    fn u32(&mut self) -> Result<u32, BodyFault> {
        self.take(4).map(|bytes| u32_at(bytes, 0))
    }
}

/// A block's header: the block without its bytes, and how many there will be.
struct Announced {
    id: u8,
    relation: Relation,
    fork: u8,
    block: u32,
    will_init: bool,
    image: Option<(usize, Image<'static>)>,
    data: usize,
}

impl<'a> Body<'a> {
    /// Takes a body apart. `page_size` is that of relations (`BLCKSZ`), for the checks of images.
    ///
    /// # Errors
    /// The first thing that does not fit; PostgreSQL would not replay such a record either.
    pub fn parse(bytes: &'a [u8], version: Version, page_size: u32) -> Result<Self, BodyFault> {
        let mut front = Front(bytes);
        let mut announced: Vec<Announced> = Vec::new();
        let mut body = Self::default();
        let (mut total, mut main) = (0usize, 0usize);
        while front.0.len() > total {
            match front.u8()? {
                MAIN_SHORT => main = usize::from(front.u8()?),
                MAIN_LONG => main = front.u32()? as usize,
                ORIGIN => {
                    body.origin = Some(front.u16()?);
                    continue;
                }
                TOPLEVEL_XID if version.major() >= 14 => {
                    body.toplevel_xid = Some(front.u32()?);
                    continue;
                }
                id @ 0..=BLOCK_LIMIT => {
                    let block = block_header(id, &mut front, announced.last(), version, page_size)?;
                    total += block.data + block.image.as_ref().map_or(0, |(length, _)| *length);
                    announced.push(block);
                    continue;
                }
                id => return Err(BodyFault::UnknownId(id)),
            }
            // Main data is announced last: what follows is data.
            total = total.checked_add(main).ok_or(BodyFault::Short)?;
            break;
        }
        match front.0.len().checked_sub(total) {
            None => return Err(BodyFault::Short),
            Some(0) => {}
            Some(surplus) => return Err(BodyFault::Surplus(surplus)),
        }
        body.blocks.reserve_exact(announced.len());
        for block in announced {
            let image = match block.image {
                None => None,
                Some((length, image)) => Some(Image {
                    bytes: front.take(length)?,
                    ..image
                }),
            };
            body.blocks.push(BlockReference {
                id: block.id,
                relation: block.relation,
                fork: block.fork,
                block: block.block,
                will_init: block.will_init,
                image,
                data: front.take(block.data)?,
            });
        }
        body.main = front.take(main)?;
        Ok(body)
    }
}

fn block_header(
    id: u8,
    front: &mut Front<'_>,
    before: Option<&Announced>,
    version: Version,
    page_size: u32,
) -> Result<Announced, BodyFault> {
    const HAS_IMAGE: u8 = 0x10;
    const HAS_DATA: u8 = 0x20;
    const WILL_INIT: u8 = 0x40;
    const SAME_RELATION: u8 = 0x80;
    if before.is_some_and(|before| before.id >= id) {
        return Err(BodyFault::Order(id));
    }
    let flags = front.u8()?;
    let data = usize::from(front.u16()?);
    if (flags & HAS_DATA != 0) != (data > 0) {
        return Err(BodyFault::Contradiction(id));
    }
    let image = if flags & HAS_IMAGE == 0 {
        None
    } else {
        Some(image_header(id, front, version, page_size)?)
    };
    let relation = if flags & SAME_RELATION == 0 {
        Relation {
            tablespace: front.u32()?,
            database: front.u32()?,
            number: front.u32()?,
        }
    } else {
        before.ok_or(BodyFault::NoRelation(id))?.relation
    };
    Ok(Announced {
        id,
        relation,
        fork: flags & 0x0f,
        block: front.u32()?,
        will_init: flags & WILL_INIT != 0,
        image,
        data,
    })
}

fn image_header(
    id: u8,
    front: &mut Front<'_>,
    version: Version,
    page_size: u32,
) -> Result<(usize, Image<'static>), BodyFault> {
    const HAS_HOLE: u8 = 0x01;
    let length = front.u16()?;
    let hole_offset = front.u16()?;
    let info = front.u8()?;
    let has_hole = info & HAS_HOLE != 0;
    let (apply, compression) = if version.major() >= 15 {
        let compression = match info & 0x1c {
            0 => ImageCompression::None,
            0x04 => ImageCompression::Pglz,
            0x08 => ImageCompression::Lz4,
            0x10 => ImageCompression::Zstd,
            _ => return Err(BodyFault::Contradiction(id)),
        };
        (info & 0x02 != 0, compression)
    } else if info & 0x02 != 0 {
        (info & 0x04 != 0, ImageCompression::Pglz)
    } else {
        (info & 0x04 != 0, ImageCompression::None)
    };
    let compressed = compression != ImageCompression::None;
    let hole_length = match (compressed, has_hole) {
        (true, true) => Some(front.u16()?),
        (true, false) => Some(0),
        (false, _) => None,
    };
    let short = u32::from(length) < page_size;
    let sound = match (has_hole, compressed) {
        (true, _) => hole_offset > 0 && hole_length != Some(0) && short,
        (false, true) => hole_offset == 0 && short,
        (false, false) => hole_offset == 0 && u32::from(length) == page_size,
    };
    if !sound {
        return Err(BodyFault::Contradiction(id));
    }
    let image = Image {
        bytes: &[],
        compression,
        hole_offset,
        hole_length,
        has_hole,
        apply,
    };
    Ok((usize::from(length), image))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(major: u32) -> Version {
        Version::from_major(major).unwrap()
    }

    fn parse(bytes: &[u8]) -> Result<Body<'_>, BodyFault> {
        Body::parse(bytes, version(17), 8192)
    }

    /// Two blocks of one relation, the first with a compressed image with a hole and data; origin, top level, main data.
    fn sample() -> Vec<u8> {
        let mut bytes = vec![0, 0x30, 3, 0, 5, 0, 40, 0, 0x07, 0x10, 0];
        for number in [1663u32, 5, 16384, 77] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend([2, 0xc1, 0, 0]);
        bytes.extend(9u32.to_le_bytes());
        bytes.extend([253, 7, 0, 252]);
        bytes.extend(900u32.to_le_bytes());
        bytes.extend([255, 4]);
        bytes.extend(*b"imageabcmain");
        bytes
    }

    #[test]
    fn blocks_origin_and_main_data_are_found() {
        let bytes = sample();
        let body = parse(&bytes).unwrap();
        let relation = Relation {
            tablespace: 1663,
            database: 5,
            number: 16384,
        };
        assert_eq!(
            (body.origin, body.toplevel_xid, body.main),
            (Some(7), Some(900), &b"main"[..])
        );
        assert_eq!(body.blocks.len(), 2);
        let (first, second) = (&body.blocks[0], &body.blocks[1]);
        assert_eq!(
            (first.relation, first.fork, first.block, first.will_init),
            (relation, 0, 77, false)
        );
        assert_eq!(first.data, b"abc");
        let image = first.image.unwrap();
        assert_eq!(
            (image.bytes, image.compression),
            (&b"image"[..], ImageCompression::Pglz)
        );
        assert_eq!(
            (image.hole_offset, image.hole_length, image.apply),
            (40, Some(16), true)
        );
        assert_eq!(
            (second.id, second.relation, second.fork, second.block),
            (2, relation, 1, 9)
        );
        assert!(second.will_init && second.image.is_none() && second.data.is_empty());
    }

    #[test]
    fn images_of_13_and_14_have_other_bits() {
        let mut bytes = vec![0, 0x10, 0, 0, 5, 0, 40, 0, 0x05];
        bytes.extend([0; 16]);
        bytes.extend(*b"image");
        let body = Body::parse(&bytes, version(14), 8192).unwrap();
        let image = body.blocks[0].image.unwrap();
        assert_eq!(
            (image.compression, image.hole_length, image.apply),
            (ImageCompression::None, None, true)
        );
        // The same bits are "hole, pglz" from 15 on, where the length of the hole follows: one block less fits.
        assert!(parse(&bytes).is_err());
        bytes[8] = 0x03;
        bytes.splice(9..9, [8, 0]);
        let body = Body::parse(&bytes, version(13), 8192).unwrap();
        assert_eq!(body.blocks[0].image.unwrap().compression, ImageCompression::Pglz);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut long = vec![254];
        long.extend(5u32.to_le_bytes());
        assert_eq!(parse(&long), Err(BodyFault::Short));
        long.extend(*b"12345");
        assert_eq!(parse(&long).unwrap().main, b"12345");
        long.push(0);
        assert_eq!(parse(&long), Err(BodyFault::Surplus(1)));
        assert_eq!(parse(&[255, 0]).unwrap(), Body::default());
        assert_eq!(parse(&[]).unwrap(), Body::default());
        assert_eq!(parse(&[33]), Err(BodyFault::UnknownId(33)));
        assert_eq!(
            Body::parse(&[252, 0, 0, 0, 0], version(13), 8192),
            Err(BodyFault::UnknownId(252))
        );
        assert_eq!(parse(&[0, 0x80, 0, 0, 1, 1, 1, 1]), Err(BodyFault::NoRelation(0)));
        assert_eq!(parse(&[0, 0x20, 0, 0]), Err(BodyFault::Contradiction(0)));
        assert_eq!(parse(&[0, 0x00, 1, 0]), Err(BodyFault::Contradiction(0)));
        let mut twice = sample();
        twice[27] = 0;
        assert_eq!(parse(&twice), Err(BodyFault::Order(0)));
        for (at, value) in [(6, 0), (9, 0), (5, 0x20), (8, 0x0f)] {
            let mut wrong = sample();
            wrong[at] = value;
            assert!(parse(&wrong).is_err(), "{at}");
        }
        for size in 0..sample().len() {
            assert_ne!(parse(&sample()[..size]), parse(&sample()), "{size} bytes");
        }
    }

    #[test]
    fn any_bytes_are_no_panic() {
        proptest::proptest!(|(bytes: Vec<u8>, major in 13u32..=18)| {
            if let Ok(body) = Body::parse(&bytes, version(major), 8192) {
                let sum: usize = body.blocks.iter()
                    .map(|block| block.data.len() + block.image.map_or(0, |image| image.bytes.len())).sum();
                assert!(sum + body.main.len() <= bytes.len());
            }
        });
    }
}

//! `global/pg_control`, as PostgreSQL 13 to 18 write it on little-endian hosts: control versions 1300 (13 to 16),
//! 1700 and 1800.

use crate::{Error, Result};

/// What a control file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlFile {
    pub system_identifier: u64,
    /// 1300, 1700 or 1800.
    pub control_version: u32,
    pub catalog_version: u32,
    /// 0 starting up, 1 shut down, 2 shut down in recovery, 3 shutting down, 4 in crash recovery, 5 in archive
    /// recovery, 6 in production.
    pub state: u32,
    /// LSN of the last checkpoint record.
    pub checkpoint: u64,
    /// LSN where replay from that checkpoint begins.
    pub redo: u64,
    pub timeline: u32,
    pub previous_timeline: u32,
    pub min_recovery_point: u64,
    pub min_recovery_timeline: u32,
    pub backup_start: u64,
    pub backup_end: u64,
    pub backup_end_required: bool,
    pub wal_level: i32,
    /// Bytes of a page.
    pub block_size: u32,
    /// Pages of a segment of a relation.
    pub relseg_size: u32,
    pub wal_block_size: u32,
    /// Bytes of a WAL segment.
    pub wal_segment_size: u32,
    /// 0 when the cluster has no page checksums.
    pub data_checksum_version: u32,
}

impl ControlFile {
    /// The major version, told by the catalogue version; `None` for one that is not known.
    #[must_use]
    pub fn major_version(&self) -> Option<u32> {
        match self.catalog_version {
            202_007_201 => Some(13),
            202_107_181 => Some(14),
            202_209_061 => Some(15),
            202_307_071 => Some(16),
            202_406_281 => Some(17),
            202_506_291 => Some(18),
            _ => None,
        }
    }
}

/// Reads a control file and checks its CRC-32C and that its sizes make sense.
///
/// # Errors
/// `CORRUPT` when it is too short, of an unknown version, or damaged.
pub fn read_control(bytes: &[u8]) -> Result<ControlFile> {
    let version = u32_at(bytes, 8)?;
    let crc_at = match version {
        1300 | 1700 => 288,
        1800 => 292,
        other if other.swap_bytes() == 1300 || other.swap_bytes() == 1700 || other.swap_bytes() == 1800 => {
            return Err(Error::corrupt(
                "the control file comes from a host of the other byte order",
            ));
        }
        other => {
            return Err(Error::corrupt(format!(
                "the control file has version {other}; 1300, 1700 and 1800 are known"
            ))
            .hint("PostgreSQL 13 to 18 are supported"));
        }
    };
    let stated = u32_at(bytes, crc_at)?;
    let found = crc32c::crc32c(&bytes[..crc_at]);
    if stated != found {
        return Err(Error::corrupt(format!(
            "the control file is damaged: its CRC is {stated:08x}, its bytes have {found:08x}"
        )));
    }
    let control = ControlFile {
        system_identifier: u64_at(bytes, 0)?,
        control_version: version,
        catalog_version: u32_at(bytes, 12)?,
        state: u32_at(bytes, 16)?,
        checkpoint: u64_at(bytes, 32)?,
        redo: u64_at(bytes, 40)?,
        timeline: u32_at(bytes, 48)?,
        previous_timeline: u32_at(bytes, 52)?,
        min_recovery_point: u64_at(bytes, 136)?,
        min_recovery_timeline: u32_at(bytes, 144)?,
        backup_start: u64_at(bytes, 152)?,
        backup_end: u64_at(bytes, 160)?,
        backup_end_required: bytes[168] != 0,
        wal_level: u32_at(bytes, 172)?.cast_signed(),
        block_size: u32_at(bytes, 216)?,
        relseg_size: u32_at(bytes, 220)?,
        wal_block_size: u32_at(bytes, 224)?,
        wal_segment_size: u32_at(bytes, 228)?,
        data_checksum_version: u32_at(bytes, 252)?,
    };
    check_sizes(&control)?;
    Ok(control)
}

fn check_sizes(control: &ControlFile) -> Result<()> {
    let block = control.block_size;
    let segment = control.wal_segment_size;
    if !block.is_power_of_two() || !(1024..=32768).contains(&block) || control.relseg_size == 0 {
        return Err(Error::corrupt(format!(
            "the control file states a block size of {block} bytes"
        )));
    }
    if !segment.is_power_of_two() || !(1 << 20..=1 << 30).contains(&segment) {
        return Err(Error::corrupt(format!(
            "the control file states WAL segments of {segment} bytes"
        )));
    }
    Ok(())
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let found = bytes.get(at..at + N).and_then(|part| part.try_into().ok());
    found.ok_or_else(|| Error::corrupt(format!("the control file has {} bytes only", bytes.len())))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32> {
    part(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Result<u64> {
    part(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A control file of the given version with believable values.
    pub(crate) fn control_file(version: u32, system_identifier: u64) -> Vec<u8> {
        let mut bytes = vec![0; 8192];
        bytes[..8].copy_from_slice(&system_identifier.to_le_bytes());
        let mut put = |at: usize, value: u32| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        put(8, version);
        put(12, 202_307_071);
        put(48, 1);
        put(216, 8192);
        put(220, 131_072);
        put(224, 8192);
        put(228, 16 << 20);
        put(252, 1);
        let crc_at = if version == 1800 { 292 } else { 288 };
        let crc = crc32c::crc32c(&bytes[..crc_at]);
        bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn the_three_versions_are_read() {
        for version in [1300, 1700, 1800] {
            let control = read_control(&control_file(version, 7_710_222_501_349_654_523)).unwrap();
            assert_eq!(control.system_identifier, 7_710_222_501_349_654_523);
            assert_eq!((control.block_size, control.wal_segment_size), (8192, 16 << 20));
            assert_eq!(control.data_checksum_version, 1);
            assert_eq!(control.major_version(), Some(16));
        }
    }

    #[test]
    fn damage_is_noticed() {
        for at in 0..292 {
            let mut bytes = control_file(1300, 5);
            bytes[at] ^= 1;
            assert!(read_control(&bytes).is_err(), "byte {at}");
        }
        for size in 0..292 {
            assert!(
                read_control(&control_file(1700, 5)[..size]).is_err(),
                "{size} bytes"
            );
        }
        assert!(read_control(&control_file(1900, 5)).is_err());
    }

    /// The first 512 bytes of `pg_control` as `initdb --data-checksums` of each major version wrote it.
    const REAL_FILES: [(u32, &[u8]); 5] = [
        (14, include_bytes!("samples/pg_control-14")),
        (15, include_bytes!("samples/pg_control-15")),
        (16, include_bytes!("samples/pg_control-16")),
        (17, include_bytes!("samples/pg_control-17")),
        (18, include_bytes!("samples/pg_control-18")),
    ];

    #[test]
    fn files_of_real_servers_are_read() {
        for (major, bytes) in REAL_FILES {
            let control = read_control(bytes).unwrap();
            assert_eq!(control.major_version(), Some(major));
            assert_eq!((control.block_size, control.relseg_size), (8192, 131_072));
            assert_eq!(
                (control.wal_block_size, control.wal_segment_size),
                (8192, 16 << 20)
            );
            assert_eq!(control.data_checksum_version, 1);
            assert_eq!((control.timeline, control.previous_timeline), (1, 1));
            assert!(control.checkpoint >= control.redo && control.redo > 0);
        }
    }
}

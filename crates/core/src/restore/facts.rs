//! Facts of a backup, from `backup.json` or, for backups of pgmoneta in C, from `backup.info`.

use crate::cipher::{CipherMode, LegacyMode};
use crate::codec::Codec;
use crate::manifest::{BackupHeader, text};
use crate::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// Longest `backup.info` that is read.
const MAX_INFO: u64 = 4 * 1024 * 1024;

/// What is recorded about a backup as a whole; absent values were not recorded.
#[derive(Debug, Clone, Default)]
pub struct BackupFacts {
    pub label: String,
    pub system_identifier: Option<u64>,
    pub major_version: Option<u32>,
    pub start_lsn: Option<u64>,
    pub block_size: Option<u32>,
    pub relseg_size: Option<u32>,
    pub wal_segment_size: Option<u64>,
    pub codec: Option<Codec>,
    /// Whether files are said to be sealed.
    pub sealed: bool,
    pub cipher: Option<CipherMode>,
    /// What the code of the cipher meant up to 0.20.
    pub legacy_cipher: Option<LegacyMode>,
    /// OID, and directory `tblspc_<name>`.
    pub tablespaces: Vec<(String, String)>,
}

impl BackupFacts {
    /// Takes them from the header of `backup.json`.
    pub fn of_header(header: &BackupHeader) -> Self {
        let nonzero = |value: u32| (value != 0).then_some(value);
        let codec = header
            .compression
            .trim_start_matches("client-")
            .trim_start_matches("server-");
        Self {
            label: header.label.clone(),
            system_identifier: header.system_identifier.parse().ok(),
            major_version: nonzero(header.major_version),
            start_lsn: header.start(),
            block_size: nonzero(header.block_size),
            relseg_size: nonzero(header.relseg_size),
            wal_segment_size: (header.wal_segment_size != 0).then_some(header.wal_segment_size),
            codec: Codec::from_name(codec).ok(),
            sealed: !header.encryption.is_empty() && header.encryption != "none",
            cipher: CipherMode::from_name(&header.encryption).ok(),
            legacy_cipher: None,
            tablespaces: header
                .tablespaces
                .iter()
                .map(|space| (space.oid.clone(), format!("tblspc_{}", space.name)))
                .collect(),
        }
    }

    /// Takes them from `backup.info` in the directory of a backup; without the file nothing is known.
    ///
    /// # Errors
    /// `IO`; `CORRUPT` when it is too long.
    pub fn of_info(directory: &Path) -> Result<Self> {
        let path = directory.join("backup.info");
        let size = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(Error::io("look at", &path, &error)),
        };
        if size > MAX_INFO {
            return Err(Error::corrupt(format!("a backup.info has no {size} bytes")).at(&path));
        }
        let bytes = std::fs::read(&path).map_err(|error| Error::io("read", &path, &error))?;
        Ok(Self::of_info_text(&String::from_utf8_lossy(&bytes)))
    }

    fn of_info_text(info: &str) -> Self {
        let values: HashMap<&str, &str> = info.lines().filter_map(|line| line.split_once('=')).collect();
        let text = |key: &str| values.get(key).copied().unwrap_or_default();
        let number = |key: &str| text(key).parse::<u32>().ok();
        let encryption = number("ENCRYPTION").unwrap_or(0);
        let old = is_before_0_21(text("PGMONETA_VERSION"));
        let count = number("TABLESPACES").unwrap_or(0).min(10_000);
        let tablespace = |index: u32| {
            let name = text(&format!("TABLESPACE{index}")).to_owned();
            let oid = text(&format!("TABLESPACE_OID{index}")).to_owned();
            (!name.is_empty() && !oid.is_empty()).then_some((oid, name))
        };
        Self {
            label: text("LABEL").to_owned(),
            major_version: number("MAJOR_VERSION"),
            start_lsn: text::parse_lsn(text("START_WALPOS")),
            codec: number("COMPRESSION").and_then(Codec::from_info_code),
            sealed: encryption != 0,
            cipher: if old {
                None
            } else {
                CipherMode::from_code(encryption)
            },
            legacy_cipher: LegacyMode::from_code(encryption),
            tablespaces: (1..=count).filter_map(tablespace).collect(),
            ..Self::default()
        }
    }
}

fn is_before_0_21(version: &str) -> bool {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    matches!((parts.next(), parts.next()), (Some(0), Some(minor)) if minor < 21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_is_read() {
        let facts = BackupFacts::of_info_text(
            "PGMONETA_VERSION=0.21.0\nSTATUS=1\nLABEL=20260102030405\nMAJOR_VERSION=16\nTABLESPACES=1\nCOMPRESSION=18\n\
             ENCRYPTION=1\nTABLESPACE1=tblspc_fast\nTABLESPACE_OID1=16384\nTABLESPACE_PATH1=/mnt/fast\n\
             START_WALPOS=0/2000028\n",
        );
        assert_eq!(facts.label, "20260102030405");
        assert_eq!(facts.codec, Some(Codec::Zstd));
        assert_eq!(facts.cipher, Some(CipherMode::Aes256Gcm));
        assert_eq!(
            facts.tablespaces,
            [("16384".to_owned(), "tblspc_fast".to_owned())]
        );
        assert_eq!(facts.start_lsn, Some(0x0200_0028));
        let old = BackupFacts::of_info_text("PGMONETA_VERSION=0.20.1\nENCRYPTION=1\n");
        assert_eq!(
            (old.sealed, old.cipher, old.legacy_cipher),
            (true, None, Some(LegacyMode::Aes256Cbc))
        );
    }
}

//! Where members of the archives go.

use crate::Result;

/// One archive of a base backup: the cluster itself, or one tablespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// For messages: `base.tar`, or `<oid>.tar`.
    pub name: String,
    /// What PostgreSQL's manifest puts before the member's path: nothing, or `pg_tblspc/<oid>/`.
    pub prefix: Vec<u8>,
    /// Directory below the backup, with a slash at its end: `data/`, or `tblspc_<name>/`.
    pub directory: Vec<u8>,
}

/// Where one file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As PostgreSQL's manifest names it.
    pub path: Vec<u8>,
    /// Below the directory of the backup, with suffixes.
    pub stored: Vec<u8>,
    /// Neither compressed nor sealed: other programs read these files.
    pub raw: bool,
}

impl Archive {
    /// The archive of the data directory.
    #[must_use]
    pub fn base() -> Self {
        Self {
            name: "base.tar".to_owned(),
            prefix: Vec::new(),
            directory: b"data/".to_vec(),
        }
    }

    /// The archive of a tablespace.
    ///
    /// # Errors
    /// `USAGE` when `oid` is no number or the name is empty.
    pub fn tablespace(oid: &str, name: &str) -> Result<Self> {
        let usable = !oid.is_empty() && oid.len() <= 10 && oid.bytes().all(|byte| byte.is_ascii_digit());
        if !usable || name.is_empty() {
            let message = format!("{name:?} with the OID {oid:?} is no tablespace");
            return Err(crate::Error::new(crate::Code::Usage, message));
        }
        Ok(Self {
            name: format!("{oid}.tar"),
            prefix: format!("pg_tblspc/{oid}/").into_bytes(),
            directory: format!("{}/", tablespace_directory(name)).into_bytes(),
        })
    }

    /// The path that the manifest has for a member.
    #[must_use]
    pub fn path(&self, member: &[u8]) -> Vec<u8> {
        [&self.prefix, member].concat()
    }

    /// Where a regular file goes; `suffix` is that of codec and cipher together.
    #[must_use]
    pub fn place(&self, member: &[u8], suffix: &str) -> Place {
        let raw = member.ends_with(b"backup_label") || member.ends_with(b"backup_manifest");
        let suffix = if raw { "" } else { suffix };
        Place {
            path: self.path(member),
            stored: [&self.directory, member, suffix.as_bytes()].concat(),
            raw,
        }
    }
}

/// The directory of a tablespace beside `data/`: `tblspc_<name>`, where slashes and control characters are
/// percent-encoded. A percent sign stays as it is, so that a name that was encoded before is not changed.
#[must_use]
pub fn tablespace_directory(name: &str) -> String {
    let mut directory = "tblspc_".to_owned();
    for letter in name.chars() {
        if letter.is_ascii_control() || letter == '/' {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                directory.push_str(&format!("%{byte:02X}"));
            }
        } else {
            directory.push(letter);
        }
    }
    directory
}

/// Whether PostgreSQL leaves a file out of its manifest: WAL is proved by its own checksums.
#[must_use]
pub fn is_wal(path: &[u8]) -> bool {
    path.starts_with(b"pg_wal/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_and_exemptions() {
        let base = Archive::base();
        let place = base.place(b"base/1/1259", ".zstd.aes");
        assert_eq!(
            (place.stored.as_slice(), place.raw),
            (&b"data/base/1/1259.zstd.aes"[..], false)
        );
        for raw in ["backup_label", "backup_manifest", "x/old_backup_label"] {
            assert!(base.place(raw.as_bytes(), ".gz").raw);
            assert!(base.place(raw.as_bytes(), ".gz").stored.ends_with(raw.as_bytes()));
        }
        assert!(!base.place(b"tablespace_map", ".gz").raw);
    }

    #[test]
    fn tablespaces_have_a_directory_and_a_prefix() {
        let place = Archive::tablespace("16384", "fast")
            .unwrap()
            .place(b"PG_17_1/5/6", "");
        assert_eq!(place.path, b"pg_tblspc/16384/PG_17_1/5/6");
        assert_eq!(place.stored, b"tblspc_fast/PG_17_1/5/6");
        for (oid, name) in [
            ("", "x"),
            ("1x", "x"),
            ("../1", "x"),
            ("1", ""),
            ("99999999999", "x"),
        ] {
            assert!(Archive::tablespace(oid, name).is_err());
        }
    }

    #[test]
    fn tablespace_names_become_safe_components() {
        assert_eq!(tablespace_directory("..a b é"), "tblspc_..a b é");
        assert_eq!(tablespace_directory("a/b%2Fc=d\n"), "tblspc_a%2Fb%2Fc=d%0A");
    }
}

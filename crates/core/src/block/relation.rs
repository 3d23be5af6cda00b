//! Names of relation files: which files consist of pages, and where a file begins in its relation.

/// A segment of one fork of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelationSegment {
    /// 0 for the first file, which has no number in its name.
    pub number: u32,
}

/// Tells whether a path of a cluster is a file of pages: `<digits>[_fsm|_vm|_init][.<segment>]` in `global`, in a
/// directory of `base`, or in a database's directory of a tablespace. `None` for all other files.
#[must_use]
pub fn relation_segment(path: &[u8]) -> Option<RelationSegment> {
    let path = std::str::from_utf8(path).ok()?;
    let parts: Vec<&str> = path.split('/').collect();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match parts.as_slice() {
        ["global", name] => name,
        ["base", database, name] if digits(database) => name,
        ["pg_tblspc", oid, version, database, name]
            if digits(oid) && version.starts_with("PG_") && digits(database) =>
        {
            name
        }
        _ => return None,
    };
    let (name, number) = match name.split_once('.') {
        Some((name, number)) if digits(number) => (name, number.parse().ok()?),
        Some(_) => return None,
        None => (*name, 0),
    };
    let node = ["_fsm", "_vm", "_init"]
        .iter()
        .find_map(|fork| name.strip_suffix(fork))
        .unwrap_or(name);
    digits(node).then_some(RelationSegment { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell() {
        let number = |path: &str| relation_segment(path.as_bytes()).map(|segment| segment.number);
        assert_eq!(number("base/1/1259"), Some(0));
        assert_eq!(number("base/1/1259_fsm"), Some(0));
        assert_eq!(number("base/1/16384_vm.2"), Some(2));
        assert_eq!(number("global/1262"), Some(0));
        assert_eq!(number("pg_tblspc/16384/PG_17_202406281/5/16385.1"), Some(1));
        for other in [
            "global/pg_control",
            "base/1/PG_VERSION",
            "base/1/t3_16384",
            "base/1/1259_x",
            "base/1/1259.x",
            "1259",
            "base/pgsql_tmp/1",
            "pg_xact/0000",
            "pg_wal/000000010000000000000001",
            "base/1/1259.99999999999",
            "base/1/INCREMENTAL.1259",
            "pg_tblspc/16384/x/5/16385",
        ] {
            assert_eq!(number(other), None, "{other}");
        }
    }
}

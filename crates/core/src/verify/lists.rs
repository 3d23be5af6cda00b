//! What is stored beside the files of the cluster, and what should not be there.

use super::file::check_stored;
use super::finding::{Finding, Reason};
use crate::Result;
use crate::manifest::HashListReader;
use crate::restore::{Inventory, Job, StoredDigests, TreeKind, walk};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path under which a file of `backup.sha512` is known: lists of pgmoneta in C may name the files of a tablespace
/// through the link below `pg_tblspc`.
pub fn translate(inventory: Option<&Inventory>, path: &[u8]) -> Vec<u8> {
    let through_link = path.strip_prefix(b"data/pg_tblspc/").and_then(|rest| {
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        let space = inventory?
            .tablespaces
            .iter()
            .find(|space| space.oid.as_bytes() == &rest[..slash])?;
        Some([space.directory.as_slice(), &rest[slash..]].concat())
    });
    through_link.unwrap_or_else(|| path.to_vec())
}

/// Checks the files of `backup.sha512` that are not files of the cluster (or all, when the inventory could not be read).
///
/// # Errors
/// `CANCELLED`; `IO` and `CORRUPT` of the list itself.
pub fn check_others(
    directory: &Path,
    inventory: Option<&Inventory>,
    digests: &StoredDigests,
    job: &Job,
    found: &mut dyn FnMut(Finding),
) -> Result<()> {
    let list = directory.join("backup.sha512");
    if !digests.is_present() {
        return Ok(());
    }
    let mut reader = HashListReader::open(&list)?;
    while let Some(line) = reader.next_line()? {
        job.check()?;
        let path = translate(inventory, &line.path);
        if !digests.was_asked(&path) {
            let expected = digests.get(&path);
            found(check_stored(
                &directory.join(OsStr::from_bytes(&path)),
                &path,
                expected,
            ));
        }
    }
    Ok(())
}

/// Files in `data/` and the tablespaces that the inventory does not know.
///
/// # Errors
/// `IO`, `CANCELLED`.
pub fn surplus(inventory: &Inventory, job: &Job, found: &mut dyn FnMut(Finding)) -> Result<()> {
    if !inventory.ours {
        inventory
            .surplus
            .iter()
            .for_each(|path| found(surplus_file(path)));
        return Ok(());
    }
    let expected: HashSet<u128> = inventory
        .files
        .iter()
        .map(|file| short(&inventory.stored_path(file)))
        .collect();
    let mut roots = vec![b"data".to_vec()];
    roots.extend(inventory.tablespaces.iter().map(|space| space.directory.clone()));
    for root in roots {
        walk(
            &inventory.directory.join(OsStr::from_bytes(&root)),
            &mut |entry| {
                job.check()?;
                let path = [root.as_slice(), b"/", &entry.path].concat();
                let link_of_tablespace =
                    matches!(entry.kind, TreeKind::Link { .. }) && path.starts_with(b"data/pg_tblspc/");
                let fine = entry.kind == TreeKind::Directory
                    || link_of_tablespace
                    || path == b"data/backup_manifest";
                if !fine && !expected.contains(&short(&path)) {
                    found(surplus_file(&path));
                }
                Ok(())
            },
        )?;
    }
    Ok(())
}

fn surplus_file(path: &[u8]) -> Finding {
    Finding::new(
        path,
        Reason::Surplus,
        format!("{} is in no list of the backup", path.escape_ascii()),
    )
}

fn short(path: &[u8]) -> u128 {
    let mut first = [0; 16];
    first.copy_from_slice(&blake3::hash(path).as_bytes()[..16]);
    u128::from_le_bytes(first)
}

//! The inventory of a backup that pgmoneta in C made: the stored tree is matched with PostgreSQL's manifest, with the
//! SHA-512 of plain bytes in `backup.manifest`, and for the rest with the SHA-512 of stored bytes.

use super::evidence::Evidence;
use super::facts::BackupFacts;
use super::inventory::{BackupFile, Inventory, ManifestFacts, StoredTablespace, split_tablespace};
use super::ours::check_lists;
use super::source::resolve_link;
use super::stored_digests::StoredDigests;
use super::suffix::{Wrapping, is_exempt};
use super::tree::{TreeKind, walk};
use crate::codec::Codec;
use crate::digest::DigestValue;
use crate::manifest::{ChecksumAlgorithm, HashListReader, ManifestFile, PgManifestReader, PlainListReader};
use crate::{Error, Result};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Stored files by path relative to the backup, with their sizes; taken out as they are matched.
type Tree = HashMap<Vec<u8>, u64>;

/// Reads the tree and the lists.
///
/// # Errors
/// `IO`; `CORRUPT` when one of the lists is damaged, or there is nothing to restore.
pub fn read(directory: &Path) -> Result<Inventory> {
    if !directory.join("data").is_dir() {
        return Err(
            Error::corrupt("this is not a backup: it has neither backup.json nor data/")
                .at(directory)
                .hint("give the directory of one backup, <base_dir>/<server>/backup/<label>"),
        );
    }
    let mut inventory = Inventory {
        directory: directory.to_path_buf(),
        ours: false,
        facts: BackupFacts::of_info(directory)?,
        files: Vec::new(),
        directories: Vec::new(),
        tablespaces: Vec::new(),
        links: Vec::new(),
        missing: Vec::new(),
        surplus: Vec::new(),
        manifest: None,
        warnings: Vec::new(),
    };
    let mut tree = Tree::new();
    walk_data(&mut inventory, &mut tree)?;
    walk_tablespaces(&mut inventory, &mut tree)?;
    tree.remove(&b"data/backup_manifest"[..]);
    check_lists(directory, &["backup.manifest", "data/backup_manifest"])?;
    let listed = match_manifest(&mut inventory, &mut tree)? | match_plain_list(&mut inventory, &mut tree)?;
    match_rest(&mut inventory, tree, listed)?;
    Ok(inventory)
}

fn walk_data(inventory: &mut Inventory, tree: &mut Tree) -> Result<()> {
    let root = inventory.directory.join("data");
    let mut links = Vec::new();
    let (directories, warnings) = (&mut inventory.directories, &mut inventory.warnings);
    walk(&root, &mut |entry| {
        match entry.kind {
            TreeKind::Directory => directories.push(entry.path.into_boxed_slice()),
            TreeKind::File => add_file(tree, &root, b"data/", entry.path)?,
            TreeKind::Link { target } if is_tablespace_link(&entry.path) => links.push((entry.path, target)),
            TreeKind::Link { .. } => add_file(tree, &root, b"data/", entry.path)?,
            TreeKind::Other => warnings.push(format!("{} is no regular file", entry.path.escape_ascii())),
        }
        Ok(())
    })?;
    for (path, target) in links {
        let oid = String::from_utf8_lossy(&path["pg_tblspc/".len()..]).into_owned();
        let recorded = inventory
            .facts
            .tablespaces
            .iter()
            .find(|(known, _)| *known == oid);
        let target = target.strip_suffix(b"/").unwrap_or(&target);
        let named = target.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let directory = recorded.map_or_else(|| named.to_vec(), |(_, name)| name.clone().into_bytes());
        if !inventory.directory.join(OsStr::from_bytes(&directory)).is_dir() {
            return Err(Error::corrupt(format!(
                "the files of tablespace {oid} should be in {}, which is missing",
                directory.escape_ascii()
            ))
            .at(&inventory.directory));
        }
        inventory.tablespaces.push(StoredTablespace { oid, directory });
    }
    Ok(())
}

fn is_tablespace_link(path: &[u8]) -> bool {
    path.strip_prefix(b"pg_tblspc/")
        .is_some_and(|oid| oid.iter().all(u8::is_ascii_digit))
}

fn walk_tablespaces(inventory: &mut Inventory, tree: &mut Tree) -> Result<()> {
    for space in &inventory.tablespaces {
        let root = inventory.directory.join(OsStr::from_bytes(&space.directory));
        let prefix = [&space.directory, &b"/"[..]].concat();
        let in_cluster = format!("pg_tblspc/{}/", space.oid).into_bytes();
        let (directories, warnings) = (&mut inventory.directories, &mut inventory.warnings);
        walk(&root, &mut |entry| {
            match entry.kind {
                TreeKind::Directory => {
                    directories.push([in_cluster.as_slice(), &entry.path].concat().into_boxed_slice());
                }
                TreeKind::File | TreeKind::Link { .. } => add_file(tree, &root, &prefix, entry.path)?,
                TreeKind::Other => warnings.push(format!("{} is no regular file", entry.path.escape_ascii())),
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Links of deduplication are followed; one that leads nowhere counts as an empty file here, and opening it tells why.
fn add_file(tree: &mut Tree, root: &Path, prefix: &[u8], path: Vec<u8>) -> Result<()> {
    let file = root.join(OsStr::from_bytes(&path));
    let size = resolve_link(&file)
        .and_then(std::fs::metadata)
        .map_or(0, |found| found.len());
    tree.insert([prefix, &path].concat(), size);
    Ok(())
}

/// Finds the stored file of a path of the cluster, by the names it can have.
fn take(inventory: &Inventory, tree: &mut Tree, path: &[u8]) -> Option<BackupFile> {
    let tablespace = split_tablespace(path).and_then(|(oid, _)| inventory.tablespace_index(oid));
    let base = inventory.stored_base(tablespace, path);
    let usual = usual_wrapping(&inventory.facts, path);
    for wrapping in std::iter::once(usual).chain(Wrapping::all()) {
        let stored = [&base, wrapping.suffix().as_bytes()].concat();
        if let Some(stored_size) = tree.remove(&stored) {
            return Some(BackupFile {
                path: path.into(),
                tablespace,
                wrapping,
                mode: 0o600,
                size: None,
                stored_size,
                block_length: None,
                sources: None,
                evidence: Evidence::None,
                record: None,
                has_pieces: false,
            });
        }
    }
    None
}

fn usual_wrapping(facts: &BackupFacts, path: &[u8]) -> Wrapping {
    if is_exempt(path) {
        return Wrapping::PLAIN;
    }
    Wrapping {
        codec: facts.codec.unwrap_or(Codec::None),
        sealed: facts.sealed,
    }
}

/// Answers whether there is a list.
fn match_manifest(inventory: &mut Inventory, tree: &mut Tree) -> Result<bool> {
    let path = inventory.directory.join("data/backup_manifest");
    if !path.exists() {
        inventory.warnings.push(format!(
            "{} is missing: pg_verifybackup cannot be used",
            path.display()
        ));
        return Ok(false);
    }
    let mut first = None;
    let mut reader = PgManifestReader::open(&path)?;
    while let Some(ManifestFile {
        path,
        size,
        algorithm,
        checksum,
        ..
    }) = reader.next_file()?
    {
        first.get_or_insert(algorithm);
        match take(inventory, tree, &path) {
            Some(mut file) => {
                file.size = Some(size);
                file.evidence = Evidence::of_manifest(algorithm, &checksum);
                inventory.files.push(file);
            }
            None => inventory.missing.push(path),
        }
    }
    let summary = reader.finish()?;
    inventory.facts.system_identifier = summary.system_identifier;
    inventory.manifest = Some(ManifestFacts {
        version: summary.version,
        algorithm: first.unwrap_or(ChecksumAlgorithm::None),
    });
    inventory.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    if let Some(pair) = inventory
        .files
        .windows(2)
        .find(|pair| pair[0].path == pair[1].path)
    {
        let name = pair[0].path.escape_ascii().to_string();
        return Err(Error::corrupt(format!("the manifest lists {name} twice")).at(&inventory.directory));
    }
    Ok(true)
}

/// `backup.manifest` proves more than a manifest with a weaker checksum or none, and stands in for a lost one.
fn match_plain_list(inventory: &mut Inventory, tree: &mut Tree) -> Result<bool> {
    let path = inventory.directory.join("backup.manifest");
    if !path.exists() {
        return Ok(false);
    }
    let sorted = inventory.files.len();
    let mut reader = PlainListReader::open(&path)?;
    while let Some(line) = reader.next_line()? {
        let evidence = Evidence::of_manifest(line.algorithm, &line.checksum);
        let known = inventory.files[..sorted].binary_search_by(|file| (*file.path).cmp(line.path.as_slice()));
        match known {
            Ok(index) => {
                let file = &mut inventory.files[index];
                if evidence.strength() > file.evidence.strength() {
                    file.evidence = evidence;
                }
            }
            Err(_) if line.path == b"backup_manifest" => {}
            Err(_) => match take(inventory, tree, &line.path) {
                Some(file) => inventory.files.push(BackupFile { evidence, ..file }),
                None if inventory.missing.contains(&line.path) => {}
                None => inventory.missing.push(line.path),
            },
        }
    }
    Ok(true)
}

/// What no list names: WAL belongs to the backup, other files only when there is no list at all.
fn match_rest(inventory: &mut Inventory, tree: Tree, listed: bool) -> Result<()> {
    let digests = StoredDigests::read(&inventory.directory, <[u8]>::to_vec)?;
    missing_wal(inventory, &tree)?;
    for (stored, stored_size) in tree {
        let Some((path, tablespace, wrapping)) = true_name(inventory, &stored) else {
            continue;
        };
        if listed && !Inventory::is_unlisted(&path) {
            inventory.surplus.push(stored);
            continue;
        }
        let digest = digests.get(&stored).and_then(|digest| DigestValue::new(digest));
        inventory.files.push(BackupFile {
            path: path.into_boxed_slice(),
            tablespace,
            wrapping,
            mode: 0o600,
            size: (wrapping == Wrapping::PLAIN).then_some(stored_size),
            stored_size,
            block_length: None,
            sources: None,
            evidence: digest.map_or(Evidence::None, Evidence::Stored),
            record: None,
            has_pieces: false,
        });
    }
    Ok(())
}

/// WAL that only `backup.sha512` tells of.
fn missing_wal(inventory: &mut Inventory, tree: &Tree) -> Result<()> {
    let list = inventory.directory.join("backup.sha512");
    if !list.exists() {
        return Ok(());
    }
    let mut reader = HashListReader::open(&list)?;
    while let Some(line) = reader.next_line()? {
        if line.path.starts_with(b"data/pg_wal/")
            && !tree.contains_key(&line.path)
            && let Some((path, ..)) = true_name(inventory, &line.path)
        {
            inventory.missing.push(path);
        }
    }
    Ok(())
}

fn true_name(inventory: &Inventory, stored: &[u8]) -> Option<(Vec<u8>, Option<u16>, Wrapping)> {
    let split = |name: &[u8]| {
        let usual = usual_wrapping(&inventory.facts, name);
        match name.strip_suffix(usual.suffix().as_bytes()) {
            Some(path) if usual != Wrapping::PLAIN => (path.to_vec(), usual),
            _ => {
                let (path, wrapping) = Wrapping::split(name);
                (path.to_vec(), wrapping)
            }
        }
    };
    if let Some(name) = stored.strip_prefix(b"data/") {
        let (path, wrapping) = split(name);
        return Some((path, None, wrapping));
    }
    let (index, space) = inventory.tablespaces.iter().enumerate().find(|(_, space)| {
        stored.starts_with(&space.directory) && stored.get(space.directory.len()) == Some(&b'/')
    })?;
    let (path, wrapping) = split(&stored[space.directory.len() + 1..]);
    let path = [b"pg_tblspc/", space.oid.as_bytes(), b"/", &path].concat();
    Some((path, u16::try_from(index).ok(), wrapping))
}

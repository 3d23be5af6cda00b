//! What can be known of a chain before the first byte is written: that its backups belong together, in this order.

use super::super::source::StoredBackup;
use super::ChainOptions;
use super::label::{self, Label, MAX_LABEL};
use crate::block::{BlockShape, ControlFile, read_control};
use crate::{Error, Result};
use std::path::PathBuf;

/// First release that takes incremental backups itself, and writes into the label what they build on.
const NATIVE: u32 = 17;
const MAX_SMALL: u64 = 64 * 1024;

/// One backup of a chain, as far as its own small files tell.
struct Member {
    name: String,
    directory: PathBuf,
    version: u32,
    control: ControlFile,
    label: Label,
    label_bytes: Vec<u8>,
}

/// What the checks found.
pub struct Checked {
    pub shape: BlockShape,
    /// The newest `backup_label`, with the lines about a parent that the oldest one has.
    pub label: Vec<u8>,
    pub warnings: Vec<String>,
}

/// Checks the backups of a chain one after the other, the newest first.
pub struct Checker {
    options: ChainOptions,
    newest: Option<Member>,
    /// The one that was added last, if it is not the newest.
    last: Option<Member>,
    warnings: Vec<String>,
}

impl Checker {
    pub fn new(options: ChainOptions) -> Self {
        Self {
            options,
            newest: None,
            last: None,
            warnings: Vec::new(),
        }
    }

    /// Adds the next older backup.
    ///
    /// # Errors
    /// `CORRUPT` naming the backup, what does not fit, and what to do; what reading fails with.
    pub fn add(&mut self, backup: &StoredBackup) -> Result<()> {
        let member = member(backup)?;
        check_manifest(backup, &member, self.newest.is_none())?;
        let Some(newest) = &self.newest else {
            self.newest = Some(member);
            return Ok(());
        };
        same_cluster(newest, &member)?;
        if newest.control.data_checksum_version != 0 && member.control.data_checksum_version == 0 {
            let message = format!(
                "page checksums are on in backup {} and were off in backup {}, on which it builds: pages that did not \
                 change since have no checksum",
                newest.name, member.name
            );
            if !self.options.allow_mixed_checksums {
                return Err(Error::corrupt(message).at(&newest.directory).hint(format!(
                    "take a full backup; or restore backup {}, or any backup before page checksums were enabled",
                    member.name
                )));
            }
            self.warnings.push(message);
        }
        check_link(self.last.as_ref().unwrap_or(newest), &member)?;
        self.last = Some(member);
        Ok(())
    }

    /// What was found, when all were added.
    ///
    /// # Errors
    /// `CORRUPT` when the oldest builds on another one; `USAGE` when there are not two.
    pub fn finish(self) -> Result<Checked> {
        let (Some(newest), Some(oldest)) = (self.newest, self.last) else {
            return Err(Error::new(crate::Code::Usage, "a chain has at least two backups"));
        };
        if let Some(from) = oldest.label.from
            && !self.options.roll_up
        {
            return Err(missing_parent(&oldest.name, from).at(&oldest.directory));
        }
        let shape = BlockShape {
            block_size: newest.control.block_size,
            relseg_size: newest.control.relseg_size,
        };
        let mut label = label::without_parent(&newest.label_bytes);
        label.extend(label::parent_lines(&oldest.label_bytes));
        Ok(Checked {
            shape,
            label,
            warnings: self.warnings,
        })
    }
}

/// Refuses an incremental backup that is given without what it builds on.
///
/// # Errors
/// `CORRUPT`. A label that cannot be read is not looked at here.
pub fn check_alone(backup: &StoredBackup) -> Result<()> {
    let Some(file) = backup.inventory.find(b"backup_label") else {
        return Ok(());
    };
    let parsed = backup
        .read_small(file, MAX_LABEL)
        .and_then(|bytes| label::parse(&bytes));
    match parsed {
        Ok(Label { from: Some(from), .. }) => {
            Err(missing_parent(name_of(backup), from).at(&backup.inventory.directory))
        }
        _ => Ok(()),
    }
}

fn missing_parent(name: &str, from: label::Point) -> Error {
    let message =
        format!("backup {name} is incremental, and the backup on which it builds, from {from}, is not there");
    Error::corrupt(message).hint("restore a backup whose chain is whole, or bring the missing backup back")
}

/// The label of a backup, or the name of its directory.
pub fn name_of(backup: &StoredBackup) -> &str {
    let inventory = &backup.inventory;
    if !inventory.facts.label.is_empty() {
        return &inventory.facts.label;
    }
    let name = inventory.directory.file_name().and_then(std::ffi::OsStr::to_str);
    name.unwrap_or("without a name")
}

fn member(backup: &StoredBackup) -> Result<Member> {
    let directory = backup.inventory.directory.as_path();
    let name = name_of(backup);
    let read = |path: &[u8], limit: u64| -> Result<Vec<u8>> {
        let file = backup.inventory.find(path).ok_or_else(|| {
            let message = format!("backup {name} has no {}", path.escape_ascii());
            Error::corrupt(message)
                .at(directory)
                .hint("take another backup, or this file from another copy of this one")
        })?;
        backup.read_proved(file, limit)
    };
    let of = |path: &[u8], error: Error| {
        let file = path.escape_ascii();
        let mut error = error;
        error.message = format!("backup {name}, {file}: {}", error.message);
        let error = error.at(directory);
        match error.hint {
            Some(_) => error,
            None => error.hint("take another backup: what the server sent was not what this file has to be"),
        }
    };
    let control = read(b"global/pg_control", MAX_SMALL)?;
    let control = read_control(&control).map_err(|error| of(b"global/pg_control", error))?;
    let label_bytes = read(b"backup_label", MAX_LABEL)?;
    let version = parse_version(&read(b"PG_VERSION", 64)?).map_err(|error| of(b"PG_VERSION", error))?;
    Ok(Member {
        name: name.to_owned(),
        directory: directory.to_owned(),
        version,
        control,
        label: label::parse(&label_bytes).map_err(|error| of(b"backup_label", error))?,
        label_bytes,
    })
}

fn parse_version(bytes: &[u8]) -> Result<u32> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let number = text.strip_suffix('\n').and_then(|text| text.parse().ok());
    number.ok_or_else(|| {
        Error::corrupt(format!(
            "\"{}\" is no version of PostgreSQL",
            bytes.escape_ascii()
        ))
    })
}

/// The manifest is of the cluster that the control file is of, and of the version that its release writes.
fn check_manifest(backup: &StoredBackup, member: &Member, newest: bool) -> Result<()> {
    let Some(manifest) = &backup.inventory.manifest else {
        if !newest {
            return Ok(());
        }
        let message = format!("backup {} has no backup_manifest", member.name);
        return Err(Error::corrupt(message)
            .at(&member.directory)
            .hint("restore another backup; without it nobody knows which WAL the backup needs"));
    };
    let bad = |what: String| {
        Err(Error::corrupt(format!("backup {}: {what}", member.name))
            .at(&member.directory)
            .hint("take another backup: the manifest does not belong to it"))
    };
    if member.version >= NATIVE && manifest.version != 2 {
        return bad(format!(
            "its manifest has version {}, PostgreSQL {} writes version 2",
            manifest.version, member.version
        ));
    }
    let stated = backup.inventory.facts.system_identifier;
    let found = member.control.system_identifier;
    if let Some(stated) = stated.filter(|stated| *stated != found) {
        return bad(format!(
            "its lists are of the cluster {stated}, its control file is of {found}"
        ));
    }
    Ok(())
}

/// The control files of two backups tell of one cluster of one release.
fn same_cluster(newest: &Member, member: &Member) -> Result<()> {
    let same = |what: &str, ours: u64, theirs: u64| {
        if ours == theirs {
            return Ok(());
        }
        let message = format!(
            "backups {} and {} do not belong together: the {what} is {ours} in the first and {theirs} in the second",
            newest.name, member.name
        );
        Err(Error::corrupt(message).at(&newest.directory).hint(
            "restore another backup, and take a full one: backup.info names a parent that this backup cannot have",
        ))
    };
    let (ours, theirs) = (&newest.control, &member.control);
    same(
        "system identifier",
        ours.system_identifier,
        theirs.system_identifier,
    )?;
    same("major version", newest.version.into(), member.version.into())?;
    same("block size", ours.block_size.into(), theirs.block_size.into())?;
    same(
        "size of a segment in blocks",
        ours.relseg_size.into(),
        theirs.relseg_size.into(),
    )
}

/// A backup builds on exactly the one that follows it in the chain.
fn check_link(child: &Member, parent: &Member) -> Result<()> {
    let broken = |message: String| {
        Err(Error::corrupt(message).at(&child.directory).hint(format!(
            "restore backup {} or another one, and take a full backup",
            parent.name
        )))
    };
    match child.label.from {
        Some(from) if from == parent.label.start => Ok(()),
        Some(from) => broken(format!(
            "backup {} builds on a backup from {from}, but backup {} is from {}",
            child.name, parent.name, parent.label.start
        )),
        // pgmoneta in C makes incremental backups of older releases, and their labels are those of full ones
        None if child.version < NATIVE && parent.label.start.lsn < child.label.start.lsn => Ok(()),
        None if child.version < NATIVE => broken(format!(
            "backup {} is from {}, before backup {}, on which it is said to build",
            child.name, child.label.start, parent.name
        )),
        None => broken(format!(
            "backup {} is a full backup, but backup.info says that it builds on backup {}",
            child.name, parent.name
        )),
    }
}

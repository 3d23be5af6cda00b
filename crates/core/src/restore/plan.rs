//! What a restore will write: computed, not carried out.

use super::chain::Chain;
use super::evidence::Evidence;
use super::inventory::{BackupFile, Inventory};
use super::pass::PageRules;
use super::source::StoredBackup;
use crate::Result;
use crate::block::{ControlFile, read_control};

/// Default of PostgreSQL, for backups whose control file cannot be read.
const WAL_SEGMENT: u64 = 16 << 20;
/// A control file has 8192 bytes.
const MAX_CONTROL: u64 = 64 * 1024;

/// A tablespace and the plain bytes that go there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTablespace {
    pub oid: String,
    /// Name of its directory in the backup: `tblspc_<name>`.
    pub directory: String,
    pub bytes: u64,
    pub files: u64,
}

/// What a restore will write. Sizes are plain bytes.
#[derive(Debug, Clone, Default)]
pub struct RestorePlan {
    pub label: String,
    pub files: u64,
    /// All bytes, WAL and tablespaces included.
    pub bytes: u64,
    /// Bytes below the data directory, tablespaces excluded.
    pub base_bytes: u64,
    pub tablespaces: Vec<PlannedTablespace>,
    /// Bytes in `pg_wal`, contained in `base_bytes`.
    pub wal_bytes: u64,
    pub biggest_file: u64,
    /// Number of files that nothing proves, and the first of them.
    pub unproven: u64,
    pub unproven_paths: Vec<String>,
    /// Files that a list names and that are not stored: the first hundred.
    pub missing: Vec<String>,
    pub system_identifier: Option<u64>,
    pub major_version: Option<u32>,
    pub block_size: Option<u32>,
    pub wal_segment_size: Option<u64>,
    pub data_checksums: Option<bool>,
    pub encrypted: bool,
    /// Files that are combined from several backups.
    pub combined: u64,
    pub warnings: Vec<String>,
}

/// Computes the plan of a restore.
///
/// # Errors
/// `IO`, `CORRUPT` when a file without recorded size cannot be read.
pub fn plan(chain: &Chain) -> Result<RestorePlan> {
    let backup = chain.newest();
    let inventory = &backup.inventory;
    let facts = &inventory.facts;
    let control = control_of(backup);
    let segment = control
        .as_ref()
        .map(|control| u64::from(control.wal_segment_size));
    let segment = segment.or(facts.wal_segment_size);
    let mut plan = RestorePlan {
        label: facts.label.clone(),
        system_identifier: control
            .as_ref()
            .map(|control| control.system_identifier)
            .or(facts.system_identifier),
        major_version: control
            .as_ref()
            .and_then(ControlFile::major_version)
            .or(facts.major_version),
        block_size: control
            .as_ref()
            .map(|control| control.block_size)
            .or(facts.block_size),
        wal_segment_size: segment,
        data_checksums: control.as_ref().map(|control| control.data_checksum_version != 0),
        missing: inventory
            .missing
            .iter()
            .take(100)
            .map(|path| path.escape_ascii().to_string())
            .collect(),
        combined: chain.combined() as u64,
        warnings: inventory.warnings.clone(),
        ..RestorePlan::default()
    };
    let spaces = inventory.tablespaces.iter().map(|space| PlannedTablespace {
        oid: space.oid.clone(),
        directory: String::from_utf8_lossy(&space.directory).into_owned(),
        bytes: 0,
        files: 0,
    });
    plan.tablespaces = spaces.collect();
    for file in &inventory.files {
        let size = size_of(backup, file, segment)?;
        plan.add(file, size);
    }
    Ok(plan)
}

impl RestorePlan {
    fn add(&mut self, file: &BackupFile, size: u64) {
        self.files += 1;
        self.bytes += size;
        self.biggest_file = self.biggest_file.max(size);
        self.encrypted |= file.wrapping.sealed;
        match file
            .tablespace
            .and_then(|index| self.tablespaces.get_mut(usize::from(index)))
        {
            Some(space) => {
                space.bytes += size;
                space.files += 1;
            }
            None => self.base_bytes += size,
        }
        if file.path.starts_with(b"pg_wal/") {
            self.wal_bytes += size;
        }
        if file.evidence == Evidence::None {
            self.unproven += 1;
            if self.unproven_paths.len() < 100 {
                self.unproven_paths.push(file.path.escape_ascii().to_string());
            }
        }
    }
}

/// The control file of the backup; `None` when it cannot be read (a missing key, damage: the restore says so).
pub(super) fn control_of(backup: &StoredBackup) -> Option<ControlFile> {
    let file = backup.inventory.find(b"global/pg_control")?;
    let bytes = backup.read_small(file, MAX_CONTROL).ok()?;
    read_control(&bytes).ok()
}

/// How pages of this backup are checked; `None` when the cluster has no page checksums, or that is not known.
pub(crate) fn page_rules(backup: &StoredBackup) -> Option<PageRules> {
    let control = control_of(backup).filter(|control| control.data_checksum_version != 0)?;
    Some(PageRules {
        block_size: control.block_size,
        relseg_size: control.relseg_size,
        start_lsn: backup.inventory.facts.start_lsn.unwrap_or(control.redo),
    })
}

/// The plain size: from a list, of a WAL segment by its name, else by decoding (such files are few and small).
fn size_of(backup: &StoredBackup, file: &BackupFile, segment: Option<u64>) -> Result<u64> {
    if let Some(size) = file.size {
        return Ok(size);
    }
    if is_segment(&file.path) || backup.is_locked(file) {
        return Ok(if is_segment(&file.path) {
            segment.unwrap_or(WAL_SEGMENT)
        } else {
            file.stored_size
        });
    }
    backup.measure(file)
}

fn is_segment(path: &[u8]) -> bool {
    let name = path.strip_prefix(b"pg_wal/").unwrap_or_default();
    name.len() == 24 && name.iter().all(u8::is_ascii_hexdigit)
}

impl Inventory {
    /// Plain bytes of all files as far as lists tell, for progress.
    pub(crate) fn expected_bytes(&self) -> u64 {
        self.files
            .iter()
            .map(|file| file.size.unwrap_or(file.stored_size))
            .sum()
    }
}

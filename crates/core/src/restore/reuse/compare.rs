//! What a restore would take from an existing tree and what it would write: found out, not carried out.

use super::super::chain::{Chain, Upon};
use super::super::inventory::{BackupFile, Inventory};
use super::super::job::Job;
use super::super::manifest_copy::LEFT_OUT;
use super::super::pass::Pass;
use super::super::pool::run_pool;
use super::super::run::{RestoreOptions, check};
use super::super::target::Target;
use super::base::OldBackup;
use super::existing::{Found, OldFile, OldTree, may_reuse};
use super::known_digest;
use super::step::same_file;
use super::tally::{Fate, Reuse, Tallies};
use crate::fs::create_new;
use crate::{Code, Error, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Compares the existing tree of the options with what a restore would make. Nothing is changed in either.
///
/// # Errors
/// `USAGE` without an existing tree; `CORRUPT` when a stored file that has to be read is damaged; `IO`, `CANCELLED`.
pub fn compare(chain: &Chain, options: &RestoreOptions, job: &Job) -> Result<Reuse> {
    let Some(existing) = &options.existing else {
        return Err(Error::new(
            Code::Usage,
            "there is no existing tree to compare with",
        ));
    };
    let inventory = chain.inventory();
    check(inventory, options)?;
    chain.check_key()?;
    let target = Target::new(&options.target, &options.tablespaces, inventory)?;
    let comparison = Comparison {
        chain,
        options,
        mode: target.modes().1,
        old: OldTree::open(existing, target.roots())?,
        base: OldBackup::read(existing, chain, &mut Vec::new()),
        devices: target.roots().map(device_of).collect(),
        job,
        tallies: Tallies::default(),
        failure: Mutex::default(),
        spools: AtomicU64::new(0),
    };
    comparison.old.count_surplus(inventory, &comparison.tallies)?;
    comparison.run(inventory)?;
    Ok(comparison.tallies.into_reuse())
}

struct Comparison<'a> {
    chain: &'a Chain,
    options: &'a RestoreOptions,
    mode: u32,
    old: OldTree<'a>,
    base: Option<OldBackup>,
    /// File systems of the data directory and of the tablespaces, in the order of the options.
    devices: Vec<Option<u64>>,
    job: &'a Job,
    tallies: Tallies,
    failure: Mutex<Option<Error>>,
    spools: AtomicU64,
}

impl Comparison<'_> {
    fn run(&self, inventory: &Inventory) -> Result<()> {
        let mut order: Vec<&BackupFile> = inventory.files.iter().collect();
        order.retain(|file| !LEFT_OUT.contains(&&*file.path));
        let size = |file: &BackupFile| file.size.unwrap_or(file.stored_size);
        self.job
            .set_totals(order.iter().map(|file| size(file)).sum(), order.len() as u64);
        order.sort_by_key(|file| std::cmp::Reverse(size(file)));
        let work = |pass: &mut Pass<'_>, index: usize| match self.look(pass, order[index]) {
            Ok(()) => {
                self.job.add_file();
                true
            }
            Err(error) => {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(order[index].advise(error));
                false
            }
        };
        let state = || Pass::new(self.job, None);
        let pooled = run_pool(self.options.workers, order.len(), self.job, state, work);
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => pooled,
        }
    }

    /// Decides as a restore does.
    fn look(&self, pass: &mut Pass<'_>, file: &BackupFile) -> Result<()> {
        let mut size = file.size;
        let fate = if !may_reuse(&file.path) {
            Fate::of_written(self.old.has(&file.path))
        } else {
            match (self.old.find(&file.path), known_digest(file)) {
                (Found::Nothing, _) => Fate::Added,
                (Found::File(found), Some((kind, digest))) if size == Some(found.size) => {
                    let same = pass.digest(&found.file, kind)? == Some(digest);
                    self.fate(file, &found, same)
                }
                (Found::File(mut found), None) => {
                    let same = self.is_same(file, &mut found)?;
                    size = size.or(same.then_some(found.size));
                    self.fate(file, &found, same)
                }
                _ => Fate::Rewritten,
            }
        };
        let size = match size {
            Some(size) => size,
            None => self.chain.newest().measure(file)?,
        };
        self.job.add_bytes(size as usize);
        self.tallies.add(&file.path, size, fate);
        Ok(())
    }

    /// Whether a file of which no digest is known would stay.
    fn is_same(&self, file: &BackupFile, found: &mut OldFile) -> Result<bool> {
        let (chain, workers, spool) = (self.chain, self.options.workers, || self.spool());
        let standing = self
            .base
            .as_ref()
            .and_then(|base| base.standing(&file.path, found));
        let upon = match &standing {
            Some(standing) => chain.open_upon(file, standing, workers, self.job, &spool)?,
            None => None,
        };
        let mut stream = match upon {
            Some(Upon::Unchanged) => return Ok(true),
            Some(Upon::Stream(stream)) => stream,
            None => chain.open_file(file, workers, self.job, &spool)?,
        };
        same_file(found, &mut stream, self.job)
    }

    fn fate(&self, file: &BackupFile, found: &OldFile, same: bool) -> Fate {
        if !same {
            return Fate::Rewritten;
        }
        let space = super::super::inventory::split_tablespace(&file.path).and_then(|(oid, _)| {
            let mut spaces = self.options.tablespaces.iter();
            spaces.position(|space| space.oid == oid)
        });
        match self.devices[space.map_or(0, |index| index + 1)] {
            Some(device) if self.old.links(found, self.mode, device) => Fate::Linked,
            _ => Fate::Copied,
        }
    }

    /// A file without a name, for the oldest blocks of a very long chain.
    fn spool(&self) -> Result<File> {
        let number = self.spools.fetch_add(1, Ordering::Relaxed);
        let mut name = self.options.target.clone().into_os_string();
        name.push(format!(".compare-{}-{number}", std::process::id()));
        let path = PathBuf::from(name);
        create_new(&path)?;
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let removed = std::fs::remove_file(&path);
        removed.map_err(|error| Error::io("remove", &path, &error))?;
        file.map_err(|error| Error::io("open", &path, &error))
    }
}

/// The file system that a directory is on, or will be.
fn device_of(directory: &Path) -> Option<u64> {
    let mut found = directory.ancestors().filter_map(|part| part.metadata().ok());
    found.next().map(|status| status.dev())
}

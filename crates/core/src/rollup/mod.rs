//! Makes one stored backup of a chain: what an incremental backup becomes when those that it builds on are to go.
//!
//! The image of the chain is handed to a [`Receiver`], as if a server sent it: files are combined as for a restore,
//! every source is proved, and the receiver compresses, seals, hashes and lists what comes out, and compares it with the
//! manifest that was made for it. With a full backup at its end the chain becomes a full backup; else an incremental
//! one that builds on what the oldest built on.

use crate::receive::{Receiver, Watch};
use crate::restore::{
    BackupFile, Chain, CombinedDigests, Inventory, Job, Pass, split_tablespace, write_entries,
};
use crate::tar::{Kind, Member};
use crate::{Code, Error, Result};
use std::io::Write;
use std::sync::mpsc;
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How often a wait for the threads of the receiver looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(200);

/// What was rolled up.
#[derive(Debug, Clone, Default)]
pub struct RollUpReport {
    pub files: u64,
    /// Plain bytes handed over.
    pub bytes: u64,
    /// Files that were combined from several backups.
    pub combined: u64,
    pub warnings: Vec<String>,
}

/// Hands the image of a chain to a receiver that has not received anything. The chain has to be opened for roll-up; the
/// receiver has to be asked for the checksums that the manifest of the newest backup has. Afterwards it is to be checked
/// and finished.
///
/// # Errors
/// `USAGE` when a key is missing; `CORRUPT` when a file is damaged; `CANCELLED`; what the receiver fails with.
pub fn roll_up(chain: &Chain, receiver: &mut Receiver, job: &Job) -> Result<RollUpReport> {
    let inventory = chain.inventory();
    if !inventory.missing.is_empty() {
        let first = inventory.missing[0].escape_ascii();
        let message = format!(
            "{} files of the backup are missing: {first}",
            inventory.missing.len()
        );
        return Err(Error::corrupt(message).at(&inventory.directory));
    }
    let total = inventory.files.iter().map(expected_size).sum();
    job.set_totals(total, inventory.files.len() as u64);
    let mut feed = Feed {
        chain,
        watch: receiver.watch(),
        receiver,
        job,
        digests: CombinedDigests::new(chain),
        report: RollUpReport {
            combined: chain.combined() as u64,
            ..RollUpReport::default()
        },
    };
    feed.archive(None)?;
    for index in 0..inventory.tablespaces.len() as u16 {
        feed.archive(Some(index))?;
    }
    feed.manifest()?;
    let mut report = feed.report;
    report.warnings = inventory.warnings.clone();
    report.warnings.extend(chain.warnings());
    Ok(report)
}

fn expected_size(file: &BackupFile) -> u64 {
    file.size.unwrap_or(file.stored_size)
}

struct Feed<'a> {
    chain: &'a Chain,
    receiver: &'a mut Receiver,
    watch: Watch,
    job: &'a Job,
    digests: CombinedDigests,
    report: RollUpReport,
}

impl Feed<'_> {
    /// One archive: directories, links, then files by path.
    fn archive(&mut self, tablespace: Option<u16>) -> Result<()> {
        let inventory = self.chain.inventory();
        let space = tablespace.and_then(|index| inventory.tablespaces.get(usize::from(index)));
        let named = space.map(|space| {
            let directory = String::from_utf8_lossy(&space.directory);
            let name = directory.strip_prefix("tblspc_").unwrap_or(&directory).to_owned();
            (space.oid.as_str(), name)
        });
        self.receiver
            .begin_archive(named.as_ref().map(|(oid, name)| (*oid, name.as_str())))?;
        let group = inventory
            .find(b"global/pg_control")
            .is_some_and(|file| file.mode & 0o040 != 0);
        let mut directories: Vec<&[u8]> = inventory.directories.iter().map(|path| &**path).collect();
        directories.sort_unstable();
        for path in directories {
            if let Some(path) = within(inventory, tablespace, path) {
                self.member(path, Kind::Directory, if group { 0o750 } else { 0o700 }, &[])?;
            }
        }
        if tablespace.is_none() {
            for (path, target) in &inventory.links {
                self.member(path, Kind::Symlink, 0o777, target)?;
            }
        }
        let mut files: Vec<&BackupFile> = inventory.files.iter().collect();
        files.retain(|file| file.tablespace == tablespace);
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut pass = Pass::new(self.job, None);
        for file in files {
            self.file(&mut pass, file, tablespace)?;
        }
        self.receiver.end_archive()
    }

    /// A member without data.
    fn member(&mut self, path: &[u8], kind: Kind, mode: u32, link: &[u8]) -> Result<()> {
        self.receiver.begin_member(Member {
            path: path.to_vec(),
            kind,
            size: 0,
            mode,
            mtime: 0,
            link: link.to_vec(),
        })?;
        self.receiver.end_member()
    }

    fn file(&mut self, pass: &mut Pass<'_>, file: &BackupFile, tablespace: Option<u16>) -> Result<()> {
        let inventory = self.chain.inventory();
        let spool = || {
            let message =
                "a roll-up is of few backups, and none of its files has to be brought together first";
            Err(Error::new(Code::Usage, message))
        };
        let mut stream = self.chain.open_file(file, 1, self.job, &spool)?;
        let size = match stream.size {
            Some(size) => size,
            None => self.chain.newest().measure(file)?,
        };
        let path = within(inventory, tablespace, &file.path).unwrap_or(&file.path);
        self.receiver.begin_member(Member {
            path: path.to_vec(),
            kind: Kind::File,
            size,
            mode: file.mode,
            mtime: 0,
            link: Vec::new(),
        })?;
        let kind = self.chain.wanted_digest(file).or(file.evidence.plain_kind());
        let (receiver, watch, job) = (&mut *self.receiver, &self.watch, self.job);
        let mut left = size;
        let result = pass.run(file, kind, &mut stream, &mut |piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
                Error::corrupt("it changed while it was being read").at(&inventory.stored_file(file))
            })?;
            if receiver.member_data(piece)? {
                return Ok(());
            }
            wait(watch, job)
        })?;
        file.prove(result.size, result.digest, result.stored_digest)
            .map_err(|error| file.advise(error.at(&stream.path)))?;
        if result.size != size {
            return Err(file.advise(Error::corrupt("it ends too early").at(&stream.path)));
        }
        self.receiver.end_member()?;
        self.digests.set(file, result.size, result.digest);
        self.report.files += 1;
        self.report.bytes += result.size;
        self.job.add_file();
        Ok(())
    }

    fn manifest(&mut self) -> Result<()> {
        let path = self.chain.inventory().directory.join("data/backup_manifest");
        let output = ManifestSink {
            receiver: self.receiver,
        };
        write_entries(self.chain, &self.digests, output, &path, &[]).map(drop)
    }
}

/// The path of a member within its archive; `None` when it belongs to another.
fn within<'p>(inventory: &Inventory, tablespace: Option<u16>, path: &'p [u8]) -> Option<&'p [u8]> {
    let split = split_tablespace(path).and_then(|(oid, rest)| Some((inventory.tablespace_index(oid)?, rest)));
    match (split, tablespace) {
        (Some((index, rest)), Some(wanted)) => (index == wanted && !rest.is_empty()).then_some(rest),
        (None, None) => {
            // the directory of a tablespace is a link, made by the receiver
            let oid = path
                .strip_prefix(b"pg_tblspc/")
                .and_then(|oid| std::str::from_utf8(oid).ok());
            let linked = oid.is_some_and(|oid| inventory.tablespace_index(oid).is_some());
            (!linked).then_some(path)
        }
        _ => None,
    }
}

/// Waits until less is in flight.
fn wait(watch: &Watch, job: &Job) -> Result<()> {
    let (sender, drained) = mpsc::channel();
    watch.on_drained(Box::new(move || {
        let _ = sender.send(());
    }));
    loop {
        job.check()?;
        match drained.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            // what went wrong is told by the next call of the receiver
            _ => return Ok(()),
        }
    }
}

/// Hands the manifest over.
struct ManifestSink<'a> {
    receiver: &'a mut Receiver,
}

impl Write for ManifestSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.receiver
            .push_manifest(bytes)
            .map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

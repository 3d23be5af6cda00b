//! Locks that the operating system holds: a process that dies gives them back. Who holds one is readable.
//!
//! The lock file has 64 slots of 512 bytes; each holder writes who it is (one JSON object) into one of them. On Linux
//! holder and slot are locked by open-file-description locks, so a slot whose holder died is seen to be free.
//! Elsewhere the file is locked by `flock` and a slot counts as long as the process that it names lives.

use crate::{Code, Error, Result};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SLOT: u64 = 512;
const SLOTS: u64 = 64;

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Any number of holders at a time.
    Shared,
    /// One holder alone.
    Exclusive,
}

/// A lock that is held as long as this value lives.
#[derive(Debug)]
pub struct RepositoryLock {
    file: File,
    slot: Option<u64>,
    path: PathBuf,
}

impl RepositoryLock {
    /// Takes the lock without waiting. The lock file is created when it is missing and never removed.
    ///
    /// `owner` is a JSON object that tells a refused process who holds the lock, for example
    /// `{"verb":"backup","label":"20260102030405"}`; `pid` and `since` (UTC) are added when it lacks them.
    ///
    /// # Errors
    /// `Locked` when another holder is in the way, naming it; `Usage` when `owner` is no object or over 500 bytes.
    pub fn acquire(path: &Path, mode: Mode, owner: &str) -> Result<Self> {
        let record = record(owner)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)
            .map_err(|error| Error::io("open lock file", path, &error))?;
        if !os::lock(&file, mode).map_err(|error| Error::io("lock", path, &error))? {
            return Err(refused(path, &file));
        }
        let mut lock = Self {
            file,
            slot: None,
            path: path.to_path_buf(),
        };
        lock.announce(&record)
            .map_err(|error| Error::io("write the owner into", path, &error))?;
        Ok(lock)
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// With 64 holders and more the later ones stay unnamed; they hold the lock all the same.
    fn announce(&mut self, record: &[u8]) -> io::Result<()> {
        for slot in 0..SLOTS {
            if os::take_slot(&self.file, slot, &read_slot(&self.file, slot)?)? {
                self.slot = Some(slot);
                return self.file.write_all_at(record, slot * SLOT);
            }
        }
        Ok(())
    }
}

impl Drop for RepositoryLock {
    fn drop(&mut self) {
        if let Some(slot) = self.slot {
            // Only tidiness: a slot without its lock is ignored anyway.
            let _ = self.file.write_all_at(&[b' '; SLOT as usize], slot * SLOT);
        }
    }
}

/// Who holds the lock now: one JSON object per holder; empty when nobody does or the file is missing.
pub fn read_owners(path: &Path) -> Result<Vec<Value>> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path);
    match opened {
        Ok(file) => owners(&file).map_err(|error| Error::io("read the owner from", path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::io("open lock file", path, &error)),
    }
}

fn owners(file: &File) -> io::Result<Vec<Value>> {
    let mut found = Vec::new();
    for slot in 0..SLOTS {
        let bytes = read_slot(file, slot)?;
        let Ok(owner @ Value::Object(_)) = serde_json::from_slice(bytes.trim_ascii()) else {
            continue;
        };
        if os::slot_alive(file, slot, &bytes)? {
            found.push(owner);
        }
    }
    Ok(found)
}

fn read_slot(file: &File, slot: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0u8; SLOT as usize];
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], slot * SLOT + filled as u64)? {
            0 => break,
            count => filled += count,
        }
    }
    bytes.truncate(filled);
    bytes.retain(|byte| *byte != 0);
    Ok(bytes)
}

fn refused(path: &Path, file: &File) -> Error {
    // The holder may be about to write who it is.
    let mut held_by = Vec::new();
    for _ in 0..5 {
        held_by = owners(file).unwrap_or_default();
        if !held_by.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let who = held_by.iter().map(describe).collect::<Vec<_>>().join(", ");
    let who = if who.is_empty() {
        "another process".to_owned()
    } else {
        who
    };
    Error {
        path: Some(path.to_path_buf()),
        retryable: true,
        ..Error::new(Code::Locked, format!("{} is held by {who}", path.display()))
    }
    .hint("wait for that job to end, or look at the process named")
}

fn describe(owner: &Value) -> String {
    let text = |key: &str| {
        owner
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or("a job")
            .to_owned()
    };
    let pid = owner.get("pid").and_then(Value::as_u64).unwrap_or(0);
    format!("{} (process {pid}, since {})", text("verb"), text("since"))
}

/// The bytes of a slot: the object, filled up with blanks and ended by a newline so that `cat` shows it well.
fn record(owner: &str) -> Result<Vec<u8>> {
    let usage = |why: &str| Error::new(Code::Usage, format!("the owner of a lock {why}"));
    let mut object: Map<String, Value> =
        serde_json::from_str(owner).map_err(|error| usage(&format!("is no JSON object: {error}")))?;
    object.entry("pid").or_insert_with(|| std::process::id().into());
    object.entry("since").or_insert_with(|| now().into());
    let mut bytes = Value::Object(object).to_string().into_bytes();
    if bytes.len() >= SLOT as usize {
        return Err(usage("is over 500 bytes"));
    }
    bytes.resize(SLOT as usize - 1, b' ');
    bytes.push(b'\n');
    Ok(bytes)
}

/// Current time, `2026-01-02T03:04:05Z`.
fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Civil date from a count of days: years of March to February, in eras of 400 years.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(target_os = "linux")]
mod os {
    use super::{Mode, SLOT};
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;

    /// The byte that stands for the lock itself, far behind the slots.
    const LOCK_AT: i64 = 1 << 40;

    pub fn lock(file: &File, mode: Mode) -> io::Result<bool> {
        set(
            file,
            if mode == Mode::Shared {
                libc::F_RDLCK
            } else {
                libc::F_WRLCK
            },
            LOCK_AT,
            1,
        )
    }

    pub fn take_slot(file: &File, slot: u64, _: &[u8]) -> io::Result<bool> {
        set(file, libc::F_WRLCK, (slot * SLOT) as i64, SLOT as i64)
    }

    pub fn slot_alive(file: &File, slot: u64, _: &[u8]) -> io::Result<bool> {
        let mut range = range(libc::F_WRLCK, (slot * SLOT) as i64, SLOT as i64);
        // SAFETY: the descriptor is open and the structure is initialised.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &mut range) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(i32::from(range.l_type) != libc::F_UNLCK)
    }

    fn set(file: &File, kind: i32, start: i64, length: i64) -> io::Result<bool> {
        let range = range(kind, start, length);
        // SAFETY: the descriptor is open and the structure is initialised.
        if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &range) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(false),
            _ => Err(error),
        }
    }

    fn range(kind: i32, start: i64, length: i64) -> libc::flock {
        // SAFETY: all bits zero is a valid value of this plain structure; `l_pid` has to be zero.
        let mut range: libc::flock = unsafe { std::mem::zeroed() };
        range.l_type = kind as libc::c_short;
        range.l_whence = libc::SEEK_SET as libc::c_short;
        range.l_start = start as libc::off_t;
        range.l_len = length as libc::off_t;
        range
    }
}

/// For systems without open-file-description locks; compiled for tests everywhere.
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(target_os = "linux", allow(dead_code))]
mod portable {
    use super::Mode;
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;

    pub fn lock(file: &File, mode: Mode) -> io::Result<bool> {
        let kind = if mode == Mode::Shared {
            libc::LOCK_SH
        } else {
            libc::LOCK_EX
        };
        // SAFETY: the descriptor is open.
        if unsafe { libc::flock(file.as_raw_fd(), kind | libc::LOCK_NB) } == 0 {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        if error.kind() == io::ErrorKind::WouldBlock {
            Ok(false)
        } else {
            Err(error)
        }
    }

    /// Two processes may choose the same slot at the same moment; then one of them stays unnamed.
    pub fn take_slot(file: &File, slot: u64, bytes: &[u8]) -> io::Result<bool> {
        slot_alive(file, slot, bytes).map(|alive| !alive)
    }

    pub fn slot_alive(_: &File, _: u64, bytes: &[u8]) -> io::Result<bool> {
        let owner: Option<serde_json::Value> = serde_json::from_slice(bytes.trim_ascii()).ok();
        let pid = owner
            .as_ref()
            .and_then(|owner| owner.get("pid"))
            .and_then(serde_json::Value::as_i64);
        let Some(pid) = pid
            .and_then(|pid| libc::pid_t::try_from(pid).ok())
            .filter(|pid| *pid > 0)
        else {
            return Ok(false);
        };
        // SAFETY: signal 0 only asks whether the process exists.
        let answer = unsafe { libc::kill(pid, 0) };
        Ok(answer == 0 || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM))
    }
}

#[cfg(not(target_os = "linux"))]
use portable as os;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_writer_or_many_readers_and_everybody_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        let first = RepositoryLock::acquire(&path, Mode::Shared, r#"{"verb":"restore"}"#).unwrap();
        let _second = RepositoryLock::acquire(&path, Mode::Shared, r#"{"verb":"verify"}"#).unwrap();
        let verbs: Vec<_> = read_owners(&path)
            .unwrap()
            .iter()
            .map(|owner| owner["verb"].to_string())
            .collect();
        assert_eq!(verbs, ["\"restore\"", "\"verify\""]);
        let error = RepositoryLock::acquire(&path, Mode::Exclusive, "{}").unwrap_err();
        assert_eq!(error.code, Code::Locked);
        assert!(error.message.contains("restore") && error.message.contains(&std::process::id().to_string()));
        drop(first);
        assert_eq!(read_owners(&path).unwrap().len(), 1);
        drop(_second);
        let _writer = RepositoryLock::acquire(&path, Mode::Exclusive, r#"{"verb":"backup"}"#).unwrap();
        assert!(RepositoryLock::acquire(&path, Mode::Shared, "{}").is_err());
        assert_eq!(read_owners(&path).unwrap().len(), 1);
    }

    #[test]
    fn death_releases_the_lock_and_the_record_is_ignored() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        let holder = RepositoryLock::acquire(&path, Mode::Exclusive, r#"{"verb":"backup"}"#).unwrap();
        // What death leaves: the record without the locks.
        let copy = std::fs::read(&path).unwrap();
        drop(holder);
        std::fs::write(&path, copy).unwrap();
        assert!(read_owners(&path).unwrap().is_empty());
        RepositoryLock::acquire(&path, Mode::Exclusive, "{}").unwrap();
    }

    #[test]
    fn owners_that_cannot_be_kept_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        for owner in ["[]", "x", &format!(r#"{{"verb":"{}"}}"#, "v".repeat(600))] {
            assert_eq!(
                RepositoryLock::acquire(&path, Mode::Shared, owner)
                    .unwrap_err()
                    .code,
                Code::Usage
            );
        }
    }

    #[test]
    fn the_portable_way_excludes_and_tells_the_living_from_the_dead() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".lock");
        let (a, b) = (File::create(&path).unwrap(), File::open(&path).unwrap());
        assert!(portable::lock(&a, Mode::Exclusive).unwrap());
        assert!(!portable::lock(&b, Mode::Shared).unwrap());
        let own = format!(r#"{{"pid":{}}}"#, std::process::id());
        assert!(portable::slot_alive(&a, 0, own.as_bytes()).unwrap());
        for dead in ["", r#"{"pid":2147483646}"#, r#"{"pid":-1}"#] {
            assert!(portable::take_slot(&a, 0, dead.as_bytes()).unwrap());
        }
    }

    #[test]
    fn the_clock_is_written_as_utc() {
        let text = now();
        assert!(
            text.len() == 20 && text.starts_with("20") && text.ends_with('Z'),
            "{text}"
        );
    }
}

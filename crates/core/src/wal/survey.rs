//! What a directory of WAL has, from the names of its files alone: stretches without a hole instead of single segments,
//! so that little is told of hundreds of thousands of files.

use std::collections::BTreeMap;
use std::fs::{DirEntry, read_dir};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::lsn::check_segment_size;
use super::stored::StoredName;
use crate::codec::Codec;
use crate::{Error, Result};

/// Misfits that are named at most.
const MISFITS: usize = 8;
/// Files that are asked for their size at most, newest first: one may be on its way out.
const SIZED: usize = 8;

/// Whole segments of one timeline without a hole between them; counts of segments since LSN 0, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentRun {
    pub timeline: u32,
    pub first: u64,
    pub last: u64,
}

/// What a directory of WAL has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Ascending by timeline and number; as long as possible.
    pub runs: Vec<SegmentRun>,
    /// Timeline and number of segments of which there is no whole file, ascending.
    pub partials: Vec<(u32, u64)>,
    /// Names of history files, in either case, ascending.
    pub histories: Vec<String>,
    /// Names of segments that cannot be with this size, the first few.
    pub misfits: Vec<String>,
    /// What all segments and history files take, spare ones too; 0 when it was not asked for.
    pub bytes: u64,
    /// Size of the segments as the newest plain or partial file has it, when it is one that segments can have.
    pub size_on_disk: Option<u32>,
}

#[derive(Clone, Copy)]
struct Found {
    /// Whether there is a whole file.
    whole: bool,
    /// Whether there is a file of the full size: a plain or a partial one.
    plain: bool,
}

/// Looks at a directory of WAL; one that does not exist is empty. Only regular files count.
///
/// # Errors
/// [`Code::Usage`](crate::Code::Usage) when there is no such segment size; [`Code::Io`](crate::Code::Io) when the
/// directory cannot be listed.
pub fn survey(directory: &Path, segment_size: u32, with_bytes: bool) -> Result<Survey> {
    check_segment_size(segment_size)?;
    let mut found = BTreeMap::<(u32, u64), Found>::new();
    let mut result = Survey::default();
    let failed = |error: &io::Error| {
        Error::io("list the WAL in", directory, error)
            .hint("the daemon has to own base_dir and everything below it")
    };
    let entries = match read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(result),
        entries => entries.map_err(|error| failed(&error))?,
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed(&error))?;
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let name = entry.file_name();
        let name = name.as_bytes();
        if let Some(segment) = StoredName::parse(name, segment_size) {
            let plain = segment.codec == Codec::None && !segment.sealed;
            let known = found.entry((segment.timeline, segment.number)).or_insert(Found {
                whole: false,
                plain: false,
            });
            known.whole |= !segment.partial;
            known.plain |= plain;
        } else if is_history(name) {
            result.histories.push(String::from_utf8_lossy(name).into_owned());
        } else {
            if StoredName::fits_some_size(name) {
                result.misfits.push(String::from_utf8_lossy(name).into_owned());
            }
            continue;
        }
        if with_bytes {
            result.bytes += size(&entry);
        }
    }
    result.histories.sort_unstable();
    result.misfits.sort_unstable();
    result.misfits.truncate(MISFITS);
    result.size_on_disk = size_on_disk(directory, segment_size, &found);
    arrange(&mut result, &found);
    Ok(result)
}

/// What has gone since it was listed takes nothing.
fn size(entry: &DirEntry) -> u64 {
    entry.metadata().map_or(0, |metadata| metadata.len())
}

fn arrange(result: &mut Survey, found: &BTreeMap<(u32, u64), Found>) {
    for (&(timeline, number), segment) in found {
        if !segment.whole {
            result.partials.push((timeline, number));
            continue;
        }
        match result.runs.last_mut() {
            Some(run) if run.timeline == timeline && run.last + 1 == number => run.last = number,
            _ => result.runs.push(SegmentRun {
                timeline,
                first: number,
                last: number,
            }),
        }
    }
}

fn size_on_disk(directory: &Path, segment_size: u32, found: &BTreeMap<(u32, u64), Found>) -> Option<u32> {
    let newest = found
        .iter()
        .rev()
        .filter(|(_, segment)| segment.plain)
        .take(SIZED);
    newest
        .flat_map(|(&(timeline, number), _)| {
            let per_id = (1u64 << 32) / u64::from(segment_size);
            let name = format!("{timeline:08X}{:08X}{:08X}", number / per_id, number % per_id);
            [directory.join(format!("{name}.partial")), directory.join(name)]
        })
        .filter_map(|path| path.symlink_metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .filter_map(|metadata| u32::try_from(metadata.len()).ok())
        .find(|&size| check_segment_size(size).is_ok())
}

/// `XXXXXXXX.history`, all upper case as PostgreSQL writes it or all lower case as pgmoneta 0.21 does.
fn is_history(name: &[u8]) -> bool {
    let Some(digits) = name.strip_suffix(b".history").filter(|digits| digits.len() == 8) else {
        return false;
    };
    let all = |low: u8, high: u8| {
        digits
            .iter()
            .all(|byte| byte.is_ascii_digit() || (low..=high).contains(byte))
    };
    (all(b'A', b'F') || all(b'a', b'f')) && digits != b"00000000"
}

#[cfg(test)]
mod tests {
    use std::fs::{File, create_dir, write};
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::Code;

    const SIZE: u32 = 1 << 20;

    fn run(timeline: u32, first: u64, last: u64) -> SegmentRun {
        SegmentRun {
            timeline,
            first,
            last,
        }
    }

    #[test]
    fn segments_become_runs_whatever_form_they_have() {
        let directory = tempfile::tempdir().unwrap();
        for name in [
            "000000010000000000000FFF.zstd.aes",
            "000000010000000100000000", // the border of 4 GiB
            "000000010000000100000000.partial",
            "000000010000000100000001.gz",
            "000000010000000100000003",
            "000000010000000100000004.partial",
            "000000020000000100000004.aes",
            "0000000A.history",
            "0000000a.history",
            "0000000aB.history",
            "000000aB.history",
            "00000000.history",
            "backup_label",
            "000000010000000100000005.tmp-1-1",
            "000000000000000100000005",
            "000000010000000000001000", // no segment of this size
        ] {
            write(directory.path().join(name), name).unwrap();
        }
        create_dir(directory.path().join("000000010000000100000002")).unwrap();
        symlink(
            "000000010000000100000001.gz",
            directory.path().join("000000010000000100000002.gz"),
        )
        .unwrap();
        let survey = survey(directory.path(), SIZE, true).unwrap();
        assert_eq!(
            survey.runs,
            [run(1, 4095, 4097), run(1, 4099, 4099), run(2, 4100, 4100)]
        );
        assert_eq!(survey.partials, [(1, 4100)]);
        assert_eq!(survey.histories, ["0000000A.history", "0000000a.history"]);
        assert_eq!(
            survey.misfits,
            ["000000000000000100000005", "000000010000000000001000"]
        );
        assert_eq!(survey.bytes, 33 + 24 + 32 + 27 + 24 + 32 + 28 + 16 + 16);
        assert_eq!(survey.size_on_disk, None); // no plain file has a size that segments can have
    }

    #[test]
    fn the_size_is_that_of_the_newest_file_that_has_all_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let make = |name: &str, size: u64| {
            File::create(directory.path().join(name))
                .unwrap()
                .set_len(size)
                .unwrap()
        };
        make("000000010000000000000001", 16 << 20);
        make("000000010000000000000002.zstd", 64 << 20);
        assert_eq!(
            survey(directory.path(), SIZE, false).unwrap().size_on_disk,
            Some(16 << 20)
        );
        make("000000010000000000000003.partial", 32 << 20);
        let survey = survey(directory.path(), SIZE, false).unwrap();
        assert_eq!((survey.size_on_disk, survey.bytes), (Some(32 << 20), 0));
    }

    #[test]
    fn a_directory_that_is_not_there_is_empty_and_one_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("wal");
        assert_eq!(survey(&path, SIZE, true).unwrap(), Survey::default());
        write(&path, "").unwrap();
        let error = survey(&path, SIZE, true).unwrap_err();
        assert_eq!(error.code, Code::Io);
        assert!(error.message.starts_with("cannot list the WAL in"), "{error}");
        assert_eq!(survey(&path, 1000, true).unwrap_err().code, Code::Usage);
    }
}

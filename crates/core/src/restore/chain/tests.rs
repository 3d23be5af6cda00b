//! Chains of random histories, in every form, whole and damaged.

use super::super::testing::{Fixture, Form, keys};
use super::super::{Chain, ChainOptions, Job, RestoreOptions, RestoreReport, plan, restore};
use super::history::{Files, History, Taken, page};
use crate::cipher::CipherMode;
use crate::codec::Codec;
use crate::manifest::{ChecksumAlgorithm, PgManifestReader};
use crate::{Code, Error, Result};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) const ZSTD: Form = Form::new(true, Codec::Zstd, None);
const PLAIN: Form = Form::new(true, Codec::None, None);

pub(super) const FORMS: [Form; 8] = [
    PLAIN,
    ZSTD,
    Form::new(true, Codec::Lz4, None),
    Form::new(true, Codec::Gzip, None),
    Form::new(true, Codec::Zstd, Some(CipherMode::Aes256Gcm)),
    Form::new(true, Codec::None, Some(CipherMode::Aes256Cbc)),
    Form::new(false, Codec::Zstd, Some(CipherMode::Aes256Gcm)),
    Form::new(false, Codec::None, None),
];

/// The directories of a chain, newest first.
pub(super) fn directories(history: &History, newest: usize) -> Vec<PathBuf> {
    let backups = history.backups[..=newest].iter().rev();
    backups.map(|taken| taken.stored.directory.clone()).collect()
}

pub(super) fn open(directories: &[PathBuf]) -> Result<Chain> {
    Chain::open(directories, &keys(), ChainOptions::default())
}

pub(super) fn options(stored: &Fixture, workers: usize) -> RestoreOptions {
    RestoreOptions {
        workers,
        check_pages: true,
        ..stored.options()
    }
}

/// Restores a backup with everything that it builds on, and compares every file.
pub(super) fn assert_restores(history: &mut History, newest: usize, workers: usize) -> RestoreReport {
    let chain = open(&directories(history, newest)).unwrap();
    let Taken { stored, wanted } = &mut history.backups[newest];
    stored.clear();
    let planned = plan(&chain).unwrap();
    let report = restore(&chain, &options(stored, workers), &Job::default()).unwrap();
    let bytes: u64 = wanted.values().map(|bytes| bytes.len() as u64).sum();
    // the lists of the C program do not tell the size of WAL: it is taken for whole segments
    let wal = |path: &[u8]| path.starts_with(b"pg_wal/");
    let listed = wanted
        .iter()
        .filter(|(path, _)| !wal(path))
        .map(|(_, bytes)| bytes.len() as u64);
    assert_eq!(planned.bytes - planned.wal_bytes, listed.sum::<u64>());
    assert_eq!(planned.files, wanted.len() as u64);
    assert_eq!((report.bytes, report.files), (bytes, wanted.len() as u64));
    assert_eq!(
        (report.damaged_pages, report.unproven),
        (0, 0),
        "{:?}",
        report.warnings
    );
    let image = std::mem::replace(&mut stored.image, wanted.clone());
    stored.assert_restored(&[]);
    stored.image = image;
    assert_manifest(stored, wanted);
    report
}

/// The manifest lists what was made.
fn assert_manifest(stored: &Fixture, wanted: &Files) {
    let mut reader = PgManifestReader::open(&stored.target().join("backup_manifest")).unwrap();
    let mut listed = BTreeMap::new();
    while let Some(file) = reader.next_file().unwrap() {
        let kind = file.algorithm.digest_kind().unwrap();
        let bytes = wanted
            .get(&file.path)
            .unwrap_or_else(|| panic!("{}", file.path.escape_ascii()));
        assert_eq!(file.size, bytes.len() as u64, "{}", file.path.escape_ascii());
        assert_eq!(
            file.checksum,
            kind.of(bytes).as_bytes(),
            "{}",
            file.path.escape_ascii()
        );
        let expected = if stored.form.ours {
            ChecksumAlgorithm::Crc32c
        } else {
            ChecksumAlgorithm::Sha512
        };
        assert_eq!(file.algorithm, expected);
        listed.insert(file.path, ());
    }
    let summary = reader.finish().unwrap();
    assert_eq!(summary.wal_ranges.len(), 1);
    let unlisted = |path: &&Vec<u8>| path.starts_with(b"pg_wal/");
    assert_eq!(
        listed.len(),
        wanted.len() - wanted.keys().filter(unlisted).count()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]
    #[test]
    fn any_history_comes_back_as_the_server_had_it(seed in any::<u64>(), count in 2usize..6) {
        let mut history = History::new(seed);
        for _ in 0..count {
            for _ in 0..60 {
                history.step();
            }
            let form = FORMS[history.below(FORMS.len() as u64) as usize];
            history.back_up(form);
        }
        for newest in 0..count {
            let report = assert_restores(&mut history, newest, 2);
            prop_assert!(newest > 0 || report.combined == 0);
        }
    }
}

/// A file that every one of many backups changed, and its neighbours that some changed.
fn long_history(count: u32) -> History {
    let mut history = History::new(9);
    history.create("base/5/1000", 150);
    history.create("base/5/1001", 150);
    history.create("base/5/1003", 10);
    history.back_up(ZSTD);
    for number in 1..count {
        history.change("base/5/1000", number);
        history.change("base/5/1000", number * 3 % 150);
        if number % 5 == 0 {
            history.change("base/5/1001", number);
            history.grow("base/5/1001", 1, number % 2 == 0);
        }
        let form = FORMS[number as usize % FORMS.len()];
        history.back_up(form);
    }
    history
}

#[test]
fn a_long_chain_is_combined_with_few_open_files() {
    let mut history = long_history(40);
    // 64 sources for all threads: two for each of them
    let report = assert_restores(&mut history, 39, 32);
    assert_eq!(report.combined, 3);
    assert_restores(&mut history, 39, 1);
}

#[test]
fn blocks_that_were_cut_off_are_zeros_and_that_is_told() {
    let mut history = History::new(3);
    history.create("base/5/1000", 20);
    history.back_up(ZSTD);
    history.truncate("base/5/1000", 4);
    history.back_up(ZSTD);
    history.grow("base/5/1000", 9, false);
    history.back_up(ZSTD);
    let report = assert_restores(&mut history, 2, 1);
    let expected = "9 blocks had been cut off";
    assert!(
        report.warnings.iter().any(|one| one.starts_with(expected)),
        "{:?}",
        report.warnings
    );
    // of an opened chain that was used before, too
    let chain = open(&directories(&history, 2)).unwrap();
    let stored = &history.backups[2].stored;
    for _ in 0..2 {
        stored.clear();
        let again = restore(&chain, &options(stored, 1), &Job::default()).unwrap();
        assert_eq!(again.warnings, report.warnings);
    }
}

#[test]
fn chains_of_the_c_program_for_older_releases_are_read() {
    let theirs = |codec| Form::new(false, codec, None);
    let mut history = History::new(5);
    history.legacy = true;
    history.create("base/5/1000", 30);
    history.create("base/5/1001", 3);
    history.back_up(theirs(Codec::Zstd));
    for block in [3, 9] {
        history.change("base/5/1000", block);
        history.change("base/5/1000", block + 1);
        history.back_up(theirs(Codec::Lz4));
    }
    let report = assert_restores(&mut history, 2, 1);
    let told = |text: &str| report.warnings.iter().any(|one| one.contains(text));
    assert!(
        told("2 files of changed blocks are in the misaligned form"),
        "{:?}",
        report.warnings
    );
}

#[test]
fn a_truncation_length_beyond_the_segment_is_the_segment_s_end() {
    let mut history = damaged_scene();
    let stored = &mut history.backups[2].stored;
    let file = stored.image.get_mut(&b"base/5/INCREMENTAL.1000"[..]).unwrap();
    file[8..12].copy_from_slice(&65u32.to_le_bytes());
    for number in 0..3 {
        let control = history.backups[number]
            .stored
            .image
            .get_mut(&b"global/pg_control"[..])
            .unwrap();
        control[220..224].copy_from_slice(&64u32.to_le_bytes());
        seal_control(control);
        again(&history, number);
    }
    // our list is made for segments of the usual length
    let stored = &history.backups[2].stored;
    let json = stored.directory.join("backup.json");
    let text = std::fs::read_to_string(&json).unwrap();
    std::fs::write(&json, text.replace("\"BlockLength\": 65", "\"BlockLength\": 64")).unwrap();
    stored.write_sha512();
    let chain = open(&directories(&history, 2)).unwrap();
    let report = restore(&chain, &options(stored, 1), &Job::default()).unwrap();
    let size = std::fs::metadata(stored.target().join("base/5/1000"))
        .unwrap()
        .len();
    assert_eq!(size, 64 * 8192);
    assert!(
        report
            .warnings
            .iter()
            .any(|one| one.contains("beyond their segment"))
    );
}

#[test]
fn a_list_that_lies_about_a_length_is_noticed() {
    let history = damaged_scene();
    let stored = &history.backups[2].stored;
    let json = stored.directory.join("backup.json");
    let text = std::fs::read_to_string(&json).unwrap();
    assert!(text.contains("\"BlockLength\": 30"));
    std::fs::write(&json, text.replace("\"BlockLength\": 30", "\"BlockLength\": 31")).unwrap();
    stored.write_sha512();
    let error = failure(&history, &directories(&history, 2));
    assert_refused(&error, &["INCREMENTAL.", "the list of the backup"]);
}

/// Three backups: one file changes in each, another in none.
fn damaged_scene() -> History {
    let mut history = History::new(1);
    history.create("base/5/1000", 30);
    history.create("base/5/1001", 5);
    history.back_up(ZSTD);
    history.change("base/5/1000", 7);
    history.change("base/5/1000", 8);
    history.back_up(ZSTD);
    history.change("base/5/1000", 8);
    history.back_up(ZSTD);
    history
}

/// Stores a backup once more, from its image as it is now.
fn again(history: &History, number: usize) -> Fixture {
    let stored = &history.backups[number].stored;
    std::fs::remove_dir_all(&stored.directory).unwrap();
    Fixture::store_in(&history.temp, &stored.label, stored.form, stored.image.clone())
}

pub(super) fn failure(history: &History, directories: &[PathBuf]) -> Error {
    let stored = &history.backups[2].stored;
    stored.clear();
    let failed = open(directories).and_then(|chain| restore(&chain, &options(stored, 2), &Job::default()));
    let error = failed.map(|_| ()).unwrap_err();
    let control = stored.target().join("global/pg_control");
    assert!(!control.exists(), "a control file was left");
    error
}

pub(super) fn assert_refused(error: &Error, parts: &[&str]) {
    for part in parts {
        assert!(error.message.contains(part), "{part}: {}", error.message);
    }
    assert!(error.hint.is_some(), "no hint: {}", error.message);
}

#[test]
fn damage_in_any_source_is_noticed_and_named() {
    for (number, path) in [
        (0, &b"base/5/1000"[..]),
        (0, b"base/5/1001"),
        (1, b"base/5/INCREMENTAL.1000"),
        (1, b"base/5/INCREMENTAL.1001"),
        (2, b"base/5/INCREMENTAL.1000"),
        (2, b"base/5/INCREMENTAL.1001"),
    ] {
        for form in [PLAIN, ZSTD, FORMS[4]] {
            let mut history = damaged_scene();
            for taken in &mut history.backups {
                taken.stored.form = form;
            }
            for all in 0..3 {
                again(&history, all);
            }
            let file = history.backups[number].stored.stored_file(path);
            let name = file.display().to_string();
            let good = std::fs::read(&file).unwrap();
            // the last byte is a block that is passed over: block 8 of the base and of the middle is superseded
            for at in [0, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 0x40;
                std::fs::write(&file, &bad).unwrap();
                let error = failure(&history, &directories(&history, 2));
                assert_eq!(error.code, Code::Corrupt, "{name} byte {at}: {error}");
                assert_refused(&error, &[&name]);
            }
            std::fs::write(&file, &good[..good.len() - 1]).unwrap();
            let error = failure(&history, &directories(&history, 2));
            assert_refused(
                &error,
                &[&name, "instead of", &history.backups[number].stored.label],
            );
            std::fs::remove_file(&file).unwrap();
            let error = failure(&history, &directories(&history, 2));
            assert_refused(&error, &[&name, "missing", &history.backups[number].stored.label]);
            assert!(
                !history.backups[2].stored.target().exists(),
                "found before the first byte"
            );
        }
    }
}

#[test]
fn backups_that_do_not_belong_together_are_refused() {
    let history = damaged_scene();
    let whole = directories(&history, 2);
    let [newest, middle, full] = &whole[..] else {
        panic!()
    };
    let at = |list: &[&PathBuf]| -> Vec<PathBuf> { list.iter().map(|one| (*one).clone()).collect() };
    let alone = failure(&history, &at(&[newest]));
    assert_refused(
        &alone,
        &["20260103030405", "is incremental", "0/4000028 on timeline 1"],
    );
    let skipped = failure(&history, &at(&[newest, full]));
    assert_refused(
        &skipped,
        &[
            "20260103030405 builds on",
            "0/4000028",
            "20260101030405 is from 0/3000028",
        ],
    );
    let shuffled = failure(&history, &at(&[middle, newest, full]));
    assert_refused(&shuffled, &["20260102030405 builds on"]);
    let headless = failure(&history, &at(&[newest, middle]));
    assert_refused(&headless, &["20260102030405 is incremental"]);
    let twice = failure(&history, &at(&[full, full]));
    assert_refused(&twice, &["20260101030405 is a full backup"]);
    assert_eq!(failure(&history, &[]).code, Code::Usage);
}

/// Changes a file of a backup and expects the chain to be refused.
fn refused_with(number: usize, path: &[u8], change: impl FnOnce(&mut Vec<u8>), parts: &[&str]) {
    let mut history = damaged_scene();
    let mut fresh = history.backups[number]
        .stored
        .image
        .remove(path)
        .unwrap_or_default();
    change(&mut fresh);
    if !fresh.is_empty() {
        history.backups[number].stored.image.insert(path.to_vec(), fresh);
    }
    again(&history, number);
    assert_refused(&failure(&history, &directories(&history, 2)), parts);
}

fn seal_control(bytes: &mut [u8]) {
    let sum = crc32c::crc32c(&bytes[..288]);
    bytes[288..292].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn what_the_small_files_say_has_to_agree() {
    let control = b"global/pg_control";
    let set = |at: usize, value: u32| {
        move |bytes: &mut Vec<u8>| {
            bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
            seal_control(bytes);
        }
    };
    refused_with(
        1,
        control,
        set(0, 78),
        &["20260102030405", "are of the cluster 77", "78"],
    );
    refused_with(
        1,
        control,
        |bytes| bytes[40] ^= 1,
        &["20260102030405, global/pg_control", "damaged"],
    );
    refused_with(
        0,
        control,
        set(220, 131_071),
        &["size of a segment", "131072", "131071"],
    );
    refused_with(
        0,
        control,
        set(252, 0),
        &["page checksums are on in backup 20260103030405", "20260101030405"],
    );
    refused_with(
        0,
        b"PG_VERSION",
        |bytes| *bytes = b"18\n".to_vec(),
        &["major version", "17", "18"],
    );
    refused_with(
        0,
        b"PG_VERSION",
        |bytes| *bytes = b"17".to_vec(),
        &["no version of PostgreSQL"],
    );
    refused_with(
        1,
        b"backup_label",
        |bytes| bytes.truncate(bytes.len() - b"INCREMENTAL FROM TLI: 1\n".len()),
        &["20260102030405, backup_label", "INCREMENTAL FROM TLI"],
    );
    refused_with(
        1,
        b"base/5/INCREMENTAL.1001",
        Vec::clear,
        &["20260102030405", "base/5/1001", "no list"],
    );
    refused_with(0, b"base/5/1001", Vec::clear, &["20260101030405", "base/5/1001"]);
    let word = |at: usize, value: u32| {
        move |bytes: &mut Vec<u8>| bytes[at..at + 4].copy_from_slice(&value.to_le_bytes())
    };
    let newest = b"base/5/INCREMENTAL.1000";
    refused_with(
        2,
        newest,
        word(0, 1),
        &["begins with 0x00000001", "20260103030405"],
    );
    refused_with(
        1,
        newest,
        word(16, 7),
        &["block 7 follows block 7", "20260102030405"],
    );
    refused_with(1, newest, word(4, 3), &["would hold its 3 blocks"]);
    refused_with(2, newest, |bytes| bytes.push(0), &["would hold its 1 blocks"]);
    refused_with(1, newest, |bytes| bytes.truncate(7), &["header"]);
}

#[test]
fn a_file_that_is_there_whole_and_in_part_is_refused() {
    let mut history = damaged_scene();
    history.backups[2]
        .stored
        .image
        .insert(b"base/5/1001".to_vec(), page(1, 0));
    again(&history, 2);
    let error = failure(&history, &directories(&history, 2));
    assert_refused(&error, &["has base/5/1001 twice"]);
}

#[test]
fn mixed_page_checksums_can_be_accepted() {
    let mut history = damaged_scene();
    let control = history.backups[0]
        .stored
        .image
        .get_mut(&b"global/pg_control"[..])
        .unwrap();
    control[252] = 0;
    seal_control(control);
    again(&history, 0);
    let accept = ChainOptions {
        allow_mixed_checksums: true,
        ..ChainOptions::default()
    };
    let chain = Chain::open(&directories(&history, 2), &keys(), accept).unwrap();
    let report = restore(&chain, &options(&history.backups[2].stored, 2), &Job::default()).unwrap();
    assert!(
        report
            .warnings
            .iter()
            .any(|one| one.contains("page checksums are on"))
    );
}

#[test]
fn a_cancelled_restore_of_a_chain_stops() {
    let history = damaged_scene();
    let chain = open(&directories(&history, 2)).unwrap();
    let job = Job::default();
    job.cancel();
    let error = restore(&chain, &options(&history.backups[2].stored, 2), &job).unwrap_err();
    assert_eq!(error.code, Code::Cancelled);
}

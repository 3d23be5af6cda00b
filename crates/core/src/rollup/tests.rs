//! Chains are rolled up, and what they lead to stays what it was.

use super::roll_up;
use crate::cipher::CipherMode;
use crate::codec::{Codec, CodecSpec};
use crate::digest::DigestKind;
use crate::manifest::{BackupJsonReader, BackupRecord, StoredFile};
use crate::receive::{DEFAULT_BUDGET, LinkOptions, Options, Received, Receiver, Sealing};
use crate::restore::history::{History, SHAPE};
use crate::restore::testing::{Fixture, Form, keys, secret};
use crate::restore::{Chain, ChainOptions, Job, restore};
use crate::verify::{VerifyOptions, verify};
use crate::{Code, Result};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const ZSTD: Form = Form::new(true, Codec::Zstd, None);
const FORMS: [Form; 4] = [
    ZSTD,
    Form::new(true, Codec::None, None),
    Form::new(true, Codec::Lz4, Some(CipherMode::Aes256Gcm)),
    Form::new(false, Codec::Zstd, Some(CipherMode::Aes256Cbc)),
];
const ROLL_UP: ChainOptions = ChainOptions {
    allow_mixed_checksums: false,
    roll_up: true,
};

fn options(directory: PathBuf, form: Form, stored: &Fixture, parent: &Fixture) -> Options {
    Options {
        directory,
        spec: CodecSpec::new(form.codec, 3),
        sealing: form.cipher.map(|mode| Sealing {
            mode,
            secret: secret(),
        }),
        workers: 2,
        budget: DEFAULT_BUDGET,
        // the manifest of the newest backup tells which checksums it has
        manifest: Some(if stored.form.ours {
            DigestKind::Crc32c
        } else {
            DigestKind::Sha512
        }),
        server_codec: None,
        link: Some(LinkOptions {
            directory: parent.directory.clone(),
            label: parent.label.clone(),
        }),
        incremental: Some(SHAPE),
    }
}

/// Rolls up the backups from `newest` down to `oldest` (by number, oldest first) and puts the result in place of the
/// newest.
fn roll(history: &mut History, newest: usize, oldest: usize, form: Form) -> Result<Received> {
    let directories: Vec<_> = history.backups[oldest..=newest]
        .iter()
        .rev()
        .map(|taken| taken.stored.directory.clone())
        .collect();
    let stored = &history.backups[newest].stored;
    let staging = stored.directory.with_extension("staging");
    let chain = Chain::open(&directories, &keys(), ROLL_UP)?;
    let mut receiver = Receiver::new(options(
        staging.clone(),
        form,
        stored,
        &history.backups[oldest].stored,
    ))?;
    let report = roll_up(&chain, &mut receiver, &Job::default())?;
    assert_eq!(report.files, chain.inventory().files.len() as u64);
    let received = receiver.check()?;
    let codec = form.codec.name();
    let cipher = form.cipher.map_or("none", CipherMode::name);
    let header = format!(
        "{{\"label\":\"{}\",\"systemIdentifier\":\"77\",\"majorVersion\":17,\"startLsn\":\"0/2000028\",\
         \"compression\":\"{codec}\",\"encryption\":\"{cipher}\",\"blockSize\":8192,\
         \"tablespaces\":[{{\"oid\":\"16384\",\"name\":\"fast\",\"path\":\"/mnt/fast\"}}]}}",
        stored.label
    );
    receiver.finish(&header, "STATUS=1\n")?;
    std::fs::remove_dir_all(&stored.directory).unwrap();
    std::fs::rename(&staging, &stored.directory).unwrap();
    Ok(received)
}

/// A restore of the chain of these backups, newest first, makes what the newest was taken of.
fn assert_leads(history: &mut History, chain: &[usize]) {
    let directories: Vec<_> = chain
        .iter()
        .map(|number| history.backups[*number].stored.directory.clone())
        .collect();
    let opened = Chain::open(&directories, &keys(), ChainOptions::default()).unwrap();
    let taken = &mut history.backups[chain[0]];
    taken.stored.clear();
    restore(&opened, &taken.stored.options(), &Job::default()).unwrap();
    let image = std::mem::replace(&mut taken.stored.image, taken.wanted.clone());
    taken.stored.assert_restored(&[]);
    taken.stored.image = image;
}

fn assert_sound(directory: &Path) {
    let all = VerifyOptions {
        workers: 2,
        all: true,
        pages: false,
    };
    let report = verify(directory, keys(), all, &Job::default()).unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
}

fn listed(directory: &Path) -> Vec<StoredFile> {
    let mut reader = BackupJsonReader::open(&directory.join("backup.json")).unwrap();
    let mut files = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        if let BackupRecord::File(file) = record {
            files.push(file);
        }
    }
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn whatever_is_rolled_up_every_later_backup_stays_what_it_was(seed in any::<u64>(), count in 3usize..6) {
        let mut history = History::new(seed);
        for _ in 0..count {
            for _ in 0..60 {
                history.step();
            }
            let form = FORMS[history.below(4) as usize];
            history.back_up(form);
        }
        let newest = 1 + history.below(count as u64 - 1) as usize;
        let oldest = history.below(newest as u64) as usize;
        let form = FORMS[history.below(3) as usize];
        let received = roll(&mut history, newest, oldest, form).unwrap();
        prop_assert!(oldest > 0 || received.incremental_files == 0);
        assert_sound(&history.backups[newest].stored.directory);
        let below: Vec<usize> = (0..oldest).rev().collect();
        for last in newest..count {
            let mut chain: Vec<usize> = (newest..=last).rev().collect();
            chain.extend(&below);
            assert_leads(&mut history, &chain);
        }
    }
}

fn scene() -> History {
    let mut history = History::new(1);
    history.create("base/5/1000", 300);
    history.create("base/5/1001", 50);
    history.create("base/5/1003", 30);
    history.back_up(ZSTD);
    for block in [7, 9] {
        history.change("base/5/1000", block);
        history.back_up(ZSTD);
    }
    history
}

#[test]
fn a_child_of_a_full_backup_becomes_one_and_unchanged_files_are_links() {
    let mut history = scene();
    let received = roll(&mut history, 1, 0, ZSTD).unwrap();
    assert_eq!(received.incremental_files, 0);
    assert!(
        !received.backup_label.contains("INCREMENTAL"),
        "{}",
        received.backup_label
    );
    let files = listed(&history.backups[1].stored.directory);
    let linked: Vec<&[u8]> = files
        .iter()
        .filter(|file| file.linked.is_some())
        .map(|file| &file.path[..])
        .collect();
    for unchanged in [&b"base/5/1001"[..], b"base/5/1003", b"PG_VERSION"] {
        assert!(linked.contains(&unchanged), "{}", unchanged.escape_ascii());
    }
    assert!(!linked.contains(&&b"base/5/1000"[..]));
    assert_leads(&mut history, &[1]);
    assert_leads(&mut history, &[2, 1]);
}

#[test]
fn two_incremental_backups_become_one_that_builds_on_what_the_older_built_on() {
    let mut history = scene();
    let received = roll(&mut history, 2, 1, ZSTD).unwrap();
    assert_eq!(received.incremental_files, 3);
    let label = "INCREMENTAL FROM LSN: 0/3000028\nINCREMENTAL FROM TLI: 1\n";
    assert!(
        received.backup_label.ends_with(label),
        "{}",
        received.backup_label
    );
    let files = listed(&history.backups[2].stored.directory);
    let changed = files
        .iter()
        .find(|file| file.path == b"base/5/INCREMENTAL.1000")
        .unwrap();
    assert_eq!((changed.size, changed.block_length), (3 * 8192, Some(300)));
    assert_leads(&mut history, &[2, 0]);
}

#[test]
fn what_had_been_cut_off_stays_gone() {
    let mut history = History::new(3);
    history.create("base/5/1000", 20);
    history.back_up(ZSTD);
    history.truncate("base/5/1000", 4);
    history.back_up(ZSTD);
    history.grow("base/5/1000", 9, false);
    history.back_up(ZSTD);
    history.change("base/5/1000", 1);
    history.back_up(ZSTD);
    roll(&mut history, 2, 1, ZSTD).unwrap();
    let files = listed(&history.backups[2].stored.directory);
    let changed = files
        .iter()
        .find(|file| file.path == b"base/5/INCREMENTAL.1000")
        .unwrap();
    // nine pages of zeros, said aloud behind one header
    assert_eq!(changed.size, 10 * 8192);
    assert_leads(&mut history, &[2, 0]);
    assert_leads(&mut history, &[3, 2, 0]);
}

#[test]
fn damage_stops_a_roll_up() {
    let mut history = scene();
    let file = history.backups[0].stored.stored_file(b"base/5/1000");
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let error = roll(&mut history, 1, 0, ZSTD).unwrap_err();
    assert_eq!(error.code, Code::Corrupt);
    assert!(error.message.contains("base/5/1000"), "{error}");
    assert!(history.backups[1].stored.directory.exists());
}

#[test]
fn one_backup_is_no_roll_up_and_a_cancelled_one_stops() {
    let history = scene();
    let directory = &history.backups[2].stored.directory;
    let alone = Chain::open(&[directory], &keys(), ROLL_UP)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(alone.code, Code::Usage);
    let two = [directory, &history.backups[1].stored.directory];
    let chain = Chain::open(&two, &keys(), ROLL_UP).unwrap();
    let staging = directory.with_extension("staging");
    let (stored, parent) = (&history.backups[2].stored, &history.backups[1].stored);
    let mut receiver = Receiver::new(options(staging.clone(), ZSTD, stored, parent)).unwrap();
    let job = Job::default();
    job.cancel();
    let error = roll_up(&chain, &mut receiver, &job).unwrap_err();
    assert_eq!(error.code, Code::Cancelled);
    receiver.abort().unwrap();
    assert!(!staging.exists());
}

//! Restores beside a tree that has some of the files already.

use super::super::chain::history::{Files, History, Taken};
use super::super::testing::{Fixture, Form, SPACE, WAL, keys, small_image};
use super::super::{Chain, ChainOptions, Job, RestoreOptions, RestoreReport, restore};
use super::existing::may_reuse;
use super::{Base, Existing, Reuse, Tally, compare};
use crate::codec::Codec;
use crate::manifest::PgManifestReader;
use crate::{Code, Result};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

const ZSTD: Form = Form::new(true, Codec::Zstd, None);

/// A tree made of files, with the tablespace 16384 beside it.
struct Old {
    root: PathBuf,
}

impl Old {
    fn make(fixture: &Fixture, files: &Files) -> Self {
        let root = fixture.temp.path().join("old");
        let _ = std::fs::remove_dir_all(&root);
        let this = Self { root };
        for (path, bytes) in files {
            this.put(path, bytes);
        }
        std::fs::create_dir_all(this.data().join("pg_tblspc")).unwrap();
        symlink(this.space(), this.data().join("pg_tblspc/16384")).unwrap();
        this
    }

    fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    fn space(&self) -> PathBuf {
        self.root.join("space")
    }

    fn place(&self, path: &[u8]) -> PathBuf {
        match path.strip_prefix(b"pg_tblspc/16384/") {
            Some(rest) => self.space().join(OsStr::from_bytes(rest)),
            None => self.data().join(OsStr::from_bytes(path)),
        }
    }

    fn put(&self, path: &[u8], bytes: &[u8]) {
        let place = self.place(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(&place, bytes).unwrap();
        std::fs::set_permissions(&place, Permissions::from_mode(0o600)).unwrap();
    }

    fn existing(&self) -> Existing {
        Existing {
            directory: self.data(),
            tablespaces: vec![("16384".to_owned(), self.space())],
            base: None,
        }
    }

    /// Everything that could be told of the tree.
    fn state(&self) -> BTreeMap<Vec<u8>, (u64, u32, Vec<u8>)> {
        let mut all = BTreeMap::new();
        super::super::walk(&self.root, &mut |entry| {
            let place = self.root.join(OsStr::from_bytes(&entry.path));
            let status = place.symlink_metadata().unwrap();
            let bytes = if status.is_file() {
                std::fs::read(&place).unwrap()
            } else {
                Vec::new()
            };
            all.insert(entry.path, (status.ino(), status.mode(), bytes));
            Ok(())
        })
        .unwrap();
        all
    }
}

fn options(fixture: &Fixture, old: &Old) -> RestoreOptions {
    RestoreOptions {
        existing: Some(old.existing()),
        ..fixture.options()
    }
}

/// Compares, restores, and checks that both say the same and that nothing happened to the old tree.
fn renew(fixture: &Fixture, chain: &Chain, old: &Old, workers: usize) -> Result<(RestoreReport, Reuse)> {
    fixture.clear();
    let before = old.state();
    let options = RestoreOptions {
        workers,
        ..options(fixture, old)
    };
    let planned = compare(chain, &options, &Job::default())?;
    assert!(!fixture.target().exists());
    assert_eq!(
        std::fs::read_dir(fixture.temp.path()).unwrap().count(),
        2,
        "nothing beside"
    );
    let report = restore(chain, &options, &Job::default())?;
    assert!(old.state() == before, "the existing tree was changed");
    let reuse = report.reuse.clone().unwrap();
    assert_eq!(planned, reuse);
    assert_eq!(
        reuse.kept.files + reuse.rewritten.files + reuse.added.files,
        report.files
    );
    assert_eq!(
        reuse.kept.bytes + reuse.rewritten.bytes + reuse.added.bytes,
        report.bytes
    );
    Ok((report, reuse))
}

fn inode(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().ino()
}

fn is_linked(fixture: &Fixture, old: &Old, path: &str) -> bool {
    let new = fixture.target().join(path);
    old.place(path.as_bytes())
        .symlink_metadata()
        .is_ok_and(|status| status.ino() == inode(&new))
}

fn tally(image: &Files, wanted: impl Fn(&[u8]) -> bool) -> Tally {
    let chosen: Vec<_> = image.iter().filter(|(path, _)| wanted(path)).collect();
    Tally {
        files: chosen.len() as u64,
        bytes: chosen.iter().map(|(_, bytes)| bytes.len() as u64).sum(),
    }
}

#[test]
fn what_equals_is_linked_and_what_must_not_be_is_written() {
    for form in [
        ZSTD,
        Form::new(false, Codec::Lz4, None),
        Form::new(true, Codec::None, None),
    ] {
        let mut image = small_image();
        image.insert(b"postgresql.auto.conf".to_vec(), b"# one\n".to_vec());
        let fixture = Fixture::store(form, image.clone());
        let old = Old::make(&fixture, &image);
        let (_, reuse) = renew(&fixture, &fixture.chain().unwrap(), &old, 2).unwrap();
        fixture.assert_restored(&[]);
        assert_eq!(reuse.kept, tally(&image, may_reuse));
        assert_eq!(reuse.rewritten, tally(&image, |path| !may_reuse(path)));
        assert_eq!((reuse.added, reuse.removed, reuse.copied), Default::default());
        for path in image.keys() {
            let name = String::from_utf8_lossy(path);
            if !path.contains(&0xff) {
                assert_eq!(is_linked(&fixture, &old, &name), may_reuse(path), "{name}");
            }
        }
        for path in ["global/pg_control", "backup_label", "postgresql.auto.conf", WAL] {
            assert!(!is_linked(&fixture, &old, path), "{path}");
        }
    }
}

#[test]
fn every_difference_is_written_anew() {
    let fixture = Fixture::small(ZSTD);
    let old = Old::make(&fixture, &fixture.image);
    let mut bytes = fixture.image[&b"base/1/1259"[..]].clone();
    bytes[20_000] ^= 1;
    old.put(b"base/1/1259", &bytes);
    old.put(b"base/1/2600", b"longer");
    bytes = fixture.image[SPACE.as_bytes()].clone();
    bytes.truncate(8192);
    old.put(SPACE.as_bytes(), &bytes);
    std::fs::remove_file(old.place(b"PG_VERSION")).unwrap();
    // a link to the right bytes is no file of the cluster
    std::fs::remove_file(old.place(b"global/1262")).unwrap();
    std::fs::write(
        fixture.temp.path().join("old/right"),
        &fixture.image[&b"global/1262"[..]],
    )
    .unwrap();
    symlink(old.root.join("right"), old.place(b"global/1262")).unwrap();
    std::fs::remove_file(old.place(b"share/really.gz")).unwrap();
    std::fs::create_dir(old.place(b"share/really.gz")).unwrap();
    let pipe = old.place(b"share/na\xffme");
    std::fs::remove_file(&pipe).unwrap();
    let name = CString::new(pipe.as_os_str().as_bytes()).unwrap();
    // SAFETY: the name ends with a NUL and lives during the call.
    assert_eq!(unsafe { libc::mkfifo(name.as_ptr(), 0o600) }, 0);
    old.put(b"base/1/surplus", &[0; 4000]);
    old.put(b"pg_wal/000000010000000000000009", &[0; 300]);
    symlink("/somewhere", old.place(b"postgresql.conf")).unwrap();

    let (_, reuse) = renew(&fixture, &fixture.chain().unwrap(), &old, 2).unwrap();
    fixture.assert_restored(&[]);
    assert_eq!(reuse.kept, Tally::default());
    assert_eq!(reuse.added_paths, ["PG_VERSION"]);
    let mut rewritten = vec![
        "backup_label",
        "base/1/1259",
        "base/1/2600",
        "global/1262",
        "global/pg_control",
        SPACE,
        WAL,
        "share/na\\xffme",
        "share/really.gz",
    ];
    rewritten.sort_unstable();
    assert_eq!(reuse.rewritten_paths, rewritten);
    assert_eq!(
        reuse.removed_paths,
        [
            "base/1/surplus",
            "pg_wal/000000010000000000000009",
            "postgresql.conf"
        ]
    );
    assert_eq!(
        reuse.removed,
        Tally {
            files: 3,
            bytes: 4300
        }
    );
    let links: Vec<_> = reuse
        .links
        .iter()
        .map(|(path, target)| (path.as_str(), target.as_str()))
        .collect();
    let right = old.root.join("right").display().to_string();
    assert_eq!(
        links,
        [("global/1262", right.as_str()), ("postgresql.conf", "/somewhere")]
    );
}

#[test]
fn what_cannot_be_linked_is_copied_with_the_right_mode() {
    let fixture = Fixture::small(ZSTD);
    let old = Old::make(&fixture, &fixture.image);
    for path in ["base/1/1259", SPACE] {
        let mode = Permissions::from_mode(0o644);
        std::fs::set_permissions(old.place(path.as_bytes()), mode).unwrap();
    }
    let (_, reuse) = renew(&fixture, &fixture.chain().unwrap(), &old, 2).unwrap();
    fixture.assert_restored(&[]);
    let copied = tally(&fixture.image, |path| {
        path == b"base/1/1259" || path == SPACE.as_bytes()
    });
    assert_eq!(
        (reuse.kept, reuse.copied),
        (tally(&fixture.image, may_reuse), copied)
    );
    for path in ["base/1/1259", SPACE] {
        let mode = fixture.target().join(path).metadata().unwrap().mode();
        assert!(
            !is_linked(&fixture, &old, path) && mode & 0o7777 == 0o600,
            "{path}"
        );
    }
}

#[test]
fn a_tree_is_not_restored_onto_itself() {
    let fixture = Fixture::small(ZSTD);
    let chain = fixture.chain().unwrap();
    let with = |directory: PathBuf, space: PathBuf| {
        let existing = Some(Existing {
            directory,
            tablespaces: vec![("16384".to_owned(), space)],
            base: None,
        });
        let options = RestoreOptions {
            existing,
            ..fixture.options()
        };
        restore(&chain, &options, &Job::default()).unwrap_err().code
    };
    let elsewhere = fixture.temp.path().join("elsewhere");
    std::fs::create_dir(fixture.target()).unwrap();
    assert_eq!(with(fixture.target(), elsewhere.clone()), Code::Usage);
    let space = fixture.options().tablespaces[0].directory.clone();
    assert_eq!(with(fixture.temp.path().to_path_buf(), space), Code::Usage);
    assert_eq!(with(elsewhere.clone(), elsewhere), Code::Io);
}

fn chain_of(history: &History, newest: usize) -> Chain {
    let backups = history.backups[..=newest].iter().rev();
    let directories: Vec<_> = backups.map(|taken| taken.stored.directory.clone()).collect();
    Chain::open(&directories, &keys(), ChainOptions::default()).unwrap()
}

/// Restores a backup beside a tree and compares every file.
fn assert_renewed(history: &mut History, newest: usize, files: &Files, workers: usize) -> (Reuse, Old) {
    let chain = chain_of(history, newest);
    let taken = &mut history.backups[newest];
    let image = std::mem::replace(&mut taken.stored.image, taken.wanted.clone());
    let old = Old::make(&taken.stored, files);
    let (_, reuse) = renew(&taken.stored, &chain, &old, workers).unwrap();
    taken.stored.assert_restored(&[]);
    taken.stored.image = image;
    (reuse, old)
}

/// Three files of thirty pages, of which every backup changes one page.
fn chain_history(count: u32) -> History {
    let mut history = History::new(4);
    for path in ["base/5/1000", "base/5/1001", "base/5/1003"] {
        history.create(path, 30);
    }
    history.back_up(ZSTD);
    for number in 1..count {
        for path in ["base/5/1000", "base/5/1001", "base/5/1003"] {
            history.change(path, number % 30);
        }
        history.back_up(ZSTD);
    }
    history
}

#[test]
fn combined_files_are_compared_as_they_are_made() {
    // in the long one the oldest blocks are brought together in the file that is being made
    for (count, workers) in [(3, 2), (12, 40)] {
        let mut history = chain_history(count);
        let newest = count as usize - 1;
        let mut files = history.backups[newest].wanted.clone();
        let (reuse, old) = assert_renewed(&mut history, newest, &files, workers);
        let stored = &history.backups[newest].stored;
        for path in ["base/5/1000", "base/5/1001", "base/5/1003"] {
            assert!(is_linked(stored, &old, path), "{path}");
        }
        assert_eq!(reuse.kept, tally(&files, may_reuse));

        // one bit near the end; the end is missing; there is more
        files.get_mut(&b"base/5/1000"[..]).unwrap()[29 * 8192 + 5] ^= 1;
        files.get_mut(&b"base/5/1001"[..]).unwrap().truncate(20 * 8192);
        files.get_mut(&b"base/5/1003"[..]).unwrap().push(0);
        let (reuse, _) = assert_renewed(&mut history, newest, &files, workers);
        let changed = ["base/5/1000", "base/5/1001", "base/5/1003"];
        assert!(
            changed
                .iter()
                .all(|path| reuse.rewritten_paths.iter().any(|one| one == path))
        );
        files.remove(&b"base/5/1001"[..]);
        files.insert(b"base/5/1003".to_vec(), Vec::new());
        let (reuse, _) = assert_renewed(&mut history, newest, &files, workers);
        assert_eq!(reuse.added_paths, ["base/5/1001"]);
    }
}

#[test]
fn a_damaged_source_is_an_error_even_when_the_old_file_is_right() {
    let history = chain_history(3);
    let stored = &history.backups[2].stored;
    let old = Old::make(stored, &history.backups[2].wanted);
    let file = history.backups[0].stored.stored_file(b"base/5/1001");
    let mut bytes = std::fs::read(&file).unwrap();
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let failed = renew(stored, &chain_of(&history, 2), &old, 2)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(failed.code, Code::Corrupt);
    assert!(failed.message.contains("base/5/1001"), "{}", failed.message);
    stored.clear();
    assert!(restore(&chain_of(&history, 2), &options(stored, &old), &Job::default()).is_err());
    assert!(!stored.target().join("base/5/1001").exists());
    assert!(!stored.target().join("global/pg_control").exists());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]
    #[test]
    fn whatever_was_there_the_cluster_is_that_of_the_backup(seed in any::<u64>()) {
        let mut history = History::new(seed);
        for _ in 0..4 {
            for _ in 0..40 {
                history.step();
            }
            history.back_up(ZSTD);
        }
        for newest in 0..4 {
            // the cluster as it was at any backup, older or newer, and some files touched since
            let from = history.below(4) as usize;
            let mut files = history.backups[from].wanted.clone();
            let paths: Vec<_> = files.keys().cloned().collect();
            for _ in 0..3 {
                let path = &paths[history.below(paths.len() as u64) as usize];
                let at = history.below(60_000) as usize;
                let bytes = files.get_mut(path).unwrap();
                match at % 3 {
                    0 => bytes.truncate(at % (bytes.len() + 1)),
                    1 => bytes.extend_from_slice(&[7; 100]),
                    _ => {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte ^= 0x10;
                        }
                    }
                }
            }
            assert_renewed(&mut history, newest, &files, 2);
        }
    }
}

/// What was restored upon a tree that is known.
struct Renewed {
    reuse: Reuse,
    old: Old,
    warnings: Vec<String>,
}

/// Restores a backup, then, after `touch`, a newer one upon what that made. With `hide` the files of relations of the
/// backups that the tree was made of are not there meanwhile.
fn renew_upon(
    history: &mut History,
    from: usize,
    newest: usize,
    touch: impl Fn(&Old),
    hide: bool,
) -> Renewed {
    let before = &history.backups[from].stored;
    before.clear();
    restore(&chain_of(history, from), &before.options(), &Job::default()).unwrap();
    let old = Old {
        root: before.temp.path().join("old"),
    };
    let _ = std::fs::remove_dir_all(&old.root);
    std::fs::create_dir(&old.root).unwrap();
    std::fs::rename(before.target(), old.data()).unwrap();
    std::fs::rename(&before.options().tablespaces[0].directory, old.space()).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    touch(&old);
    let existing = Existing {
        base: Some(Base {
            backup: before.directory.clone(),
            stamp: now.as_nanos() as i64,
        }),
        ..old.existing()
    };
    let chain = chain_of(history, newest);
    let names = |taken: &Taken| {
        (
            taken.stored.directory.join("data/base"),
            taken.stored.directory.join("hidden"),
        )
    };
    let hidden = if hide { &history.backups[..=from] } else { &[] };
    for (shown, hidden) in hidden.iter().map(names) {
        std::fs::rename(shown, hidden).unwrap();
    }
    let options = RestoreOptions {
        existing: Some(existing),
        ..before.options()
    };
    let planned = compare(&chain, &options, &Job::default()).unwrap();
    let report = restore(&chain, &options, &Job::default()).unwrap();
    for (shown, hidden) in hidden.iter().map(names) {
        std::fs::rename(hidden, shown).unwrap();
    }
    let reuse = report.reuse.unwrap();
    assert_eq!(planned, reuse);
    let taken = &mut history.backups[newest];
    let image = std::mem::replace(&mut taken.stored.image, taken.wanted.clone());
    taken.stored.assert_restored(&[]);
    taken.stored.image = image;
    let mut manifest = PgManifestReader::open(&taken.stored.target().join("backup_manifest")).unwrap();
    while let Some(file) = manifest.next_file().unwrap() {
        let digest = file
            .algorithm
            .digest_kind()
            .unwrap()
            .of(&taken.wanted[&file.path]);
        assert_eq!(file.checksum, digest.as_bytes(), "{}", file.path.escape_ascii());
    }
    manifest.finish().unwrap();
    Renewed {
        reuse,
        old,
        warnings: report.warnings,
    }
}

/// Two files that change with every backup, two that do not; the first is read from several older ones.
fn known_history() -> History {
    let mut history = History::new(8);
    for path in ["base/5/1000", "base/5/1001", "base/5/1003", SPACE] {
        history.create(path, 30);
    }
    history.back_up(ZSTD);
    for number in 1..6 {
        history.change("base/5/1000", number);
        history.change("base/5/1003", 2 * number);
        match number {
            3 => history.truncate("base/5/1003", 20),
            4 => history.grow("base/5/1003", 3, false),
            _ => {}
        }
        history.back_up(ZSTD);
    }
    history
}

#[test]
fn upon_an_older_backup_only_what_is_newer_is_read() {
    let mut history = known_history();
    for (from, newest) in [(2, 3), (0, 5), (3, 5), (4, 4), (1, 4)] {
        let Renewed { reuse, old, warnings } = renew_upon(&mut history, from, newest, |_| (), true);
        assert!(
            !warnings.iter().any(|one| one.contains("is not known to be")),
            "{warnings:?}"
        );
        let stored = &history.backups[newest].stored;
        for path in ["base/5/1001", SPACE] {
            assert!(is_linked(stored, &old, path), "{path}");
        }
        for path in ["base/5/1000", "base/5/1003"] {
            assert_eq!(is_linked(stored, &old, path), from == newest, "{path}");
        }
        assert_eq!(reuse.added, Tally::default());
    }
}

#[test]
fn a_file_that_somebody_touched_is_compared() {
    let mut history = known_history();
    let touch = |old: &Old| {
        for (path, at) in [("base/5/1001", 100), ("base/5/1000", 29 * 8192)] {
            let mut bytes = std::fs::read(old.place(path.as_bytes())).unwrap();
            bytes[at] ^= 1;
            old.put(path.as_bytes(), &bytes);
        }
        let bytes = std::fs::read(old.place(SPACE.as_bytes())).unwrap();
        old.put(SPACE.as_bytes(), &bytes);
        old.put(b"base/5/1003", &[0; 8192]);
    };
    let Renewed { reuse, old, .. } = renew_upon(&mut history, 2, 4, touch, false);
    for path in ["base/5/1000", "base/5/1001", "base/5/1003"] {
        assert!(reuse.rewritten_paths.iter().any(|one| one == path), "{path}");
    }
    assert!(is_linked(&history.backups[4].stored, &old, SPACE));
}

#[test]
fn a_tree_that_is_not_what_is_said_of_it_is_compared_and_that_is_told() {
    let mut history = known_history();
    let foreign = |old: &Old| {
        let manifest = old.data().join("backup_manifest");
        std::fs::write(manifest, b"nothing of the kind").unwrap();
        let mut bytes = std::fs::read(old.place(b"base/5/1001")).unwrap();
        bytes[9] ^= 1;
        old.put(b"base/5/1001", &bytes);
    };
    let Renewed { reuse, warnings, .. } = renew_upon(&mut history, 2, 4, foreign, false);
    assert!(
        warnings.iter().any(|one| one.contains("is not known to be")),
        "{warnings:?}"
    );
    assert!(reuse.rewritten_paths.iter().any(|one| one == "base/5/1001"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5))]
    #[test]
    fn upon_any_older_backup_the_cluster_is_that_of_the_newer(seed in any::<u64>()) {
        let mut history = History::new(seed);
        for _ in 0..5 {
            for _ in 0..40 {
                history.step();
            }
            history.back_up(ZSTD);
        }
        for newest in 1..5 {
            let from = history.below(newest as u64 + 1) as usize;
            renew_upon(&mut history, from, newest, |_| (), false);
        }
    }
}

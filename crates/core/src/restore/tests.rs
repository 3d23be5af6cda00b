//! Restores of backups of both forms, whole and damaged.

use super::testing::{Fixture, Form, LABEL, SPACE, WAL, encode, image, keys, pages, small_image};
use super::*;
use crate::cipher::{CipherMode, MasterSecret};
use crate::codec::Codec;
use crate::{Code, Error};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const GCM: Option<CipherMode> = Some(CipherMode::Aes256Gcm);

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn assert_no_control(fixture: &Fixture) {
    let global = fixture.target().join("global");
    let names: Vec<_> = std::fs::read_dir(&global)
        .map(|dir| dir.map(|entry| entry.unwrap().file_name()).collect())
        .unwrap_or_default();
    assert!(
        !names
            .iter()
            .any(|name| name.to_string_lossy().contains("pg_control")),
        "{names:?}"
    );
}

#[test]
fn every_form_comes_back_as_it_was() {
    let codecs = [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2];
    for ours in [true, false] {
        for codec in codecs {
            for cipher in [None, GCM] {
                // the large image has files of several frames; slow codecs are the small one's
                let large =
                    codec == Codec::Zstd || (cipher.is_none() && matches!(codec, Codec::None | Codec::Lz4));
                let form = Form::new(ours, codec, cipher);
                let fixture = if large {
                    Fixture::new(form)
                } else {
                    Fixture::small(form)
                };
                let report = fixture
                    .restore()
                    .unwrap_or_else(|error| panic!("{:?}: {error}", fixture.form));
                assert_eq!(report.files, fixture.image.len() as u64);
                assert_eq!(
                    report.bytes,
                    fixture
                        .image
                        .values()
                        .map(|bytes| bytes.len() as u64)
                        .sum::<u64>()
                );
                assert_eq!(
                    (report.unproven, report.warnings.as_slice()),
                    (0, &[][..]),
                    "{:?}",
                    fixture.form
                );
                fixture.assert_restored(&[]);
            }
        }
    }
}

#[test]
fn every_cipher_is_found_out() {
    for cipher in [
        CipherMode::Aes192Gcm,
        CipherMode::Aes128Gcm,
        CipherMode::Aes256Cbc,
        CipherMode::Aes128Ctr,
    ] {
        for ours in [true, false] {
            let fixture = Fixture::small(Form::new(ours, Codec::Zstd, Some(cipher)));
            // what is recorded does not help: the files have to tell
            let info = fixture.directory.join("backup.info");
            if let Ok(text) = std::fs::read_to_string(&info) {
                std::fs::write(&info, text.replace("ENCRYPTION=", "ENCRYPTION=9")).unwrap();
            }
            fixture
                .restore()
                .unwrap_or_else(|error| panic!("{cipher:?} {ours}: {error}"));
            fixture.assert_restored(&[]);
        }
    }
}

#[test]
fn the_old_lz4_form_is_read() {
    let fixture = Fixture::new(Form {
        old_lz4: true,
        ..Form::new(false, Codec::Lz4, None)
    });
    fixture.restore().unwrap();
    fixture.assert_restored(&[]);
}

#[test]
fn the_cluster_is_complete() {
    let fixture = Fixture::small(Form::new(true, Codec::Zstd, GCM));
    fixture.restore().unwrap();
    let target = fixture.target();
    for directory in [
        "pg_notify",
        "pg_twophase",
        "pg_wal/archive_status",
        "pg_logical/snapshots",
        "pg_stat_tmp",
        "pg_commit_ts",
    ] {
        assert_eq!(mode(&target.join(directory)), 0o700, "{directory}");
    }
    assert!(
        !target.join("pg_wal/summaries").exists(),
        "PostgreSQL 16 has none"
    );
    assert_eq!(mode(&target), 0o700);
    assert_eq!(mode(&target.join("PG_VERSION")), 0o600);
    let link = std::fs::read_link(target.join("pg_tblspc/16384")).unwrap();
    assert_eq!(link, fixture.temp.path().join("restored-fast"));
    let manifest = |root: &Path| std::fs::read(root.join("backup_manifest")).unwrap();
    assert!(manifest(&target) == manifest(&fixture.directory.join("data")));
}

#[test]
fn group_access_is_kept() {
    let fixture = Fixture::small(Form::new(true, Codec::None, None));
    let json = fixture.directory.join("backup.json");
    let text = String::from_utf8(std::fs::read(&json).unwrap()).unwrap();
    std::fs::write(&json, text.replace("\"Mode\": 384", "\"Mode\": 416")).unwrap();
    fixture.write_sha512();
    fixture.restore().unwrap();
    assert_eq!(mode(&fixture.target()), 0o750);
    assert_eq!(mode(&fixture.target().join("base/1")), 0o750);
    for file in ["base/1/1259", "global/pg_control", "backup_manifest"] {
        assert_eq!(mode(&fixture.target().join(file)), 0o640, "{file}");
    }
}

#[test]
fn the_plan_tells_every_byte() {
    for ours in [true, false] {
        let fixture = Fixture::new(Form::new(ours, Codec::None, GCM));
        let plan = plan(&fixture.chain().unwrap()).unwrap();
        let size = |path: &str| fixture.image[path.as_bytes()].len() as u64;
        let all: u64 = fixture.image.values().map(|bytes| bytes.len() as u64).sum();
        assert_eq!(plan.files, fixture.image.len() as u64);
        assert_eq!(plan.tablespaces.len(), 1);
        assert_eq!(
            (plan.tablespaces[0].oid.as_str(), plan.tablespaces[0].bytes),
            ("16384", size(SPACE))
        );
        let wal = if ours { size(WAL) } else { 16 << 20 };
        assert_eq!(
            plan.wal_bytes, wal,
            "the control file tells the size of a segment"
        );
        assert_eq!(plan.bytes, all - size(WAL) + wal);
        assert_eq!(plan.base_bytes + plan.tablespaces[0].bytes, plan.bytes);
        assert_eq!((plan.unproven, plan.missing.len()), (0, 0));
        assert_eq!((plan.system_identifier, plan.block_size), (Some(77), Some(8192)));
        assert_eq!(
            (plan.encrypted, plan.data_checksums, plan.major_version),
            (true, Some(true), Some(16))
        );
    }
}

/// A backup of pgmoneta in C whose files are links into an older one, as its deduplication makes them.
fn linked(to: impl Fn(&Path, &[u8]) -> std::path::PathBuf) -> Fixture {
    let fixture = Fixture::new(Form::new(false, Codec::Zstd, GCM));
    let older = fixture.directory.parent().unwrap().join("20260101030405");
    for path in [&b"base/1/1259"[..], SPACE.as_bytes()] {
        let stored = fixture.stored_file(path);
        let name = fixture.stored(path);
        let kept = older.join(OsStr::from_bytes(&name));
        std::fs::create_dir_all(kept.parent().unwrap()).unwrap();
        std::fs::rename(&stored, &kept).unwrap();
        symlink(to(&older, &name), &stored).unwrap();
    }
    fixture
}

#[test]
fn deduplicated_files_are_followed() {
    let fixture = linked(|older, name| older.join(OsStr::from_bytes(name)));
    fixture.restore().unwrap();
    fixture.assert_restored(&[]);
    assert!(!fixture.target().join("base/1/1259").is_symlink());
}

#[test]
fn links_of_a_repository_that_was_moved_are_found_again() {
    let fixture = linked(|_, name| Path::new("/nowhere/backup/20260101030405").join(OsStr::from_bytes(name)));
    let space = fixture.directory.join("data/pg_tblspc/16384");
    std::fs::remove_file(&space).unwrap();
    symlink("/nowhere/backup/20260102030405/tblspc_fast/", &space).unwrap();
    fixture.restore().unwrap();
    fixture.assert_restored(&[]);
}

#[test]
fn tablespaces_in_place_stay_in_place() {
    for ours in [true, false] {
        let mut image = small_image();
        image.insert(b"pg_tblspc/16500/PG_16_202307071/5/1".to_vec(), pages(1, 1));
        let fixture = Fixture::store(Form::new(ours, Codec::Zstd, None), image);
        fixture.restore().unwrap();
        fixture.assert_restored(&[]);
        assert!(!fixture.target().join("pg_tblspc/16500").is_symlink());
    }
}

#[test]
fn what_has_no_place_is_left_out_of_cluster_and_manifest() {
    for ours in [true, false] {
        let mut image = small_image();
        image.insert(b"tablespace_map".to_vec(), b"16384 /mnt/fast\n".to_vec());
        image.insert(b"backup_label.old".to_vec(), b"x".to_vec());
        let fixture = Fixture::store(Form::new(ours, Codec::Gzip, None), image);
        fixture.restore().unwrap();
        fixture.assert_restored(&[b"tablespace_map", b"backup_label.old"]);
        let mut reader =
            crate::manifest::PgManifestReader::open(&fixture.target().join("backup_manifest")).unwrap();
        let mut count = 0;
        while let Some(file) = reader.next_file().unwrap() {
            assert!(!file.path.starts_with(b"tablespace_map") && !file.path.ends_with(b".old"));
            count += 1;
        }
        assert_eq!(count, fixture.image.len() - 3, "WAL is in no manifest");
    }
}

fn assert_fails(fixture: &Fixture, name: &str) -> Error {
    let error = fixture.restore().expect_err(name);
    assert!(error.message.contains(name), "{name}: {}", error.message);
    assert_no_control(fixture);
    fixture.clear();
    error
}

#[test]
fn every_damage_is_noticed_and_named() {
    let forms = [
        Form::new(true, Codec::None, None),
        Form::new(true, Codec::Zstd, None),
        Form::new(true, Codec::Lz4, GCM),
        Form::new(false, Codec::None, None),
        Form::new(false, Codec::Gzip, None),
        Form::new(false, Codec::Zstd, GCM),
        Form {
            old_lz4: true,
            ..Form::new(false, Codec::Lz4, None)
        },
    ];
    for form in forms {
        let fixture = Fixture::small(form);
        for path in [
            "base/1/1259",
            "global/pg_control",
            "PG_VERSION",
            SPACE,
            WAL,
            "backup_label",
        ] {
            let stored = fixture.stored_file(path.as_bytes());
            let name = path.rsplit('/').next().unwrap();
            let good = std::fs::read(&stored).unwrap();
            for place in [0, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[place] ^= 0x20;
                std::fs::write(&stored, &bad).unwrap();
                if form.codec == Codec::Gzip
                    && form.cipher.is_none()
                    && place < 20
                    && fixture.restore().is_ok()
                {
                    // a byte of the header that means nothing to the content, which is proved all the same
                    fixture.assert_restored(&[]);
                } else {
                    fixture.clear();
                    assert_fails(&fixture, name);
                }
                fixture.clear();
            }
            for size in [0, good.len() / 2, good.len() - 1] {
                std::fs::write(&stored, &good[..size]).unwrap();
                assert_fails(&fixture, name);
            }
            std::fs::write(&stored, [&good[..], b"x"].concat()).unwrap();
            assert_fails(&fixture, name);
            std::fs::remove_file(&stored).unwrap();
            assert_fails(&fixture, name);
            std::fs::write(&stored, &good).unwrap();
        }
        fixture.restore().unwrap();
        fixture.assert_restored(&[]);
    }
}

#[test]
fn another_file_of_the_same_backup_is_not_taken_for_the_right_one() {
    for ours in [true, false] {
        let fixture = Fixture::small(Form::new(ours, Codec::Zstd, GCM));
        std::fs::copy(
            fixture.stored_file(b"global/1262"),
            fixture.stored_file(b"base/1/1259"),
        )
        .unwrap();
        assert_fails(&fixture, "1259");
        // sealed by the right key, of the right size, but not what the server sent
        let mut other = fixture.image[&b"base/1/1259"[..]].clone();
        other[9000] ^= 1;
        std::fs::write(fixture.stored_file(b"base/1/1259"), encode(fixture.form, &other)).unwrap();
        assert_fails(&fixture, "1259");
    }
}

#[test]
fn damaged_lists_are_noticed() {
    for (ours, lists) in [
        (true, ["backup.json", "data/backup_manifest"]),
        (false, ["backup.manifest", "data/backup_manifest"]),
    ] {
        for list in lists {
            let fixture = Fixture::small(Form::new(ours, Codec::Zstd, None));
            let path = fixture.directory.join(list);
            let good = std::fs::read(&path).unwrap();
            for place in (0..good.len()).step_by(97) {
                let mut bad = good.clone();
                bad[place] ^= 1;
                std::fs::write(&path, &bad).unwrap();
                assert!(fixture.open().is_err(), "{list} at {place}");
            }
        }
    }
}

#[test]
fn a_line_that_is_gone_from_our_list_is_missed() {
    let fixture = Fixture::small(Form::new(true, Codec::Zstd, None));
    let json = fixture.directory.join("backup.json");
    let text = String::from_utf8(std::fs::read(&json).unwrap()).unwrap();
    let kept: Vec<_> = text
        .lines()
        .filter(|line| !line.contains("base/1/2600"))
        .collect();
    std::fs::write(&json, kept.join("\n") + "\n").unwrap();
    fixture.write_sha512();
    let error = fixture.open().map(|_| ()).unwrap_err();
    assert!(error.message.contains("base/1/2600"), "{error}");
}

#[test]
fn files_without_proof_need_consent() {
    let fixture = Fixture::small(Form::new(false, Codec::Zstd, None));
    std::fs::remove_file(fixture.directory.join("backup.sha512")).unwrap();
    let error = assert_fails(&fixture, WAL);
    assert!(error.hint.unwrap().contains("unproven"));
    let backup = fixture.chain().unwrap();
    let options = RestoreOptions {
        allow_unproven: true,
        ..fixture.options()
    };
    let report = restore(&backup, &options, &Job::default()).unwrap();
    assert_eq!(report.unproven, 1);
    fixture.assert_restored(&[]);
}

#[test]
fn a_wrong_or_missing_key_is_told() {
    for ours in [true, false] {
        let fixture = Fixture::small(Form::new(ours, Codec::Zstd, GCM));
        for (keys, hint) in [
            (Keys::default(), "master key"),
            (
                Keys {
                    secret: Some(MasterSecret::from_slice(&[8; 64]).unwrap()),
                    ..Keys::default()
                },
                "master.key",
            ),
        ] {
            let backup = Chain::open(&[&fixture.directory], &keys, ChainOptions::default()).unwrap();
            let error = restore(&backup, &fixture.options(), &Job::default()).unwrap_err();
            assert!(
                error.hint.as_deref().unwrap_or_default().contains(hint),
                "{error:?}"
            );
            assert_no_control(&fixture);
            fixture.clear();
        }
    }
}

#[test]
fn orders_that_cannot_work_are_refused_before_anything_is_written() {
    let fixture = Fixture::small(Form::new(true, Codec::Zstd, None));
    let backup = fixture.chain().unwrap();
    let refused = |options: &RestoreOptions| {
        let error = restore(&backup, options, &Job::default()).unwrap_err();
        assert_eq!(error.code, Code::Usage, "{error}");
        error.message
    };
    assert!(
        refused(&RestoreOptions {
            tablespaces: Vec::new(),
            ..fixture.options()
        })
        .contains("16384")
    );
    assert!(!fixture.target().exists());
    let mut shared = fixture.options();
    shared.tablespaces[0].directory = shared.target.clone();
    refused(&shared);
    std::fs::create_dir(fixture.target()).unwrap();
    std::fs::write(fixture.target().join("precious"), b"x").unwrap();
    assert!(refused(&fixture.options()).contains("not empty"));
    assert_eq!(std::fs::read(fixture.target().join("precious")).unwrap(), b"x");
}

#[test]
fn a_cancelled_restore_leaves_no_control_file() {
    let fixture = Fixture::small(Form::new(true, Codec::Zstd, None));
    let backup = fixture.chain().unwrap();
    let job = Job::default();
    job.cancel();
    let error = restore(&backup, &fixture.options(), &job).unwrap_err();
    assert_eq!(error.code, Code::Cancelled);
    assert_no_control(&fixture);
}

#[test]
fn pages_are_looked_at_on_the_way() {
    let mut image = image();
    image.get_mut(&b"base/1/1259"[..]).unwrap()[8192 + 5000] ^= 1;
    image.insert(b"base/1/9999".to_vec(), {
        let mut torn = pages(1, 0x300_0000);
        torn[7000] ^= 1;
        torn
    });
    let fixture = Fixture::store(Form::new(true, Codec::Zstd, None), image);
    let backup = fixture.chain().unwrap();
    let options = RestoreOptions {
        check_pages: true,
        ..fixture.options()
    };
    let report = restore(&backup, &options, &Job::default()).unwrap();
    assert_eq!((report.damaged_pages, report.replayed_pages), (1, 1));
    assert_eq!(report.pages, 130 + 2 + 3 + 1);
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("base/1/1259") && warning.contains("block 1"))
    );
}

#[test]
fn nothing_is_read_from_outside_by_a_forged_list() {
    let fixture = Fixture::small(Form::new(true, Codec::None, None));
    let json = fixture.directory.join("backup.json");
    let text = String::from_utf8(std::fs::read(&json).unwrap()).unwrap();
    for forged in ["data/../../../secret", "/etc/passwd", "data/base/1/2600"] {
        let changed = text.replace(
            "\"Stored\": \"data/base/1/1259\"",
            &format!("\"Stored\": \"{forged}\""),
        );
        assert!(changed != text);
        std::fs::write(&json, changed).unwrap();
        fixture.write_sha512();
        assert!(fixture.open().is_err(), "{forged}");
    }
    assert!(StoredBackup::open(&fixture.directory.join(LABEL), keys()).is_err());
}

/// PostgreSQL's own `pg_verifybackup`, where `PG_REFEREES` names the directory of its programs.
#[test]
fn the_referee_accepts_the_result() {
    let Some(programs) = std::env::var_os("PG_REFEREES") else {
        eprintln!("PG_REFEREES is not set: pg_verifybackup was not asked");
        return;
    };
    let accepts = |fixture: &Fixture| {
        let program = Path::new(&programs).join("pg_verifybackup");
        let output = std::process::Command::new(program)
            .arg("-n")
            .arg(fixture.target())
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    for ours in [true, false] {
        let mut image = small_image();
        image.insert(b"tablespace_map".to_vec(), b"16384 /mnt/fast\n".to_vec());
        image.insert(
            "share/q\"uo\\te \n\u{e9}".as_bytes().to_vec(),
            b"escaped".to_vec(),
        );
        let fixture = Fixture::store(Form::new(ours, Codec::Zstd, GCM), image);
        fixture.restore().unwrap();
        assert_eq!(accepts(&fixture), (true, String::new()));
        std::fs::write(fixture.target().join("base/1/2600"), b"x").unwrap();
        assert!(!accepts(&fixture).0, "the referee is awake");
    }
}

//! Verification of backups of both forms: every kind of damage is a finding about the file that has it.

use super::{Finding, Reason, VerifyOptions, VerifyReport, verify};
use crate::Code;
use crate::cipher::{CipherMode, MasterSecret};
use crate::codec::Codec;
use crate::restore::testing::{Fixture, Form, SPACE, WAL, keys, pages, small_image};
use crate::restore::{Job, Keys};
use std::os::unix::fs::symlink;

const GCM: Option<CipherMode> = Some(CipherMode::Aes256Gcm);
const OPTIONS: VerifyOptions = VerifyOptions {
    workers: 2,
    all: false,
    pages: true,
};

fn forms() -> [Form; 6] {
    [
        Form::new(true, Codec::None, None),
        Form::new(true, Codec::Zstd, GCM),
        Form::new(false, Codec::None, None),
        Form::new(false, Codec::Bzip2, None),
        Form::new(false, Codec::Gzip, GCM),
        Form {
            old_lz4: true,
            ..Form::new(false, Codec::Lz4, None)
        },
    ]
}

fn check(fixture: &Fixture) -> VerifyReport {
    verify(&fixture.directory, keys(), OPTIONS, &Job::default()).unwrap()
}

fn reasons(report: &VerifyReport) -> Vec<(&str, Reason)> {
    report
        .failed
        .iter()
        .map(|finding| (finding.path.as_str(), finding.reason.unwrap()))
        .collect()
}

fn stored(fixture: &Fixture, path: &[u8]) -> String {
    String::from_utf8(fixture.stored(path)).unwrap()
}

#[test]
fn a_good_backup_has_no_findings() {
    for form in forms() {
        let fixture = Fixture::new(form);
        let job = Job::default();
        let report = verify(
            &fixture.directory,
            keys(),
            VerifyOptions { all: true, ..OPTIONS },
            &job,
        )
        .unwrap();
        assert_eq!(report.failed, [], "{form:?}");
        assert_eq!(report.warnings, [""; 0], "{form:?}");
        assert_eq!(report.pages, 130 + 2 + 3, "{form:?}");
        let all = report.all.unwrap();
        assert_eq!(all.len() as u64, report.files);
        assert!(
            all.iter()
                .all(|finding| finding.original == finding.calculated && !finding.algorithm.is_empty())
        );
        assert_eq!(
            report.bytes,
            fixture
                .image
                .values()
                .map(|bytes| bytes.len() as u64)
                .sum::<u64>()
        );
        assert_eq!(job.progress().files_done, fixture.image.len() as u64);
    }
}

#[test]
fn damage_is_found_and_nothing_else() {
    for form in forms() {
        let fixture = Fixture::small(form);
        for path in ["base/1/1259", "global/pg_control", SPACE, WAL, "backup_label"] {
            let place = fixture.stored_file(path.as_bytes());
            let name = stored(&fixture, path.as_bytes());
            let good = std::fs::read(&place).unwrap();
            for at in [0, good.len() / 2, good.len() - 1] {
                let mut bad = good.clone();
                bad[at] ^= 0x40;
                std::fs::write(&place, bad).unwrap();
                let report = check(&fixture);
                assert_eq!(
                    reasons(&report),
                    [(name.as_str(), Reason::Mismatch)],
                    "{form:?} byte {at}"
                );
                let Finding {
                    algorithm,
                    original,
                    calculated,
                    ..
                } = &report.failed[0];
                assert!(algorithm == "sha512" && original.len() == 128 && original != calculated);
            }
            std::fs::write(&place, &good[..good.len() / 3]).unwrap();
            let report = check(&fixture);
            let expected = if form.ours {
                Reason::Truncated
            } else {
                Reason::Mismatch
            };
            let found = reasons(&report);
            assert!(found.len() == 1 && found[0].0 == name, "{form:?} {found:?}");
            let sized = matches!(found[0].1, Reason::Size);
            assert!(
                found[0].1 == expected || (sized && !form.ours),
                "{form:?} {found:?}"
            );
            std::fs::remove_file(&place).unwrap();
            assert_eq!(
                reasons(&check(&fixture)),
                [(name.as_str(), Reason::Missing)],
                "{form:?}"
            );
            std::fs::write(&place, &good).unwrap();
        }
        assert_eq!(check(&fixture).failed, []);
    }
}

#[test]
fn surplus_files_are_found() {
    for form in forms() {
        let fixture = Fixture::small(form);
        for name in ["data/base/1/7777", "tblspc_fast/stray", "data/pg_notify/x.zstd"] {
            let place = fixture.directory.join(name);
            std::fs::write(&place, b"x").unwrap();
            assert_eq!(reasons(&check(&fixture)), [(name, Reason::Surplus)], "{form:?}");
            std::fs::remove_file(&place).unwrap();
        }
        symlink("/etc/passwd", fixture.directory.join("data/link")).unwrap();
        assert_eq!(
            reasons(&check(&fixture)),
            [("data/link", Reason::Surplus)],
            "{form:?}"
        );
    }
}

#[test]
fn files_beside_the_cluster_are_checked_too() {
    for form in forms() {
        let fixture = Fixture::small(form);
        std::fs::create_dir_all(fixture.directory.join("extra/etc")).unwrap();
        let extra = fixture.directory.join("extra/etc/hosts");
        std::fs::write(&extra, b"127.0.0.1").unwrap();
        fixture.write_sha512();
        assert_eq!(check(&fixture).failed, []);
        std::fs::write(&extra, b"127.0.0.2").unwrap();
        assert_eq!(reasons(&check(&fixture)), [("extra/etc/hosts", Reason::Mismatch)]);
        std::fs::remove_file(&extra).unwrap();
        assert_eq!(reasons(&check(&fixture)), [("extra/etc/hosts", Reason::Missing)]);
    }
}

#[test]
fn the_answer_comes_when_lists_are_damaged_too() {
    for form in forms() {
        let fixture = Fixture::small(form);
        let lists: &[&str] = if form.ours {
            &["backup.json"]
        } else {
            &["backup.manifest"]
        };
        for list in lists.iter().chain(&["data/backup_manifest"]) {
            let path = fixture.directory.join(list);
            let good = std::fs::read(&path).unwrap();
            std::fs::write(&path, &good[..good.len() / 2]).unwrap();
            let report = check(&fixture);
            assert!(
                report.failed.iter().any(|finding| finding.path == *list),
                "{list}: {:?}",
                report.failed
            );
            assert!(report.files > 5, "the stored bytes are checked all the same");
            std::fs::write(&path, &good).unwrap();
        }
        let list = fixture.directory.join("backup.sha512");
        std::fs::write(&list, b"nonsense\n").unwrap();
        assert!(reasons(&check(&fixture)).contains(&("backup.sha512", Reason::Unreadable)));
        std::fs::remove_file(&list).unwrap();
        assert_eq!(reasons(&check(&fixture)), [("backup.sha512", Reason::Missing)]);
    }
}

#[test]
fn damaged_pages_of_the_server_are_found_and_torn_ones_are_not_blamed() {
    let mut image = small_image();
    image.get_mut(&b"base/1/1259"[..]).unwrap()[8192 * 3 + 5000] ^= 1;
    image.insert(b"base/1/9999".to_vec(), {
        let mut torn = pages(1, 0x300_0000);
        torn[7000] ^= 1;
        torn
    });
    for ours in [true, false] {
        let fixture = Fixture::store(Form::new(ours, Codec::Lz4, None), image.clone());
        let report = check(&fixture);
        let name = stored(&fixture, b"base/1/1259");
        assert_eq!(reasons(&report), [(name.as_str(), Reason::Mismatch)]);
        assert_eq!(report.failed[0].algorithm, "page");
        assert!(
            report.failed[0].message.contains("block 3"),
            "{}",
            report.failed[0].message
        );
        assert_eq!(report.replayed_pages, 1);
        let without = verify(
            &fixture.directory,
            keys(),
            VerifyOptions {
                pages: false,
                ..OPTIONS
            },
            &Job::default(),
        );
        assert_eq!(without.unwrap().failed, []);
    }
}

#[test]
fn without_the_key_the_stored_bytes_are_checked() {
    let fixture = Fixture::small(Form::new(true, Codec::Zstd, GCM));
    let blind = || verify(&fixture.directory, Keys::default(), OPTIONS, &Job::default()).unwrap();
    let report = blind();
    assert_eq!(report.failed, []);
    assert!(
        report
            .warnings
            .iter()
            .any(|warning| warning.contains("master key")),
        "{:?}",
        report.warnings
    );
    let place = fixture.stored_file(b"base/1/1259");
    let mut bytes = std::fs::read(&place).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&place, bytes).unwrap();
    assert_eq!(
        reasons(&blind()),
        [("data/base/1/1259.zstd.aes", Reason::Mismatch)]
    );
}

#[test]
fn a_wrong_key_is_a_finding_about_every_sealed_file() {
    let fixture = Fixture::small(Form::new(true, Codec::Zstd, GCM));
    let wrong = Keys {
        secret: Some(MasterSecret::from_slice(&[8; 64]).unwrap()),
        ..Keys::default()
    };
    let report = verify(&fixture.directory, wrong, OPTIONS, &Job::default()).unwrap();
    assert_eq!(
        report.failed.len(),
        fixture.image.len() - 1,
        "backup_label is not sealed"
    );
    assert!(
        report
            .failed
            .iter()
            .all(|finding| finding.reason == Some(Reason::Unreadable))
    );
}

#[test]
fn cancelling_ends_it() {
    let fixture = Fixture::small(Form::new(true, Codec::Zstd, None));
    let job = Job::default();
    job.cancel();
    assert_eq!(
        verify(&fixture.directory, keys(), OPTIONS, &job)
            .unwrap_err()
            .code,
        Code::Cancelled
    );
    assert!(verify(&fixture.directory.join("none"), keys(), OPTIONS, &Job::default()).is_err());
}

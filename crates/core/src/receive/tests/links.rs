use super::image::{Image, back_up, judge, noise, options, sealing, stored_files};
use crate::cipher::{CipherMode, MasterSecret};
use crate::codec::Codec;
use crate::receive::{LinkOptions, Options, Received, Sealing};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

fn header(codec: &str, encryption: &str) -> String {
    format!(r#"{{"label":"x","compression":"{codec}","encryption":"{encryption}"}}"#)
}

fn linked(directory: &Path, name: &str, options: Options, image: &Image) -> Received {
    let encryption = options
        .sealing
        .as_ref()
        .map_or("none", |sealing| sealing.mode.name());
    let header = header(&format!("client-{}", options.spec.codec.name()), encryption);
    back_up(
        Options {
            directory: directory.join(name),
            link: Some(LinkOptions {
                directory: directory.join("one"),
                label: "20260101000000".to_owned(),
            }),
            ..options
        },
        image,
        &header,
    )
    .unwrap()
}

#[test]
fn unchanged_files_are_linked_and_nothing_else() {
    for sealed in [None, Some(sealing(CipherMode::Aes256Gcm))] {
        let root = tempfile::tempdir().unwrap();
        let first = Image::sample();
        let base = Options {
            sealing: sealed.clone(),
            ..options(&root.path().join("one"), Codec::Zstd)
        };
        let encryption = if sealed.is_some() { "aes-256-gcm" } else { "none" };
        back_up(base.clone(), &first, &header("client-zstd", encryption)).unwrap();
        let mut second = first.clone();
        for (name, data) in &mut second.base {
            if name == "base/1/1259" || name == "base/5/120" {
                *data = noise(99, data.len());
            }
        }
        let received = linked(root.path(), "two", base.clone(), &second);
        assert_eq!(received.link_refused, None);
        judge(&root.path().join("two"), &second, Codec::Zstd, sealed.as_ref());
        let unlinked: Vec<String> = stored_files(&root.path().join("two"))
            .into_iter()
            .filter(|file| file.linked.is_none())
            .map(|file| String::from_utf8(file.path).unwrap())
            .collect();
        assert_eq!(
            unlinked,
            [
                "backup_label",
                "base/1/1259",
                "base/5/120",
                "global/pg_control",
                "pg_wal/000000010000000000000002",
                "pg_wal/archive_status/000000010000000000000001.done"
            ]
        );
        assert_eq!(received.linked_files, received.files - 6);
        let name = format!(
            "data/base/1/1261.zstd{}",
            if sealed.is_some() { ".aes" } else { "" }
        );
        let inode = |backup: &str| root.path().join(backup).join(&name).metadata().unwrap().ino();
        assert_eq!(inode("one"), inode("two"));
    }
}

#[test]
fn a_stored_file_that_the_disk_has_changed_is_written_anew() {
    let root = tempfile::tempdir().unwrap();
    let image = Image::sample();
    let base = options(&root.path().join("one"), Codec::Zstd);
    back_up(base.clone(), &image, &header("client-zstd", "none")).unwrap();
    for name in ["data/base/1/1259.zstd", "data/base/5/120.zstd"] {
        let victim = root.path().join("one").join(name);
        let mut bytes = std::fs::read(&victim).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&victim, bytes).unwrap();
    }
    let received = linked(root.path(), "two", base, &image);
    let told = received.link_refused.unwrap();
    assert!(
        told.starts_with("2 stored files of the previous backup are damaged"),
        "{told}"
    );
    judge(&root.path().join("two"), &image, Codec::Zstd, None);
}

#[test]
fn links_can_follow_links() {
    let root = tempfile::tempdir().unwrap();
    let image = Image::sample();
    back_up(
        options(&root.path().join("one"), Codec::Lz4),
        &image,
        &header("client-lz4", "none"),
    )
    .unwrap();
    linked(root.path(), "two", options(root.path(), Codec::Lz4), &image);
    let third = Options {
        link: Some(LinkOptions {
            directory: root.path().join("two"),
            label: "b".to_owned(),
        }),
        ..options(&root.path().join("three"), Codec::Lz4)
    };
    let received = back_up(third, &image, &header("client-lz4", "none")).unwrap();
    assert_eq!(received.linked_files, received.files - 4);
    judge(&root.path().join("three"), &image, Codec::Lz4, None);
    let stored = stored_files(&root.path().join("three"));
    assert!(stored.iter().any(|file| file.linked.as_deref() == Some("b")));
}

#[test]
fn another_form_is_not_linked_and_the_reason_is_told() {
    let root = tempfile::tempdir().unwrap();
    let image = Image::sample();
    let gcm = |byte| Sealing {
        mode: CipherMode::Aes256Gcm,
        secret: MasterSecret::from_slice(&[byte; 64]).unwrap(),
    };
    let sealed = |byte, name: &str| Options {
        sealing: Some(gcm(byte)),
        ..options(&root.path().join(name), Codec::Zstd)
    };
    back_up(sealed(1, "one"), &image, &header("client-zstd", "aes-256-gcm")).unwrap();
    let reasons = [
        linked(
            root.path(),
            "codec",
            Options {
                spec: options(root.path(), Codec::Lz4).spec,
                ..sealed(1, "x")
            },
            &image,
        ),
        linked(root.path(), "cipher", options(root.path(), Codec::Zstd), &image),
        linked(root.path(), "key", sealed(2, "x"), &image),
    ];
    for received in reasons {
        assert_eq!(received.linked_files, 0);
        assert!(received.link_refused.is_some());
    }
    judge(&root.path().join("key"), &image, Codec::Zstd, Some(&gcm(2)));
}

#[test]
fn a_damaged_previous_backup_is_only_a_reason() {
    let root = tempfile::tempdir().unwrap();
    let image = Image::sample();
    back_up(
        options(&root.path().join("one"), Codec::Zstd),
        &image,
        &header("client-zstd", "none"),
    )
    .unwrap();
    // A stored file that is gone or has another size is not linked to.
    std::fs::write(root.path().join("one/data/base/1/1260.zstd"), b"cut").unwrap();
    std::fs::remove_file(root.path().join("one/data/base/1/1261.zstd")).unwrap();
    let received = linked(root.path(), "two", options(root.path(), Codec::Zstd), &image);
    assert_eq!(received.linked_files, received.files - 6);
    judge(&root.path().join("two"), &image, Codec::Zstd, None);
    std::fs::write(root.path().join("one/backup.json"), b"{").unwrap();
    let received = linked(root.path(), "three", options(root.path(), Codec::Zstd), &image);
    assert!(received.linked_files == 0 && received.link_refused.unwrap().contains("backup.json"));
}

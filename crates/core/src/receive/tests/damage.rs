use super::image::{HEADER, Image, back_up, noise, options, send};
use crate::codec::Codec;
use crate::digest::DigestKind;
use crate::manifest::ManifestFile;
use crate::receive::Receiver;
use crate::tar::testing::{add, add_file};
use crate::{Code, Error};

const CRC: Option<DigestKind> = Some(DigestKind::Crc32c);

/// Sends the sample with an altered manifest and gives the error of the check.
fn refused(change: impl FnOnce(&mut Vec<ManifestFile>)) -> Error {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    let manifest = image.manifest(CRC, change);
    let Err(error) = send(options(directory.path(), Codec::Lz4), &image, &manifest, 1 << 20) else {
        panic!("the difference was not noticed");
    };
    assert_eq!(error.code, Code::Corrupt);
    assert!(error.hint.is_some());
    error
}

#[test]
fn files_that_differ_from_the_manifest_are_named() {
    let at = |entries: &[ManifestFile], name: &str| {
        entries
            .iter()
            .position(|entry| entry.path == name.as_bytes())
            .unwrap()
    };
    let message = refused(|entries| {
        let changed = at(entries, "base/1/1259");
        entries[changed].checksum[0] ^= 1;
        let sized = at(entries, "base/5/7");
        entries[sized].size += 1;
        let unlisted = at(entries, "base/1/1260");
        entries.remove(unlisted);
        entries.push(ManifestFile {
            path: b"base/9/missing".to_vec(),
            ..entries[0].clone()
        });
    })
    .message;
    for part in [
        "in 4 files",
        "base/1/1259 does not match",
        "base/5/7 has 679 bytes instead of 680",
        "base/1/1260 is not in the manifest",
        "base/9/missing was not received",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn only_the_first_ten_are_named() {
    let message = refused(|entries| entries.iter_mut().for_each(|entry| entry.size += 1)).message;
    assert_eq!(message.matches("instead of").count(), 10, "{message}");
}

#[test]
fn a_manifest_with_other_checksums_is_refused() {
    let image = Image::sample();
    for kind in [Some(DigestKind::Sha256), None] {
        let directory = tempfile::tempdir().unwrap();
        let manifest = image.manifest(kind, |_| {});
        assert!(send(options(directory.path(), Codec::Lz4), &image, &manifest, 1 << 20).is_err());
    }
}

#[test]
fn another_order_is_fine_and_a_double_entry_is_not() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    let manifest = image.manifest(CRC, |entries| entries.reverse());
    send(options(directory.path(), Codec::Lz4), &image, &manifest, 1 << 20).unwrap();
    assert!(
        refused(|entries| entries.push(entries[3].clone()))
            .message
            .contains("listed twice")
    );
}

#[test]
fn a_damaged_manifest_is_refused() {
    let image = Image::sample();
    let good = image.manifest(CRC, |_| {});
    let mut flipped = good.clone();
    let at = flipped.windows(4).position(|window| window == b"2026").unwrap();
    flipped[at] = b'3';
    for bad in [flipped, good[..good.len() - 10].to_vec(), Vec::new()] {
        let directory = tempfile::tempdir().unwrap();
        assert!(send(options(directory.path(), Codec::Lz4), &image, &bad, 1 << 20).is_err());
    }
}

#[test]
fn members_that_cannot_be_are_errors_at_once_and_for_good() {
    let mut hard_link = Vec::new();
    add(&mut hard_link, b"base/1", b'1', b"", b"base/2");
    let mut climbing = Vec::new();
    add_file(&mut climbing, "../../etc/passwd", b"x");
    for archive in [hard_link, climbing, vec![7; 512]] {
        let directory = tempfile::tempdir().unwrap();
        let mut receiver = Receiver::new(options(directory.path(), Codec::Zstd)).unwrap();
        receiver.begin_archive(None).unwrap();
        let first = receiver.push(&archive).unwrap_err();
        assert_eq!(receiver.push(b"more").unwrap_err().message, first.message);
        assert_eq!(receiver.check().unwrap_err().message, first.message);
        assert!(receiver.finish(HEADER, "").is_err());
    }
}

#[test]
fn a_failed_write_stops_everything_and_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new(options(directory.path(), Codec::Zstd)).unwrap();
    std::fs::create_dir(directory.path().join("data/base")).unwrap();
    std::fs::write(directory.path().join("data/base/7.zstd"), b"in the way").unwrap();
    receiver.begin_archive(None).unwrap();
    let mut archive = Vec::new();
    (0..20).for_each(|number| add_file(&mut archive, &format!("base/{number}"), &noise(number, 100_000)));
    let mut failure = receiver.push(&archive).and_then(|_| receiver.end_archive()).err();
    failure = failure.or_else(|| receiver.check().err());
    let error = failure.unwrap();
    assert!(error.message.contains("data/base/7.zstd"), "{error}");
    assert!(error.path.is_some());
    assert_eq!(
        std::fs::read(directory.path().join("data/base/7.zstd")).unwrap(),
        b"in the way"
    );
}

#[test]
fn a_stream_that_ends_early_is_refused() {
    let image = Image::sample();
    let archive = image.base_archive();
    let directory = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new(options(directory.path(), Codec::Zstd)).unwrap();
    receiver.begin_archive(None).unwrap();
    receiver.push(&archive[..archive.len() / 2]).unwrap();
    assert!(receiver.end_archive().unwrap_err().message.contains("base.tar"));
    let directory = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new(options(directory.path(), Codec::Zstd)).unwrap();
    receiver.begin_archive(None).unwrap();
    receiver.push(&archive[..archive.len() / 2]).unwrap();
    assert!(receiver.check().unwrap_err().message.contains("middle"));
}

#[test]
fn calls_out_of_turn_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new(options(directory.path(), Codec::None)).unwrap();
    assert!(receiver.finish(HEADER, "").is_err());
    receiver.begin_archive(None).unwrap();
    assert!(receiver.begin_archive(Some(("1", "x"))).is_err());
    receiver.end_archive().unwrap();
    assert!(receiver.begin_archive(None).is_err());
    assert!(receiver.begin_archive(Some(("1/2", "x"))).is_err());
    assert!(receiver.push(b"x").is_err());
}

#[test]
fn giving_up_removes_what_was_made_and_nothing_else() {
    let image = Image::sample();
    for made_before in [true, false] {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("staging");
        if made_before {
            std::fs::create_dir(&directory).unwrap();
            std::fs::write(directory.join("other"), b"kept").unwrap();
        }
        let mut receiver = Receiver::new(options(&directory, Codec::Zstd)).unwrap();
        receiver.begin_archive(Some(("16384", "fast"))).unwrap();
        receiver.push(&image.tablespace_archive()).unwrap();
        receiver.end_archive().unwrap();
        receiver.abort().unwrap();
        assert_eq!(receiver.push(b"x").unwrap_err().code, Code::Cancelled);
        if made_before {
            let left: Vec<_> = std::fs::read_dir(&directory)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            assert_eq!(left, ["other"]);
        } else {
            assert!(!directory.exists());
        }
    }
}

#[test]
fn a_second_backup_in_the_same_place_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    back_up(options(directory.path(), Codec::None), &Image::sample(), HEADER).unwrap();
    assert!(Receiver::new(options(directory.path(), Codec::None)).is_err());
}

use super::image::{
    HEADER, Image, back_up, every_file, judge, noise, options, push, sealing, send, stored_files,
};
use crate::Code;
use crate::block::changed_blocks as changed;
use crate::cipher::CipherMode;
use crate::codec::{Assembler, Codec, CodecSpec, FrameEncoder};
use crate::digest::{Blake3Pieces, DigestKind, PieceHash};
use crate::manifest::{BackupJsonReader, BackupRecord, PIECE, PlainListReader};
use crate::receive::{BlockShape, Options, Receiver};
use crate::tar::testing::add_file;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const SHAPE: BlockShape = BlockShape {
    block_size: 8192,
    relseg_size: 131_072,
};

const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2];

fn server_side(codec: Codec, plain: &[u8]) -> Vec<u8> {
    let spec = CodecSpec::new(codec, 1);
    let (mut encoder, mut assembler) = (FrameEncoder::new(spec).unwrap(), Assembler::new(spec));
    let (mut frame, mut out) = (Default::default(), Vec::new());
    for piece in plain.chunks(spec.frame_size()) {
        encoder.encode(piece, &mut frame).unwrap();
        assembler.append(&frame, &mut out);
    }
    assembler.finish(&mut out);
    out
}

#[test]
fn every_codec_plain_and_sealed() {
    let image = Image::sample();
    let sealed = [
        (Codec::None, Some(CipherMode::Aes128Gcm)),
        (Codec::Zstd, Some(CipherMode::Aes256Gcm)),
        (Codec::Gzip, Some(CipherMode::Aes256Cbc)),
        (Codec::Lz4, Some(CipherMode::Aes192Ctr)),
    ];
    for (codec, mode) in CODECS.map(|codec| (codec, None)).into_iter().chain(sealed) {
        let directory = tempfile::tempdir().unwrap();
        let sealing = mode.map(sealing);
        let options = Options {
            sealing: sealing.clone(),
            ..options(directory.path(), codec)
        };
        let received = back_up(options, &image, HEADER).unwrap();
        assert_eq!(received.files, image.files().len() as u64);
        judge(directory.path(), &image, codec, sealing.as_ref());
    }
}

#[test]
fn every_kind_of_manifest() {
    let image = Image::sample();
    let kinds = [
        DigestKind::Sha224,
        DigestKind::Sha256,
        DigestKind::Sha384,
        DigestKind::Sha512,
    ];
    for kind in kinds.map(Some).into_iter().chain([None]) {
        for codec in [Codec::None, Codec::Lz4] {
            let directory = tempfile::tempdir().unwrap();
            back_up(
                Options {
                    manifest: kind,
                    ..options(directory.path(), codec)
                },
                &image,
                HEADER,
            )
            .unwrap();
            judge(directory.path(), &image, codec, None);
        }
    }
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let mut image = Image::sample();
    image.base.retain(|(_, data)| data.len() <= 2 << 20);
    let manifest = image.manifest(Some(DigestKind::Crc32c), |_| {});
    for piece in [17, 512, 8191, 1 << 20, 1 << 30] {
        let directory = tempfile::tempdir().unwrap();
        let (mut receiver, _) =
            send(options(directory.path(), Codec::Lz4), &image, &manifest, piece).unwrap();
        receiver.finish(HEADER, "STATUS=1\n").unwrap();
        judge(directory.path(), &image, Codec::Lz4, None);
    }
}

#[test]
fn the_summary_tells_what_there_is() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    let received = back_up(options(directory.path(), Codec::Zstd), &image, HEADER).unwrap();
    let plain: usize = image.files().iter().map(|(_, data)| data.len()).sum();
    let stored: u64 = stored_files(directory.path())
        .iter()
        .map(|file| file.stored_size)
        .sum();
    assert_eq!(
        (received.plain_bytes, received.stored_bytes),
        (plain as u64, stored)
    );
    assert_eq!(received.biggest_file, 3 << 20);
    assert_eq!(received.wal_files, ["000000010000000000000002"]);
    assert!(received.backup_label.starts_with("START WAL LOCATION"));
    assert_eq!(received.pg_control, noise(9, 8192));
    assert_eq!(received.system_identifier, Some(7));
    assert_eq!(received.wal_ranges[0].end, 0x200_0100);
    assert_eq!(received.tablespace_restore_size, (1 << 20) + 4096);
    assert!(received.restore_size > received.backup_size && received.backup_size > 0);
}

#[test]
fn names_follow_the_layout() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    let sealed = Options {
        sealing: Some(sealing(CipherMode::Aes256Gcm)),
        ..options(directory.path(), Codec::Zstd)
    };
    back_up(sealed, &image, HEADER).unwrap();
    let there = |name: &str| directory.path().join(name).symlink_metadata().is_ok();
    for name in [
        "data/base/1/1259.zstd.aes",
        "data/base/1/empty.zstd.aes",
        "data/base/1/old.zstd.zstd.aes",
        "data/backup_label",
        "data/backup_manifest",
        "data/pg_notify",
        "tblspc_fast/PG_17_202406281/5/16385.zstd.aes",
        "backup.json",
        "backup.manifest",
        "backup.info",
        "backup.sha512",
    ] {
        assert!(there(name), "{name}");
    }
    let link = directory.path().join("data/pg_tblspc/16384");
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("../../tblspc_fast"));
    assert!(link.join("PG_17_202406281/5").is_dir());
    assert_eq!(
        std::fs::read_dir(directory.path()).unwrap().count(),
        6,
        "nothing else stays"
    );
}

#[test]
fn directories_and_links_of_the_image_are_recorded() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    back_up(options(directory.path(), Codec::None), &image, HEADER).unwrap();
    let mut reader = BackupJsonReader::open(&directory.path().join("backup.json")).unwrap();
    let (mut directories, mut links) = (Vec::new(), Vec::new());
    while let Some(record) = reader.next_record().unwrap() {
        match record {
            BackupRecord::Directory { path, .. } => directories.push(String::from_utf8(path).unwrap()),
            BackupRecord::Link { path, target } => links.push((path, target)),
            BackupRecord::File(_) => {}
        }
    }
    assert!(directories.contains(&"pg_notify".to_owned()));
    assert!(directories.contains(&"pg_tblspc/16384/PG_17_202406281/5".to_owned()));
    assert_eq!(links, [(b"pg_tblspc/16384".to_vec(), b"/srv/ts".to_vec())]);
}

#[test]
fn the_list_of_plain_files_is_that_of_the_manifest() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    back_up(options(directory.path(), Codec::None), &image, HEADER).unwrap();
    let mut list = PlainListReader::open(&directory.path().join("backup.manifest")).unwrap();
    for (path, data) in image
        .files()
        .iter()
        .filter(|(path, _)| !path.starts_with("pg_wal/0"))
    {
        let line = list.next_line().unwrap().unwrap();
        assert_eq!(line.path, path.as_bytes());
        assert_eq!(line.checksum, DigestKind::Crc32c.of(data).as_bytes());
    }
    assert_eq!(list.next_line().unwrap(), None);
}

#[test]
fn a_tablespace_in_place_becomes_a_link_too() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    let mut receiver = Receiver::new(options(directory.path(), Codec::None)).unwrap();
    receiver.begin_archive(Some(("16384", "fast"))).unwrap();
    receiver.push(&image.tablespace_archive()).unwrap();
    receiver.end_archive().unwrap();
    receiver.begin_archive(None).unwrap();
    let mut base = Vec::new();
    crate::tar::testing::add_directory(&mut base, "pg_tblspc/16384");
    image
        .base
        .iter()
        .for_each(|(name, data)| add_file(&mut base, name, data));
    push(&mut receiver, &base, 1 << 20).unwrap();
    receiver.end_archive().unwrap();
    receiver
        .push_manifest(&image.manifest(Some(DigestKind::Crc32c), |_| {}))
        .unwrap();
    receiver.check().unwrap();
    assert!(
        directory
            .path()
            .join("data/pg_tblspc/16384/PG_17_202406281")
            .is_dir()
    );
}

#[test]
fn what_the_server_compressed_is_transcoded() {
    let image = Image::sample();
    for server in [Codec::Gzip, Codec::Zstd, Codec::Lz4] {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            server_codec: Some(server),
            ..options(directory.path(), Codec::Zstd)
        };
        let mut receiver = Receiver::new(options).unwrap();
        receiver.begin_archive(Some(("16384", "fast"))).unwrap();
        push(
            &mut receiver,
            &server_side(server, &image.tablespace_archive()),
            4000,
        )
        .unwrap();
        receiver.end_archive().unwrap();
        receiver.begin_archive(None).unwrap();
        push(
            &mut receiver,
            &server_side(server, &image.base_archive()),
            100_000,
        )
        .unwrap();
        receiver.end_archive().unwrap();
        receiver
            .push_manifest(&image.manifest(Some(DigestKind::Crc32c), |_| {}))
            .unwrap();
        receiver.check().unwrap();
        receiver.finish(HEADER, "STATUS=1\n").unwrap();
        judge(directory.path(), &image, Codec::Zstd, None);
    }
}

#[test]
fn a_cut_in_what_the_server_compressed_is_an_error() {
    let archive = Image::sample().base_archive();
    for server in [Codec::Gzip, Codec::Zstd, Codec::Lz4] {
        let directory = tempfile::tempdir().unwrap();
        let options = Options {
            server_codec: Some(server),
            ..options(directory.path(), Codec::Lz4)
        };
        let mut receiver = Receiver::new(options).unwrap();
        receiver.begin_archive(None).unwrap();
        let packed = server_side(server, &archive);
        let ended = receiver
            .push(&packed[..packed.len() - 5])
            .and_then(|_| receiver.end_archive());
        assert!(
            ended.and_then(|()| receiver.check().map(drop)).is_err(),
            "{server:?}"
        );
    }
}

#[test]
fn directories_that_the_archive_does_not_have_are_made() {
    let base = (0..400).map(|number| (format!("d{}/e/{number}", number / 2), vec![7; 10]));
    let image = Image {
        base: base.collect(),
        tablespace: Vec::new(),
    };
    let directory = tempfile::tempdir().unwrap();
    let manifest = image.manifest(Some(DigestKind::Crc32c), |_| {});
    let mut receiver = Receiver::new(options(directory.path(), Codec::None)).unwrap();
    receiver.begin_archive(None).unwrap();
    let mut archive = Vec::new();
    image
        .base
        .iter()
        .for_each(|(name, data)| add_file(&mut archive, name, data));
    receiver.push(&archive).unwrap();
    receiver.end_archive().unwrap();
    receiver.push_manifest(&manifest).unwrap();
    receiver.check().unwrap();
    receiver.finish(HEADER, "STATUS=1\n").unwrap();
    judge(directory.path(), &image, Codec::None, None);
}

#[test]
fn thousands_of_files() {
    let number = 5000usize;
    let base = (0..number).map(|number| {
        (
            format!("base/{}/{number}", number % 10),
            noise(number as u64, number % 300),
        )
    });
    let image = Image {
        base: base.collect(),
        tablespace: Vec::new(),
    };
    let directory = tempfile::tempdir().unwrap();
    let received = back_up(options(directory.path(), Codec::Zstd), &image, HEADER).unwrap();
    assert_eq!(received.files, number as u64);
    judge(directory.path(), &image, Codec::Zstd, None);
}

#[test]
fn a_small_budget_only_slows_down() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    let manifest = image.manifest(Some(DigestKind::Crc32c), |_| {});
    let options = Options {
        budget: 1 << 20,
        workers: 1,
        ..options(directory.path(), Codec::Zstd)
    };
    let (mut receiver, _) = send(options, &image, &manifest, 10_000).unwrap();
    receiver.finish(HEADER, "STATUS=1\n").unwrap();
    judge(directory.path(), &image, Codec::Zstd, None);
}

#[test]
fn extra_files_are_in_the_hash_list() {
    let image = Image::sample();
    let directory = tempfile::tempdir().unwrap();
    let manifest = image.manifest(Some(DigestKind::Crc32c), |_| {});
    let (mut receiver, _) = send(options(directory.path(), Codec::None), &image, &manifest, 1 << 20).unwrap();
    let extra = directory.path().join("extra/etc");
    crate::receive::output::create_directory(&extra).unwrap();
    crate::fs::create_new(&extra.join("pg_hba.conf")).unwrap();
    let finished = receiver.finish(HEADER, "STATUS=1\n").unwrap();
    judge(directory.path(), &image, Codec::None, None);
    assert_eq!(finished.files, every_file(directory.path()).len() as u64 - 1);
}

#[test]
fn files_of_changed_blocks_tell_what_a_restore_makes_of_them() {
    let spread: Vec<u32> = (0..2500).map(|block| block * 7).collect();
    let parts = [
        ("base/1/INCREMENTAL.1", changed(9, &[]), 9),
        ("base/1/INCREMENTAL.2", changed(9, &[3, 11]), 12),
        ("base/1/INCREMENTAL.3_vm.1", changed(2, &spread), 2499 * 7 + 1),
        ("global/INCREMENTAL.1262", changed(1, &[0]), 1),
    ];
    for codec in [Codec::None, Codec::Bzip2, Codec::Zstd] {
        let mut image = Image::sample();
        image.base.retain(|(name, _)| !name.contains("INCREMENTAL"));
        let whole = image.base.len();
        let files = parts
            .iter()
            .map(|(name, data, _)| ((*name).to_owned(), data.clone()));
        image.base.extend(files);
        let directory = tempfile::tempdir().unwrap();
        let shaped = Options {
            incremental: Some(SHAPE),
            ..options(directory.path(), codec)
        };
        let received = back_up(shaped, &image, HEADER).unwrap();
        judge(directory.path(), &image, codec, None);
        assert_eq!(received.incremental_files, 4);
        assert_eq!(received.biggest_file, (2499 * 7 + 1) * 8192);
        let data = |(name, _): &&(String, Vec<u8>)| !name.starts_with("pg_wal/");
        let block = directory.path().metadata().unwrap().blksize();
        let plain = image.base[..whole].iter().filter(data);
        let plain: u64 = plain
            .map(|(_, data)| (data.len() as u64).next_multiple_of(block))
            .sum();
        let made: u64 = parts
            .iter()
            .map(|(.., blocks)| (u64::from(*blocks) * 8192).next_multiple_of(block))
            .sum();
        assert_eq!(received.restore_size, plain + made, "{codec:?}");
        let lengths: Vec<_> = stored_files(directory.path())
            .into_iter()
            .filter_map(|file| Some((String::from_utf8(file.path).unwrap(), file.block_length?)))
            .collect();
        let expected: Vec<_> = parts
            .iter()
            .map(|(name, _, blocks)| ((*name).to_owned(), *blocks))
            .collect();
        assert_eq!(lengths, expected);
        let mut with_pieces = 0;
        for file in stored_files(directory.path()) {
            let size = codec.frame_size(0) as u64;
            let is_large = file.block_length.is_some() && file.size > size && size == PIECE;
            assert_eq!(!file.pieces.is_empty(), is_large, "{codec:?}");
            if is_large {
                let mut whole = Blake3Pieces::new();
                for value in &file.pieces {
                    whole.push(PieceHash::Part(*value));
                }
                assert_eq!(whole.finish(), Some(file.blake3));
                with_pieces += 1;
            }
        }
        assert_eq!(with_pieces > 0, codec.frame_size(0) as u64 == PIECE, "{codec:?}");
    }
}

#[test]
fn garbage_in_place_of_changed_blocks_is_refused_in_an_incremental_backup_only() {
    for garbage in [
        noise(5, 12),
        noise(6, 3 << 20),
        changed(1, &[1])[..100].to_vec(),
        Vec::new(),
    ] {
        let mut image = Image::sample();
        image.base.retain(|(name, _)| !name.contains("INCREMENTAL"));
        image.base.push(("base/1/INCREMENTAL.7".to_owned(), garbage));
        let directory = tempfile::tempdir().unwrap();
        let shaped = Options {
            incremental: Some(SHAPE),
            ..options(directory.path(), Codec::Zstd)
        };
        let error = back_up(shaped, &image, HEADER).unwrap_err();
        assert_eq!(error.code, Code::Corrupt);
        assert!(
            error.message.contains("base/1/INCREMENTAL.7"),
            "{}",
            error.message
        );
        let directory = tempfile::tempdir().unwrap();
        back_up(options(directory.path(), Codec::Zstd), &image, HEADER).unwrap();
    }
}

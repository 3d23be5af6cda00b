//! Images of clusters, their archives and manifests, and the judge of what was stored.

use crate::cipher::{CipherMode, MasterSecret, opener};
use crate::codec::{Codec, CodecSpec, decoder};
use crate::digest::DigestKind;
use crate::manifest::{
    BackupJsonReader, BackupRecord, ChecksumAlgorithm, HashListReader, ManifestFile, PgManifestWriter,
    StoredFile, WalRange,
};
use crate::receive::{DEFAULT_BUDGET, Options, Received, Receiver, Sealing};
use crate::tar::testing::{add, add_directory, add_file, close};
use crate::{Error, Result, fs};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub const HEADER: &str =
    r#"{"label":"20260102030405","compression":"client-zstd","encryption":"none","majorVersion":17}"#;

/// Bytes that neither repeat nor compress well, but reproducibly so.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|index| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            if index % 7 < 4 { (state >> 56) as u8 } else { 0 }
        })
        .collect()
}

/// A cluster with one tablespace.
#[derive(Clone, Default)]
pub struct Image {
    /// By path within the archive.
    pub base: Vec<(String, Vec<u8>)>,
    pub tablespace: Vec<(String, Vec<u8>)>,
}

impl Image {
    /// Small, empty and large files, with everything that has a rule of its own.
    pub fn sample() -> Self {
        let file = |name: &str, data: Vec<u8>| (name.to_owned(), data);
        let mut base = vec![
            file(
                "backup_label",
                b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n".to_vec(),
            ),
            file("tablespace_map", b"16384 /srv/ts\n".to_vec()),
            file("base/1/1259", noise(1, 2 * (1 << 20) + 4711)),
            file("base/1/1260", noise(2, 1 << 20)),
            file("base/1/1261", noise(3, (1 << 20) + 1)),
            file("base/1/INCREMENTAL.99", noise(8, 12)),
            file("base/1/empty", Vec::new()),
            file("base/1/old.zstd", noise(4, 100)),
            file("zeros", vec![0; 3 << 20]),
        ];
        base.extend((0..150).map(|number| {
            file(
                &format!("base/5/{number}"),
                noise(number, (number as usize * 97) % 12_000),
            )
        }));
        base.push(file("global/pg_control", noise(9, 8192)));
        base.push(file("pg_wal/000000010000000000000002", noise(10, 1 << 16)));
        base.push(file(
            "pg_wal/archive_status/000000010000000000000001.done",
            Vec::new(),
        ));
        Self {
            base,
            tablespace: vec![file("PG_17_202406281/5/16385", noise(11, (1 << 20) + 3))],
        }
    }

    pub fn base_archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        for name in [
            "base",
            "base/1",
            "base/5",
            "global",
            "pg_wal",
            "pg_wal/archive_status",
            "pg_notify",
            "pg_tblspc",
        ] {
            add_directory(&mut archive, name);
        }
        if !self.tablespace.is_empty() {
            add(&mut archive, b"pg_tblspc/16384", b'2', b"", b"/srv/ts");
        }
        self.base
            .iter()
            .for_each(|(name, data)| add_file(&mut archive, name, data));
        close(&mut archive);
        archive
    }

    pub fn tablespace_archive(&self) -> Vec<u8> {
        let mut archive = Vec::new();
        add_directory(&mut archive, "PG_17_202406281");
        add_directory(&mut archive, "PG_17_202406281/5");
        self.tablespace
            .iter()
            .for_each(|(name, data)| add_file(&mut archive, name, data));
        archive
    }

    /// All files by the path of the manifest, in stream order.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let tablespace = self
            .tablespace
            .iter()
            .map(|(name, data)| (format!("pg_tblspc/16384/{name}"), data.clone()));
        tablespace.chain(self.base.iter().cloned()).collect()
    }

    /// The manifest; `change` may alter, drop or move entries.
    pub fn manifest(&self, kind: Option<DigestKind>, change: impl FnOnce(&mut Vec<ManifestFile>)) -> Vec<u8> {
        let algorithm = ChecksumAlgorithm::parse(kind.map_or("none", DigestKind::name).as_bytes()).unwrap();
        let listed = self
            .files()
            .into_iter()
            .filter(|(path, _)| !path.starts_with("pg_wal/0"));
        let mut entries: Vec<ManifestFile> = listed
            .map(|(path, data)| ManifestFile {
                path: path.into_bytes(),
                size: data.len() as u64,
                last_modified: "2026-01-02 03:04:05 GMT".to_owned(),
                algorithm,
                checksum: kind.map_or_else(Vec::new, |kind| kind.of(&data).as_bytes().to_vec()),
            })
            .collect();
        change(&mut entries);
        let mut writer = PgManifestWriter::new(Vec::new(), Path::new("m"), Some(7)).unwrap();
        entries.iter().for_each(|entry| writer.file(entry).unwrap());
        writer
            .finish(&[WalRange {
                timeline: 1,
                start: 0x200_0028,
                end: 0x200_0100,
            }])
            .unwrap()
    }
}

/// Options for a directory.
pub fn options(directory: &Path, codec: Codec) -> Options {
    Options {
        directory: directory.to_path_buf(),
        spec: CodecSpec::new(codec, 3),
        sealing: None,
        workers: 2,
        budget: DEFAULT_BUDGET,
        manifest: Some(DigestKind::Crc32c),
        server_codec: None,
        link: None,
        incremental: None,
    }
}

pub fn sealing(mode: CipherMode) -> Sealing {
    Sealing {
        mode,
        secret: MasterSecret::from_slice(&[7; 64]).unwrap(),
    }
}

/// Pushes in pieces, waiting as a sender does.
pub fn push(receiver: &mut Receiver, bytes: &[u8], piece: usize) -> Result<()> {
    for chunk in bytes.chunks(piece) {
        if !receiver.push(chunk)? {
            let (wake, woken) = crossbeam_channel::bounded(1);
            receiver
                .watch()
                .on_drained(Box::new(move || wake.send(()).unwrap_or_default()));
            woken.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
        }
    }
    Ok(())
}

/// Sends an image with a given manifest.
pub fn send(options: Options, image: &Image, manifest: &[u8], piece: usize) -> Result<(Receiver, Received)> {
    let mut receiver = Receiver::new(options)?;
    if !image.tablespace.is_empty() {
        receiver.begin_archive(Some(("16384", "fast")))?;
        push(&mut receiver, &image.tablespace_archive(), piece)?;
        receiver.end_archive()?;
    }
    receiver.begin_archive(None)?;
    push(&mut receiver, &image.base_archive(), piece)?;
    receiver.end_archive()?;
    manifest
        .chunks(1000)
        .try_for_each(|chunk| receiver.push_manifest(chunk))?;
    let received = receiver.check()?;
    Ok((receiver, received))
}

/// Sends an image whole and finishes it.
pub fn back_up(options: Options, image: &Image, header: &str) -> Result<Received> {
    let manifest = image.manifest(options.manifest, |_| {});
    let (mut receiver, received) = send(options, image, &manifest, 65_536)?;
    receiver.finish(header, "STATUS=1\n")?;
    Ok(received)
}

/// The records of files in `backup.json`.
pub fn stored_files(directory: &Path) -> Vec<StoredFile> {
    let mut reader = BackupJsonReader::open(&directory.join("backup.json")).unwrap();
    let mut files = Vec::new();
    while let Some(record) = reader.next_record().unwrap() {
        if let BackupRecord::File(file) = record {
            files.push(file);
        }
    }
    files
}

pub fn decode(
    directory: &Path,
    file: &StoredFile,
    codec: Codec,
    sealing: Option<&Sealing>,
) -> Result<Vec<u8>> {
    let path = directory.join(OsStr::from_bytes(&file.stored));
    let mut source: Box<dyn Read + Send> = Box::new(std::fs::File::open(&path).unwrap());
    let raw = file.path.ends_with(b"backup_label");
    if let Some(sealing) = sealing.filter(|_| !raw) {
        source = opener(Some(sealing.mode), &sealing.secret, source);
    }
    let mut plain = Vec::new();
    let mut reader = decoder(if raw { Codec::None } else { codec }, source);
    reader
        .read_to_end(&mut plain)
        .map_err(|error| Error::reading(&path, &error))?;
    Ok(plain)
}

/// Decodes all that was stored and compares it with the image, and every list with the files.
pub fn judge(directory: &Path, image: &Image, codec: Codec, sealing: Option<&Sealing>) {
    let mut expected: BTreeMap<String, Vec<u8>> = image.files().into_iter().collect();
    let mut hashes = hash_list(directory);
    for file in stored_files(directory) {
        let path = String::from_utf8(file.path.clone()).unwrap();
        let plain = expected
            .remove(&path)
            .unwrap_or_else(|| panic!("{path} is surplus"));
        assert!(
            decode(directory, &file, codec, sealing).unwrap() == plain,
            "{path} differs"
        );
        assert_eq!(file.size, plain.len() as u64, "{path}");
        assert_eq!(file.blake3, *blake3::hash(&plain).as_bytes(), "{path}");
        assert_eq!(file.mode, 0o600, "{path}");
        let on_disk = directory.join(OsStr::from_bytes(&file.stored));
        let found = std::fs::symlink_metadata(&on_disk).unwrap();
        assert_eq!(
            (found.len(), found.mode() & 0o7777),
            (file.stored_size, 0o600),
            "{path}"
        );
    }
    assert!(expected.is_empty(), "missing: {:?}", expected.keys());
    for path in every_file(directory) {
        let name = path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
        if name == "backup.sha512" {
            continue;
        }
        let digest = hashes
            .remove(&name)
            .unwrap_or_else(|| panic!("{name} is not in backup.sha512"));
        assert_eq!(fs::hash_file_sha512(&path).unwrap(), digest, "{name}");
    }
    assert!(hashes.is_empty(), "listed but not there: {:?}", hashes.keys());
}

fn hash_list(directory: &Path) -> BTreeMap<String, String> {
    let mut reader = HashListReader::open(&directory.join("backup.sha512")).unwrap();
    let mut lines = BTreeMap::new();
    while let Some(line) = reader.next_line().unwrap() {
        lines.insert(
            String::from_utf8(line.path).unwrap(),
            crate::digest::to_hex(&line.digest),
        );
    }
    lines
}

/// All regular files below a directory; directories have to be private.
pub fn every_file(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            assert_eq!(
                entry.metadata().unwrap().mode() & 0o7777,
                0o700,
                "{}",
                entry.path().display()
            );
            files.extend(every_file(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files
}

//! Backups made in code, in our form and in that of pgmoneta in C, for the tests of restore and verify.

use super::suffix::{Wrapping, is_exempt};
use super::{
    Chain, ChainOptions, Destination, Job, Keys, RestoreOptions, RestoreReport, StoredBackup, restore,
};
use crate::Result;
use crate::block::{BlockShape, IncrementalHeader, is_incremental, page_checksum};
use crate::cipher::{CipherMode, MasterSecret, Sealer};
use crate::codec::{Assembler, Codec, CodecSpec, EncodedFrame, FrameEncoder};
use crate::digest::{DigestKind, PieceHash, blake3_piece};
use crate::manifest::{
    BackupJsonWriter, ChecksumAlgorithm, HashListWriter, ManifestFile, PIECE, PgManifestWriter,
    PlainListWriter, StoredFile, WalRange,
};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub const SPACE: &str = "pg_tblspc/16384/PG_16_202307071/5/16400";
pub const WAL: &str = "pg_wal/000000010000000000000002";
pub const LABEL: &str = "20260102030405";

/// How a backup is stored.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    pub ours: bool,
    pub codec: Codec,
    pub cipher: Option<CipherMode>,
    /// `.lz4` as pgmoneta in C writes it.
    pub old_lz4: bool,
}

impl Form {
    pub const fn new(ours: bool, codec: Codec, cipher: Option<CipherMode>) -> Self {
        Self {
            ours,
            codec,
            cipher,
            old_lz4: false,
        }
    }
}

/// A stored backup and what it was made of.
pub struct Fixture {
    pub temp: Arc<tempfile::TempDir>,
    pub label: String,
    pub directory: PathBuf,
    pub image: BTreeMap<Vec<u8>, Vec<u8>>,
    pub form: Form,
}

pub fn secret() -> MasterSecret {
    MasterSecret::from_slice(&[7; 64]).unwrap()
}

pub fn keys() -> Keys {
    Keys {
        secret: Some(secret()),
        ..Keys::default()
    }
}

/// What proves the pieces of a large file; lists have that of files whose names end in 5.
fn pieces_of(path: &[u8], bytes: &[u8]) -> Vec<[u8; 32]> {
    if !path.ends_with(b"5") || bytes.len() as u64 <= PIECE {
        return Vec::new();
    }
    let value = |(index, part): (usize, &[u8])| match blake3_piece(index as u64 * PIECE, part, false) {
        PieceHash::Part(value) | PieceHash::Whole(value) => value,
    };
    bytes.chunks(PIECE as usize).enumerate().map(value).collect()
}

/// Pages with right checksums, half of each filled.
pub fn pages(count: u32, lsn: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for block in 0..count {
        let mut page = vec![0; 8192];
        page[..4].copy_from_slice(&((lsn >> 32) as u32).to_le_bytes());
        page[4..8].copy_from_slice(&(lsn as u32).to_le_bytes());
        page[14..16].copy_from_slice(&4096u16.to_le_bytes());
        for (index, byte) in page[4096..].iter_mut().enumerate() {
            *byte = (index as u32 * 7 + block) as u8;
        }
        let sum = page_checksum(&page, block);
        page[8..10].copy_from_slice(&sum.to_le_bytes());
        bytes.extend_from_slice(&page);
    }
    bytes
}

/// A small cluster with every kind of file.
pub fn image() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let noise: Vec<u8> = (0..1_200_000u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let files: Vec<(&[u8], Vec<u8>)> = vec![
        (b"PG_VERSION", b"16\n".to_vec()),
        (
            b"backup_label",
            b"START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\n".to_vec(),
        ),
        (b"global/pg_control", crate::block::control_file(1300, 77)),
        (b"global/1262", pages(2, 1)),
        (b"base/1/1259", pages(130, 1)),
        (b"base/1/2600", Vec::new()),
        (b"base/1/noise", noise),
        (b"share/really.gz", b"not compressed at all".to_vec()),
        (b"share/na\xffme", b"a name that is not UTF-8".to_vec()),
        (SPACE.as_bytes(), pages(3, 1)),
        (WAL.as_bytes(), vec![0x5a; 1 << 20]),
    ];
    files
        .into_iter()
        .map(|(path, bytes)| (path.to_vec(), bytes))
        .collect()
}

/// The same without what takes long to read many times over.
pub fn small_image() -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut image = image();
    image.remove(&b"base/1/noise"[..]);
    image.insert(b"base/1/1259".to_vec(), pages(5, 1));
    image.insert(WAL.as_bytes().to_vec(), vec![0x5a; 20_000]);
    image
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Blocks of literals, as small as the old format allows them to be complicated.
fn old_lz4(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for block in plain.chunks(4096) {
        let mut packed = Vec::new();
        if block.len() < 15 {
            packed.push((block.len() as u8) << 4);
        } else {
            packed.push(0xf0);
            let mut rest = block.len() - 15;
            while rest >= 255 {
                packed.push(255);
                rest -= 255;
            }
            packed.push(rest as u8);
        }
        packed.extend_from_slice(block);
        out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
        out.extend_from_slice(&packed);
    }
    // the streaming writer of the C program ends files of whole buffers, and empty ones, with an empty block
    if plain.len().is_multiple_of(1 << 20) {
        out.extend_from_slice(&[1, 0, 0, 0, 0]);
    }
    out
}

pub fn encode(form: Form, plain: &[u8]) -> Vec<u8> {
    let mut bytes = if form.old_lz4 {
        old_lz4(plain)
    } else {
        let spec = CodecSpec::new(form.codec, 3);
        let (mut encoder, mut assembler) = (FrameEncoder::new(spec).unwrap(), Assembler::new(spec));
        let (mut frame, mut out) = (EncodedFrame::default(), Vec::new());
        for piece in plain.chunks(spec.frame_size()) {
            encoder.encode(piece, &mut frame).unwrap();
            assembler.append(&frame, &mut out);
        }
        assembler.finish(&mut out);
        out
    };
    if let Some(mode) = form.cipher {
        let mut sealer = Sealer::new(mode, &secret()).unwrap();
        let mut sealed = sealer.header();
        sealer.update_into(&bytes, &mut sealed).unwrap();
        sealed.extend(sealer.finish().unwrap());
        bytes = sealed;
    }
    bytes
}

fn manifest_file(path: &[u8], bytes: &[u8], kind: DigestKind, algorithm: ChecksumAlgorithm) -> ManifestFile {
    ManifestFile {
        path: path.to_vec(),
        size: bytes.len() as u64,
        last_modified: "2026-01-02 03:04:05 GMT".to_owned(),
        algorithm,
        checksum: kind.of(bytes).as_bytes().to_vec(),
    }
}

impl Fixture {
    /// Stores an image.
    pub fn store(form: Form, image: BTreeMap<Vec<u8>, Vec<u8>>) -> Self {
        Self::store_in(&Arc::new(tempfile::tempdir().unwrap()), LABEL, form, image)
    }

    /// Stores an image in a repository.
    pub fn store_in(
        temp: &Arc<tempfile::TempDir>,
        label: &str,
        form: Form,
        image: BTreeMap<Vec<u8>, Vec<u8>>,
    ) -> Self {
        let directory = temp.path().join("repository/primary/backup").join(label);
        let this = Self {
            temp: Arc::clone(temp),
            label: label.to_owned(),
            directory,
            image,
            form,
        };
        std::fs::create_dir_all(this.directory.join("data/pg_notify")).unwrap();
        std::fs::create_dir_all(this.directory.join("tblspc_fast")).unwrap();
        std::fs::create_dir_all(this.directory.join("data/pg_tblspc")).unwrap();
        let target = if form.ours {
            PathBuf::from("../../tblspc_fast")
        } else {
            this.directory.join("tblspc_fast")
        };
        symlink(target, this.directory.join("data/pg_tblspc/16384")).unwrap();
        for (path, bytes) in &this.image {
            let wrapped = if this.wrapping(path) == Wrapping::PLAIN {
                bytes.clone()
            } else {
                encode(form, bytes)
            };
            write(&this.stored_file(path), &wrapped);
        }
        this.write_manifest();
        if form.ours {
            this.write_json()
        } else {
            this.write_info()
        }
        this.write_sha512();
        this
    }

    pub fn new(form: Form) -> Self {
        Self::store(form, image())
    }

    pub fn small(form: Form) -> Self {
        Self::store(form, small_image())
    }

    fn major(&self) -> u32 {
        let version = String::from_utf8(self.image[&b"PG_VERSION"[..]].clone()).unwrap();
        version.trim().parse().unwrap()
    }

    /// As our receiver writes it, but not for all files: the headers of the others have to be read.
    fn block_length(&self, path: &[u8], bytes: &[u8]) -> Option<u32> {
        let shape = BlockShape {
            block_size: 8192,
            relseg_size: 131_072,
        };
        let header = || IncrementalHeader::read(&mut &bytes[..], shape, path, bytes.len() as u64).ok();
        (is_incremental(path) && path.ends_with(b"0"))
            .then(header)
            .flatten()
            .map(|header| header.block_length())
    }

    fn wrapping(&self, path: &[u8]) -> Wrapping {
        if is_exempt(path) {
            return Wrapping::PLAIN;
        }
        Wrapping {
            codec: self.form.codec,
            sealed: self.form.cipher.is_some(),
        }
    }

    /// Relative to the backup.
    pub fn stored(&self, path: &[u8]) -> Vec<u8> {
        let base = match path.strip_prefix(b"pg_tblspc/16384/") {
            Some(rest) => [b"tblspc_fast/", rest].concat(),
            None => [b"data/", path].concat(),
        };
        [&base, self.wrapping(path).suffix().as_bytes()].concat()
    }

    pub fn stored_file(&self, path: &[u8]) -> PathBuf {
        self.directory.join(OsStr::from_bytes(&self.stored(path)))
    }

    pub fn write_manifest(&self) {
        let path = self.directory.join("data/backup_manifest");
        let identifier = (self.major() >= 17).then_some(77);
        let mut writer = PgManifestWriter::new(Vec::new(), &path, identifier).unwrap();
        let (kind, algorithm) = match self.form.ours {
            true => (DigestKind::Crc32c, ChecksumAlgorithm::Crc32c),
            false => (DigestKind::Sha512, ChecksumAlgorithm::Sha512),
        };
        for (path, bytes) in self
            .image
            .iter()
            .filter(|(path, _)| !path.starts_with(b"pg_wal/"))
        {
            writer.file(&manifest_file(path, bytes, kind, algorithm)).unwrap();
        }
        let range = WalRange {
            timeline: 1,
            start: 0x200_0028,
            end: 0x200_0120,
        };
        write(&path, &writer.finish(&[range]).unwrap());
    }

    pub fn write_json(&self) {
        let path = self.directory.join("backup.json");
        let cipher = self.form.cipher.map_or("none", CipherMode::name);
        let header = format!(
            "{{\"label\":\"{}\",\"systemIdentifier\":\"77\",\"majorVersion\":{},\"startLsn\":\"0/2000028\",\
             \"compression\":\"{}\",\"encryption\":\"{cipher}\",\"blockSize\":8192,\
             \"tablespaces\":[{{\"oid\":\"16384\",\"name\":\"fast\",\"path\":\"/mnt/fast\"}}]}}",
            self.label,
            self.major(),
            self.form.codec.name()
        );
        let mut writer = BackupJsonWriter::new(Vec::new(), &path, &header).unwrap();
        for (file, bytes) in &self.image {
            let record = StoredFile {
                path: file.clone(),
                stored: self.stored(file),
                size: bytes.len() as u64,
                stored_size: std::fs::metadata(self.stored_file(file)).unwrap().len(),
                block_length: self.block_length(file, bytes),
                mode: 0o600,
                blake3: *blake3::hash(bytes).as_bytes(),
                pieces: pieces_of(file, bytes),
                linked: None,
            };
            writer.file(&record).unwrap();
        }
        writer.directory(b"pg_notify", 0o700).unwrap();
        write(&path, &writer.finish().unwrap());
    }

    fn write_info(&self) {
        let compression = match self.form.codec {
            Codec::None => 0,
            Codec::Gzip => 17,
            Codec::Zstd => 18,
            Codec::Lz4 => 19,
            Codec::Bzip2 => 20,
        };
        let encryption = self.form.cipher.map_or(0, CipherMode::code);
        let info = format!(
            "PGMONETA_VERSION=0.21.0\nSTATUS=1\nLABEL={}\nMAJOR_VERSION={}\nTABLESPACES=1\n\
             COMPRESSION={compression}\nENCRYPTION={encryption}\nTABLESPACE1=tblspc_fast\nTABLESPACE_OID1=16384\n\
             TABLESPACE_PATH1=/mnt/fast\nSTART_WALPOS=0/2000028\n",
            self.label,
            self.major()
        );
        write(&self.directory.join("backup.info"), info.as_bytes());
        let mut writer = PlainListWriter::new(Vec::new(), Path::new("backup.manifest"));
        for (path, bytes) in self
            .image
            .iter()
            .filter(|(path, _)| !path.starts_with(b"pg_wal/"))
        {
            writer
                .line(path, DigestKind::Sha512.of(bytes).as_bytes())
                .unwrap();
        }
        write(&self.directory.join("backup.manifest"), &writer.finish().unwrap());
    }

    /// Lists what is on disk now.
    pub fn write_sha512(&self) {
        let list = self.directory.join("backup.sha512");
        let _ = std::fs::remove_file(&list);
        let mut writer = HashListWriter::new(Vec::new(), &list);
        super::walk(&self.directory, &mut |entry| {
            let path = self.directory.join(OsStr::from_bytes(&entry.path));
            if path.is_file() {
                let digest = DigestKind::Sha512.of(&std::fs::read(&path).unwrap());
                writer.line(&entry.path, digest.as_bytes().try_into().unwrap())?;
            }
            Ok(())
        })
        .unwrap();
        write(&list, &writer.finish().unwrap());
    }

    pub fn target(&self) -> PathBuf {
        self.temp.path().join("restored")
    }

    pub fn options(&self) -> RestoreOptions {
        let space = self.temp.path().join("restored-fast");
        RestoreOptions {
            target: self.target(),
            tablespaces: vec![Destination {
                oid: "16384".to_owned(),
                directory: space.clone(),
                link: space,
            }],
            workers: 2,
            allow_unproven: false,
            check_pages: false,
            existing: None,
        }
    }

    pub fn open(&self) -> Result<StoredBackup> {
        StoredBackup::open(&self.directory, keys())
    }

    pub fn chain(&self) -> Result<Chain> {
        Chain::open(&[&self.directory], &keys(), ChainOptions::default())
    }

    pub fn restore(&self) -> Result<RestoreReport> {
        restore(&self.chain()?, &self.options(), &Job::default())
    }

    /// Removes what a restore left.
    pub fn clear(&self) {
        let _ = std::fs::remove_dir_all(self.target());
        let _ = std::fs::remove_dir_all(self.temp.path().join("restored-fast"));
    }

    /// Compares the restored cluster with the image, `without` some files, both ways.
    pub fn assert_restored(&self, without: &[&[u8]]) {
        let mut expected: Vec<&[u8]> = self.image.keys().map(Vec::as_slice).collect();
        expected.retain(|path| !without.contains(path));
        expected.push(b"backup_manifest");
        let mut found = Vec::new();
        for (root, prefix) in [
            (self.target(), &b""[..]),
            (self.temp.path().join("restored-fast"), b"pg_tblspc/16384/"),
        ] {
            super::walk(&root, &mut |entry| {
                if entry.kind == super::TreeKind::File {
                    found.push([prefix, &entry.path].concat());
                }
                Ok(())
            })
            .unwrap();
        }
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        for path in expected.iter().filter(|path| **path != b"backup_manifest") {
            let bytes = std::fs::read(self.target().join(OsStr::from_bytes(path))).unwrap();
            assert!(
                &bytes == self.image.get(*path).unwrap(),
                "{}",
                path.escape_ascii()
            );
        }
    }
}

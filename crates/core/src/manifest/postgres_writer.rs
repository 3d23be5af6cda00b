//! Writer of PostgreSQL's `backup_manifest`, byte for byte in the shape that the server gives it.

use super::postgres::{ChecksumAlgorithm, ManifestFile, WalRange};
use super::text;
use crate::{Code, Error, Result};
use ring::digest::{Context, SHA256};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a manifest file by file, then the WAL ranges and the checksum.
pub struct PgManifestWriter<W> {
    writer: W,
    path: PathBuf,
    hash: Context,
    buffer: Vec<u8>,
    files: u64,
}

impl<W: Write> PgManifestWriter<W> {
    /// Begins a manifest. With the system identifier it has version 2 (PostgreSQL 17 and newer), without it
    /// version 1, the only one that older releases accept. `path` is for messages.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn new(writer: W, path: &Path, system_identifier: Option<u64>) -> Result<Self> {
        let hash = Context::new(&SHA256);
        let mut this = Self {
            writer,
            path: path.to_path_buf(),
            hash,
            buffer: Vec::new(),
            files: 0,
        };
        let head = match system_identifier {
            Some(identifier) => format!(
                "{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": {identifier},\n\"Files\": ["
            ),
            None => "{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [".to_owned(),
        };
        this.buffer.extend_from_slice(head.as_bytes());
        this.flush()?;
        Ok(this)
    }

    /// Adds a file. A path that is not UTF-8 is written as `Encoded-Path`.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`; `INTERNAL` when the checksum does not have the length of its algorithm.
    pub fn file(&mut self, file: &ManifestFile) -> Result<()> {
        if file.checksum.len() != file.algorithm.length() {
            return Err(Error::new(
                Code::Internal,
                "a manifest entry has a checksum of the wrong length",
            ));
        }
        let out = &mut self.buffer;
        out.extend_from_slice(if self.files == 0 { b"\n{ " } else { b",\n{ " });
        if std::str::from_utf8(&file.path).is_ok() {
            out.extend_from_slice(b"\"Path\": ");
            text::push_json_string(out, &file.path);
        } else {
            out.extend_from_slice(b"\"Encoded-Path\": \"");
            text::push_hex(out, &file.path);
            out.push(b'"');
        }
        out.extend_from_slice(format!(", \"Size\": {}, \"Last-Modified\": ", file.size).as_bytes());
        text::push_json_string(out, file.last_modified.as_bytes());
        if file.algorithm != ChecksumAlgorithm::None {
            let name = file.algorithm.name();
            out.extend_from_slice(
                format!(", \"Checksum-Algorithm\": \"{name}\", \"Checksum\": \"").as_bytes(),
            );
            text::push_hex(out, &file.checksum);
            out.push(b'"');
        }
        out.extend_from_slice(b" }");
        self.files += 1;
        if self.buffer.len() >= 64 * 1024 {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Writes the WAL ranges (newest timeline first) and the checksum, and gives the writer back.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn finish(mut self, ranges: &[WalRange]) -> Result<W> {
        let out = &mut self.buffer;
        out.extend_from_slice(b"\n],\n\"WAL-Ranges\": [");
        for (index, range) in ranges.iter().enumerate() {
            let (start, end) = (text::format_lsn(range.start), text::format_lsn(range.end));
            let comma = if index == 0 { "" } else { "," };
            let line = format!(
                "{comma}\n{{ \"Timeline\": {}, \"Start-LSN\": \"{start}\", \"End-LSN\": \"{end}\" }}",
                range.timeline
            );
            out.extend_from_slice(line.as_bytes());
        }
        out.extend_from_slice(b"\n],\n");
        self.flush()?;
        let digest = text::hex(self.hash.clone().finish().as_ref());
        self.buffer
            .extend_from_slice(format!("\"Manifest-Checksum\": \"{digest}\"}}\n").as_bytes());
        self.flush()?;
        self.writer
            .flush()
            .map_err(|error| Error::io("write", &self.path, &error))?;
        Ok(self.writer)
    }

    fn flush(&mut self) -> Result<()> {
        self.hash.update(&self.buffer);
        self.writer
            .write_all(&self.buffer)
            .map_err(|error| Error::io("write", &self.path, &error))?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::PgManifestReader;
    use super::*;
    use proptest::prelude::*;

    fn write(files: &[ManifestFile], ranges: &[WalRange], identifier: Option<u64>) -> Vec<u8> {
        let mut writer = PgManifestWriter::new(Vec::new(), Path::new("m"), identifier).unwrap();
        for file in files {
            writer.file(file).unwrap();
        }
        writer.finish(ranges).unwrap()
    }

    fn read(text: &[u8]) -> Result<(Vec<ManifestFile>, super::super::ManifestSummary)> {
        let mut reader = PgManifestReader::new(text, Path::new("m"))?;
        let mut files = Vec::new();
        while let Some(file) = reader.next_file()? {
            files.push(file);
        }
        Ok((files, reader.finish()?))
    }

    fn sample() -> ManifestFile {
        ManifestFile {
            path: b"backup_label".to_vec(),
            size: 227,
            last_modified: "2026-01-02 03:04:05 GMT".to_owned(),
            algorithm: ChecksumAlgorithm::Crc32c,
            checksum: vec![0x8c, 0xaa, 0x78, 0xb4],
        }
    }

    const RANGE: WalRange = WalRange {
        timeline: 1,
        start: 0x0200_0028,
        end: 0x0200_0120,
    };

    #[test]
    fn the_text_is_the_server_s() {
        let text = String::from_utf8(write(
            &[sample(), sample()],
            &[RANGE],
            Some(7_710_222_501_349_654_523),
        ))
        .unwrap();
        let file = "{ \"Path\": \"backup_label\", \"Size\": 227, \"Last-Modified\": \"2026-01-02 03:04:05 GMT\", \
                    \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"8caa78b4\" }";
        let expected = format!(
            "{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 7710222501349654523,\n\
             \"Files\": [\n{file},\n{file}\n],\n\"WAL-Ranges\": [\n\
             {{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000120\" }}\n],\n\"Manifest-Checksum\": \""
        );
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.ends_with("\"}\n"));
    }

    #[test]
    fn any_white_space_and_order_is_read() {
        let body = "{\"PostgreSQL-Backup-Manifest-Version\":\t1 ,\r\n\n \"WAL-Ranges\":[{\"End-LSN\":\"0/2000120\",\
                    \"Timeline\":\"1\",\"Start-LSN\":\"0/2000028\"}],\"Files\":[{\"Size\":\"3\",\"Encoded-Path\":\"FF2f61\"},\
                    {\"Path\":\"pg_wal\\/x\",\"Size\":0,\"Checksum-Algorithm\":\"none\"}],\n";
        let digest = text::hex(ring::digest::digest(&SHA256, body.as_bytes()).as_ref());
        let text = format!("{body}\"Manifest-Checksum\":\"{digest}\" }}\n");
        let (files, summary) = read(text.as_bytes()).unwrap();
        assert_eq!(files[0].path, b"\xff/a");
        assert_eq!(files[1].path, b"pg_wal/x");
        assert_eq!(summary.wal_ranges, [RANGE]);
        assert_eq!(
            (summary.version, summary.system_identifier, summary.files),
            (1, None, 2)
        );
    }

    #[test]
    fn every_cut_and_every_flip_is_noticed() {
        let whole = write(&[sample()], &[RANGE], Some(5));
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
        for place in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[place] ^= 4;
            // a flip may turn a hexadecimal digit of the checksum into its other case, never into another meaning
            assert!(read(&flipped).is_err(), "flip at {place}");
        }
    }

    #[test]
    fn unsafe_and_malformed_entries_are_refused() {
        for (path, size) in [
            ("/etc/passwd", "1"),
            ("a/../../b", "1"),
            ("a", "-1"),
            ("a", "18446744073709551616"),
        ] {
            let text = format!(
                "{{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [{{ \"Path\": \"{path}\", \"Size\": {size} }}]"
            );
            assert!(read(text.as_bytes()).is_err(), "{path} {size}");
        }
        assert!(read(b"{ \"PostgreSQL-Backup-Manifest-Version\": 3,\n").is_err());
        assert!(read(b"[]\n").is_err());
    }

    /// PostgreSQL's own `pg_verifybackup`, where `PG_REFEREES` names the directory of its programs.
    #[test]
    fn the_referee_accepts_both_versions() {
        let Some(programs) = std::env::var_os("PG_REFEREES") else {
            eprintln!("PG_REFEREES is not set: pg_verifybackup was not asked");
            return;
        };
        let program = Path::new(&programs).join("pg_verifybackup");
        let version = std::process::Command::new(&program)
            .arg("--version")
            .output()
            .unwrap();
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let control = if version.contains(") 17") { 1700 } else { 1800 };
        let names: [&[u8]; 4] = [b"plain", b"a \"b\\c\n", "\u{fc}".as_bytes(), b"not \xff UTF-8"];
        for identifier in [None, Some(7_710_222_501_349_654_523)] {
            let directory = tempfile::tempdir().unwrap();
            let mut contents: Vec<(Vec<u8>, Vec<u8>)> =
                names.iter().map(|name| (name.to_vec(), name.to_vec())).collect();
            let control = crate::block::control_file(control, 7_710_222_501_349_654_523);
            contents.push((b"global/pg_control".to_vec(), control));
            std::fs::create_dir(directory.path().join("global")).unwrap();
            let mut files = Vec::new();
            for (index, (path, bytes)) in contents.into_iter().enumerate() {
                use std::os::unix::ffi::OsStrExt;
                std::fs::write(directory.path().join(std::ffi::OsStr::from_bytes(&path)), &bytes).unwrap();
                let (algorithm, kind) = [
                    (ChecksumAlgorithm::Crc32c, crate::digest::DigestKind::Crc32c),
                    (ChecksumAlgorithm::Sha224, crate::digest::DigestKind::Sha224),
                    (ChecksumAlgorithm::Sha256, crate::digest::DigestKind::Sha256),
                    (ChecksumAlgorithm::Sha384, crate::digest::DigestKind::Sha384),
                    (ChecksumAlgorithm::Sha512, crate::digest::DigestKind::Sha512),
                ][index];
                let checksum = kind.of(&bytes).as_bytes().to_vec();
                files.push(ManifestFile {
                    path,
                    size: bytes.len() as u64,
                    algorithm,
                    checksum,
                    ..sample()
                });
            }
            std::fs::write(
                directory.path().join("backup_manifest"),
                write(&files, &[RANGE], identifier),
            )
            .unwrap();
            let asked = std::process::Command::new(&program)
                .arg("-n")
                .arg(directory.path())
                .output()
                .unwrap();
            assert!(
                asked.status.success(),
                "{}",
                String::from_utf8_lossy(&asked.stderr)
            );
        }
    }

    fn entry() -> impl Strategy<Value = ManifestFile> {
        let part = proptest::collection::vec(
            any::<u8>().prop_map(|byte| if byte == b'/' || byte == 0 { b'_' } else { byte }),
            1..12,
        )
        .prop_filter("no dots", |part| part != b"." && part != b"..");
        let path = proptest::collection::vec(part, 1..4).prop_map(|parts| parts.join(&b'/'));
        let algorithm = proptest::sample::select(ChecksumAlgorithm::ALL.to_vec());
        (path, any::<u64>(), algorithm, any::<[u8; 64]>()).prop_map(|(path, size, algorithm, bytes)| {
            ManifestFile {
                path,
                size,
                last_modified: "2026-01-02 03:04:05 GMT".to_owned(),
                algorithm,
                checksum: bytes[..algorithm.length()].to_vec(),
            }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_is_written_is_read_again(
            files in proptest::collection::vec(entry(), 0..20),
            identifier in any::<Option<u64>>(),
            ranges in proptest::collection::vec((any::<u32>(), any::<u64>(), any::<u64>()), 1..4),
        ) {
            let ranges: Vec<_> =
                ranges.into_iter().map(|(timeline, start, end)| WalRange { timeline, start, end }).collect();
            let text = write(&files, &ranges, identifier);
            let (found, summary) = read(&text).unwrap();
            prop_assert_eq!(&found, &files);
            prop_assert_eq!(summary.wal_ranges, ranges);
            prop_assert_eq!(summary.system_identifier, identifier);
        }

        #[test]
        fn garbage_never_panics(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(read(&text).is_err());
        }
    }
}

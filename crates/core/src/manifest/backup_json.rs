//! `backup.json`: our list of a backup, beside `backup.info`. One JSON document, written one record to a line so that
//! it is read and written as a stream: the header, then files, directories and links.

use super::header::BackupHeader;
use super::lines::{Lines, MAX_LINE};
use super::text;
use crate::{Code, Error, Result};
use serde::Deserialize;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest header: a backup may have thousands of tablespaces.
const MAX_HEADER: usize = 16 * 1024 * 1024;
const VERSION: &[u8] = b"{ \"Version\": 1,";
/// Longest record: the values of [`MAX_PIECES`] pieces, and names.
const MAX_RECORD: usize = 512 * 1024;
/// What is read of a list at a time when a single record is wanted: most are shorter.
const ONE_RECORD: usize = 1024;
/// Most pieces of which values are kept.
pub const MAX_PIECES: u64 = 4096;
/// Plain bytes of a piece, but for the last one of a file.
pub const PIECE: u64 = 1 << 20;

/// One regular file of the image and where it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// In the restored cluster, relative to the data directory; tablespace files begin with `pg_tblspc/<oid>/`.
    pub path: Vec<u8>,
    /// Relative to the directory of the backup: `data/base/1/1259.zstd.aes`.
    pub stored: Vec<u8>,
    /// Plain size in bytes.
    pub size: u64,
    /// Size as stored, in bytes.
    pub stored_size: u64,
    /// Of a file of changed blocks (`INCREMENTAL.<name>`): blocks of the file that a restore makes of it.
    pub block_length: Option<u32>,
    /// Mode bits in the source cluster.
    pub mode: u32,
    /// BLAKE3 of the plain bytes.
    pub blake3: [u8; 32],
    /// Of a large file of changed blocks: what BLAKE3 has as the value of each subtree of [`PIECE`] bytes. They make
    /// the digest of the whole, and prove each piece by itself. Empty where they are not known.
    pub pieces: Vec<[u8; 32]>,
    /// Label of the backup whose stored file this is a hard link to.
    pub linked: Option<String>,
}

/// One line of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupRecord {
    File(StoredFile),
    /// A directory of the image, empty ones too.
    Directory {
        path: Vec<u8>,
        mode: u32,
    },
    /// A symbolic link of the image.
    Link {
        path: Vec<u8>,
        target: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
enum Section {
    Files,
    Directories,
    Links,
    Done,
}

impl Section {
    fn opening(self) -> &'static [u8] {
        match self {
            Self::Files => b"\"Files\": [",
            Self::Directories => b"\"Directories\": [",
            Self::Links => b"\"Links\": [",
            Self::Done => b"}",
        }
    }

    fn following(self) -> Self {
        match self {
            Self::Files => Self::Directories,
            Self::Directories => Self::Links,
            Self::Links | Self::Done => Self::Done,
        }
    }
}

/// Writes the document; records come in the order files, directories, links.
pub struct BackupJsonWriter<W> {
    writer: W,
    path: PathBuf,
    buffer: Vec<u8>,
    section: Section,
    first: bool,
}

impl<W: Write> BackupJsonWriter<W> {
    /// Begins the document. `header` is the JSON text of the `Backup` object; `path` is for messages.
    ///
    /// # Errors
    /// `USAGE` when the header is no JSON object of the right types; `IO` or `NO_SPACE`.
    pub fn new(writer: W, path: &Path, header: &str) -> Result<Self> {
        let usage =
            |why: String| Error::new(Code::Usage, format!("the header of backup.json {why}")).at(path);
        serde_json::from_str::<BackupHeader>(header)
            .map_err(|error| usage(format!("is not usable: {error}")))?;
        if header.len() > MAX_HEADER {
            return Err(usage("is too long".to_owned()));
        }
        let mut buffer = VERSION.to_vec();
        buffer.extend_from_slice(b"\n\"Backup\": ");
        // a newline in valid JSON is white space; the header must stay on one line
        buffer.extend(
            header
                .trim()
                .bytes()
                .map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }),
        );
        buffer.extend_from_slice(b",\n");
        buffer.extend_from_slice(Section::Files.opening());
        let mut this = Self {
            writer,
            path: path.to_path_buf(),
            buffer,
            section: Section::Files,
            first: true,
        };
        this.flush()?;
        Ok(this)
    }

    /// Adds a file.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`; `INTERNAL` after a directory or link.
    pub fn file(&mut self, file: &StoredFile) -> Result<()> {
        self.begin(Section::Files)?;
        let out = &mut self.buffer;
        push_text(out, "Path", "EncodedPath", &file.path);
        out.extend_from_slice(b", ");
        push_text(out, "Stored", "EncodedStored", &file.stored);
        let numbers = format!(
            ", \"Size\": {}, \"StoredSize\": {}, \"Mode\": {}",
            file.size, file.stored_size, file.mode
        );
        out.extend_from_slice(numbers.as_bytes());
        out.extend_from_slice(b", \"Blake3\": \"");
        text::push_hex(out, &file.blake3);
        out.push(b'"');
        if let Some(blocks) = file.block_length {
            out.extend_from_slice(format!(", \"BlockLength\": {blocks}").as_bytes());
        }
        if !file.pieces.is_empty() {
            out.extend_from_slice(b", \"Pieces\": \"");
            text::push_hex(out, file.pieces.as_flattened());
            out.push(b'"');
        }
        if let Some(label) = &file.linked {
            out.extend_from_slice(b", \"Linked\": ");
            text::push_json_string(out, label.as_bytes());
        }
        self.end()
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`; `INTERNAL` after a link.
    pub fn directory(&mut self, path: &[u8], mode: u32) -> Result<()> {
        self.begin(Section::Directories)?;
        push_text(&mut self.buffer, "Path", "EncodedPath", path);
        self.buffer
            .extend_from_slice(format!(", \"Mode\": {mode}").as_bytes());
        self.end()
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn link(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        self.begin(Section::Links)?;
        push_text(&mut self.buffer, "Path", "EncodedPath", path);
        self.buffer.extend_from_slice(b", ");
        push_text(&mut self.buffer, "Target", "EncodedTarget", target);
        self.end()
    }

    /// Ends the document and gives the writer back, flushed, not fsynced.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn finish(mut self) -> Result<W> {
        self.advance(Section::Done);
        self.buffer.push(b'\n');
        self.flush()?;
        self.writer
            .flush()
            .map_err(|error| Error::io("write", &self.path, &error))?;
        Ok(self.writer)
    }

    fn begin(&mut self, section: Section) -> Result<()> {
        if section < self.section {
            return Err(Error::new(
                Code::Internal,
                "records of backup.json came out of order",
            ));
        }
        self.advance(section);
        self.buffer
            .extend_from_slice(if self.first { b"\n{ " } else { b",\n{ " });
        self.first = false;
        Ok(())
    }

    fn advance(&mut self, section: Section) {
        while self.section < section {
            self.section = self.section.following();
            self.buffer.extend_from_slice(if self.section == Section::Done {
                b"\n]\n"
            } else {
                b"\n],\n"
            });
            self.buffer.extend_from_slice(self.section.opening());
            self.first = true;
        }
    }

    fn end(&mut self) -> Result<()> {
        self.buffer.extend_from_slice(b" }");
        if self.buffer.len() >= 64 * 1024 {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn flush(&mut self) -> Result<()> {
        self.writer
            .write_all(&self.buffer)
            .map_err(|error| Error::io("write", &self.path, &error))?;
        self.buffer.clear();
        Ok(())
    }
}

fn push_text(out: &mut Vec<u8>, key: &str, encoded_key: &str, text: &[u8]) {
    let utf8 = std::str::from_utf8(text).is_ok();
    let key = if utf8 { key } else { encoded_key };
    out.extend_from_slice(format!("\"{key}\": ").as_bytes());
    if utf8 {
        text::push_json_string(out, text);
    } else {
        out.push(b'"');
        text::push_hex(out, text);
        out.push(b'"');
    }
}

/// One record as it stands in a line; which keys there are depends on the section.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    path: Option<String>,
    encoded_path: Option<String>,
    stored: Option<String>,
    encoded_stored: Option<String>,
    target: Option<String>,
    encoded_target: Option<String>,
    size: Option<u64>,
    stored_size: Option<u64>,
    block_length: Option<u32>,
    mode: Option<u32>,
    blake3: Option<String>,
    pieces: Option<String>,
    linked: Option<String>,
}

fn plain_or_encoded(plain: Option<String>, encoded: Option<String>) -> Option<Vec<u8>> {
    match (plain, encoded) {
        (Some(text), None) => Some(text.into_bytes()),
        (None, Some(hex)) => text::unhex(hex.as_bytes()),
        _ => None,
    }
}

/// The values of pieces, one behind the other.
fn values(hex: &str) -> Option<Vec<[u8; 32]>> {
    let bytes = text::unhex(hex.as_bytes())?;
    let (values, rest) = bytes.as_chunks::<32>();
    (rest.is_empty() && !values.is_empty()).then(|| values.to_vec())
}

impl Line {
    fn record(self, section: Section) -> Result<BackupRecord> {
        let lacks = |what: &str| Error::corrupt(format!("it lacks a usable \"{what}\""));
        let path = plain_or_encoded(self.path, self.encoded_path).ok_or_else(|| lacks("Path"))?;
        let path = text::clean_path(&path)?;
        match section {
            Section::Directories => Ok(BackupRecord::Directory {
                path,
                mode: self.mode.ok_or_else(|| lacks("Mode"))? & 0o7777,
            }),
            Section::Links => {
                let target = plain_or_encoded(self.target, self.encoded_target);
                Ok(BackupRecord::Link {
                    path,
                    target: target.ok_or_else(|| lacks("Target"))?,
                })
            }
            _ => {
                let stored = plain_or_encoded(self.stored, self.encoded_stored);
                let blake3 = self.blake3.and_then(|hex| text::unhex(hex.as_bytes()));
                let pieces = match self.pieces {
                    None => Vec::new(),
                    Some(hex) => values(&hex).ok_or_else(|| lacks("Pieces"))?,
                };
                Ok(BackupRecord::File(StoredFile {
                    path,
                    stored: text::clean_path(&stored.ok_or_else(|| lacks("Stored"))?)?,
                    size: self.size.ok_or_else(|| lacks("Size"))?,
                    stored_size: self.stored_size.ok_or_else(|| lacks("StoredSize"))?,
                    block_length: self.block_length,
                    mode: self.mode.ok_or_else(|| lacks("Mode"))? & 0o7777,
                    blake3: blake3
                        .and_then(|bytes| bytes.try_into().ok())
                        .ok_or_else(|| lacks("Blake3"))?,
                    pieces,
                    linked: self.linked,
                }))
            }
        }
    }
}

/// Reads the document record by record, in the order in which they are stored.
pub struct BackupJsonReader<R> {
    lines: Lines<R>,
    header: BackupHeader,
    header_text: String,
    section: Section,
    /// Whether the record before was followed by a comma; `None` at the start of a section.
    comma: Option<bool>,
}

impl BackupJsonReader<File> {
    /// Opens `backup.json`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        Self::new(file, path)
    }
}

impl<R: Read> BackupJsonReader<R> {
    /// Reads the header; `path` is for messages.
    ///
    /// # Errors
    /// `IO`; `CORRUPT` when this is no `backup.json` of version 1.
    pub fn new(reader: R, path: &Path) -> Result<Self> {
        let mut lines = Lines::new(reader, path);
        if lines.next(MAX_LINE)? != Some(VERSION) {
            return Err(lines.bad("is not the beginning of a backup.json of version 1"));
        }
        let header_text = match lines.next(MAX_HEADER)? {
            None => None,
            Some(line) => line
                .strip_prefix(b"\"Backup\": ")
                .and_then(|rest| rest.strip_suffix(b","))
                .map(<[u8]>::to_vec),
        };
        let header_text = header_text.and_then(|bytes| String::from_utf8(bytes).ok());
        let header_text = header_text.ok_or_else(|| lines.bad("is not the header of a backup"))?;
        let header = serde_json::from_str(&header_text)
            .map_err(|error| lines.bad(&format!("is not a usable header: {error}")))?;
        if lines.next(MAX_LINE)? != Some(Section::Files.opening()) {
            return Err(lines.bad("does not begin the list of files"));
        }
        Ok(Self {
            lines,
            header,
            header_text,
            section: Section::Files,
            comma: None,
        })
    }

    /// Facts of the backup.
    #[must_use]
    pub fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// The header as it stands in the file.
    #[must_use]
    pub fn header_text(&self) -> &str {
        &self.header_text
    }

    /// Where in the file the record read last stands: see [`read_file_record`].
    #[must_use]
    pub fn place(&self) -> u64 {
        self.lines.place()
    }

    /// The next record; `None` after the last one, when the end of the document has been seen.
    ///
    /// # Errors
    /// `IO`; `CORRUPT` with the line.
    pub fn next_record(&mut self) -> Result<Option<BackupRecord>> {
        while self.section != Section::Done {
            let Some(line) = self.lines.next(MAX_RECORD)? else {
                return Err(self
                    .lines
                    .bad("is the last one, but the document does not end there: it is truncated"));
            };
            if line.starts_with(b"]") {
                let last = self.section == Section::Links;
                if line != if last { &b"]"[..] } else { b"]," } || self.comma == Some(true) {
                    return Err(self.lines.bad("does not end a list as it should"));
                }
                self.section = self.section.following();
                self.comma = None;
                if self.lines.next(MAX_LINE)? != Some(self.section.opening()) {
                    return Err(self.lines.bad("does not begin the next list"));
                }
                continue;
            }
            return self.record().map(Some);
        }
        match self.lines.next(MAX_LINE)? {
            None => Ok(None),
            Some(_) => Err(self.lines.bad("comes after the end of the document")),
        }
    }

    fn record(&mut self) -> Result<BackupRecord> {
        let line = self.lines.current();
        if self.comma == Some(false) {
            return Err(self.lines.bad("follows a record without a comma"));
        }
        let (text, comma) = without_comma(line);
        let record = parse(text, self.section).map_err(|error| self.lines.locate(error))?;
        self.comma = Some(comma);
        Ok(record)
    }
}

/// A record, and whether another one follows it.
fn without_comma(line: &[u8]) -> (&[u8], bool) {
    line.strip_suffix(b",").map_or((line, false), |text| (text, true))
}

fn parse(text: &[u8], section: Section) -> Result<BackupRecord> {
    let parsed: std::result::Result<Line, _> = serde_json::from_slice(text);
    parsed
        .map_err(|error| Error::corrupt(error.to_string()))?
        .record(section)
}

/// Reads the record of one file again, at the place that [`BackupJsonReader::place`] told. What a list says of a large
/// file takes memory, and is only needed while that file is read.
///
/// # Errors
/// `IO`; `CORRUPT` when no file's record is there.
pub fn read_file_record(path: &Path, place: u64) -> Result<StoredFile> {
    let failed = |error: std::io::Error| Error::io("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(place)).map_err(failed)?;
    let mut lines = Lines::with_capacity(ONE_RECORD, file, path);
    let wrong = |why: &str| Error::corrupt(format!("the record at byte {place} {why}")).at(path);
    let Some(line) = lines.next(MAX_RECORD)? else {
        return Err(wrong("is gone: the file changed while it was being read"));
    };
    match parse(without_comma(line).0, Section::Files) {
        Ok(BackupRecord::File(file)) => Ok(file),
        Ok(_) => Err(wrong("is that of no file")),
        Err(error) => Err(wrong(&format!("is not usable: {}", error.message))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "{\"label\":\"20260102030405\",\n\"systemIdentifier\":\"7710222501349654523\",\"startLsn\":\"0/2000028\",\"hostname\":\"x\"}";

    fn file(path: &[u8], linked: Option<&str>) -> StoredFile {
        StoredFile {
            path: path.to_vec(),
            stored: [b"data/", path, b".zstd"].concat(),
            size: 5,
            stored_size: 20,
            block_length: linked.map(|_| 131_072),
            mode: 0o600,
            blake3: [7; 32],
            pieces: linked.map_or_else(Vec::new, |_| vec![[9; 32]; 4096]),
            linked: linked.map(str::to_owned),
        }
    }

    fn sample() -> (Vec<u8>, Vec<BackupRecord>) {
        let records = vec![
            BackupRecord::File(file(b"base/1/1259", None)),
            BackupRecord::File(file(b"a\xff\"b", Some("20260101030405"))),
            BackupRecord::Directory {
                path: b"pg_notify".to_vec(),
                mode: 0o700,
            },
            BackupRecord::Link {
                path: b"pg_tblspc/16384".to_vec(),
                target: b"/mnt/\xfe".to_vec(),
            },
        ];
        let mut writer = BackupJsonWriter::new(Vec::new(), Path::new("backup.json"), HEADER).unwrap();
        for record in &records {
            match record {
                BackupRecord::File(file) => writer.file(file),
                BackupRecord::Directory { path, mode } => writer.directory(path, *mode),
                BackupRecord::Link { path, target } => writer.link(path, target),
            }
            .unwrap();
        }
        (writer.finish().unwrap(), records)
    }

    fn read(text: &[u8]) -> Result<Vec<BackupRecord>> {
        let mut reader = BackupJsonReader::new(text, Path::new("backup.json"))?;
        let mut records = Vec::new();
        while let Some(record) = reader.next_record()? {
            records.push(record);
        }
        Ok(records)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let (text, records) = sample();
        assert_eq!(read(&text).unwrap(), records);
        let reader = BackupJsonReader::new(&text[..], Path::new("backup.json")).unwrap();
        assert_eq!(reader.header().start(), Some(0x0200_0028));
        assert_eq!(reader.header().other["hostname"], "x");
    }

    #[test]
    fn a_record_is_read_again_where_it_stands() {
        let (text, records) = sample();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("backup.json");
        std::fs::write(&path, &text).unwrap();
        let mut reader = BackupJsonReader::open(&path).unwrap();
        for record in records {
            assert_eq!(reader.next_record().unwrap().as_ref(), Some(&record));
            let again = read_file_record(&path, reader.place());
            match record {
                BackupRecord::File(file) => assert_eq!(again.unwrap(), file),
                _ => assert_eq!(again.unwrap_err().code, Code::Corrupt),
            }
        }
        for place in [1, text.len() as u64 - 3, text.len() as u64, 1 << 40] {
            let error = read_file_record(&path, place).unwrap_err();
            assert_eq!(error.code, Code::Corrupt, "{error}");
        }
    }

    #[test]
    fn it_is_valid_json() {
        let (text, _) = sample();
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["Files"][0]["Stored"], "data/base/1/1259.zstd");
        assert_eq!(value["Links"][0]["EncodedTarget"], "2f6d6e742ffe");
        let empty = BackupJsonWriter::new(Vec::new(), Path::new("x"), "{}")
            .unwrap()
            .finish()
            .unwrap();
        serde_json::from_slice::<serde_json::Value>(&empty).unwrap();
        assert_eq!(read(&empty).unwrap(), []);
    }

    #[test]
    fn every_cut_is_noticed() {
        let (text, _) = sample();
        for end in 0..text.len() {
            assert!(read(&text[..end]).is_err(), "cut at {end}");
        }
        assert!(read(&[&text[..], b"\n"].concat()).is_err());
    }

    #[test]
    fn order_and_paths_are_checked() {
        let mut writer = BackupJsonWriter::new(Vec::new(), Path::new("x"), "{}").unwrap();
        writer.directory(b"a", 0o700).unwrap();
        assert!(writer.file(&file(b"b", None)).is_err());
        let mut writer = BackupJsonWriter::new(Vec::new(), Path::new("x"), "{}").unwrap();
        writer.file(&file(b"../b", None)).unwrap();
        let text = writer.finish().unwrap();
        assert!(read(&text).unwrap_err().message.contains("line 4"));
        assert!(BackupJsonWriter::new(Vec::new(), Path::new("x"), "[]").is_err());
    }
}

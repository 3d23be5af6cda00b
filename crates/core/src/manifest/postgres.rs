//! Reader of PostgreSQL's `backup_manifest`, versions 1 and 2, in constant memory. It accepts what PostgreSQL's own
//! parser accepts: any JSON white space, sections in any order after the version, scalars with or without quotes.

use super::text;
use super::tokens::{Token, Tokens};
use crate::digest::DigestKind;
use crate::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Most WAL ranges that are believable: one for each timeline that a backup crosses.
const MAX_RANGES: usize = 10_000;

/// Checksum of one file in a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChecksumAlgorithm {
    None,
    Crc32c,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

impl ChecksumAlgorithm {
    /// All of them, weakest first.
    pub const ALL: [Self; 6] = [
        Self::None,
        Self::Crc32c,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The name in a manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Crc32c => "CRC32C",
            Self::Sha224 => "SHA224",
            Self::Sha256 => "SHA256",
            Self::Sha384 => "SHA384",
            Self::Sha512 => "SHA512",
        }
    }

    /// Bytes of its checksum. (CRC-32C: four bytes, least significant first.)
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::None => 0,
            Self::Crc32c => 4,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// The digest that computes it.
    #[must_use]
    pub fn digest_kind(self) -> Option<DigestKind> {
        match self {
            Self::None => None,
            Self::Crc32c => Some(DigestKind::Crc32c),
            Self::Sha224 => Some(DigestKind::Sha224),
            Self::Sha256 => Some(DigestKind::Sha256),
            Self::Sha384 => Some(DigestKind::Sha384),
            Self::Sha512 => Some(DigestKind::Sha512),
        }
    }

    /// Finds it by name, in either case (the configuration writes lower case).
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// One file of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Relative to the data directory; tablespace files begin with `pg_tblspc/<oid>/`.
    pub path: Vec<u8>,
    /// Plain size in bytes.
    pub size: u64,
    /// `YYYY-MM-DD HH:MM:SS GMT` as found; empty when absent.
    pub last_modified: String,
    /// `None` when the manifest was made without checksums.
    pub algorithm: ChecksumAlgorithm,
    /// As many bytes as the algorithm has.
    pub checksum: Vec<u8>,
}

/// WAL that a restored backup needs, on one timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WalRange {
    pub timeline: u32,
    pub start: u64,
    pub end: u64,
}

/// What a manifest says beside its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestSummary {
    /// 1 (PostgreSQL 13 to 16) or 2.
    pub version: u32,
    /// Of the cluster; version 2 only.
    pub system_identifier: Option<u64>,
    /// Newest timeline first.
    pub wal_ranges: Vec<WalRange>,
    /// Number of files given out.
    pub files: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// After a value of the outer object.
    Between,
    /// Within `Files`; whether a file was already read.
    Files(bool),
    Done,
}

/// Reads a manifest file by file. Duplicate paths are for the caller to notice, who has all paths at hand.
pub struct PgManifestReader<R> {
    tokens: Tokens<R>,
    path: PathBuf,
    state: State,
    summary: ManifestSummary,
    seen_files: bool,
}

impl PgManifestReader<File> {
    /// Opens a manifest.
    ///
    /// # Errors
    /// `IO` when it cannot be opened, `CORRUPT` when its first lines are none of a manifest.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open the backup manifest", path, &error))?;
        Self::new(file, path)
    }
}

impl<R: Read> PgManifestReader<R> {
    /// Reads up to the version; `path` is for messages.
    ///
    /// # Errors
    /// `CORRUPT` when this is no manifest or its version is unknown.
    pub fn new(reader: R, path: &Path) -> Result<Self> {
        let summary = ManifestSummary {
            version: 0,
            system_identifier: None,
            wal_ranges: Vec::new(),
            files: 0,
        };
        let mut this = Self {
            tokens: Tokens::new(reader),
            path: path.to_path_buf(),
            state: State::Between,
            summary,
            seen_files: false,
        };
        this.version().map_err(|error| error.at(path))?;
        Ok(this)
    }

    /// 1 or 2.
    #[must_use]
    pub fn format_version(&self) -> u32 {
        self.summary.version
    }

    /// The next file; `None` after the last one, when the manifest's own checksum has been verified.
    ///
    /// # Errors
    /// `CORRUPT` with the line for anything that PostgreSQL would refuse, and for unsafe paths.
    pub fn next_file(&mut self) -> Result<Option<ManifestFile>> {
        let found = self.advance();
        if found.is_err() {
            self.state = State::Done;
        }
        found.map_err(|error| error.at(&self.path))
    }

    /// Reads what is left and gives the rest of the manifest.
    ///
    /// # Errors
    /// As [`Self::next_file`].
    pub fn finish(mut self) -> Result<ManifestSummary> {
        while self.next_file()?.is_some() {}
        Ok(self.summary)
    }

    fn advance(&mut self) -> Result<Option<ManifestFile>> {
        loop {
            match self.state {
                State::Done => return Ok(None),
                State::Files(any) => match self.tokens.next()? {
                    Token::EndArray => self.state = State::Between,
                    Token::Comma if any => {
                        self.expect(Token::BeginObject, "a file")?;
                        return self.file().map(Some);
                    }
                    Token::BeginObject if !any => {
                        self.state = State::Files(true);
                        return self.file().map(Some);
                    }
                    _ => return Err(self.tokens.bad("the list of files is malformed")),
                },
                State::Between => self.section()?,
            }
        }
    }

    fn expect(&mut self, token: Token, what: &str) -> Result<()> {
        if self.tokens.next()? == token {
            Ok(())
        } else {
            Err(self.tokens.bad(&format!("{what} was expected")))
        }
    }

    fn value(&mut self, what: &str) -> Result<()> {
        match self.tokens.next()? {
            Token::String | Token::Scalar => Ok(()),
            _ => Err(self.tokens.bad(&format!("{what} has no value"))),
        }
    }

    fn number(&mut self, what: &str) -> Result<u64> {
        self.value(what)?;
        let text = self.tokens.text();
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let number = std::str::from_utf8(text)
            .ok()
            .filter(|_| digits)
            .and_then(|text| text.parse().ok());
        number.ok_or_else(|| self.tokens.bad(&format!("{what} is not a number that fits")))
    }

    fn version(&mut self) -> Result<()> {
        self.expect(Token::BeginObject, "an object")?;
        self.expect(Token::String, "the version")?;
        if self.tokens.text() != b"PostgreSQL-Backup-Manifest-Version" {
            return Err(self
                .tokens
                .bad("this is not a backup manifest: it does not begin with its version"));
        }
        self.expect(Token::Colon, "a colon")?;
        match self.number("the version of the manifest")? {
            version @ 1..=2 => self.summary.version = version as u32,
            other => {
                return Err(self
                    .tokens
                    .bad(&format!("manifest version {other} is not known (1 and 2 are)")));
            }
        }
        Ok(())
    }

    fn section(&mut self) -> Result<()> {
        self.expect(Token::Comma, "the next section")?;
        self.expect(Token::String, "the name of a section")?;
        let name = self.tokens.text().to_vec();
        self.expect(Token::Colon, "a colon")?;
        match name.as_slice() {
            b"System-Identifier" if self.summary.system_identifier.is_none() => {
                self.summary.system_identifier = Some(self.number("System-Identifier")?);
            }
            b"Files" if !self.seen_files => {
                self.expect(Token::BeginArray, "the list of files")?;
                self.seen_files = true;
                self.state = State::Files(false);
            }
            b"WAL-Ranges" if self.summary.wal_ranges.is_empty() => self.ranges()?,
            b"Manifest-Checksum" => {
                self.checksum()?;
                self.state = State::Done;
            }
            other => {
                let name = other.escape_ascii().to_string();
                return Err(self
                    .tokens
                    .bad(&format!("the section \"{name}\" is unknown or comes twice")));
            }
        }
        Ok(())
    }

    /// The members of an object whose `{` has been read; `take` reads the value of each key.
    fn members(&mut self, mut take: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<()> {
        loop {
            self.expect(Token::String, "a key")?;
            let key = self.tokens.text().to_vec();
            self.expect(Token::Colon, "a colon")?;
            take(self, &key)?;
            match self.tokens.next()? {
                Token::Comma => {}
                Token::EndObject => return Ok(()),
                _ => return Err(self.tokens.bad("an object is malformed")),
            }
        }
    }

    fn file(&mut self) -> Result<ManifestFile> {
        let (mut path, mut size, mut last_modified) = (None, None, String::new());
        let (mut algorithm, mut checksum) = (None, None);
        self.members(|this, key| {
            match key {
                b"Path" | b"Encoded-Path" if path.is_some() => {
                    return Err(this.tokens.bad("a file has two paths"));
                }
                b"Size" => size = Some(this.number("Size")?),
                b"Path" | b"Encoded-Path" | b"Last-Modified" | b"Checksum-Algorithm" | b"Checksum" => {
                    this.value("a key of a file")?;
                    let text = this.tokens.text();
                    match key {
                        b"Path" => path = Some(text.to_vec()),
                        b"Last-Modified" => last_modified = String::from_utf8_lossy(text).into_owned(),
                        b"Checksum-Algorithm" => algorithm = Some(text.to_vec()),
                        b"Checksum" => checksum = Some(text.to_vec()),
                        _ => {
                            let bytes = text::unhex(text);
                            path = Some(
                                bytes.ok_or_else(|| this.tokens.bad("Encoded-Path is not hexadecimal"))?,
                            );
                        }
                    }
                }
                _ => {
                    let key = key.escape_ascii();
                    return Err(this.tokens.bad(&format!("a file has the unknown key \"{key}\"")));
                }
            }
            Ok(())
        })?;
        let path = path.ok_or_else(|| self.tokens.bad("a file has no path"))?;
        let path = text::clean_path(&path).map_err(|error| self.tokens.bad(&error.message))?;
        let size = size.ok_or_else(|| self.tokens.bad("a file has no size"))?;
        let (algorithm, checksum) = self.file_checksum(&path, algorithm, checksum)?;
        self.summary.files += 1;
        Ok(ManifestFile {
            path,
            size,
            last_modified,
            algorithm,
            checksum,
        })
    }

    fn file_checksum(
        &self,
        path: &[u8],
        algorithm: Option<Vec<u8>>,
        checksum: Option<Vec<u8>>,
    ) -> Result<(ChecksumAlgorithm, Vec<u8>)> {
        let bad = |why: &str| {
            self.tokens
                .bad(&format!("the file \"{}\" {why}", path.escape_ascii()))
        };
        let (algorithm, checksum) = match (algorithm, checksum) {
            (None, None) => return Ok((ChecksumAlgorithm::None, Vec::new())),
            (None, Some(_)) => return Err(bad("has a checksum without an algorithm")),
            (Some(algorithm), checksum) => (algorithm, checksum.unwrap_or_default()),
        };
        let algorithm =
            ChecksumAlgorithm::parse(&algorithm).ok_or_else(|| bad("has an unknown checksum algorithm"))?;
        let checksum = text::unhex(&checksum).ok_or_else(|| bad("has a checksum that is not hexadecimal"))?;
        if checksum.len() != algorithm.length() {
            return Err(bad("has a checksum of the wrong length"));
        }
        Ok((algorithm, checksum))
    }

    fn ranges(&mut self) -> Result<()> {
        self.expect(Token::BeginArray, "the list of WAL ranges")?;
        loop {
            match self.tokens.next()? {
                Token::EndArray if self.summary.wal_ranges.is_empty() => return Ok(()),
                Token::BeginObject => {}
                _ => return Err(self.tokens.bad("the list of WAL ranges is malformed")),
            }
            let range = self.range()?;
            if self.summary.wal_ranges.len() == MAX_RANGES {
                return Err(self.tokens.bad("there are too many WAL ranges"));
            }
            self.summary.wal_ranges.push(range);
            match self.tokens.next()? {
                Token::Comma => {}
                Token::EndArray => return Ok(()),
                _ => return Err(self.tokens.bad("the list of WAL ranges is malformed")),
            }
        }
    }

    fn range(&mut self) -> Result<WalRange> {
        let (mut timeline, mut start, mut end) = (None, None, None);
        self.members(|this, key| {
            if key == b"Timeline" {
                timeline = u32::try_from(this.number("Timeline")?).ok();
                return Ok(());
            }
            let place = match key {
                b"Start-LSN" => &mut start,
                b"End-LSN" => &mut end,
                _ => return Err(this.tokens.bad("a WAL range has an unknown key")),
            };
            this.value("a WAL range")?;
            *place = std::str::from_utf8(this.tokens.text())
                .ok()
                .and_then(text::parse_lsn);
            if place.is_none() {
                Err(this.tokens.bad("a WAL range has a malformed LSN"))
            } else {
                Ok(())
            }
        })?;
        match (timeline, start, end) {
            (Some(timeline), Some(start), Some(end)) => Ok(WalRange { timeline, start, end }),
            _ => Err(self.tokens.bad("a WAL range lacks its timeline, start or end")),
        }
    }

    /// The last line: the checksum, the end of the object, and nothing else.
    fn checksum(&mut self) -> Result<()> {
        self.value("Manifest-Checksum")?;
        let stated = text::unhex(self.tokens.text()).filter(|bytes| bytes.len() == 32);
        let stated = stated.ok_or_else(|| self.tokens.bad("Manifest-Checksum is not a SHA-256 digest"))?;
        self.expect(Token::EndObject, "the end of the manifest")?;
        self.expect(Token::End, "the end of the file")?;
        match self.tokens.covered_digest() {
            None => Err(self.tokens.bad("the last line of the manifest is not complete")),
            Some(found) if found == stated => Ok(()),
            Some(found) => Err(self.tokens.bad(&format!(
                "the manifest does not match its own checksum: it says {}, its text has {}",
                text::hex(&stated),
                text::hex(&found)
            ))),
        }
    }
}

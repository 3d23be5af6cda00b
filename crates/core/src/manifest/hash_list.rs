//! `backup.sha512`: digests of the stored bytes, in the form that `sha512sum --check` reads.

use super::lines::{LineWriter, Lines, MAX_LINE};
use super::text;
use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// One line: a stored file and the SHA-512 of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashLine {
    /// Relative to the directory of the backup, without the leading `./`.
    pub path: Vec<u8>,
    pub digest: [u8; 64],
}

/// Reads the list line by line. Names with a backslash or newline are escaped as the GNU tool does (the line begins
/// with a backslash); `*.backup.info`, which pgmoneta in C appends without its slash, means `backup.info`.
pub struct HashListReader<R> {
    lines: Lines<R>,
}

impl HashListReader<File> {
    /// Opens a list.
    ///
    /// # Errors
    /// `IO`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        Ok(Self::new(file, path))
    }
}

impl<R: Read> HashListReader<R> {
    /// Reads from `reader`; `path` is for messages.
    pub fn new(reader: R, path: &Path) -> Self {
        Self {
            lines: Lines::new(reader, path),
        }
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// `IO`; `CORRUPT` with the line.
    pub fn next_line(&mut self) -> Result<Option<HashLine>> {
        let Some(line) = self.lines.next(MAX_LINE)? else {
            return Ok(None);
        };
        match parse(line) {
            Some((digest, path)) => match text::clean_path(&path) {
                Ok(path) => Ok(Some(HashLine { path, digest })),
                Err(error) => Err(self.lines.locate(error)),
            },
            None => Err(self.lines.bad("is not a SHA-512 digest and a name")),
        }
    }
}

fn parse(line: &[u8]) -> Option<([u8; 64], Vec<u8>)> {
    let (escaped, line) = line
        .strip_prefix(b"\\")
        .map_or((false, line), |rest| (true, rest));
    let digest = text::unhex(line.get(..128)?)?.try_into().ok()?;
    let name = line.get(128..)?;
    let name = name.strip_prefix(b" *").or_else(|| name.strip_prefix(b"  "))?;
    let name = if name == b".backup.info" {
        b"backup.info"
    } else {
        name
    };
    if !escaped {
        return Some((digest, name.to_vec()));
    }
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'\\' => b'\\',
                b'n' => b'\n',
                b'r' => b'\r',
                _ => return None,
            },
            byte => byte,
        });
    }
    Some((digest, plain))
}

/// Appends one line of the list to a buffer, newline included.
fn push_line(out: &mut Vec<u8>, path: &[u8], digest: &[u8; 64]) {
    let escape = path.iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    if escape {
        out.push(b'\\');
    }
    text::push_hex(out, digest);
    out.extend_from_slice(b" *./");
    for &byte in path {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            _ => out.push(byte),
        }
    }
    out.push(b'\n');
}

/// Writes a list line by line.
pub struct HashListWriter<W> {
    lines: LineWriter<W>,
}

impl<W: Write> HashListWriter<W> {
    /// Writes to `writer`; `path` is for messages.
    pub fn new(writer: W, path: &Path) -> Self {
        Self {
            lines: LineWriter::new(writer, path),
        }
    }

    /// Adds a file: its path relative to the backup, and the SHA-512 of its stored bytes.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn line(&mut self, path: &[u8], digest: &[u8; 64]) -> Result<()> {
        self.lines.line(|out| push_line(out, path, digest))
    }

    /// Writes what is left and gives the writer back, flushed, not fsynced.
    ///
    /// # Errors
    /// `IO` or `NO_SPACE`.
    pub fn finish(self) -> Result<W> {
        self.lines.finish()
    }
}

/// Replaces the line of one file in a list (or adds it) atomically and durably: a new list is written beside the old
/// one, fsynced, and renamed over it. A list that is not there yet is created.
///
/// # Errors
/// `IO`, `NO_SPACE`; `CORRUPT` when the present list cannot be read.
pub fn replace_hash_line(list: &Path, path: &[u8], digest: &[u8; 64]) -> Result<()> {
    let mut name = list.as_os_str().to_owned();
    name.push(format!(".tmp-{}", std::process::id()));
    let temporary = PathBuf::from(name);
    let written = write_replaced(list, &temporary, path, digest);
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn write_replaced(list: &Path, temporary: &Path, path: &[u8], digest: &[u8; 64]) -> Result<()> {
    let failed = |action: &str, error: &std::io::Error| Error::io(action, temporary, error);
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let file = options
        .open(temporary)
        .map_err(|error| failed("create", &error))?;
    let mut writer = HashListWriter::new(BufWriter::new(file), temporary);
    let mut found = false;
    if list.exists() {
        let mut reader = HashListReader::open(list)?;
        while let Some(line) = reader.next_line()? {
            if line.path == path {
                if !found {
                    writer.line(path, digest)?;
                }
                found = true;
            } else {
                writer.line(&line.path, &line.digest)?;
            }
        }
    }
    if !found {
        writer.line(path, digest)?;
    }
    let file = writer
        .finish()?
        .into_inner()
        .map_err(|error| failed("write", error.error()))?;
    file.sync_all().map_err(|error| failed("sync", &error))?;
    std::fs::rename(temporary, list).map_err(|error| failed("rename", &error))?;
    let directory = list
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::io("sync the directory", directory, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Vec<HashLine>> {
        let mut reader = HashListReader::new(text, Path::new("backup.sha512"));
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            lines.push(line);
        }
        Ok(lines)
    }

    #[test]
    fn names_of_every_kind_go_both_ways() {
        let names: [&[u8]; 4] = [b"backup.info", b"data/a b*c", b"data/a\nb\\c\rd", b"data/\xff"];
        let mut writer = HashListWriter::new(Vec::new(), Path::new("x"));
        for (index, name) in names.iter().enumerate() {
            writer.line(name, &[index as u8; 64]).unwrap();
        }
        let text = writer.finish().unwrap();
        let found = read(&text).unwrap();
        assert_eq!(
            found.iter().map(|line| line.path.as_slice()).collect::<Vec<_>>(),
            names
        );
        assert_eq!(found[3].digest, [3; 64]);
    }

    #[test]
    fn the_slip_of_the_c_program_is_understood() {
        let line = format!("{} *.backup.info\n", "ab".repeat(64));
        assert_eq!(read(line.as_bytes()).unwrap()[0].path, b"backup.info");
    }

    #[test]
    fn malformed_lines_are_refused_with_their_number() {
        let good = format!("{} *./a\n", "ab".repeat(64));
        for bad in [
            "\n".to_owned(),
            "ab *./a\n".to_owned(),
            good.replace("./a", "../a"),
            good.replace(" *", "  "),
            good[..130].to_owned(),
        ] {
            let result = read(format!("{good}{bad}").as_bytes());
            if bad.contains("  ") {
                assert_eq!(result.unwrap().len(), 2);
            } else {
                assert!(result.unwrap_err().message.contains("line 2"), "{bad:?}");
            }
        }
    }

    #[test]
    fn one_line_is_replaced_and_the_tool_agrees() {
        let directory = tempfile::tempdir().unwrap();
        let list = directory.path().join("backup.sha512");
        std::fs::write(directory.path().join("a\nb"), b"x").unwrap();
        std::fs::write(directory.path().join("backup.info"), b"y").unwrap();
        let digest = |bytes: &[u8]| -> [u8; 64] {
            ring::digest::digest(&ring::digest::SHA512, bytes)
                .as_ref()
                .try_into()
                .unwrap()
        };
        replace_hash_line(&list, b"backup.info", &digest(b"old")).unwrap();
        replace_hash_line(&list, b"a\nb", &digest(b"x")).unwrap();
        replace_hash_line(&list, b"backup.info", &digest(b"y")).unwrap();
        let lines = read(&std::fs::read(&list).unwrap()).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].digest, digest(b"y"));
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            3,
            "no temporary file stays"
        );
        let mut tool = std::process::Command::new("sha512sum");
        match tool
            .args(["--check", "--strict", "--quiet", "backup.sha512"])
            .current_dir(directory.path())
            .status()
        {
            Ok(status) => assert!(status.success()),
            Err(_) => eprintln!("sha512sum is not installed: its opinion was not asked"),
        }
    }
}

//! Any bytes as each of the lists of a backup: an error or entries, never a panic, and no path that leaves its root. A
//! manifest that is read whole is written again and read to the same entries.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use pgmoneta_core::manifest::{
    BackupJsonReader, BackupRecord, HashListReader, ManifestFile, PgManifestReader, PgManifestWriter, PlainListReader,
};

fn safe(path: &[u8]) {
    assert!(!path.is_empty() && path[0] != b'/' && !path.contains(&0));
    assert!(path.split(|byte| *byte == b'/').all(|part| part != b".." && !part.is_empty()));
}

fn manifest(data: &[u8]) -> Option<()> {
    let read = |data: &[u8]| {
        let mut reader = PgManifestReader::new(data, Path::new("m")).ok()?;
        let mut files: Vec<ManifestFile> = Vec::new();
        while let Some(file) = reader.next_file().ok()? {
            safe(&file.path);
            files.push(file);
        }
        Some((files, reader.finish().ok()?))
    };
    let (files, summary) = read(data)?;
    let mut writer = PgManifestWriter::new(Vec::new(), Path::new("m"), summary.system_identifier).ok()?;
    files.iter().for_each(|file| writer.file(file).unwrap());
    let (again, _) = read(&writer.finish(&summary.wal_ranges).unwrap()).unwrap();
    assert!(again == files);
    Some(())
}

fn json(data: &[u8]) -> Option<()> {
    let mut reader = BackupJsonReader::new(data, Path::new("j")).ok()?;
    while let Some(record) = reader.next_record().ok()? {
        match record {
            BackupRecord::File(file) => {
                safe(&file.path);
                safe(&file.stored);
            }
            BackupRecord::Directory { path, .. } | BackupRecord::Link { path, .. } => safe(&path),
        }
    }
    Some(())
}

fuzz_target!(|data: &[u8]| {
    manifest(data);
    json(data);
    let mut hashes = HashListReader::new(data, Path::new("h"));
    while let Ok(Some(line)) = hashes.next_line() {
        safe(&line.path);
    }
    let mut plain = PlainListReader::new(data, Path::new("p"));
    while let Ok(Some(line)) = plain.next_line() {
        safe(&line.path);
    }
});

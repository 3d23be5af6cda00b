//! Compressing and decompressing a file in place, as `pgmoneta-cli compress` and `decompress` do.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use crate::{Code, Error, Result};

use super::replace::{Replaced, copy_hashing, hash, in_pieces, open_source, replace, with_suffix};
use super::{Assembler, Codec, CodecSpec, EncodedFrame, FrameEncoder, decoder};

/// Replaces `source` by itself compressed, `source` plus [`Codec::suffix`]: mode 0600, verified and durable before
/// `source` is removed.
///
/// # Errors
/// [`Code::Usage`] for [`Codec::None`], a `source` that is no regular file, and a destination that exists;
/// [`Code::Io`], [`Code::NoSpace`], [`Code::Corrupt`] (the result did not read back). `source` is kept then.
pub fn compress_file(source: &Path, spec: CodecSpec) -> Result<Replaced> {
    if spec.codec == Codec::None {
        return Err(Error::new(
            Code::Usage,
            format!("no compression was named for {}", source.display()),
        )
        .hint("set compression in the configuration, for example compression = zstd"));
    }
    let target = with_suffix(source, spec.codec.suffix());
    replace(
        source,
        &target,
        |mut file, output| {
            let mut encoder = FrameEncoder::new(spec)?;
            let mut assembler = Assembler::new(spec);
            let mut hasher = blake3::Hasher::new();
            let (mut frame, mut scratch) = (EncodedFrame::default(), Vec::new());
            in_pieces(&mut file, source, spec.frame_size(), |piece| {
                hasher.update(piece);
                encoder.encode(piece, &mut frame)?;
                output.write(assembler.append_in_place(&mut frame, &mut scratch))
            })?;
            scratch.clear();
            assembler.finish(&mut scratch);
            output.write(&scratch)?;
            Ok(*hasher.finalize().as_bytes())
        },
        |written| hash(&mut *decoder(spec.codec, Box::new(written)), &target),
    )
}

/// Replaces `source` by itself decompressed, under its name without `.gz`, `.zstd`, `.lz4` or `.bz2`.
///
/// # Errors
/// [`Code::Usage`] when the name has none of these suffixes, `source` is no regular file, or the destination exists;
/// [`Code::Corrupt`] when the content is damaged, cut or of another codec; [`Code::Io`], [`Code::NoSpace`]. `source` is
/// kept then.
pub fn decompress_file(source: &Path) -> Result<Replaced> {
    let codec = Codec::from_path(source);
    if codec == Codec::None {
        return Err(unknown_suffix(source));
    }
    check_magic(source, codec)?;
    let target = source.with_extension("");
    replace(
        source,
        &target,
        |file, output| copy_hashing(&mut *decoder(codec, Box::new(file)), source, output),
        |mut written| hash(&mut written, &target),
    )
}

fn unknown_suffix(source: &Path) -> Error {
    let error = Error::new(
        Code::Usage,
        format!(
            "the name of {} does not tell how it is compressed",
            source.display()
        ),
    );
    if source.extension() == Some(OsStr::new("aes")) {
        error.hint("the file is encrypted: decrypt it first")
    } else {
        error.hint("compressed files end in .gz, .zstd, .lz4 or .bz2")
    }
}

/// Refuses a file whose first bytes belong to another codec than its suffix.
fn check_magic(source: &Path, codec: Codec) -> Result<()> {
    let mut start = Vec::with_capacity(4);
    open_source(source)?
        .take(4)
        .read_to_end(&mut start)
        .map_err(|error| Error::io("read", source, &error))?;
    let found = Codec::from_magic(&start);
    // The C program's .lz4 files have no mark.
    if found == codec || (codec == Codec::Lz4 && found == Codec::None) {
        return Ok(());
    }
    let content = match found {
        Codec::None => "no compressed data".to_owned(),
        other => format!("{} data", other.name()),
    };
    Err(Error::corrupt(format!(
        "{} is named as {} data but holds {content}",
        source.display(),
        codec.name()
    ))
    .hint("the file is damaged or has a wrong name; the original is untouched"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::tests::text;
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn there_and_back() {
        for codec in Codec::COMPRESSING {
            for size in [0, 10, 1_500_000] {
                let directory = tempfile::tempdir().unwrap();
                let plain = directory.path().join("000000010000000000000001");
                fs::write(&plain, text(size)).unwrap();
                let replaced = compress_file(&plain, CodecSpec::new(codec, 3)).unwrap();
                let stored = fs::metadata(&replaced.destination).unwrap();
                assert_eq!(
                    names(directory.path()),
                    [format!("000000010000000000000001{}", codec.suffix())]
                );
                assert_eq!(
                    (replaced.source_size, replaced.destination_size),
                    (size as u64, stored.len())
                );
                assert_eq!(stored.permissions().mode() & 0o777, 0o600);
                let back = decompress_file(&replaced.destination).unwrap();
                assert_eq!(back.destination, plain);
                assert!(fs::read(&plain).unwrap() == text(size));
                assert_eq!(names(directory.path()).len(), 1);
            }
        }
    }

    #[test]
    fn refusals_keep_the_source_and_leave_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("a");
        fs::write(&plain, b"content").unwrap();
        let zstd = CodecSpec::new(Codec::Zstd, 3);
        fs::write(directory.path().join("a.zstd"), b"mine").unwrap();
        let error = compress_file(&plain, zstd).unwrap_err();
        assert!(error.message.contains("a.zstd exists already"), "{error}");
        assert_eq!(
            compress_file(&plain, CodecSpec::new(Codec::None, 0))
                .unwrap_err()
                .code,
            Code::Usage
        );
        assert_eq!(decompress_file(&plain).unwrap_err().code, Code::Usage);
        std::os::unix::fs::symlink(&plain, directory.path().join("link")).unwrap();
        let error = compress_file(&directory.path().join("link"), zstd).unwrap_err();
        assert!(error.message.contains("not a regular file"), "{error}");
        assert!(compress_file(directory.path(), zstd).is_err());
        assert!(
            compress_file(&directory.path().join("missing"), zstd)
                .unwrap_err()
                .path
                .is_some()
        );
        assert_eq!(names(directory.path()), ["a", "a.zstd", "link"]);
        assert_eq!(fs::read(&plain).unwrap(), b"content");
    }

    #[test]
    fn damage_and_wrong_names_are_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join("a");
        fs::write(&plain, text(100_000)).unwrap();
        let stored = compress_file(&plain, CodecSpec::new(Codec::Zstd, 3))
            .unwrap()
            .destination;
        let bytes = fs::read(&stored).unwrap();
        fs::write(&stored, &bytes[..bytes.len() - 1]).unwrap();
        let error = decompress_file(&stored).unwrap_err();
        assert_eq!(error.code, Code::Corrupt);
        assert!(error.message.contains("a.zstd"), "{error}");
        let wrong = directory.path().join("a.gz");
        fs::rename(&stored, &wrong).unwrap();
        let error = decompress_file(&wrong).unwrap_err();
        assert!(error.message.contains("holds zstd data"), "{error}");
        assert_eq!(names(directory.path()), ["a.gz"]);
    }
}

//! Finished segments on their way into the form they are kept in: compressed, then sealed, in one pass.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::cipher::{CipherMode, MasterSecret, Sealer, opener};
use crate::codec::replace::{hash, in_pieces, replace, with_suffix};
use crate::codec::{Assembler, Codec, CodecSpec, EncodedFrame, FrameEncoder, decoder};
use crate::{Code, Error, Result};

/// The form that segments are kept in.
#[derive(Clone)]
pub struct StoreOptions {
    pub spec: CodecSpec,
    /// How they are sealed; `None` leaves them in clear.
    pub sealing: Option<(CipherMode, MasterSecret)>,
}

impl StoreOptions {
    /// What is added to the name of a segment.
    #[must_use]
    pub fn suffix(&self) -> String {
        let sealed = if self.sealing.is_some() { ".aes" } else { "" };
        format!("{}{sealed}", self.spec.codec.suffix())
    }
}

/// A segment in its kept form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredForm {
    pub path: PathBuf,
    pub plain_size: u64,
    pub stored_size: u64,
}

/// Replaces a plain segment by its kept form: the new file is written beside it, synced, read back and compared, named
/// and made durable; only then does the plain one go. A kept form that is there already (a crash came before the plain
/// one went) is made anew: while the plain one is there, nobody relies on it.
///
/// # Errors
/// [`Code::Usage`] when nothing is to be done to it or it is no regular file; [`Code::Io`], [`Code::NoSpace`],
/// [`Code::Corrupt`] (it did not read back). The plain segment is kept then.
pub fn store_segment(plain: &Path, options: &StoreOptions) -> Result<StoredForm> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("wal store".to_owned())
            .spawn_scoped(scope, || {
                step_back();
                store(plain, options)
            })
            .map_err(|error| Error::new(Code::Io, format!("cannot start a thread to keep WAL: {error}")))?;
        thread
            .join()
            .unwrap_or_else(|_| Err(Error::new(Code::Internal, "the thread that keeps WAL broke down")))
    })
}

/// How much this thread gives way to those that receive WAL: to have it at all comes before having it small.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

#[cfg(target_os = "linux")]
fn step_back() {
    // SAFETY: touches no memory of ours. On Linux 0 is the calling thread; a refusal changes nothing that matters.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Elsewhere priorities belong to whole processes.
#[cfg(not(target_os = "linux"))]
fn step_back() {}

fn store(plain: &Path, options: &StoreOptions) -> Result<StoredForm> {
    if options.spec.codec == Codec::None && options.sealing.is_none() {
        let message = format!("{} is to be kept as it is", plain.display());
        return Err(Error::new(Code::Usage, message));
    }
    let target = with_suffix(plain, &options.suffix());
    if target.symlink_metadata().is_ok() {
        remove_left(plain, &target)?;
    }
    let replaced = replace(
        plain,
        &target,
        |mut file, output| {
            let mut encoder = FrameEncoder::new(options.spec)?;
            let mut assembler = Assembler::new(options.spec);
            let mut sealer = options
                .sealing
                .as_ref()
                .map(|(mode, secret)| Sealer::new(*mode, secret))
                .transpose()?;
            if let Some(sealer) = &sealer {
                output.write(&sealer.header())?;
            }
            let (mut frame, mut scratch, mut sealed) = (EncodedFrame::default(), Vec::new(), Vec::new());
            let mut hasher = blake3::Hasher::new();
            in_pieces(&mut file, plain, options.spec.frame_size(), |piece| {
                hasher.update(piece);
                encoder.encode(piece, &mut frame)?;
                let bytes = assembler.append_in_place(&mut frame, &mut scratch);
                match &mut sealer {
                    None => output.write(bytes),
                    Some(sealer) => {
                        sealed.clear();
                        sealer.update_into(bytes, &mut sealed)?;
                        output.write(&sealed)
                    }
                }
            })?;
            scratch.clear();
            assembler.finish(&mut scratch);
            match sealer {
                None => output.write(&scratch)?,
                Some(mut sealer) => {
                    sealed.clear();
                    sealer.update_into(&scratch, &mut sealed)?;
                    output.write(&sealed)?;
                    output.write(&sealer.finish()?)?;
                }
            }
            Ok(*hasher.finalize().as_bytes())
        },
        |written| read_back(written, &target, options),
    )?;
    Ok(StoredForm {
        path: replaced.destination,
        plain_size: replaced.source_size,
        stored_size: replaced.destination_size,
    })
}

fn read_back(stored: File, path: &Path, options: &StoreOptions) -> Result<[u8; 32]> {
    let opened: Box<dyn std::io::Read + Send> = match &options.sealing {
        None => Box::new(stored),
        Some((mode, secret)) => opener(Some(*mode), secret, Box::new(stored)),
    };
    hash(&mut *decoder(options.spec.codec, opened), path)
}

/// Removes a kept form beside its plain segment.
fn remove_left(plain: &Path, target: &Path) -> Result<()> {
    let present = plain
        .symlink_metadata()
        .map_err(|error| Error::io("examine", plain, &error))?;
    if !present.is_file() {
        return Err(Error::new(
            Code::Usage,
            format!("{} is not a regular file", plain.display()),
        ));
    }
    std::fs::remove_file(target).map_err(|error| Error::io("remove", target, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(codec: Codec, sealed: bool) -> StoreOptions {
        StoreOptions {
            spec: CodecSpec::new(codec, 3),
            sealing: sealed.then(|| {
                (
                    CipherMode::from_name("aes-256-gcm").unwrap(),
                    MasterSecret::from_slice(&[7; 64]).unwrap(),
                )
            }),
        }
    }

    fn segment() -> Vec<u8> {
        (0..1_300_000u32).map(|n| (n / 100) as u8).collect()
    }

    const NAME: &str = "000000010000000000000003";

    #[test]
    fn every_form_reads_back_and_takes_the_place_of_the_plain_one() {
        for codec in [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2] {
            for sealed in [false, true] {
                let options = options(codec, sealed);
                let directory = tempfile::tempdir().unwrap();
                let plain = directory.path().join(NAME);
                std::fs::write(&plain, segment()).unwrap();
                let result = store_segment(&plain, &options);
                if codec == Codec::None && !sealed {
                    assert_eq!(result.unwrap_err().code, Code::Usage);
                    continue;
                }
                let stored = result.unwrap();
                let name = stored.path.file_name().unwrap().to_str().unwrap();
                assert_eq!(name, format!("{NAME}{}", options.suffix()));
                assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
                let file = File::open(&stored.path).unwrap();
                let found = read_back(file, &stored.path, &options).unwrap();
                assert_eq!(found, *blake3::hash(&segment()).as_bytes());
                assert_eq!(stored.plain_size, 1_300_000);
            }
        }
    }

    #[test]
    fn what_a_crash_left_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let plain = directory.path().join(NAME);
        std::fs::write(&plain, segment()).unwrap();
        std::fs::write(directory.path().join(format!("{NAME}.zstd")), b"half of it").unwrap();
        let options = options(Codec::Zstd, false);
        let stored = store_segment(&plain, &options).unwrap();
        let found = read_back(File::open(&stored.path).unwrap(), &stored.path, &options).unwrap();
        assert_eq!(found, *blake3::hash(&segment()).as_bytes());
        // Without the plain one the kept form is all there is.
        assert!(store_segment(&plain, &options).is_err());
        assert!(stored.path.exists());
    }
}

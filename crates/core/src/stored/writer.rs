//! Writes one file of any length from a stream: frames are compressed on several threads, joined in order, sealed,
//! hashed and written by one more. Memory is a few frames, however long the file gets.

use crate::cipher::opener;
use crate::codec::{Assembler, CodecSpec, EncodedFrame, FrameEncoder, decoder};
use crate::fs::sync_parent;
use crate::receive::{Output, Sealing};
use crate::{Code, Error, Result};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// What is read at once when the file is checked.
const BUFFER: usize = 1 << 20;

/// A file to be written.
#[derive(Debug, Clone)]
pub struct StoredFileOptions {
    /// It must not exist.
    pub path: PathBuf,
    pub spec: CodecSpec,
    pub sealing: Option<Sealing>,
    /// Threads that compress, at least 1.
    pub workers: usize,
}

/// A file that is complete, read back and durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    pub plain_size: u64,
    pub stored_size: u64,
    /// Of the stored bytes.
    pub sha512: [u8; 64],
}

/// A piece of the plain stream.
struct Piece {
    index: u64,
    plain: Vec<u8>,
}

/// The same, compressed.
struct Encoded {
    index: u64,
    frame: EncodedFrame,
}

/// A file being written. Dropped before [`StoredFileWriter::finish`] it leaves an incomplete file.
pub struct StoredFileWriter {
    options: StoredFileOptions,
    pieces: Option<Sender<Piece>>,
    workers: Vec<JoinHandle<Result<()>>>,
    output: Option<JoinHandle<Result<Written>>>,
    frame: Vec<u8>,
    frames: u64,
    plain: blake3::Hasher,
    plain_size: u64,
}

struct Written {
    size: u64,
    sha512: [u8; 64],
}

impl StoredFileWriter {
    /// Creates the file, mode 0600, and starts the threads.
    ///
    /// # Errors
    /// `IO` when it exists or cannot be created.
    pub fn create(options: StoredFileOptions) -> Result<Self> {
        let output = Output::create(&options.path, options.sealing.as_ref())?;
        let workers = options.workers.max(1);
        let (pieces, todo) = bounded::<Piece>(workers);
        let (encoded, done) = bounded::<Encoded>(workers);
        let mut threads = Vec::with_capacity(workers);
        for _ in 0..workers {
            let mut encoder = FrameEncoder::new(options.spec)?;
            let (todo, encoded) = (todo.clone(), encoded.clone());
            threads.push(start("encode", move || encode(&mut encoder, &todo, &encoded))?);
        }
        let assembler = Assembler::new(options.spec);
        let output = start("write", move || write(output, assembler, &done))?;
        Ok(Self {
            frame: Vec::with_capacity(options.spec.frame_size()),
            options,
            pieces: Some(pieces),
            workers: threads,
            output: Some(output),
            frames: 0,
            plain: blake3::Hasher::new(),
            plain_size: 0,
        })
    }

    /// Takes the next plain bytes; waits while the threads have enough to do.
    ///
    /// # Errors
    /// The first error of any thread: `IO`, `NO_SPACE`, or `USAGE` when a cipher cannot seal so much.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.plain.update(bytes);
        self.plain_size += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.options.spec.frame_size() - self.frame.len();
            let take = room.min(bytes.len());
            self.frame.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if take == room {
                self.send()?;
            }
        }
        Ok(())
    }

    /// The stream is complete: waits for the threads, makes the file durable, reads it back and compares.
    ///
    /// # Errors
    /// As [`Self::push`]; `CORRUPT` when the file does not give back what was written.
    pub fn finish(mut self) -> Result<StoredFile> {
        if !self.frame.is_empty() {
            self.send()?;
        }
        let written = self.join()?;
        self.sync()?;
        self.prove()?;
        Ok(StoredFile {
            plain_size: self.plain_size,
            stored_size: written.size,
            sha512: written.sha512,
        })
    }

    fn send(&mut self) -> Result<()> {
        let plain = std::mem::replace(
            &mut self.frame,
            Vec::with_capacity(self.options.spec.frame_size()),
        );
        let piece = Piece {
            index: self.frames,
            plain,
        };
        self.frames += 1;
        let sent = self
            .pieces
            .as_ref()
            .is_some_and(|pieces| pieces.send(piece).is_ok());
        if sent {
            return Ok(());
        }
        // The threads have ended early, and one of them can say why.
        match self.join() {
            Err(error) => Err(error),
            Ok(_) => Err(Error::new(
                Code::Internal,
                "the threads of a stored file ended early",
            )),
        }
    }

    fn join(&mut self) -> Result<Written> {
        self.pieces = None;
        let mut failed = None;
        for worker in self.workers.drain(..) {
            if let Err(error) = joined(worker) {
                failed.get_or_insert(error);
            }
        }
        let written = self.output.take().map(joined);
        match (written, failed) {
            // What the output has met is the cause of what the workers have met.
            (Some(Err(error)), _) | (Some(Ok(_)), Some(error)) => Err(error),
            (Some(Ok(written)), None) => Ok(written),
            (None, _) => Err(Error::new(Code::Usage, "the stored file has failed before")),
        }
    }

    fn sync(&self) -> Result<()> {
        let path = &self.options.path;
        let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
        file.sync_all()
            .map_err(|error| Error::io("make durable", path, &error))?;
        sync_parent(path)
    }

    fn prove(&self) -> Result<()> {
        let path = &self.options.path;
        let mut reader = open_stored(path, &self.options)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let count = reader
                .read(&mut buffer)
                .map_err(|error| Error::reading(path, &error))?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
        }
        if hasher.finalize() == self.plain.finalize() {
            return Ok(());
        }
        Err(Error::corrupt("it does not give back what was written to it")
            .at(path)
            .hint("look at the disk, and at the log of the system"))
    }
}

fn open_stored(path: &Path, options: &StoredFileOptions) -> Result<Box<dyn Read + Send>> {
    let file = File::open(path).map_err(|error| Error::io("open", path, &error))?;
    let source: Box<dyn Read + Send> = match &options.sealing {
        Some(sealing) => opener(Some(sealing.mode), &sealing.secret, Box::new(file)),
        None => Box::new(file),
    };
    Ok(decoder(options.spec.codec, source))
}

impl Drop for StoredFileWriter {
    fn drop(&mut self) {
        // Whatever the threads still had to say, the file is given up.
        let _ = self.join();
    }
}

fn start<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|error| Error::new(Code::Internal, format!("a thread cannot be started: {error}")))
}

fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread
        .join()
        .unwrap_or_else(|_| Err(Error::new(Code::Internal, "a thread of a stored file panicked")))
}

fn encode(encoder: &mut FrameEncoder, todo: &Receiver<Piece>, done: &Sender<Encoded>) -> Result<()> {
    for Piece { index, plain } in todo {
        let mut frame = EncodedFrame::default();
        encoder.encode(&plain, &mut frame)?;
        if done.send(Encoded { index, frame }).is_err() {
            // The output has ended, and says why.
            break;
        }
    }
    Ok(())
}

fn write(mut output: Output, mut assembler: Assembler, done: &Receiver<Encoded>) -> Result<Written> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    let mut scratch = Vec::new();
    for Encoded { index, frame } in done {
        early.insert(index, frame);
        while let Some(mut frame) = early.remove(&next) {
            next += 1;
            output.write(assembler.append_in_place(&mut frame, &mut scratch))?;
        }
    }
    if !early.is_empty() {
        return Err(Error::new(Code::Internal, "a frame of a stored file is missing"));
    }
    scratch.clear();
    assembler.finish(&mut scratch);
    output.write(&mut scratch)?;
    let stored = output.finish()?;
    Ok(Written {
        size: stored.size,
        sha512: stored.sha512,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cipher::{CipherMode, MasterSecret};
    use crate::codec::Codec;

    fn options(path: &Path, codec: Codec, mode: Option<CipherMode>) -> StoredFileOptions {
        StoredFileOptions {
            path: path.to_path_buf(),
            spec: CodecSpec::new(codec, 3),
            sealing: mode.map(|mode| Sealing {
                mode,
                secret: MasterSecret::from_slice(&[7; 64]).unwrap(),
            }),
            workers: 3,
        }
    }

    /// Compresses a little, and no two frames are the same.
    fn sample(len: usize) -> Vec<u8> {
        (0..len)
            .map(|at| (at * at / 977 % 251) as u8 & (at >> 9) as u8)
            .collect()
    }

    fn stored(options: StoredFileOptions, plain: &[u8], piece: usize) -> StoredFile {
        let mut writer = StoredFileWriter::create(options).unwrap();
        plain.chunks(piece).for_each(|chunk| writer.push(chunk).unwrap());
        writer.finish().unwrap()
    }

    #[test]
    fn every_codec_plain_and_sealed_gives_back_the_stream() {
        let modes = [
            CipherMode::Aes256Gcm,
            CipherMode::Aes128Ctr,
            CipherMode::Aes192Cbc,
        ];
        let plain =
            [Codec::None, Codec::Gzip, Codec::Zstd, Codec::Lz4, Codec::Bzip2].map(|codec| (codec, None));
        let sealed = modes.map(|mode| (Codec::Zstd, Some(mode)));
        for (codec, mode) in plain
            .into_iter()
            .chain(sealed)
            .chain([(Codec::None, Some(modes[0]))])
        {
            for len in [0, 1, 1 << 20, 2 * (1 << 20) + 4711] {
                let directory = tempfile::tempdir().unwrap();
                let path = directory.path().join("a.tar");
                let plain = sample(len);
                let report = stored(options(&path, codec, mode), &plain, 100_003);
                assert_eq!(report.plain_size, len as u64);
                assert_eq!(report.stored_size, path.metadata().unwrap().len());
                let mut back = Vec::new();
                open_stored(&path, &options(&path, codec, mode))
                    .unwrap()
                    .read_to_end(&mut back)
                    .unwrap();
                assert!(back == plain, "{codec:?} {mode:?} {len}");
                let digest = crate::fs::hash_file_sha512(&path).unwrap();
                assert_eq!(digest, crate::digest::to_hex(&report.sha512));
            }
        }
    }

    #[test]
    fn a_file_that_is_there_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        std::fs::write(&path, "precious").unwrap();
        assert!(StoredFileWriter::create(options(&path, Codec::Zstd, None)).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn damage_on_the_disk_is_noticed_before_the_file_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        let mut writer = StoredFileWriter::create(options(&path, Codec::None, None)).unwrap();
        writer.push(&sample(3 << 20)).unwrap();
        let written = writer.join().unwrap();
        assert_eq!(written.size, 3 << 20);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[1 << 20] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(writer.prove().unwrap_err().code, Code::Corrupt);
    }
}

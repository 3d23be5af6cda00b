//! A file of more than one frame: its frames are digested and encoded by any thread in any order, and put together
//! here in theirs. Whoever delivers the frame that is due goes on as long as frames are there; nobody waits.

use super::buffers::{Buffer, lock};
use super::journal::FileRecord;
use super::naming::Place;
use super::output::Output;
use super::shared::Shared;
use crate::block::whole_path;
use crate::codec::{Assembler, Codec, CodecSpec, EncodedFrame};
use crate::digest::{Blake3Pieces, Digest, DigestKind, DigestValue, PieceHash, crc32c_combine};
use crate::manifest::{MAX_PIECES, PIECE};
use crate::{Code, Error, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock};

/// A frame that was worked on.
pub struct Ready {
    /// The plain bytes: when they are what is stored, or when a digest has to see them in order.
    pub plain: Option<Buffer>,
    /// Plain bytes of the frame.
    pub len: usize,
    /// The encoded bytes, when the codec makes any.
    pub frame: Option<EncodedFrame>,
    /// CRC-32C of the plain bytes, when the manifest has it.
    pub crc: u32,
    pub hash: PieceHash,
}

/// One large file.
pub struct Lane {
    unit: u64,
    place: Place,
    mode: u32,
    size: u64,
    path: PathBuf,
    frames: u64,
    /// Known when the header of a file of changed blocks has passed, which is before its last frame.
    block_length: OnceLock<u32>,
    /// Plain bytes go to disk before their turn: no codec and no cipher changes them.
    ahead: Option<File>,
    inner: Mutex<Inner>,
}

struct Inner {
    ready: BTreeMap<u64, Ready>,
    next: u64,
    /// `None` while a thread works on it, and at the end.
    state: Option<Box<State>>,
}

struct State {
    output: Output,
    assembler: Assembler,
    scratch: Vec<u8>,
    crc: u32,
    serial: Option<Digest>,
    hash: Blake3Pieces,
    /// Of a file of changed blocks: the value of each frame.
    pieces: Option<Vec<[u8; 32]>>,
    /// Stored bytes that the progress knows of.
    counted: u64,
}

/// Whether a restore may want parts of a file, each with its own proof: frames are the pieces then.
fn keeps_pieces(shared: &Shared, place: &Place, size: u64) -> bool {
    let piece = shared.buffers.size() as u64;
    piece == PIECE && size.div_ceil(piece) <= MAX_PIECES && whole_path(&place.path).is_some()
}

impl Lane {
    /// Creates the stored file of a member of `size` bytes.
    pub fn create(shared: &Shared, unit: u64, place: Place, mode: u32, size: u64) -> Result<Self> {
        let options = &shared.options;
        let path = shared.path_of(&place.stored);
        let sealing = options.sealing.as_ref().filter(|_| !place.raw);
        let output = Output::create(&path, sealing)?;
        let spec = if place.raw {
            CodecSpec::new(Codec::None, 0)
        } else {
            options.spec
        };
        let ahead = if spec.codec == Codec::None && sealing.is_none() {
            Some(output.handle()?)
        } else {
            None
        };
        let serial = options
            .manifest
            .filter(|kind| *kind != DigestKind::Crc32c)
            .map(Digest::new);
        let state = State {
            output,
            assembler: Assembler::new(spec),
            scratch: Vec::new(),
            crc: 0,
            serial,
            hash: Blake3Pieces::new(),
            pieces: keeps_pieces(shared, &place, size).then(Vec::new),
            counted: 0,
        };
        Ok(Self {
            unit,
            place,
            mode,
            size,
            path,
            frames: size.div_ceil(shared.buffers.size() as u64),
            block_length: OnceLock::new(),
            ahead,
            inner: Mutex::new(Inner {
                ready: BTreeMap::new(),
                next: 0,
                state: Some(Box::new(state)),
            }),
        })
    }

    /// Whether the file is neither compressed nor sealed although others are.
    pub fn is_raw(&self) -> bool {
        self.place.raw
    }

    /// Tells how many blocks the file has that a restore makes of this one.
    pub fn set_block_length(&self, blocks: u32) {
        self.block_length.get_or_init(|| blocks);
    }

    /// Writes plain bytes at once where stored bytes are plain bytes; says whether it did.
    pub fn write_ahead(&self, bytes: &[u8], offset: u64) -> Result<bool> {
        match &self.ahead {
            Some(file) => Output::write_ahead(file, &self.path, bytes, offset).map(|()| true),
            None => Ok(false),
        }
    }

    /// Delivers frame `index`, and works on every frame that is due unless another thread does already.
    pub fn deliver(&self, shared: &Shared, index: u64, ready: Ready) -> Result<()> {
        let mut inner = lock(&self.inner);
        inner.ready.insert(index, ready);
        while let Some(mut state) = inner.state.take() {
            let next = inner.next;
            let Some(due) = inner.ready.remove(&next) else {
                inner.state = Some(state);
                return Ok(());
            };
            drop(inner);
            self.take_turn(shared, &mut state, due)?;
            if next + 1 == self.frames {
                return self.finish(shared, *state);
            }
            inner = lock(&self.inner);
            inner.next = next + 1;
            inner.state = Some(state);
        }
        Ok(())
    }

    fn take_turn(&self, shared: &Shared, state: &mut State, mut due: Ready) -> Result<()> {
        state.crc = crc32c_combine(state.crc, due.crc, due.len);
        state.hash.push(due.hash);
        if let (Some(pieces), PieceHash::Part(value)) = (&mut state.pieces, due.hash) {
            pieces.push(value);
        }
        if let (Some(digest), Some(plain)) = (&mut state.serial, &due.plain) {
            digest.update(&plain[..due.len]);
        }
        match (&mut due.frame, &mut due.plain) {
            (Some(frame), _) => {
                let bytes = state.assembler.append_in_place(frame, &mut state.scratch);
                state.output.write(bytes)?;
            }
            (None, Some(plain)) if self.ahead.is_some() => state.output.written(&plain[..due.len]),
            (None, Some(plain)) => state.output.write(&mut plain[..due.len])?,
            (None, None) => return Err(Error::new(Code::Internal, "a frame without bytes")),
        }
        due.plain.into_iter().for_each(|plain| shared.buffers.give(plain));
        due.frame
            .into_iter()
            .for_each(|frame| shared.buffers.give_frame(frame));
        let stored = state.output.offset();
        shared
            .counters
            .stored
            .fetch_add(stored - state.counted, Ordering::Relaxed);
        state.counted = stored;
        Ok(())
    }

    fn finish(&self, shared: &Shared, mut state: State) -> Result<()> {
        let mut tail = std::mem::take(&mut state.scratch);
        tail.clear();
        state.assembler.finish(&mut tail);
        state.output.write(&mut tail)?;
        let stored = state.output.finish()?;
        shared
            .counters
            .stored
            .fetch_add(stored.size - state.counted, Ordering::Relaxed);
        let broken = || {
            Error::new(
                Code::Internal,
                "the digests of a file's frames do not fit together",
            )
            .at(&self.path)
        };
        let blake3 = state.hash.finish().ok_or_else(broken)?;
        let checksum = match (shared.options.manifest, state.serial) {
            (None, _) => DigestValue::new(&[]).ok_or_else(broken)?,
            (Some(_), Some(digest)) => digest.finish(),
            (Some(_), None) => DigestValue::from_crc32c(state.crc),
        };
        let mut record = FileRecord {
            path: self.place.path.clone(),
            stored: self.place.stored.clone(),
            size: self.size,
            stored_size: stored.size,
            mode: self.mode,
            block_length: self.block_length.get().copied(),
            linked: false,
            blake3,
            pieces: state.pieces.unwrap_or_default(),
            sha512: stored.sha512,
            checksum,
        };
        if !self.place.raw {
            self.exchange_for_link(shared, &mut record)?;
        }
        shared.counters.files.fetch_add(1, Ordering::Relaxed);
        let mut bytes = Vec::with_capacity(256);
        record.encode(&mut bytes);
        shared.journal.put(self.unit, bytes)
    }

    /// The previous backup has the same bytes: its stored file takes the place of the one just written.
    fn exchange_for_link(&self, shared: &Shared, record: &mut FileRecord) -> Result<()> {
        let Some(links) = &shared.links else { return Ok(()) };
        let Some(previous) = links.find(&record.path, &record.stored, &record.blake3) else {
            return Ok(());
        };
        if !links.replace(&previous, &record.stored, &self.path)? {
            return Ok(());
        }
        shared
            .counters
            .stored
            .fetch_sub(record.stored_size, Ordering::Relaxed);
        links.count(shared, &previous);
        (record.linked, record.stored_size, record.sha512) = (true, previous.stored_size, previous.sha512);
        Ok(())
    }
}

//! The threads that digest, encode, seal and write.

use super::buffers::Buffer;
use super::journal::FileRecord;
use super::lane::{Lane, Ready};
use super::naming::Place;
use super::output::Output;
use super::shared::Shared;
use crate::codec::{Assembler, Codec, CodecSpec, EncodedFrame, FrameEncoder};
use crate::digest::{DigestKind, DigestValue, PieceHash, blake3_piece, crc32c};
use crate::{Code, Error, Result};
use crossbeam_channel::Receiver;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Work for any thread.
pub enum Task {
    /// Whole small files that share a buffer.
    Batch(Batch),
    /// One piece of a large file.
    Frame {
        lane: Arc<Lane>,
        index: u64,
        plain: Buffer,
        len: usize,
    },
}

/// Whole files of at most one frame each.
pub struct Batch {
    /// Position in the journal.
    pub unit: u64,
    pub plain: Buffer,
    pub files: Vec<SmallFile>,
}

/// One file of a batch.
pub struct SmallFile {
    pub place: Place,
    pub mode: u32,
    /// Blocks of the file that a restore makes of a file of changed blocks.
    pub block_length: Option<u32>,
    /// Where its bytes are in the buffer.
    pub range: Range<usize>,
}

/// One thread's tools.
pub struct Worker {
    shared: Arc<Shared>,
    encoder: FrameEncoder,
    frame: EncodedFrame,
    scratch: Vec<u8>,
}

impl Worker {
    /// Makes the tools.
    pub fn new(shared: Arc<Shared>) -> Result<Self> {
        let encoder = FrameEncoder::new(shared.options.spec)?;
        Ok(Self {
            shared,
            encoder,
            frame: EncodedFrame::default(),
            scratch: Vec::new(),
        })
    }

    /// Works until no more tasks can come. After a failure tasks are only taken away.
    pub fn run(mut self, tasks: &Receiver<Task>) {
        for task in tasks {
            if self.shared.has_failed() {
                continue;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.perform(task)));
            let panicked = |_| Err(Error::new(Code::Internal, "a worker of the receiver panicked"));
            if let Err(error) = outcome.unwrap_or_else(panicked) {
                self.shared.fail(error);
            }
        }
    }

    fn perform(&mut self, task: Task) -> Result<()> {
        match task {
            Task::Batch(batch) => self.batch(batch),
            Task::Frame {
                lane,
                index,
                plain,
                len,
            } => self.frame(&lane, index, plain, len),
        }
    }

    fn frame(&mut self, lane: &Lane, index: u64, plain: Buffer, len: usize) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let bytes = &plain[..len];
        let offset = index * shared.buffers.size() as u64;
        let hash = blake3_piece(offset, bytes, false);
        let kind = shared.options.manifest;
        let crc = if kind == Some(DigestKind::Crc32c) {
            crc32c(bytes)
        } else {
            0
        };
        let ahead = lane.write_ahead(bytes, offset)?;
        if ahead || lane.is_raw() || shared.options.spec.codec == Codec::None {
            return lane.deliver(
                &shared,
                index,
                Ready {
                    plain: Some(plain),
                    len,
                    frame: None,
                    crc,
                    hash,
                },
            );
        }
        let mut frame = shared.buffers.take_frame();
        self.encoder.encode(bytes, &mut frame)?;
        shared.buffers.charge_frame(&frame);
        // SHA-2 cannot be split within a file: the lane needs the plain bytes for it.
        let serial = kind.is_some_and(|kind| kind != DigestKind::Crc32c);
        let plain = if serial {
            Some(plain)
        } else {
            shared.buffers.give(plain);
            None
        };
        lane.deliver(
            &shared,
            index,
            Ready {
                plain,
                len,
                frame: Some(frame),
                crc,
                hash,
            },
        )
    }

    fn batch(&mut self, mut batch: Batch) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut records = Vec::with_capacity(batch.files.len() * 320);
        for file in batch.files {
            let SmallFile {
                place,
                mode,
                block_length,
                range,
            } = file;
            let mut record = self.small(&shared, place, mode, &mut batch.plain[range])?;
            record.block_length = block_length;
            record.encode(&mut records);
            shared.counters.files.fetch_add(1, Ordering::Relaxed);
            shared.healthy()?;
        }
        shared.buffers.give(batch.plain);
        shared.journal.put(batch.unit, records)
    }

    /// A whole file in one go. `plain` is sealed in place when no codec copies it.
    fn small(&mut self, shared: &Shared, place: Place, mode: u32, plain: &mut [u8]) -> Result<FileRecord> {
        let blake3 = match blake3_piece(0, plain, true) {
            PieceHash::Whole(hash) | PieceHash::Part(hash) => hash,
        };
        let checksum = shared
            .options
            .manifest
            .map_or_else(|| DigestValue::new(&[]), |kind| Some(kind.of(plain)));
        let mut record = FileRecord {
            size: plain.len() as u64,
            stored_size: 0,
            mode,
            block_length: None,
            linked: false,
            blake3,
            pieces: Vec::new(),
            sha512: [0; 64],
            checksum: checksum.ok_or_else(|| Error::new(Code::Internal, "a digest of no bytes"))?,
            path: place.path,
            stored: place.stored,
        };
        let path = shared.path_of(&record.stored);
        if let Some(links) = shared.links.as_ref().filter(|_| !place.raw)
            && let Some(previous) = links.find(&record.path, &record.stored, &blake3)
            && links.link(&previous, &path)
        {
            links.count(shared, &previous);
            (record.linked, record.stored_size, record.sha512) =
                (true, previous.stored_size, previous.sha512);
            return Ok(record);
        }
        let sealing = shared.options.sealing.as_ref().filter(|_| !place.raw);
        let mut output = Output::create(&path, sealing)?;
        if place.raw || shared.options.spec.codec == Codec::None {
            output.write(plain)?;
        } else {
            self.encode_whole(shared.options.spec, plain)?;
            output.write(&mut self.scratch)?;
        }
        let stored = output.finish()?;
        shared.counters.stored.fetch_add(stored.size, Ordering::Relaxed);
        (record.stored_size, record.sha512) = (stored.size, stored.sha512);
        Ok(record)
    }

    /// Leaves the whole encoded file in `scratch`.
    fn encode_whole(&mut self, spec: CodecSpec, plain: &[u8]) -> Result<()> {
        let mut assembler = Assembler::new(spec);
        self.scratch.clear();
        self.encoder.encode(plain, &mut self.frame)?;
        assembler.append(&self.frame, &mut self.scratch);
        assembler.finish(&mut self.scratch);
        Ok(())
    }
}

//! Decoding as a stream, with one rule for every codec: the data is whole, or there is an error.

use std::io::{self, Chain, Cursor, Read};

use crate::{Code, Error, Result};

use super::bzip2::Bzip2Decoder;
use super::gzip::GzipDecoder;
use super::lz4::Lz4Decoder;
use super::lz4_blocks::Lz4Blocks;
use super::spec::Codec;
use super::zstd::ZstdDecoder;

const INPUT: usize = 128 * 1024;
/// Frames of more plain bytes than this are decoded bit by bit.
const WHOLE_FRAME: usize = 1 << 20;
/// The longest beginning of a frame that tells its size, of any codec.
const FRAME_START: usize = 18;
/// Room for the stored form of the largest of them.
const MAX_INPUT: usize = WHOLE_FRAME + WHOLE_FRAME / 64;
const LZ4_MAGIC: u32 = 0x184d_2204;
const LZ4_SKIPPABLE: u32 = 0x184d_2a50;

/// What one step of a codec did.
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// A frame, member or stream is complete, its checksum checked.
    pub(super) ended: bool,
}

/// What the beginning of a frame tells about all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Nothing.
    Unknown,
    /// Its plain size; where it ends is seen when more of it is there.
    Incomplete { plain: u64 },
    /// All of it is there.
    Whole { stored: usize, plain: u64 },
}

/// A codec that is fed and drained by hand.
pub(super) trait Engine: Send {
    /// Decodes some of `input` into `output`. Never called again after an error.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step>;
    /// Gets ready for another frame behind the one that ended.
    fn next_frame(&mut self) -> Result<()>;
    /// What is known of the frame that `input` begins with, without decoding it.
    fn extent(&self, _input: &[u8]) -> Extent {
        Extent::Unknown
    }
    /// Decodes exactly one whole frame. Only called after [`Engine::extent`] has told its sizes.
    fn decode_whole(&mut self, _input: &[u8], _output: &mut [u8]) -> Result<()> {
        Err(Error::new(Code::Internal, "this codec has no whole frames"))
    }
}

/// Plain bytes of a stored file.
pub trait PlainRead: Read {
    /// Passes over the next frame without decoding it, if all its plain bytes are among the next `limit` ones, and
    /// answers how many they are. 0 when there is nothing to be passed over: then the bytes have to be read.
    ///
    /// # Errors
    /// As reading.
    fn pass_over(&mut self, _limit: u64) -> io::Result<u64> {
        Ok(0)
    }
}

impl PlainRead for std::fs::File {}
impl PlainRead for Box<dyn Read + Send> {}
impl<T: AsRef<[u8]>> PlainRead for Cursor<T> {}

/// Reads what `codec` stored: concatenated frames or members are read through.
///
/// The reader fails, with an [`Error`] inside the [`io::Error`] (see [`Error::reading`]), on damaged data, on data that
/// ends too early (an empty source too, but for [`Codec::None`] and [`Codec::Lz4`]) and on anything that follows the
/// last frame. An `.lz4` source that does not begin with the magic of a frame is read as the C program's blocks;
/// those can be empty, and have no checksum.
#[must_use]
pub fn decoder(codec: Codec, source: Box<dyn Read + Send>) -> Box<dyn PlainRead + Send> {
    let engine: Result<Box<dyn Engine>> = match codec {
        Codec::None => return Box::new(source),
        Codec::Lz4 => return Box::new(Lz4Reader::Unknown(Some(source))),
        Codec::Gzip => Ok(Box::new(GzipDecoder::new())),
        Codec::Bzip2 => Ok(Box::new(Bzip2Decoder::new())),
        Codec::Zstd => ZstdDecoder::new().map(|engine| Box::new(engine) as Box<dyn Engine>),
    };
    match engine {
        Ok(engine) => Box::new(Frames::new(codec, engine, source)),
        Err(error) => Box::new(Failed(error)),
    }
}

/// A reader that could not be made.
struct Failed(Error);

impl Read for Failed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other(self.0.clone()))
    }
}

impl PlainRead for Failed {}

/// Drives an engine over a source.
struct Frames<R> {
    codec: Codec,
    engine: Box<dyn Engine>,
    source: R,
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Within a frame: at the beginning too, as one frame at least is expected.
    open: bool,
    /// No byte of the next frame was decoded yet.
    fresh: bool,
    /// A whole frame that was decoded, and how much of it was given out.
    frame: Vec<u8>,
    given: usize,
    /// The engine may hold output that needs no more input.
    pending: bool,
    source_ended: bool,
    failure: Option<Error>,
}

impl<R: Read> Frames<R> {
    fn new(codec: Codec, engine: Box<dyn Engine>, source: R) -> Self {
        Self {
            codec,
            engine,
            source,
            input: vec![0; INPUT],
            start: 0,
            end: 0,
            open: true,
            fresh: true,
            frame: Vec::new(),
            given: 0,
            pending: false,
            source_ended: false,
            failure: None,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.start == self.end && !self.source_ended {
            match self.source.read(&mut self.input) {
                Ok(0) => self.source_ended = true,
                Ok(count) => (self.start, self.end) = (0, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads more behind what is there; false when nothing more comes, or there is no room for it.
    fn extend(&mut self) -> io::Result<bool> {
        if self.source_ended || self.end - self.start >= MAX_INPUT {
            return Ok(false);
        }
        self.input.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.end == self.input.len() {
            self.input.resize((self.end * 2).min(MAX_INPUT), 0);
        }
        loop {
            match self.source.read(&mut self.input[self.end..]) {
                Ok(0) => self.source_ended = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            return Ok(!self.source_ended);
        }
    }

    /// Stored and plain size of the frame that comes next, when all of it is there or comes to be, and `fits` says so.
    fn next_whole(&mut self, fits: impl Fn(u64) -> bool) -> io::Result<Option<(usize, usize)>> {
        self.fill()?;
        while self.end - self.start < FRAME_START && self.start < self.end && self.extend()? {}
        loop {
            let (plain, stored) = match self.engine.extent(&self.input[self.start..self.end]) {
                Extent::Whole { stored, plain } => (plain, Some(stored)),
                Extent::Incomplete { plain } => (plain, None),
                Extent::Unknown => return Ok(None),
            };
            if plain > WHOLE_FRAME as u64 || !fits(plain) {
                return Ok(None);
            }
            if let Some(stored) = stored {
                return Ok(Some((stored, plain as usize)));
            }
            if !self.extend()? {
                return Ok(None);
            }
        }
    }

    /// Says that a whole frame was used.
    fn used(&mut self, stored: usize) {
        self.start += stored;
        (self.open, self.fresh) = (false, true);
    }

    /// Plain bytes of a whole frame; 0 when the next one has to be decoded bit by bit, or there is none.
    fn decode_frames(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.frame.len() && self.fresh && !self.pending {
            let Some((stored, plain)) = self.next_whole(|_| true)? else {
                return Ok(0);
            };
            let input = &self.input[self.start..self.start + stored];
            if plain <= out.len() {
                self.engine
                    .decode_whole(input, &mut out[..plain])
                    .map_err(invalid)?;
                self.used(stored);
                if plain > 0 {
                    return Ok(plain);
                }
                continue;
            }
            self.frame.resize(plain, 0);
            self.given = plain;
            self.engine
                .decode_whole(input, &mut self.frame)
                .map_err(invalid)?;
            self.used(stored);
            self.given = 0;
        }
        let count = out.len().min(self.frame.len() - self.given);
        out[..count].copy_from_slice(&self.frame[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }

    /// Some plain bytes, 0 at the end.
    fn decode(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.decode_frames(out)?;
        if count > 0 {
            return Ok(count);
        }
        loop {
            if !self.pending {
                self.fill()?;
            }
            let empty = self.start == self.end;
            if empty && !self.open {
                if !self.source_ended {
                    self.fill()?;
                    continue;
                }
                return Ok(0);
            }
            if !self.open {
                self.engine.next_frame().map_err(io::Error::other)?;
                self.open = true;
            }
            let step = self
                .engine
                .step(&self.input[self.start..self.end], out)
                .map_err(invalid)?;
            self.start += step.consumed;
            self.pending = step.produced == out.len() && !step.ended;
            self.open = !step.ended;
            self.fresh = step.ended;
            if step.produced > 0 {
                return Ok(step.produced);
            }
            if step.consumed == 0 && !step.ended {
                self.stuck(empty)?;
            }
        }
    }

    /// No progress was made: is more input to come, or is the data wrong?
    fn stuck(&self, empty: bool) -> io::Result<()> {
        if !empty {
            return Err(invalid(Error::corrupt(format!(
                "damaged {} data: no progress",
                self.codec.name()
            ))));
        }
        if self.source_ended {
            let error = Error::corrupt(format!(
                "truncated: the {} data ends too early",
                self.codec.name()
            ));
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, error));
        }
        Ok(())
    }
}

impl<R: Read> Read for Frames<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(error) = &self.failure {
            return Err(invalid(error.clone()));
        }
        if out.is_empty() {
            return Ok(0);
        }
        let result = self.decode(out);
        if let Err(error) = &result {
            // Whoever reads on after an error must not get bytes of an engine in an undefined state.
            self.failure = Some(Error::corrupt(error.to_string()));
        }
        result
    }
}

impl<R: Read> PlainRead for Frames<R> {
    fn pass_over(&mut self, limit: u64) -> io::Result<u64> {
        if self.failure.is_some() || self.given < self.frame.len() || !self.fresh || self.pending {
            return Ok(0);
        }
        let Some((stored, plain)) = self.next_whole(|plain| plain <= limit)? else {
            return Ok(0);
        };
        if plain > 0 {
            self.used(stored);
        }
        Ok(plain as u64)
    }
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

type Rewound = Chain<Cursor<Vec<u8>>, Box<dyn Read + Send>>;

/// Looks at the first four bytes to tell frames from blocks.
enum Lz4Reader {
    Unknown(Option<Box<dyn Read + Send>>),
    Frames(Box<Frames<Rewound>>),
    Blocks(Box<Lz4Blocks<io::BufReader<Rewound>>>),
}

impl Lz4Reader {
    fn detect(mut source: Box<dyn Read + Send>) -> io::Result<Self> {
        let mut first = Vec::with_capacity(4);
        source.by_ref().take(4).read_to_end(&mut first)?;
        let magic = <[u8; 4]>::try_from(first.as_slice())
            .map(u32::from_le_bytes)
            .unwrap_or(0);
        let rewound = Cursor::new(first).chain(source);
        if magic == LZ4_MAGIC || magic & 0xffff_fff0 == LZ4_SKIPPABLE {
            let engine = Lz4Decoder::new().map_err(io::Error::other)?;
            Ok(Self::Frames(Box::new(Frames::new(
                Codec::Lz4,
                Box::new(engine),
                rewound,
            ))))
        } else {
            let source = io::BufReader::with_capacity(INPUT, rewound);
            Ok(Self::Blocks(Box::new(Lz4Blocks::new(source))))
        }
    }
}

impl PlainRead for Lz4Reader {}

impl Read for Lz4Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Self::Unknown(source) = self {
            let source = source
                .take()
                .ok_or_else(|| io::Error::other("the lz4 source failed before"))?;
            *self = Self::detect(source)?;
        }
        match self {
            Self::Frames(frames) => frames.read(out),
            Self::Blocks(blocks) => blocks.read(out),
            Self::Unknown(_) => Ok(0),
        }
    }
}

//! The state machine: any cut of the input gives the same members and data.

use super::header::{self, BLOCK, Kind, Member, Type};
use super::name;
use super::pax::Records;
use crate::{Error, Result};

/// Most bytes that a long name or a pax header may have.
const MAX_META: u64 = 1 << 20;

/// Receives what is in an archive. `data` is called zero or more times between `begin` and `end`, with the bytes in
/// order and never empty; every member gets `begin` and `end`.
pub trait Sink {
    /// A member begins.
    fn begin(&mut self, member: Member) -> Result<()>;
    /// Next bytes of the member.
    fn data(&mut self, bytes: &[u8]) -> Result<()>;
    /// All `size` bytes of the member were given.
    fn end(&mut self) -> Result<()>;
}

enum State {
    /// Collecting a header block.
    Header,
    /// Passing on a member's data.
    Data { remaining: u64, padding: usize },
    /// Collecting the data of a long name or pax header.
    Meta {
        kind: Type,
        remaining: u64,
        padding: usize,
    },
    /// Skipping to the next block.
    Padding { remaining: usize },
}

/// Takes a tar archive apart while it arrives.
pub struct Demuxer {
    archive: String,
    state: State,
    block: [u8; BLOCK],
    filled: usize,
    /// Bytes consumed, for messages.
    offset: u64,
    /// Zero blocks seen at the end.
    zero_blocks: u64,
    meta: Vec<u8>,
    global: Records,
    next: Records,
    long: Records,
    pending: bool,
}

impl Demuxer {
    /// `archive` is the name used in messages, for example `base.tar`.
    #[must_use]
    pub fn new(archive: &str) -> Self {
        Self {
            archive: archive.to_owned(),
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            offset: 0,
            zero_blocks: 0,
            meta: Vec::new(),
            global: Records::default(),
            next: Records::default(),
            long: Records::default(),
            pending: false,
        }
    }

    /// Takes the next bytes of the archive.
    ///
    /// # Errors
    /// Damaged or unexpected content, with archive and byte position, and every error of the sink, unchanged. After
    /// an error the demuxer cannot go on.
    pub fn push<S: Sink>(&mut self, mut bytes: &[u8], sink: &mut S) -> Result<()> {
        while !bytes.is_empty() {
            let used = match &mut self.state {
                State::Data { remaining, padding } => {
                    let take = usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len());
                    sink.data(&bytes[..take])?;
                    *remaining -= take as u64;
                    if *remaining == 0 {
                        self.state = after(*padding);
                        sink.end()?;
                    }
                    take
                }
                State::Padding { remaining } => {
                    let take = (*remaining).min(bytes.len());
                    *remaining -= take;
                    if *remaining == 0 {
                        self.state = State::Header;
                    }
                    take
                }
                State::Header => {
                    let take = (BLOCK - self.filled).min(bytes.len());
                    self.block[self.filled..self.filled + take].copy_from_slice(&bytes[..take]);
                    self.filled += take;
                    if self.filled == BLOCK {
                        self.filled = 0;
                        self.header(sink)?;
                    }
                    take
                }
                State::Meta { .. } => self.collect(bytes)?,
            };
            self.offset += used as u64;
            bytes = &bytes[used..];
        }
        Ok(())
    }

    /// The archive is complete. Zero blocks at the end are optional.
    ///
    /// # Errors
    /// An archive that ends within a member or header.
    pub fn finish(&self) -> Result<()> {
        let whole = matches!(self.state, State::Header) && self.filled == 0 && !self.pending;
        if whole {
            return Ok(());
        }
        Err(Error::corrupt(format!(
            "{} ends in the middle of a member, after {} bytes",
            self.archive, self.offset
        )))
    }

    fn header<S: Sink>(&mut self, sink: &mut S) -> Result<()> {
        if self.block.iter().all(|byte| *byte == 0) {
            self.zero_blocks += 1;
            return if self.pending {
                Err(self.damaged("a name is followed by no member"))
            } else {
                Ok(())
            };
        }
        if self.zero_blocks > 0 {
            return Err(self.damaged("there is data after the end of the archive"));
        }
        let header = header::parse(&self.block).map_err(|error| self.place(error))?;
        let padding = padding_of(header.size);
        let Type::Member(kind) = header.kind else {
            if header.size > MAX_META {
                return Err(self.damaged("a long name or pax header is over 1 MiB"));
            }
            self.meta.clear();
            self.pending = header.kind != Type::GlobalPax;
            self.state = State::Meta {
                kind: header.kind,
                remaining: header.size,
                padding,
            };
            if header.size == 0 {
                self.meta_complete(header.kind, padding)?;
            }
            return Ok(());
        };
        let member = self.member(kind, header)?;
        let (size, padding) = (member.size, padding_of(member.size));
        sink.begin(member)?;
        if size == 0 {
            return sink.end();
        }
        self.state = State::Data {
            remaining: size,
            padding,
        };
        Ok(())
    }

    /// Joins a header with the extended records before it.
    fn member(&mut self, kind: Kind, header: header::Header) -> Result<Member> {
        let next = std::mem::take(&mut self.next);
        let long = std::mem::take(&mut self.long);
        self.pending = false;
        let global = &self.global;
        let raw = next
            .path
            .or(long.path)
            .or_else(|| global.path.clone())
            .unwrap_or(header.name);
        let link = next
            .link
            .or(long.link)
            .or_else(|| global.link.clone())
            .unwrap_or(header.link);
        let size = next.size.or(global.size).unwrap_or(header.size);
        let path = name::sanitise(&raw).map_err(|error| self.place(error))?;
        if path.is_empty() && kind != Kind::Directory {
            return Err(self.damaged("a member that is no directory has no name"));
        }
        if kind != Kind::File && size != 0 {
            return Err(self.damaged("a directory or link has data"));
        }
        let is_link = matches!(kind, Kind::Symlink | Kind::HardLink);
        if is_link && (link.is_empty() || link.len() > name::MAX_PATH || link.contains(&0)) {
            return Err(self.damaged("a link has no usable target"));
        }
        let link = if is_link { link } else { Vec::new() };
        Ok(Member {
            path,
            kind,
            size,
            mode: header.mode,
            mtime: header.mtime,
            link,
        })
    }

    fn collect(&mut self, bytes: &[u8]) -> Result<usize> {
        let State::Meta {
            kind,
            remaining,
            padding,
        } = &mut self.state
        else {
            return Ok(0);
        };
        let take = usize::try_from(*remaining).unwrap_or(usize::MAX).min(bytes.len());
        self.meta.extend_from_slice(&bytes[..take]);
        *remaining -= take as u64;
        if *remaining == 0 {
            let (kind, padding) = (*kind, *padding);
            self.meta_complete(kind, padding)?;
        }
        Ok(take)
    }

    fn meta_complete(&mut self, kind: Type, padding: usize) -> Result<()> {
        let meta = std::mem::take(&mut self.meta);
        let text = || meta[..memchr::memchr(0, &meta).unwrap_or(meta.len())].to_vec();
        let outcome = match kind {
            Type::LongName => {
                self.long.path = Some(text());
                Ok(())
            }
            Type::LongLink => {
                self.long.link = Some(text());
                Ok(())
            }
            Type::Pax => self.next.add(&meta),
            Type::GlobalPax => self.global.add(&meta),
            Type::Member(_) => Ok(()),
        };
        outcome.map_err(|error| self.place(error))?;
        self.meta = meta;
        self.state = after(padding);
        Ok(())
    }

    fn damaged(&self, why: &str) -> Error {
        self.place(Error::corrupt(why))
    }

    fn place(&self, error: Error) -> Error {
        let message = format!("{}, near byte {}: {}", self.archive, self.offset, error.message);
        Error { message, ..error }.hint("the stream from the server is damaged; take the backup again")
    }
}

fn padding_of(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

fn after(padding: usize) -> State {
    if padding == 0 {
        State::Header
    } else {
        State::Padding { remaining: padding }
    }
}

#[cfg(test)]
#[path = "demuxer_tests.rs"]
mod tests;

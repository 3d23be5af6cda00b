//! The `.lz4` files of the C program: no frame, just 4 KiB blocks that refer to one another. Read only.
//!
//! Each block is a little-endian length of 1 to 4128 and that many bytes of LZ4 block data, which give at most
//! 4096 bytes and may copy from earlier output. Blocks that give nothing are allowed, and so is a file without blocks.
//! There is no end mark and no checksum: a file cut between two blocks looks whole.

use std::io::{self, Read};

use lz4_sys::c_char;

use crate::Error;

const BLOCK: usize = 4096;
/// A block of 4096 bytes that does not compress takes 4096 + 4096 / 255 + 16 bytes.
const STORED_MAX: usize = BLOCK + 32;
/// LZ4 refers back 64 KiB at most.
const HISTORY: usize = 64 * 1024;
/// When the buffer is this full, its last 64 KiB move to the front.
const BUFFER: usize = 4 * HISTORY;

unsafe extern "C" {
    /// `lz4.h`: decodes one block whose history directly precedes `dest` or is `dict`.
    fn LZ4_decompress_safe_usingDict(
        source: *const c_char,
        dest: *mut c_char,
        source_size: i32,
        dest_capacity: i32,
        dict: *const c_char,
        dict_size: i32,
    ) -> i32;
}

pub(super) struct Lz4Blocks<R> {
    source: R,
    /// Decoded bytes: the history, then what was not given out yet.
    window: Vec<u8>,
    /// End of the decoded bytes in `window`.
    filled: usize,
    /// Start of what was not given out yet.
    given: usize,
    blocks: u64,
    stored: [u8; STORED_MAX],
}

impl<R: Read> Lz4Blocks<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            window: vec![0; BUFFER],
            filled: 0,
            given: 0,
            blocks: 0,
            stored: [0; STORED_MAX],
        }
    }

    /// Decodes the next block; false at the end of the file.
    fn next_block(&mut self) -> io::Result<bool> {
        let mut length = [0u8; 4];
        if !read_or_end(&mut self.source, &mut length)? {
            return Ok(false);
        }
        let size = u32::from_le_bytes(length) as usize;
        if size == 0 || size > STORED_MAX {
            return Err(damaged(format!(
                "block {} of the lz4 file claims {size} bytes; 1 to {STORED_MAX} are possible",
                self.blocks
            )));
        }
        self.source
            .read_exact(&mut self.stored[..size])
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => truncated(self.blocks),
                _ => error,
            })?;
        if self.filled + BLOCK > self.window.len() {
            let start = self.filled - HISTORY;
            self.window.copy_within(start..self.filled, 0);
            self.filled = HISTORY;
            self.given = HISTORY;
        }
        let history = self.filled.min(HISTORY);
        // SAFETY: `stored[..size]` is readable; at least BLOCK bytes are writable at `filled`; the dictionary is the
        // `history` initialised bytes directly before it. The library checks every copy against these bounds.
        let count = unsafe {
            let target = self.window.as_mut_ptr().add(self.filled);
            LZ4_decompress_safe_usingDict(
                self.stored.as_ptr().cast(),
                target.cast(),
                size as i32,
                BLOCK as i32,
                target.sub(history).cast(),
                history as i32,
            )
        };
        let count = usize::try_from(count)
            .map_err(|_| damaged(format!("block {} of the lz4 file cannot be decoded", self.blocks)))?;
        self.filled += count;
        self.blocks += 1;
        Ok(true)
    }
}

impl<R: Read> Read for Lz4Blocks<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.given == self.filled {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let count = out.len().min(self.filled - self.given);
        out[..count].copy_from_slice(&self.window[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// Fills `buffer`; false when the source ends before its first byte.
fn read_or_end(source: &mut impl Read, buffer: &mut [u8; 4]) -> io::Result<bool> {
    let mut have = 0;
    while have < buffer.len() {
        match source.read(&mut buffer[have..]) {
            Ok(0) if have == 0 => return Ok(false),
            Ok(0) => {
                return Err(damaged(
                    "the lz4 file ends within the length of a block".to_owned(),
                ));
            }
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn damaged(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, Error::corrupt(message))
}

fn truncated(block: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        Error::corrupt(format!("truncated: the lz4 file ends within block {block}")),
    )
}

//! Codecs: how stored files are compressed.
//!
//! Encoding is frame-parallel. A file is cut into pieces of [`Codec::frame_size`] bytes; each piece is encoded by
//! any thread with a [`FrameEncoder`] of its own, and one [`Assembler`] per file joins the frames in order. What
//! comes out is read by the ordinary programs (`gzip -d`, `zstd -d`, `lz4 -d`, `bzip2 -d`). Decoding is a plain
//! [`std::io::Read`], see [`decoder`].

mod assemble;
mod bzip2;
mod decode;
mod encode;
pub mod file;
mod gzip;
mod incompressible;
mod lz4;
mod lz4_blocks;
pub mod payload;
pub(crate) mod replace;
mod spec;
#[cfg(test)]
mod tests;
mod zstd;

pub use assemble::Assembler;
pub use decode::{PlainRead, decoder};
pub use encode::{EncodedFrame, FrameEncoder};
pub use replace::Replaced;
pub use spec::{Codec, CodecSpec};

//! The byte stream of a walsender after `START_REPLICATION`, taken apart. Does no I/O.
//!
//! `CopyData` messages carry WAL (`w`) or tell how far the server is (`k`): protocol, "Streaming Replication Protocol".
//! Messages may be torn anywhere. The first message that is not `CopyData` ends the stream: it and what follows is for
//! those who speak the rest of the protocol.

use super::lsn::Lsn;
use crate::{Code, Error, Result};

const COPY_DATA: u8 = b'd';
const XLOG_DATA: u8 = b'w';
const KEEPALIVE: u8 = b'k';
/// Kind and length of any message.
const FRAME: usize = 5;
/// Kind, start, end of the server's WAL, time.
const XLOG_HEADER: usize = 25;
/// Kind, end of the server's WAL, time, whether a reply is wanted.
const KEEPALIVE_SIZE: usize = 18;

/// Takes what a walsender sends.
pub trait FrameSink {
    /// A message with WAL of `start` begins.
    ///
    /// # Errors
    /// When it cannot be taken.
    fn begin(&mut self, start: Lsn, server_end: Lsn) -> Result<()>;
    /// WAL that follows what came before.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn wal(&mut self, bytes: &[u8]) -> Result<()>;
    /// How far the server is, and whether it wants a status update at once.
    ///
    /// # Errors
    /// When it cannot be answered.
    fn keepalive(&mut self, server_end: Lsn, reply: bool) -> Result<()>;
}

/// Where in the stream the next byte belongs.
#[derive(Debug, Default)]
pub struct WalFrames {
    /// The beginning of a message whose fixed part is not complete.
    head: Vec<u8>,
    /// Bytes of the present message that follow.
    left: usize,
    /// Whether they are WAL; else nobody knows them.
    wal: bool,
}

impl WalFrames {
    /// Takes the bytes that follow. Gives those of them, and of what was kept before, that belong to the first message
    /// that is not `CopyData`; nothing more may be given then.
    ///
    /// # Errors
    /// `POSTGRES_PROTOCOL` for messages that cannot be; what the sink fails with.
    pub fn push(&mut self, mut bytes: &[u8], sink: &mut dyn FrameSink) -> Result<Option<Vec<u8>>> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (now, later) = bytes.split_at(self.left.min(bytes.len()));
                if self.wal {
                    sink.wal(now)?;
                }
                self.left -= now.len();
                bytes = later;
                continue;
            }
            bytes = self.collect(bytes);
            if self.head[0] != COPY_DATA {
                let mut rest = std::mem::take(&mut self.head);
                rest.extend_from_slice(bytes);
                return Ok(Some(rest));
            }
            if self.is_complete()? {
                self.open(sink)?;
            }
        }
        Ok(None)
    }

    /// The beginning of a message that was not complete when the stream broke off.
    #[must_use]
    pub fn into_rest(self) -> Vec<u8> {
        self.head
    }

    /// Moves bytes of the fixed part over; gives those behind them.
    fn collect<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let wanted = match self.head.get(FRAME) {
            None if self.head.len() < FRAME => FRAME,
            None => FRAME + 1,
            Some(&kind) => FRAME + fixed_part(kind),
        };
        let (now, later) = bytes.split_at((wanted - self.head.len()).min(bytes.len()));
        self.head.extend_from_slice(now);
        later
    }

    /// Whether the fixed part is there; checks the length as soon as the kind is known.
    fn is_complete(&mut self) -> Result<bool> {
        if self.head.len() < FRAME {
            return Ok(false);
        }
        let length = u32::from_be_bytes([self.head[1], self.head[2], self.head[3], self.head[4]]) as usize;
        let Some(body) = length.checked_sub(4) else {
            return Err(Error::new(
                Code::Protocol,
                format!("the server sent a message of kind 0x64 with the impossible length {length}"),
            ));
        };
        if body == 0 {
            self.head.clear();
            return Ok(false);
        }
        let Some(&kind) = self.head.get(FRAME) else {
            return Ok(false);
        };
        let sound = match kind {
            XLOG_DATA => body >= XLOG_HEADER,
            KEEPALIVE => body == KEEPALIVE_SIZE,
            _ => true,
        };
        if !sound {
            return Err(Error::new(
                Code::Protocol,
                format!("the server sent a message of {body} bytes in the WAL stream"),
            )
            .hint("check that host and port name PostgreSQL itself and that nothing in between changes the data"));
        }
        let complete = self.head.len() == FRAME + fixed_part(kind);
        if complete {
            self.left = body - fixed_part(kind);
        }
        Ok(complete)
    }

    fn open(&mut self, sink: &mut dyn FrameSink) -> Result<()> {
        let kind = self.head[FRAME];
        self.wal = kind == XLOG_DATA;
        match kind {
            XLOG_DATA => sink.begin(self.number(1), self.number(9))?,
            KEEPALIVE => sink.keepalive(self.number(1), self.head[FRAME + 17] == 1)?,
            // Newer servers may have more to say.
            _ => {}
        }
        self.head.clear();
        Ok(())
    }

    /// The position that stands at `at` of the payload.
    fn number(&self, at: usize) -> Lsn {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.head[FRAME + at..FRAME + at + 8]);
        Lsn(u64::from_be_bytes(bytes))
    }
}

/// Bytes of the payload before anything of variable length.
fn fixed_part(kind: u8) -> usize {
    match kind {
        XLOG_DATA => XLOG_HEADER,
        KEEPALIVE => KEEPALIVE_SIZE,
        _ => 1,
    }
}

/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's times begin.
const EPOCH: i64 = 946_684_800_000_000;

/// A status update as a whole `CopyData` message. Nothing is ever applied here: that position is 0, so that
/// `remote_apply` waits for ever; anything else would be a lie.
#[must_use]
pub fn status_update(written: Lsn, flushed: Lsn, now: std::time::SystemTime, reply: bool) -> [u8; 39] {
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros())
        .unwrap_or(i64::MAX)
        .saturating_sub(EPOCH);
    let mut message = [0; 39];
    message[0] = COPY_DATA;
    message[1..5].copy_from_slice(&38_u32.to_be_bytes());
    message[5] = b'r';
    message[6..14].copy_from_slice(&written.0.to_be_bytes());
    message[14..22].copy_from_slice(&flushed.0.to_be_bytes());
    message[30..38].copy_from_slice(&micros.to_be_bytes());
    message[38] = u8::from(reply);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Eq)]
    struct Seen {
        begins: Vec<(u64, u64)>,
        wal: Vec<u8>,
        keepalives: Vec<(u64, bool)>,
    }

    impl FrameSink for Seen {
        fn begin(&mut self, start: Lsn, server_end: Lsn) -> Result<()> {
            self.begins.push((start.0, server_end.0));
            Ok(())
        }
        fn wal(&mut self, bytes: &[u8]) -> Result<()> {
            self.wal.extend_from_slice(bytes);
            Ok(())
        }
        fn keepalive(&mut self, server_end: Lsn, reply: bool) -> Result<()> {
            self.keepalives.push((server_end.0, reply));
            Ok(())
        }
    }

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn wal(start: u64, end: u64, payload: &[u8]) -> Vec<u8> {
        let mut body = vec![b'w'];
        body.extend(start.to_be_bytes());
        body.extend(end.to_be_bytes());
        body.extend([0; 8]);
        body.extend(payload);
        frame(b'd', &body)
    }

    fn keepalive(end: u64, reply: bool) -> Vec<u8> {
        let mut body = vec![b'k'];
        body.extend(end.to_be_bytes());
        body.extend([0; 8]);
        body.push(u8::from(reply));
        frame(b'd', &body)
    }

    fn stream() -> Vec<u8> {
        let mut bytes = wal(0x10, 0x99, b"abcdef");
        bytes.extend(keepalive(0x77, true));
        bytes.extend(frame(b'd', b""));
        bytes.extend(frame(b'd', b"z of a newer server"));
        bytes.extend(wal(0x16, 0x99, b""));
        bytes.extend(keepalive(0x78, false));
        bytes.extend(wal(0x16, 0x99, b"gh"));
        bytes
    }

    #[test]
    fn messages_are_taken_apart_wherever_they_are_torn() {
        let bytes = stream();
        let expected = Seen {
            begins: vec![(0x10, 0x99), (0x16, 0x99), (0x16, 0x99)],
            wal: b"abcdefgh".to_vec(),
            keepalives: vec![(0x77, true), (0x78, false)],
        };
        for size in 1..=bytes.len() {
            let mut frames = WalFrames::default();
            let mut seen = Seen::default();
            for piece in bytes.chunks(size) {
                assert_eq!(frames.push(piece, &mut seen).unwrap(), None);
            }
            assert_eq!(seen, expected, "pieces of {size}");
            assert!(frames.into_rest().is_empty());
        }
    }

    #[test]
    fn what_is_not_copy_data_is_handed_back_whole() {
        let mut bytes = stream();
        let end = frame(b'c', b"");
        let tail = [end.clone(), frame(b'C', b"COPY 0\0")].concat();
        bytes.extend(&tail);
        for size in 1..=bytes.len() {
            let mut frames = WalFrames::default();
            let mut seen = Seen::default();
            let mut rest = None;
            let mut given = 0;
            for piece in bytes.chunks(size) {
                given += piece.len();
                rest = frames.push(piece, &mut seen).unwrap();
                if rest.is_some() {
                    break;
                }
            }
            let mut rest = rest.unwrap();
            rest.extend(&bytes[given..]);
            assert_eq!(rest, tail, "pieces of {size}");
            assert_eq!(seen.wal, b"abcdefgh");
        }
    }

    #[test]
    fn a_message_that_breaks_off_is_no_message() {
        let bytes = keepalive(1, true);
        let mut frames = WalFrames::default();
        let mut seen = Seen::default();
        assert_eq!(frames.push(&bytes[..9], &mut seen).unwrap(), None);
        assert_eq!(seen, Seen::default());
        assert_eq!(frames.into_rest(), &bytes[..9]);
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        let short_wal = frame(b'd', b"w123");
        let long_keepalive = frame(b'd', &[b'k'; 19]);
        let impossible = [b'd', 0, 0, 0, 3];
        for bytes in [&short_wal[..], &long_keepalive[..], &impossible[..]] {
            let error = WalFrames::default()
                .push(bytes, &mut Seen::default())
                .unwrap_err();
            assert_eq!(error.code, Code::Protocol, "{error:?}");
        }
    }

    #[test]
    fn a_status_update_is_as_the_protocol_says() {
        let now = std::time::UNIX_EPOCH + std::time::Duration::from_micros(946_684_800_000_000 + 5);
        let message = status_update(Lsn(0x0102_0304_0506_0708), Lsn(9), now, true);
        let expected = [
            &b"d\0\0\0\x26r\x01\x02\x03\x04\x05\x06\x07\x08"[..],
            &[0, 0, 0, 0, 0, 0, 0, 9],
            &[0; 8],
            &[0, 0, 0, 0, 0, 0, 0, 5, 1],
        ]
        .concat();
        assert_eq!(&message[..], &expected[..]);
    }
}

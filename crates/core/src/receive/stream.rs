//! Archives that the server compresses: decoded on a thread of their own, so that the sender's thread only hands over
//! what it received.

use super::buffers::Buffers;
use super::front::Front;
use super::naming::Archive;
use super::shared::Shared;
use crate::codec::{Codec, decoder};
use crate::{Code, Error, Result};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const PIECE: usize = 256 * 1024;

enum Message {
    Begin(Archive),
    Bytes(Vec<u8>),
    End,
}

/// The sender's side of the decoding thread.
pub struct Stream {
    messages: Sender<Message>,
    thread: JoinHandle<Front>,
    open: bool,
}

impl Stream {
    /// Starts the thread.
    pub fn start(shared: Arc<Shared>, codec: Codec, mut front: Front) -> Result<Self> {
        let (messages, inbox) = unbounded();
        let work = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                decode_all(&shared, codec, &mut front, &inbox)
            }));
            let panicked = |_| {
                Err(Error::new(
                    Code::Internal,
                    "the decoder of the server's compression panicked",
                ))
            };
            if let Err(error) = outcome.unwrap_or_else(panicked) {
                shared.fail(error);
            }
            front
        };
        let thread = std::thread::Builder::new()
            .name("receive-decode".to_owned())
            .spawn(work);
        let refused = |error| Error::new(Code::Internal, format!("a thread cannot be started: {error}"));
        Ok(Self {
            messages,
            thread: thread.map_err(refused)?,
            open: false,
        })
    }

    /// The next archive begins.
    pub fn begin(&mut self, archive: Archive) {
        self.open = true;
        self.send(Message::Begin(archive));
    }

    /// The next bytes as the server sent them.
    pub fn push(&mut self, buffers: &Buffers, bytes: &[u8]) -> Result<()> {
        if !self.open {
            return Err(Error::new(
                Code::Usage,
                "archive data came before the beginning of an archive",
            ));
        }
        buffers.charge(bytes.len());
        self.send(Message::Bytes(bytes.to_vec()));
        Ok(())
    }

    /// The archive is complete.
    pub fn end(&mut self) -> Result<()> {
        if !self.open {
            return Err(Error::new(Code::Usage, "an archive ended that had not begun"));
        }
        self.open = false;
        self.send(Message::End);
        Ok(())
    }

    /// Whether an archive has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Waits until everything is decoded.
    pub fn finish(self) -> Result<Front> {
        drop(self.messages);
        self.thread
            .join()
            .map_err(|_| Error::new(Code::Internal, "the decoding thread panicked"))
    }

    /// A thread that is gone has left its error behind, which the next call of the receiver tells.
    fn send(&self, message: Message) {
        let _ = self.messages.send(message);
    }
}

fn decode_all(
    shared: &Arc<Shared>,
    codec: Codec,
    front: &mut Front,
    inbox: &Receiver<Message>,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while let Ok(message) = inbox.recv() {
        let Message::Begin(archive) = message else {
            return Err(Error::new(Code::Internal, "data outside of an archive"));
        };
        let name = format!("{} as compressed by the server", archive.name);
        front.begin(archive);
        let ended = Arc::new(AtomicBool::new(false));
        let source = Inbox {
            inbox: inbox.clone(),
            shared: Arc::clone(shared),
            current: Vec::new(),
            used: 0,
            ended: Arc::clone(&ended),
        };
        let mut plain = decoder(codec, Box::new(source));
        loop {
            shared.healthy()?;
            let count = plain
                .read(&mut piece)
                .map_err(|error| Error::reading(Path::new(&name), &error))?;
            if count == 0 {
                break;
            }
            front.push(&piece[..count])?;
        }
        if !ended.load(Ordering::Relaxed) {
            return Err(Error::corrupt(format!("{name} goes on after its end")));
        }
        front.end()?;
    }
    Ok(())
}

/// The bytes of one archive.
struct Inbox {
    inbox: Receiver<Message>,
    shared: Arc<Shared>,
    current: Vec<u8>,
    used: usize,
    ended: Arc<AtomicBool>,
}

impl Read for Inbox {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        while self.used == self.current.len() && !self.ended.load(Ordering::Relaxed) {
            self.shared
                .buffers
                .release(std::mem::take(&mut self.current).len());
            self.used = 0;
            match self.inbox.recv() {
                Ok(Message::Bytes(bytes)) => self.current = bytes,
                Ok(Message::End) => self.ended.store(true, Ordering::Relaxed),
                Ok(Message::Begin(_)) | Err(_) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let take = (self.current.len() - self.used).min(out.len());
        out[..take].copy_from_slice(&self.current[self.used..self.used + take]);
        self.used += take;
        Ok(take)
    }
}

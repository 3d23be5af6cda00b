//! Stored segments read and decoded ahead of whoever looks into them, in order.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use super::stored::StoredSegment;
use crate::cipher::MasterSecret;
use crate::restore::Job;
use crate::{Code, Error, Result};

const PIECE: usize = 256 * 1024;
/// Bytes that are held ready at most, of all segments together.
const BUDGET: usize = 32 << 20;

/// Plain bytes of a segment, or why there are no more.
type Piece = Result<Vec<u8>>;

/// Calls `consume` with the pieces of each segment, one after the other: the index of the segment and its next bytes, or
/// the error that ended it. An empty piece is its end. `workers` threads read and decode ahead. `Break` ends it all.
///
/// # Errors
/// [`Code::Cancelled`]; [`Code::Internal`] when a thread died.
pub(super) fn read_ahead(
    segments: &[StoredSegment],
    workers: usize,
    secret: Option<&MasterSecret>,
    job: &Job,
    mut consume: impl FnMut(usize, Result<&[u8]>) -> ControlFlow<()>,
) -> Result<()> {
    let workers = workers.clamp(1, 64).min(segments.len().max(1));
    // Each thread fills one segment; as many full ones may wait.
    let pieces = (BUDGET / PIECE / (2 * workers)).max(2);
    let (order, in_order) = bounded::<Receiver<Piece>>(workers);
    let (spent, free) = unbounded::<Vec<u8>>();
    let queue = Queue {
        next: Mutex::new(0),
        done: AtomicBool::new(false),
        count: segments.len(),
        pieces,
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|_| {
                // Its own end of the channel: when all threads have ended, or died, the consumer sees it.
                let (order, free, queue) = (order.clone(), free.clone(), &queue);
                scope.spawn(move || {
                    while let Some((index, sender)) = queue.take(&order) {
                        if let Err(error) = send_pieces(&segments[index], secret, job, &sender, &free) {
                            // Nobody listens when the consumer is done with this segment.
                            let _ = sender.send(Err(error));
                        }
                    }
                })
            })
            .collect();
        drop(order);
        let result = consume_all(&in_order, job, &spent, &mut consume);
        queue.done.store(true, Ordering::Relaxed);
        // Threads that wait for room in a segment go on when nobody wants it any more, and then end.
        while in_order.recv().is_ok() {}
        let died = threads
            .into_iter()
            .filter_map(|thread| thread.join().err())
            .count();
        if died > 0 {
            return Err(Error::new(Code::Internal, "a thread that reads WAL died"));
        }
        result
    })
}

/// Which segment is read next.
struct Queue {
    next: Mutex<usize>,
    done: AtomicBool,
    count: usize,
    pieces: usize,
}

impl Queue {
    /// The next segment nobody reads yet, and where its pieces go. The lock is held while its place in the order is
    /// taken, so that the order is right.
    fn take(&self, order: &Sender<Receiver<Piece>>) -> Option<(usize, Sender<Piece>)> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let index = *next;
        if index >= self.count || self.done.load(Ordering::Relaxed) {
            return None;
        }
        let (sender, receiver) = bounded(self.pieces);
        order.send(receiver).ok()?;
        *next += 1;
        Some((index, sender))
    }
}

fn send_pieces(
    segment: &StoredSegment,
    secret: Option<&MasterSecret>,
    job: &Job,
    sender: &Sender<Piece>,
    free: &Receiver<Vec<u8>>,
) -> Result<()> {
    let mut reader = segment.open(secret)?;
    loop {
        job.check()?;
        let mut piece = free.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        let count = segment.read(&mut reader, &mut piece)?;
        piece.truncate(count);
        if sender.send(Ok(piece)).is_err() || count == 0 {
            return Ok(());
        }
    }
}

fn consume_all(
    in_order: &Receiver<Receiver<Piece>>,
    job: &Job,
    spent: &Sender<Vec<u8>>,
    consume: &mut impl FnMut(usize, Result<&[u8]>) -> ControlFlow<()>,
) -> Result<()> {
    let mut index = 0;
    while let Ok(pieces) = in_order.recv() {
        loop {
            job.check()?;
            let Ok(piece) = pieces.recv() else { break };
            let ended = !matches!(&piece, Ok(bytes) if !bytes.is_empty());
            let flow = match piece {
                Ok(bytes) => {
                    job.add_bytes(bytes.len());
                    let flow = consume(index, Ok(&bytes));
                    let _ = spent.send(bytes);
                    flow
                }
                Err(error) if error.code == Code::Cancelled => return Err(error),
                Err(error) => consume(index, Err(error)),
            };
            if flow.is_break() {
                return Ok(());
            }
            if ended {
                break;
            }
        }
        job.add_file();
        index += 1;
    }
    Ok(())
}

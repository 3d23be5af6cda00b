//! Buffers that are used again, and the count of bytes in flight that tells the sender when to pause.

use crate::codec::EncodedFrame;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A piece of plain bytes.
pub type Buffer = Box<[u8]>;

/// Called once, from any thread, when less than half of the budget is in flight.
pub type Waker = Box<dyn FnOnce() + Send>;

/// Takes a lock whose holder cannot leave the value half changed, so poisoning means nothing.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All buffers of one receiver.
pub struct Buffers {
    size: usize,
    budget: usize,
    in_flight: AtomicUsize,
    plain: Mutex<Vec<Buffer>>,
    frames: Mutex<Vec<EncodedFrame>>,
    waiting: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Buffers {
    /// Buffers of `size` bytes each, together about `budget` bytes. A budget below eight buffers is raised to that: one
    /// batch and one frame are always being filled, and who waits for them to be given back would wait for ever.
    pub fn new(size: usize, budget: usize) -> Self {
        Self {
            size,
            budget: budget.max(8 * size),
            in_flight: AtomicUsize::new(0),
            plain: Mutex::new(Vec::new()),
            frames: Mutex::new(Vec::new()),
            waiting: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// Bytes of one buffer.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A buffer with whatever it held before.
    pub fn take(&self) -> Buffer {
        self.charge(self.size);
        let spare = lock(&self.plain).pop();
        spare.unwrap_or_else(|| vec![0; self.size].into_boxed_slice())
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: Buffer) {
        lock(&self.plain).push(buffer);
        self.release(self.size);
    }

    /// A frame to encode into. What it holds is counted once it is known, by `charge_frame`.
    pub fn take_frame(&self) -> EncodedFrame {
        lock(&self.frames).pop().unwrap_or_default()
    }

    /// Counts an encoded frame until it is given back.
    pub fn charge_frame(&self, frame: &EncodedFrame) {
        self.charge(frame.data.capacity());
    }

    /// Gives a counted frame back.
    pub fn give_frame(&self, frame: EncodedFrame) {
        let held = frame.data.capacity();
        lock(&self.frames).push(frame);
        self.release(held);
    }

    /// Counts bytes that are held elsewhere.
    pub fn charge(&self, bytes: usize) {
        self.in_flight.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes no more, and wakes who waits for it.
    pub fn release(&self, bytes: usize) {
        let before = self.in_flight.fetch_sub(bytes, Ordering::SeqCst);
        if before.saturating_sub(bytes) < self.budget / 2 && self.waiting.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Whether the sender may go on.
    pub fn below_budget(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) < self.budget
    }

    /// Calls `waker` as soon as less than half of the budget is in flight: at once if that is so already. A waker set
    /// before is called too.
    pub fn on_drained(&self, waker: Waker) {
        let earlier = lock(&self.waker).replace(waker);
        self.waiting.store(true, Ordering::SeqCst);
        if let Some(earlier) = earlier {
            earlier();
        }
        if self.in_flight.load(Ordering::SeqCst) < self.budget / 2 {
            self.wake();
        }
    }

    /// Wakes who waits, whatever is in flight.
    pub fn wake(&self) {
        self.waiting.store(false, Ordering::SeqCst);
        let waker = lock(&self.waker).take();
        if let Some(waker) = waker {
            waker();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_waker_is_called_once_below_half() {
        let buffers = Buffers::new(10, 40);
        assert!(
            (0..8).all(|_| buffers.below_budget() && !buffers.take().is_empty()) && !buffers.below_budget()
        );
        let buffers = Buffers::new(10, 80);
        let calls = Arc::new(AtomicUsize::new(0));
        let waker = || {
            let calls = Arc::clone(&calls);
            Box::new(move || {
                calls.fetch_add(1, Ordering::SeqCst);
            })
        };
        buffers.on_drained(waker());
        assert_eq!(calls.load(Ordering::SeqCst), 1, "nothing is in flight");
        let held: Vec<_> = (0..8).map(|_| buffers.take()).collect();
        assert!(!buffers.below_budget());
        buffers.on_drained(waker());
        for (given, buffer) in held.into_iter().enumerate() {
            buffers.give(buffer);
            assert_eq!(calls.load(Ordering::SeqCst), if given < 4 { 1 } else { 2 });
        }
        assert!(buffers.below_budget());
    }
}

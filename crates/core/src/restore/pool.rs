//! A few threads that take numbered work, each with a state of its own, until one fails.

use super::job::Job;
use crate::{Code, Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Runs `work` for each of `0..count`, in this order of starting, on `workers` threads. `work` answers whether to go
/// on; what went wrong it keeps itself. Returns when all threads are done.
///
/// # Errors
/// `CANCELLED`; `INTERNAL` when a thread died.
pub fn run_pool<S>(
    workers: usize,
    count: usize,
    job: &Job,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> bool + Sync,
) -> Result<()> {
    let next = AtomicUsize::new(0);
    let loop_of_one = || {
        let mut own = state();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || job.check().is_err() {
                return;
            }
            if !work(&mut own, index) {
                next.store(count, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..workers.clamp(1, 256).min(count))
            .map(|_| scope.spawn(loop_of_one))
            .collect();
        for thread in threads {
            if thread.join().is_err() {
                return Err(Error::new(Code::Internal, "a thread of the operation died"));
            }
        }
        job.check()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    #[test]
    fn all_work_is_done_once_and_a_failure_stops_it() {
        let sum = AtomicU64::new(0);
        let add = |(): &mut (), index: usize| sum.fetch_add(index as u64, Ordering::Relaxed) < u64::MAX;
        run_pool(3, 1000, &Job::default(), || (), add).unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), 499_500);

        let seen = AtomicU64::new(0);
        run_pool(
            2,
            1_000_000,
            &Job::default(),
            || (),
            |(), _| seen.fetch_add(1, Ordering::Relaxed) < 10,
        )
        .unwrap();
        assert!(seen.load(Ordering::Relaxed) < 100);

        let job = Job::default();
        job.cancel();
        assert_eq!(
            run_pool(2, 5, &job, || (), |(), _| true).unwrap_err().code,
            Code::Cancelled
        );
    }
}

//! What handing a job through a trait object costs when nothing else happens.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::hint::black_box;
use std::ptr::NonNull;

use crate::error::{RawError, within};
use crate::limit::{Limit, timed};
use crate::placement::{Placement, pin};

/// The floor of any framework with a queue trait: submit and poll of job *pointers* through a `dyn` object on one
/// thread, the status written into the job.
///
/// One operation is one job: its length and status set by the caller, its pointer submitted, its status written by the
/// queue, its pointer polled. `burst` jobs go with one call of each kind.
#[derive(Debug)]
pub struct DynQueue {
    name: String,
    placement: Placement,
    burst: usize,
    jobs: Jobs,
    queue: Opaque,
}

/// A job that its caller owns; only its address travels.
#[derive(Debug)]
#[repr(C, align(64))]
struct Job {
    source: usize,
    destination: usize,
    length: u32,
    operation: u32,
    status: u32,
    token: u64,
}

const NEW: u32 = 0;
const DONE: u32 = 1;

/// Jobs that are used in turn.
const JOBS: usize = 256;

/// Places in the queue's ring.
const PLACES: usize = 1024;

trait Queue {
    /// Takes jobs from the front of the list, as many as there is room for, and says how many.
    ///
    /// # Safety
    ///
    /// The jobs stay valid, and are touched by nobody else, until they have been polled.
    unsafe fn submit(&mut self, jobs: &[NonNull<Job>]) -> usize;

    /// Hands finished jobs back and says how many.
    fn poll(&mut self, finished: &mut [NonNull<Job>]) -> usize;
}

struct NullQueue {
    ring: Box<[NonNull<Job>; PLACES]>,
    head: usize,
    tail: usize,
}

impl Queue for NullQueue {
    unsafe fn submit(&mut self, jobs: &[NonNull<Job>]) -> usize {
        let n = jobs.len().min(PLACES - (self.tail - self.head));
        for (i, job) in jobs[..n].iter().enumerate() {
            self.ring[(self.tail + i) % PLACES] = *job;
        }
        self.tail += n;
        n
    }

    fn poll(&mut self, finished: &mut [NonNull<Job>]) -> usize {
        let n = finished.len().min(self.tail - self.head);
        for (i, out) in finished[..n].iter_mut().enumerate() {
            let job = self.ring[(self.head + i) % PLACES];
            // SAFETY: between `head` and `tail` stand jobs that were submitted and not yet polled: valid, and nobody
            // else's, as the contract of `submit` has it.
            unsafe { (&raw mut (*job.as_ptr()).status).write(DONE) };
            *out = job;
        }
        self.head += n;
        n
    }
}

/// A queue whose type the optimiser has been made to forget.
struct Opaque(Box<dyn Queue + Send>);

impl std::fmt::Debug for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("dyn Queue")
    }
}

// SAFETY: the pointers in the ring are to jobs of `Jobs`, plain memory without ties to a thread, and are used by whoever
// holds the `DynQueue` exclusively.
unsafe impl Send for NullQueue {}

/// The jobs, in memory that is reached through raw pointers only, so that the pointers in the ring stay valid when
/// their owner moves.
#[derive(Debug)]
struct Jobs {
    first: NonNull<Job>,
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Jobs {}

impl Jobs {
    const LAYOUT: Layout = Layout::new::<[Job; JOBS]>();

    fn new() -> Self {
        // SAFETY: the layout is not of size zero.
        let Some(first) = NonNull::new(unsafe { alloc(Self::LAYOUT) }.cast::<Job>()) else {
            handle_alloc_error(Self::LAYOUT)
        };
        for i in 0..JOBS {
            let job = Job { source: 0, destination: 0, length: 0, operation: 0, status: NEW, token: i as u64 };
            // SAFETY: `i` is inside the allocation, which is aligned for a job.
            unsafe { first.add(i).write(job) };
        }
        Self { first }
    }

    fn pointers(&self) -> Vec<NonNull<Job>> {
        // SAFETY: each index is inside the allocation.
        (0..JOBS).map(|i| unsafe { self.first.add(i) }).collect()
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; a job has nothing to drop; the queue, which goes with the same
        // owner, does not look at pointers when it is dropped.
        unsafe { dealloc(self.first.as_ptr().cast(), Self::LAYOUT) }
    }
}

impl DynQueue {
    /// A queue that is driven with `burst` jobs at a time, from 1 to 256.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`].
    pub fn new(placement: Placement, burst: usize) -> Result<Self, RawError> {
        within("the burst", burst as u64, 1, JOBS as u64)?;
        let jobs = Jobs::new();
        let ring = Box::new([jobs.first; PLACES]);
        let queue: Box<dyn Queue + Send> = Box::new(NullQueue { ring, head: 0, tail: 0 });
        Ok(Self { name: format!("dynqueue/burst-{burst}"), placement, burst, jobs, queue: Opaque(black_box(queue)) })
    }
}

impl Limit for DynQueue {
    fn name(&self) -> &str {
        &self.name
    }

    fn explanation(&self) -> &'static str {
        "job pointers submitted to and polled from a null queue behind a trait object, on one thread"
    }

    fn suggested_operations(&self) -> u64 {
        4_000_000
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        let jobs = self.jobs.pointers();
        let mut finished = [self.jobs.first; JOBS];
        let queue = &mut self.queue.0;
        let mut in_order = true;
        let mut at = 0;
        let ns = timed(operations, |n| {
            let mut left = n;
            while left > 0 {
                // The last burst of a repetition may be shorter.
                let burst = usize::try_from(left).map_or(self.burst, |left| left.min(self.burst));
                if at + burst > JOBS {
                    at = 0;
                }
                let batch = &jobs[at..at + burst];
                for job in batch {
                    // SAFETY: all jobs have been polled, so the caller may write them.
                    unsafe {
                        (&raw mut (*job.as_ptr()).length).write(64);
                        (&raw mut (*job.as_ptr()).status).write(NEW);
                    }
                }
                // SAFETY: the jobs live as long as `self`, and are polled before they are touched again.
                let taken = unsafe { queue.submit(black_box(batch)) };
                let back = queue.poll(&mut finished[..burst]);
                in_order &= taken == burst && back == burst && finished[0] == batch[0];
                black_box(&finished);
                at += burst;
                left -= burst as u64;
            }
            Ok(())
        })?;
        if in_order { Ok(ns) } else { Err(RawError::OutOfOrder { limit: self.name.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_back_done_and_in_order() {
        let cpu = Placement::detect().expect("placement");
        let mut queue = DynQueue::new(cpu, 4).expect("burst in range");
        let jobs = queue.jobs.pointers();
        // SAFETY: the jobs live as long as `queue`; they are looked at only after the poll.
        assert_eq!(unsafe { queue.queue.0.submit(&jobs) }, JOBS);
        let mut out = vec![queue.jobs.first; JOBS + 1];
        assert_eq!(queue.queue.0.poll(&mut out), JOBS);
        assert_eq!(out[..JOBS], jobs);
        for (i, job) in jobs.iter().enumerate() {
            // SAFETY: polled, so the caller's again.
            let (status, token) = unsafe { ((*job.as_ptr()).status, (*job.as_ptr()).token) };
            assert_eq!((status, token), (DONE, i as u64));
        }
        assert_eq!(queue.queue.0.poll(&mut out), 0);
    }

    #[test]
    fn a_full_queue_takes_what_fits() {
        let cpu = Placement::detect().expect("placement");
        let mut queue = DynQueue::new(cpu, 1).expect("burst in range");
        let jobs = queue.jobs.pointers();
        for _ in 0..PLACES / JOBS {
            // SAFETY: the jobs live as long as `queue`; submitting one twice only writes its status twice.
            assert_eq!(unsafe { queue.queue.0.submit(&jobs) }, JOBS);
        }
        // SAFETY: as above.
        assert_eq!(unsafe { queue.queue.0.submit(&jobs) }, 0);
    }

    #[test]
    fn odd_bursts_and_odd_counts_work_and_the_queue_may_move() {
        let cpu = Placement::detect().expect("placement");
        for burst in [1, 3, 32, 255, 256] {
            let queue = DynQueue::new(cpu, burst).expect("burst in range");
            let mut moved = Box::new(queue);
            for n in [1, 31, 1000] {
                let ns = moved.measure(n).expect("in order");
                assert!(ns.is_finite() && ns > 0.0);
            }
        }
        assert!(DynQueue::new(cpu, 0).is_err());
        assert!(DynQueue::new(cpu, 257).is_err());
    }
}

//! The halves of a queue on two threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use uaccel_queue::{Batch, Cells, Done, JobFlags, OpenQueue, Operation, QueueRequest, Quiet, Status};

use crate::Backend;

/// Jobs that go through.
const JOBS: u64 = 30_000;

/// One thread submits, another polls, slots travel back; nothing is lost, doubled or mixed up.
pub fn halves_on_two_threads(backend: &dyn Backend) {
    let depth = backend.depth();
    let transport = backend.bus().open(&backend.device()).expect("the bus has the device");
    let cells = Arc::new(Cells::new(depth));
    let opened = backend.driver().open(Arc::clone(&transport), Arc::clone(&cells), &QueueRequest::new(depth));
    let OpenQueue { granted, mut submitter, mut completer } = opened.expect("the driver opens a queue");
    if !granted.operations.contains(Operation::Fill) {
        return;
    }
    // One word per slot, written by the device.
    let words: Arc<Vec<std::sync::atomic::AtomicU64>> = Arc::new((0..depth).map(|_| Default::default()).collect());
    let (give_back, freed) = mpsc::channel::<u32>();
    let stuck = Arc::new(AtomicBool::new(false));
    let patience = backend.patience();

    let polling = {
        let (cells, words, stuck) = (Arc::clone(&cells), Arc::clone(&words), Arc::clone(&stuck));
        std::thread::spawn(move || {
            let mut slots = vec![0; depth];
            let mut answered = 0;
            let mut last = Instant::now();
            while answered < JOBS {
                // SAFETY: this thread has the only completer.
                let mut done = unsafe { Done::new(&cells, &mut slots) };
                if let Err(error) = completer.poll(&mut done) {
                    stuck.store(true, Ordering::Relaxed);
                    panic!("{error}");
                }
                for slot in done.slots() {
                    // SAFETY: just answered, and not given back yet.
                    let (outcome, job) = unsafe { (cells.outcome(*slot as usize), cells.job(*slot as usize)) };
                    let found = words[*slot as usize].load(Ordering::Relaxed);
                    let right = outcome.status == Status::Ok && (!granted.effective || found == job.pattern());
                    if !right {
                        stuck.store(true, Ordering::Relaxed);
                        panic!("{outcome:?}, {found:#x} instead of {:#x}", job.pattern());
                    }
                    answered += 1;
                    last = Instant::now();
                    // The other thread is gone when it has given up.
                    let _ = give_back.send(*slot);
                }
                if last.elapsed() > patience {
                    stuck.store(true, Ordering::Relaxed);
                    panic!("{answered} of {JOBS} answered");
                }
                if slots.is_empty() {
                    std::thread::yield_now();
                }
            }
            answered
        })
    };

    let mut free: Vec<u32> = (0..u32::try_from(depth).expect("a depth")).collect();
    let mut built: Vec<u32> = Vec::new();
    let (mut next, mut submitted) = (1_u64, 0);
    while submitted < JOBS && !stuck.load(Ordering::Relaxed) {
        free.extend(freed.try_iter());
        while built.len() < 5 && next <= JOBS {
            let Some(slot) = free.pop() else { break };
            // SAFETY: the slot is free.
            unsafe {
                cells.build(slot as usize, |job| {
                    job.operation = Operation::Fill;
                    job.flags = JobFlags::VOUCHED;
                    job.destination = words[slot as usize].as_ptr().cast();
                    job.destination_len = 8;
                    job.immediate[..8].copy_from_slice(&next.to_le_bytes());
                });
            }
            next += 1;
            built.push(slot);
        }
        // SAFETY: built above, each once, and not in flight.
        let batch = unsafe { Batch::new(&cells, &built) };
        // SAFETY: the words live until the device is quiet, and each is one job's only.
        let accepted = unsafe { submitter.submit(&batch) }.expect("the queue works");
        built.drain(..accepted);
        submitted += accepted as u64;
        if accepted == 0 {
            std::thread::yield_now();
        }
    }
    let answered = polling.join();
    if transport.stop(Duration::from_secs(5)).unwrap_or(Quiet::Unproven) == Quiet::Unproven {
        std::mem::forget(Arc::clone(&words));
    }
    assert_eq!(answered.expect("the polling thread is content"), JOBS);
}

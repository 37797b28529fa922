//! The threads that compute, apart from the emulator's big lock.

use core::fmt;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use nix::sys::signal::SigSet;
use uaccel_queue::{Outcome, Status};
use uaccel_sim::{WorkItem, stages};
use uaccel_units::Scratch;

/// An item on its way to a worker and back. It holds its staging, and nothing of the guest.
#[derive(Debug)]
pub(crate) struct Errand {
    /// Whose it is.
    pub(crate) queue: usize,
    /// In which of the queue's lives: results for an earlier one are dropped.
    pub(crate) life: u64,
    pub(crate) item: WorkItem,
}

/// The threads that compute. They see staging only: no port, no lock of the emulator.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    work: Mutex<Work>,
    arrived: Condvar,
    done: Mutex<Vec<Errand>>,
}

#[derive(Default)]
struct Work {
    errands: VecDeque<Errand>,
    shut: bool,
}

impl Workers {
    /// Starts `count` threads. After each errand one calls `done`.
    pub(crate) fn start(count: usize, done: impl Fn() + Clone + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared { work: Mutex::default(), arrived: Condvar::new(), done: Mutex::default() });
        // Whatever was started ends with this value.
        let mut workers = Self { shared, threads: Vec::new() };
        for index in 0..count {
            let (shared, done) = (workers.shared.clone(), done.clone());
            let thread = thread::Builder::new().name(format!("compute-{index}")).spawn(move || shared.run(&done))?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// Gives an errand to whoever is free.
    pub(crate) fn send(&self, errand: Errand) {
        self.shared.work().errands.push_back(errand);
        self.shared.arrived.notify_one();
    }

    /// Takes back what is done.
    pub(crate) fn take_done(&self) -> Vec<Errand> {
        mem::take(&mut *self.shared.done())
    }

    /// Drops the errands of a queue that nobody has begun.
    pub(crate) fn forget(&self, queue: usize) {
        self.shared.work().errands.retain(|errand| errand.queue != queue);
    }
}

impl Shared {
    fn run(&self, done: &impl Fn()) {
        // The emulator's signals are for its own threads. Should it fail, they get one that means nothing to us.
        let _ = SigSet::all().thread_block();
        let mut scratch = Scratch::new();
        while let Some(mut errand) = self.next() {
            let item = &mut errand.item;
            // A bug in a library below must not take the machine down.
            if panic::catch_unwind(AssertUnwindSafe(|| stages::compute(item, &mut scratch))).is_err() {
                errand.item.finish(Outcome::failed(Status::DeviceError));
                scratch = Scratch::new();
            }
            self.done().push(errand);
            done();
        }
    }

    fn next(&self) -> Option<Errand> {
        let mut work = self.work();
        loop {
            if work.shut {
                return None;
            }
            if let Some(errand) = work.errands.pop_front() {
                return Some(errand);
            }
            work = self.arrived.wait(work).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn done(&self) -> MutexGuard<'_, Vec<Errand>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.work().shut = true;
        self.shared.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // A worker catches what its work throws; there is nobody to tell of anything else.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

//! Memory that is pinned when the device asks for it, page by page, while a job that names it is in flight.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use uaccel_queue::{DeviceMemory, FaultKind, Uncovered};

use super::memory::PinnedMemory;
use crate::sys::signal::{self, Bell};
use crate::sys::vfio::iommufd::{FaultQueue, PageRequest};

/// What jobs in flight may touch. Pages are pinned on request, for the job that named them; when it is answered they go again, so that nothing is pinned that
/// the program could give back meanwhile.
#[derive(Debug)]
pub(super) struct OnDemand {
    memory: Arc<PinnedMemory>,
    permits: Mutex<Vec<Permit>>,
    /// Rung when this ends.
    over: Arc<Bell>,
}

/// A range that a job in flight names.
#[derive(Debug)]
struct Permit {
    start: usize,
    len: usize,
    write: bool,
    /// Pages that were pinned for it.
    pages: Vec<(usize, usize)>,
}

/// How long to sleep at a time; everything wakes the sleeper, so this is long.
const NAP: Duration = Duration::from_secs(3600);

impl OnDemand {
    /// Answers the page requests of a queue until this is dropped.
    pub(super) fn start(memory: Arc<PinnedMemory>, faults: FaultQueue) -> io::Result<Arc<Self>> {
        let over = Arc::new(Bell::new()?);
        let memory = Arc::new(Self { memory, permits: Mutex::default(), over: over.clone() });
        let weak = Arc::downgrade(&memory);
        thread::Builder::new().name("uaccel-faults".to_owned()).spawn(move || serve(&faults, &weak, &over))?;
        Ok(memory)
    }

    /// Pins a page that was asked for, if a job in flight names it; says whether it is there.
    fn bring(&self, request: PageRequest) -> bool {
        let Ok(address) = usize::try_from(request.address) else { return false };
        let page = self.memory.reach().page;
        let start = address - address % page;
        let mut permits = self.permits();
        // The page holds a byte of the range.
        let names = |permit: &&mut Permit| {
            (permit.write || !request.write)
                && permit.start < start.saturating_add(page)
                && start < permit.start + permit.len
        };
        let Some(permit) = permits.iter_mut().find(names) else { return false };
        let access = if request.write { FaultKind::Write } else { FaultKind::Read };
        match self.memory.register(start, page, access) {
            Ok(()) => {
                permit.pages.push((start, page));
                true
            }
            Err(error) => {
                tracing::debug!(%error, "a page that was asked for cannot be had");
                false
            }
        }
    }

    fn permits(&self) -> MutexGuard<'_, Vec<Permit>> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceMemory for OnDemand {
    fn cover(&self, start: usize, len: usize, access: FaultKind) -> Result<(), Uncovered> {
        if len == 0 {
            return Ok(());
        }
        if self.memory.has_ended() {
            return Err(Uncovered::Gone);
        }
        self.memory.check_reach(start, len, access)?;
        self.permits().push(Permit { start, len, write: access == FaultKind::Write, pages: Vec::new() });
        Ok(())
    }

    fn release(&self, start: usize, len: usize) {
        if len == 0 {
            return;
        }
        let mut permits = self.permits();
        let at = permits.iter().position(|permit| (permit.start, permit.len) == (start, len));
        let Some(permit) = at.map(|at| permits.swap_remove(at)) else { return };
        // Before anybody else can ask for them.
        for (start, len) in permit.pages {
            self.memory.unregister(start, len);
        }
    }
}

impl Drop for OnDemand {
    fn drop(&mut self) {
        self.over.ring();
    }
}

fn serve(faults: &FaultQueue, memory: &Weak<OnDemand>, over: &Bell) {
    use std::os::fd::AsFd as _;
    loop {
        let waiting = match signal::sleep_on(&[faults.as_fd(), over.as_fd()], NAP) {
            Ok(rung) => rung,
            Err(error) => {
                tracing::error!(%error, "page requests are not answered any more");
                return;
            }
        };
        // Requests that nobody answers are refused by the kernel when the queue is closed.
        if waiting[1] {
            return;
        }
        if !waiting[0] {
            continue;
        }
        let Some(memory) = memory.upgrade() else { return };
        let requests = match faults.read() {
            Ok(requests) => requests,
            Err(error) => {
                tracing::error!(%error, "page requests cannot be read");
                return;
            }
        };
        for group in requests.chunk_by(|a, b| a.group == b.group) {
            // All of them, also behind one that cannot be had.
            let granted = group.iter().filter(|request| memory.bring(**request)).count() == group.len();
            if let Err(error) = faults.answer(group[0].group, granted) {
                tracing::error!(%error, "a page request cannot be answered");
            }
        }
    }
}

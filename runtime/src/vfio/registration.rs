//! Memory that devices reach for as long as it is registered, whatever jobs there are.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use uaccel_queue::{FaultKind, Uncovered};

use super::memory::PinnedMemory;

/// A range of this process's memory that stays where it is, and the address spaces in which it is pinned, until this is dropped.
#[derive(Debug)]
pub(super) struct Registration(Arc<Range>);

/// What is to be registered with devices that are opened later, too.
pub(super) type Wish = Weak<Range>;

/// A range, for whoever wants to register it while it is there.
#[derive(Debug)]
pub(super) struct Range {
    start: usize,
    len: usize,
    /// `None` when it is no more.
    known: Mutex<Option<Vec<Weak<PinnedMemory>>>>,
}

impl Registration {
    /// A range that nobody knows yet.
    pub(super) fn new(start: usize, len: usize) -> Self {
        Self(Arc::new(Range { start, len, known: Mutex::new(Some(Vec::new())) }))
    }

    /// Pins it in an address space.
    pub(super) fn add(&self, memory: &Arc<PinnedMemory>) -> Result<(), Uncovered> {
        self.0.add(memory)
    }

    /// For devices that come later.
    pub(super) fn wish(&self) -> Wish {
        Arc::downgrade(&self.0)
    }
}

impl Range {
    /// Pins it in an address space, if it is still there.
    pub(super) fn add(&self, memory: &Arc<PinnedMemory>) -> Result<(), Uncovered> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = &mut *known else { return Ok(()) };
        let new = Arc::downgrade(memory);
        known.retain(|old| old.strong_count() > 0);
        if !known.iter().any(|old| old.ptr_eq(&new)) {
            memory.register(self.start, self.len, FaultKind::Write)?;
            known.push(new);
        }
        Ok(())
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        // With the lock, so that nobody pins it afterwards who has found it just before.
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        for memory in known.take().into_iter().flatten().filter_map(|known| known.upgrade()) {
            memory.unregister(self.0.start, self.0.len);
        }
    }
}

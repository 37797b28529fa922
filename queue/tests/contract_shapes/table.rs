//! What the shapes' tests are made of: ring memory, a transport that records, and a table with jobs.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use uaccel_queue::{
    AddressMode, Batch, Cells, Completer, DeviceError, Done, Job, Outcome, Quiet, Region, RingMemory, Submitter, Token,
    Transport, TransportError, Wake,
};

/// The device's address of ring memory.
pub(crate) const BASE: u64 = 0x4000_0000;

#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

pub(crate) fn ring_memory(len: usize) -> RingMemory {
    let pages: Arc<[Page]> = (0..len.div_ceil(4096)).map(|_| Page([const { AtomicU64::new(0) }; 512])).collect();
    let host = NonNull::from(&pages[0]).cast();
    // SAFETY: zeroed atomics, kept by the keeper.
    unsafe { RingMemory::new(host, BASE, len, Arc::new(pages)) }
}

/// Records descriptors, and takes only so many of them.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) descriptors: Mutex<Vec<[u64; 8]>>,
    pub(crate) takes: AtomicU64,
}

impl Transport for Recorder {
    fn regions(&self) -> &[Region] {
        &[]
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        Ok(ring_memory(len))
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        panic!("a doorbell at {offset:#x}: {value}")
    }

    fn enqueue(&self, descriptors: &[[u64; 8]]) -> Result<usize, TransportError> {
        let takes = usize::try_from(self.takes.load(Ordering::Relaxed)).expect("small").min(descriptors.len());
        self.descriptors.lock().expect("no panic inside").extend(&descriptors[..takes]);
        Ok(takes)
    }

    fn sleep(&self, _until: Option<Instant>) -> Result<Wake, TransportError> {
        Ok(Wake::TimedOut)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
        Ok(Quiet::Proven)
    }

    fn reset(&self, _within: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

pub(crate) fn build(cells: &Cells, slot: u32, build: impl FnOnce(&mut Job)) -> Token {
    // SAFETY: the tests use each slot for one job at a time.
    unsafe {
        cells.build(slot as usize, |job| {
            build(job);
            job.token
        })
    }
}

pub(crate) fn submit(cells: &Cells, submitter: &mut dyn Submitter, slots: &[u32]) -> Result<usize, Box<DeviceError>> {
    // SAFETY: the slots were built and are not in flight; no device touches the memory of the jobs.
    unsafe { submitter.submit(&Batch::new(cells, slots)) }
}

pub(crate) fn poll(cells: &Cells, completer: &mut dyn Completer) -> Result<Vec<(u32, Outcome)>, DeviceError> {
    let mut slots = [0; 16];
    // SAFETY: the only completer.
    let mut done = unsafe { Done::new(cells, &mut slots) };
    completer.poll(&mut done).map_err(|error| *error)?;
    // SAFETY: just answered.
    Ok(done.slots().iter().map(|slot| (*slot, unsafe { cells.outcome(*slot as usize) })).collect())
}

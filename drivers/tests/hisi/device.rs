//! Two hardware queues, and the way to both.

use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS};
use uaccel_queue::{
    AddressMode, CopyError, Fault, FaultKind, Quiet, Region, RingMemory, Transport, TransportError, Wake,
};

use crate::part::{Nature, Part};

/// How the transport copies memory that nobody vouches for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Copies {
    /// Not at all.
    Refused,
    /// As if all was good but for the addresses from this one on.
    Below(usize),
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) compress: Arc<Part>,
    pub(crate) decompress: Arc<Part>,
    parts: Vec<Arc<dyn Transport>>,
    /// How often the driver has signalled.
    pub(crate) signals: AtomicU64,
    pub(crate) copies: Mutex<Copies>,
}

impl Device {
    /// One with rings of so many places, that answers when the test says so.
    pub(crate) fn new(places: u16) -> Arc<Self> {
        Self::with([COMPRESS, DECOMPRESS].map(|kind| Nature::new(kind, places, places)))
    }

    /// One that works by itself.
    pub(crate) fn honest(places: u16) -> Arc<Self> {
        let nature = |kind| Nature { works: true, ..Nature::new(kind, places, places) };
        Self::with([COMPRESS, DECOMPRESS].map(nature))
    }

    pub(crate) fn with(natures: [Nature; 2]) -> Arc<Self> {
        let [compress, decompress] = natures.map(|nature| Arc::new(Part::new(nature)));
        let parts: Vec<Arc<dyn Transport>> = vec![compress.clone(), decompress.clone()];
        Self::of(compress, decompress, parts)
    }

    /// One that has only these parts, of both that there are.
    pub(crate) fn divided(parts: usize) -> Arc<Self> {
        let [compress, decompress] = [COMPRESS, DECOMPRESS].map(|kind| Arc::new(Part::new(Nature::new(kind, 8, 8))));
        let all: [Arc<dyn Transport>; 3] = [compress.clone(), decompress.clone(), compress.clone()];
        Self::of(compress, decompress, all[..parts].to_vec())
    }

    /// As new.
    pub(crate) fn reset_all(&self) {
        self.compress.renew();
        self.decompress.renew();
    }

    fn of(compress: Arc<Part>, decompress: Arc<Part>, parts: Vec<Arc<dyn Transport>>) -> Arc<Self> {
        let (signals, copies) = (AtomicU64::new(0), Mutex::new(Copies::Refused));
        Arc::new(Self { compress, decompress, parts, signals, copies })
    }

    fn copy(&self, address: usize, len: usize, kind: FaultKind) -> Result<(), CopyError> {
        match *self.copies.lock().expect("no panic inside") {
            Copies::Refused => Err(CopyError::Refused),
            Copies::Below(limit) if address + len > limit => {
                Err(CopyError::Fault(Fault { address: limit.max(address) as u64, kind }))
            }
            Copies::Below(_) => Ok(()),
        }
    }
}

impl Transport for Device {
    fn regions(&self) -> &[Region] {
        &[]
    }

    fn ring_memory(&self, _len: usize) -> Result<RingMemory, TransportError> {
        panic!("rings are the parts'")
    }

    fn ring_doorbell(&self, _offset: usize, _value: u64) {
        panic!("doorbells are the parts'")
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        std::thread::sleep(left);
        Ok(Wake::TimedOut)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {
        self.compress.look();
        self.decompress.look();
    }

    fn signal(&self) {
        self.signals.fetch_add(1, Ordering::Relaxed);
    }

    fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
        self.compress.halt();
        self.decompress.halt();
        Ok(Quiet::Proven)
    }

    fn reset(&self, _within: Duration) -> Result<(), TransportError> {
        self.reset_all();
        Ok(())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }

    fn parts(&self) -> &[Arc<dyn Transport>] {
        &self.parts
    }

    fn read_memory(&self, address: usize, into: &mut [u8]) -> Result<(), CopyError> {
        self.copy(address, into.len(), FaultKind::Read)?;
        // SAFETY: the tests name memory that is there, below the limit.
        unsafe { ptr::copy(ptr::with_exposed_provenance(address), into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    unsafe fn write_memory(&self, address: usize, from: &[u8]) -> Result<(), CopyError> {
        self.copy(address, from.len(), FaultKind::Write)?;
        // SAFETY: as above.
        unsafe { ptr::copy(from.as_ptr(), ptr::with_exposed_provenance_mut(address), from.len()) };
        Ok(())
    }
}

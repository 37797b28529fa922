//! A transport without a device, for tests of a driver's own protocol.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uaccel_queue::{AddressMode, DeviceMemory, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};

const PAGE: usize = 4096;

/// Memory as a transport hands it out: zeroed, aligned to a page, only ever accessed as atomic words.
#[repr(C, align(4096))]
struct Page([AtomicU64; PAGE / 8]);

fn pages(len: usize) -> Arc<[Page]> {
    (0..len.div_ceil(PAGE)).map(|_| Page([const { AtomicU64::new(0) }; PAGE / 8])).collect()
}

/// What happens when a doorbell is rung.
type Script = dyn Fn(&ScriptedTransport, usize, u64) + Send + Sync;

/// A transport without a device: one page of registers, one piece of ring memory, and a script for its doorbells. The
/// test writes what a device would have written, through [`registers`](Self::registers) and [`memory`](Self::memory).
///
/// It is always alive, quiet when it is stopped, and cannot wake anybody.
pub struct ScriptedTransport {
    registers: Region,
    script: Box<Script>,
    memory: Mutex<Option<RingMemory>>,
    doorbells: Mutex<Vec<(usize, u64)>>,
    sleeps: bool,
    address_mode: AddressMode,
    reach: Option<Arc<dyn DeviceMemory>>,
}

impl ScriptedTransport {
    /// The device's address of ring memory: nothing like the host's.
    pub const BASE: u64 = 0x7000_0000;

    /// A transport with registers that are all zero. `script` runs at each doorbell, with its offset and value, after
    /// that was noted.
    #[must_use]
    pub fn new(script: impl Fn(&Self, usize, u64) + Send + Sync + 'static) -> Self {
        let page = pages(PAGE);
        let base = NonNull::from(&page[0]).cast();
        // SAFETY: a page of atomics, kept by the keeper, and only accessed through this region.
        let registers = unsafe { Region::new(RegionKind::User, base, PAGE, Arc::new(page)) };
        let (memory, doorbells) = (Mutex::default(), Mutex::default());
        let (address_mode, reach) = (AddressMode::Shared, None);
        Self { registers, script: Box::new(script), memory, doorbells, sleeps: true, address_mode, reach }
    }

    /// The same where time does not pass: a sleep fails, since what it waits for was not scripted. For fuzz targets.
    #[must_use]
    pub fn without_time(self) -> Self {
        Self { sleeps: false, ..self }
    }

    /// The same to a device that reaches memory in this way, and no more of it than it is told of, if there is somebody to tell.
    #[must_use]
    pub fn reaching(self, address_mode: AddressMode, reach: Option<Arc<dyn DeviceMemory>>) -> Self {
        Self { address_mode, reach, ..self }
    }

    /// The registers.
    #[must_use]
    pub fn registers(&self) -> &Region {
        &self.registers
    }

    /// The ring memory that the driver asked for last, if it did.
    #[must_use]
    pub fn memory(&self) -> Option<RingMemory> {
        lock(&self.memory).clone()
    }

    /// The doorbells rung since the last call: offset and value.
    pub fn doorbells(&self) -> Vec<(usize, u64)> {
        std::mem::take(&mut lock(&self.doorbells))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transport for ScriptedTransport {
    fn regions(&self) -> &[Region] {
        std::slice::from_ref(&self.registers)
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        let page = pages(len.max(1));
        let host = NonNull::from(&page[0]).cast();
        // SAFETY: zeroed atomics, at least that many bytes, kept by the keeper.
        let memory = unsafe { RingMemory::new(host, Self::BASE, len, Arc::new(page)) };
        *lock(&self.memory) = Some(memory.clone());
        Ok(memory)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        lock(&self.doorbells).push((offset, value));
        (self.script)(self, offset, value);
    }

    fn ring_doorbell16(&self, offset: usize, value: u16) {
        self.ring_doorbell(offset, value.into());
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        if !self.sleeps {
            return Err(TransportError::Gone);
        }
        std::thread::sleep(until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now())));
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
        self.address_mode
    }

    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        self.reach.clone()
    }
}

impl fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedTransport").field("registers", &self.registers).finish_non_exhaustive()
    }
}

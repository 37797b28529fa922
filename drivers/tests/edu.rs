//! The driver of `edu` over a thread that does what the device does, held to the suite that defines a driver; and what happens when it is stopped.

#![allow(clippy::cast_possible_truncation, reason = "addresses of a 64-bit process, and lengths below a page")]

use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::edu::{EduDriver, INTERFACE};
use uaccel_queue::{
    AddressMode, Batch, Bus, Cells, DeviceInfo, Done, Driver, OpenQueue, Operation, QueueRequest, Quiet, Region,
    RegionKind, RingMemory, Transport, TransportError, Wake,
};

/// The registers, as QEMU's `docs/specs/edu.rst` has them: in words of 8 bytes.
const SOURCE: usize = 0x80 / 8;
const DESTINATION: usize = 0x88 / 8;
const COUNT: usize = 0x90 / 8;
const COMMAND: usize = 0x98 / 8;
const RUN: u64 = 1;
const TO_MEMORY: u64 = 2;
const BUFFER: u64 = 0x4_0000;
const SIZE: u64 = 4096;
/// What the device shows in the liveness register while it is open.
const OPEN: u32 = !0x6f70_656e;

/// A page of registers.
#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

/// The device, and the way to it.
#[derive(Debug)]
struct Edu {
    region: Region,
    ended: Arc<Ended>,
}

/// Counts transfers that have ended.
#[derive(Debug, Default)]
struct Ended {
    count: Mutex<u64>,
    more: Condvar,
}

impl Edu {
    fn new() -> Self {
        let (edu, page) = Self::idle();
        let signal = edu.ended.clone();
        let registers = Arc::downgrade(&page);
        drop(page);
        // Ends when nobody has the registers any more.
        thread::spawn(move || {
            let mut buffer = [0; SIZE as usize];
            while let Some(page) = registers.upgrade() {
                if page.0[COMMAND].load(Ordering::Acquire) & RUN == 0 {
                    drop(page);
                    thread::yield_now();
                    continue;
                }
                transfer(&page, &mut buffer);
                page.0[COMMAND].fetch_and(!RUN, Ordering::Release);
                *signal.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                signal.more.notify_all();
            }
        });
        edu
    }

    /// Registers behind which nobody works.
    fn idle() -> (Self, Arc<Page>) {
        let page = Arc::new(Page([const { AtomicU64::new(0) }; 512]));
        let base = NonNull::from(&*page).cast();
        // SAFETY: a page of atomics that the keeper keeps; it is accessed through the region, and atomically.
        let region = unsafe { Region::new(RegionKind::User, base, size_of::<Page>(), page.clone()) };
        region.write32(0, 0x0100_00ed);
        region.write32(4, OPEN);
        (Self { region, ended: Arc::default() }, page)
    }
}

/// What the device does with a command.
fn transfer(page: &Page, buffer: &mut [u8; SIZE as usize]) {
    let word = |index: usize| page.0[index].load(Ordering::Relaxed);
    let len = word(COUNT);
    let check = |address: u64| {
        // As old versions check it: a transfer may not end with the buffer.
        assert!(len > 0 && address >= BUFFER && address + len < BUFFER + SIZE, "{len} bytes at {address:#x}");
        (address - BUFFER) as usize
    };
    let len = usize::try_from(len).expect("less than a page");
    if word(COMMAND) & TO_MEMORY == 0 {
        let at = check(word(DESTINATION));
        let memory = ptr::with_exposed_provenance(word(SOURCE) as usize);
        // SAFETY: a job's source, vouched for by the suite until it is answered.
        unsafe { ptr::copy_nonoverlapping(memory, buffer[at..].as_mut_ptr(), len) };
    } else {
        let at = check(word(SOURCE));
        let memory = ptr::with_exposed_provenance_mut(word(DESTINATION) as usize);
        // SAFETY: a job's destination, as above.
        unsafe { ptr::copy_nonoverlapping(buffer[at..].as_ptr(), memory, len) };
    }
}

impl Transport for Edu {
    fn regions(&self) -> &[Region] {
        std::slice::from_ref(&self.region)
    }

    fn ring_memory(&self, _len: usize) -> Result<RingMemory, TransportError> {
        Err(TransportError::Refused("edu has no rings".to_owned()))
    }

    fn ring_doorbell(&self, _offset: usize, _value: u64) {}

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        let count = self.ended.count.lock().unwrap_or_else(PoisonError::into_inner);
        let within = until.map_or(Duration::from_secs(1), |until| until.saturating_duration_since(Instant::now()));
        // May end early: it sleeps for one transfer, and a millisecond at most, so that none is missed.
        let _ = self.ended.more.wait_timeout(count, within.min(Duration::from_millis(1)));
        match until {
            Some(until) if Instant::now() < until => Ok(Wake::Signalled),
            _ => Ok(Wake::TimedOut),
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        let until = Instant::now() + within;
        self.region.write32(4, !0);
        while Instant::now() < until {
            if self.region.read(0x98) & RUN == 0 {
                return Ok(Quiet::Proven);
            }
            thread::yield_now();
        }
        Ok(Quiet::Unproven)
    }

    fn reset(&self, _within: Duration) -> Result<(), TransportError> {
        self.region.write32(4, OPEN);
        Ok(())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::IdentityPinned
    }
}

#[derive(Debug)]
struct Slot;

impl Bus for Slot {
    fn name(&self) -> &str {
        "slot"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        vec![DeviceInfo::new("edu", INTERFACE)]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        match device {
            "edu" => Ok(Arc::new(Edu::new())),
            _ => Err(TransportError::NoSuchDevice { bus: "slot".to_owned(), device: device.to_owned() }),
        }
    }
}

struct Teaching;

impl Backend for Teaching {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(EduDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(Slot)
    }

    fn device(&self) -> String {
        "edu".to_owned()
    }
}

conformance!(edu, Teaching);

/// A transfer that was on its way when the device was stopped, or went, is not taken for one that has ended. Where a device was,
/// its registers are ordinary memory.
#[test]
fn a_device_that_goes_has_not_copied() {
    for gone in [true, false] {
        let (edu, page) = Edu::idle();
        let cells = Arc::new(Cells::new(1));
        let opened = EduDriver.open(Arc::new(edu), cells.clone(), &QueueRequest::new(1)).expect("a queue");
        let OpenQueue { mut submitter, mut completer, .. } = opened;
        let (source, mut destination) = ([1; 64], [0; 64]);
        // SAFETY: the only slot, which is built once; nobody works on the buffers.
        let taken = unsafe {
            cells.build(0, |job| {
                job.operation = Operation::Copy;
                (job.source, job.source_len) = (source.as_ptr(), source.len());
                (job.destination, job.destination_len) = (destination.as_mut_ptr(), destination.len());
            });
            submitter.submit(&Batch::new(&cells, &[0])).expect("a copy is taken")
        };
        assert_eq!(taken, 1);
        let mut poll = || {
            let mut places = [0];
            // SAFETY: the only completer.
            let mut done = unsafe { Done::new(&cells, &mut places) };
            completer.poll(&mut done).expect("no error");
            done.slots().len()
        };
        // The first transfer ends, and the second one is on its way.
        assert_eq!(page.0[COMMAND].swap(0, Ordering::Relaxed) & TO_MEMORY, 0);
        assert_eq!(poll(), 0);
        assert_eq!(page.0[COMMAND].load(Ordering::Relaxed) & (RUN | TO_MEMORY), RUN | TO_MEMORY);
        // It goes as a whole; or it is stopped, and the transfer went nowhere.
        let first = if gone { 0 } else { 0x0100_00ed | u64::from(!0_u32) << 32 };
        page.0[0].store(first, Ordering::Relaxed);
        page.0[1..].iter().for_each(|word| word.store(0, Ordering::Relaxed));
        assert_eq!(poll(), 0);
        assert_eq!(destination, [0; 64]);
    }
}

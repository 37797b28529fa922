//! A Warp queue of a process, by nothing but system calls and the engine's specification (`drivers/warp-abi`): open the device, start
//! the queue, map its page of registers, put a ring into ordinary memory, and hand the device plain pointers.

use std::alloc::{Layout, alloc_zeroed};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering, fence};

/// `UACCE_CMD_START_Q` (include/uapi/misc/uacce/uacce.h).
const START: libc::Ioctl = 0x5700;
const PAGE: usize = 4096;

/// Registers of the user page (section 2.1 of the specification), in words of 8 bytes.
const IDENT: usize = 0;
const RING_BASE: usize = 0x40 / 8;
const GEOMETRY: usize = 0x48 / 8;
const ENABLE: usize = 0x50 / 8;
const SUBMIT: usize = 0x80 / 8;
/// `WARP` and version 1.
const WARP_1: u64 = 0x1_5052_4157;

/// Ring memory (sections 2.2 and 2.3): two entries, no sessions.
const LOG_ENTRIES: u64 = 1;
const ENTRIES: usize = 1 << LOG_ENTRIES;
const SUBMISSIONS: usize = 0x100;
const COMPLETIONS: usize = SUBMISSIONS + ENTRIES * 64;
const READY: u64 = 1;

const PHASE: u64 = 1 << 63;
const COPY: u64 = 0x01;

/// What a job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was done.
    Done,
    /// This address could not be read.
    CannotRead(u64),
    /// This address could not be written.
    CannotWrite(u64),
    /// Another status of section 6.1.
    Other(u64),
}

/// A started queue. One job at a time.
#[derive(Debug)]
pub struct Queue {
    _file: File,
    registers: NonNull<AtomicU64>,
    ring: NonNull<u8>,
    jobs: usize,
}

impl Queue {
    /// Opens the first Warp engine.
    ///
    /// # Errors
    ///
    /// A system call failed, or the device is not what it seems.
    pub fn open() -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/warp-0")?;
        // SAFETY: the descriptor is open, and the command has no argument.
        if unsafe { libc::ioctl(file.as_raw_fd(), START, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a new mapping at a place of the kernel's choice.
        let page = unsafe {
            libc::mmap(ptr::null_mut(), PAGE, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let registers = NonNull::new(page.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        let layout = Layout::from_size_align(PAGE, PAGE).map_err(io::Error::other)?;
        // SAFETY: the layout has a size. The memory is never freed, since the device may use it until the process is gone.
        let ring = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
        let queue = Self { _file: file, registers, ring, jobs: 0 };
        let ident = queue.register(IDENT).load(Ordering::Relaxed);
        if ident != WARP_1 {
            return Err(io::Error::other(format!("no Warp engine of version 1: {ident:#x}")));
        }
        queue.register(RING_BASE).store(ring.as_ptr().expose_provenance() as u64, Ordering::Relaxed);
        queue.register(GEOMETRY).store(LOG_ENTRIES, Ordering::Relaxed);
        // Release: the ring's zeros come before the device looks at it.
        queue.register(ENABLE).store(1, Ordering::Release);
        loop {
            match queue.word(0).load(Ordering::Acquire) & 0xff {
                0 => std::hint::spin_loop(),
                READY => return Ok(queue),
                state => return Err(io::Error::other(format!("the queue did not start: state {state}"))),
            }
        }
    }

    /// Has the device copy `length` bytes, and waits for it.
    ///
    /// # Safety
    ///
    /// The addresses may be any numbers at all: the device goes through the process's page tables, and answers with an address
    /// that is not there. But what is there and is written to must be memory that nothing else uses meanwhile.
    pub unsafe fn copy(&mut self, from: u64, to: u64, length: u32) -> Answer {
        let (index, round) = (self.jobs % ENTRIES, self.jobs / ENTRIES);
        let phase = if round % 2 == 0 { PHASE } else { 0 };
        let line = SUBMISSIONS + index * 64;
        let lengths = u64::from(length) | u64::from(length) << 32;
        for (word, value) in [from, to, lengths, 0, 0, 0, 0].into_iter().enumerate() {
            // Relaxed: the control word publishes it.
            self.word(line + word * 8).store(value, Ordering::Relaxed);
        }
        // Release: pairs with the device's acquire load of the control word.
        self.word(line + 0x38).store(phase | COPY << 32 | self.jobs as u64 & 0xffff_ffff, Ordering::Release);
        self.jobs += 1;
        // Before the doorbell (section 4.2). This engine never looks at rings unasked, so it is always rung.
        fence(Ordering::SeqCst);
        self.register(SUBMIT).store(self.jobs as u64, Ordering::Relaxed);
        let entry = COMPLETIONS + index * 16;
        let control = loop {
            // Acquire: pairs with the device's release store; the destination's bytes come before it.
            let control = self.word(entry + 8).load(Ordering::Acquire);
            if control & PHASE == phase {
                break control;
            }
            std::thread::yield_now();
        };
        let result = self.word(entry).load(Ordering::Relaxed);
        match (control >> 32 & 0xff, control >> 40 & 3) {
            (0, _) => Answer::Done,
            (9, 1) => Answer::CannotRead(result),
            (9, 2) => Answer::CannotWrite(result),
            (status, _) => Answer::Other(status),
        }
    }

    fn register(&self, index: usize) -> &AtomicU64 {
        // SAFETY: within the mapped page, which stays as long as the process; registers are accessed whole.
        unsafe { self.registers.add(index).as_ref() }
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: within the ring's page, a multiple of 8, and accessed by atomics only, on both sides.
        unsafe { self.ring.add(offset).cast().as_ref() }
    }
}

/// One of the engine's counters since power-on, such as `page_requests_granted`.
///
/// # Errors
///
/// There is no such counter.
pub fn counter(name: &str) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/sys/class/uacce/warp-0/device/{name}"))?;
    text.trim().parse().map_err(io::Error::other)
}

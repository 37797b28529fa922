//! What one thread pays for memory, a clock and an atomic.

use std::fmt;
use std::hint::black_box;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use nix::unistd::Pid;

use crate::error::{RawError, within};
use crate::limit::{Limit, timed};
use crate::line::Line;
use crate::placement::{Placement, pin};

/// Largest buffer of a copy, in bytes.
const MOST_BYTES: u64 = 1 << 30;

/// Copies per repetition that make about a millisecond or more.
fn copies(bytes: usize) -> u64 {
    ((1u64 << 28) / (bytes.max(4096) as u64)).max(16)
}

/// `4096` → `4KiB`.
pub(crate) fn size(bytes: usize) -> String {
    if bytes >= 1024 && bytes.is_multiple_of(1024) { format!("{}KiB", bytes / 1024) } else { format!("{bytes}B") }
}

/// Bytes that begin at a page, whatever the allocator does.
///
/// Copies are two to three times slower on some CPUs when the buffers' offsets within a page differ by little, and that
/// would be measured in place of the copy.
pub(crate) struct Pages {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Pages {
    const SIZE: usize = 4096;

    /// `value` everywhere. Not zero, please: fresh zero pages could all be the same one.
    pub(crate) fn filled(value: u8, length: usize) -> Self {
        let memory = vec![value; length + Self::SIZE];
        let start = memory.as_ptr().addr().next_multiple_of(Self::SIZE) - memory.as_ptr().addr();
        Self { memory, start, length }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.length]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.length)
    }
}

/// Copies between the same two buffers with the standard library's copy.
///
/// One operation is one copy of the whole buffer.
#[derive(Debug)]
pub struct CopyHot {
    name: String,
    placement: Placement,
    source: Pages,
    destination: Pages,
}

impl CopyHot {
    /// Buffers of `bytes` bytes each, from 1 to 1 GiB.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`].
    pub fn new(placement: Placement, bytes: usize) -> Result<Self, RawError> {
        within("the size in bytes", bytes as u64, 1, MOST_BYTES)?;
        let name = format!("memory/copy-{}", size(bytes));
        Ok(Self { name, placement, source: Pages::filled(1, bytes), destination: Pages::filled(2, bytes) })
    }
}

impl Limit for CopyHot {
    fn name(&self) -> &str {
        &self.name
    }

    fn explanation(&self) -> &'static str {
        "copy between the same two buffers, again and again, by the standard library"
    }

    fn suggested_operations(&self) -> u64 {
        copies(self.source.length)
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        timed(operations, |n| {
            let (source, destination) = (self.source.bytes(), self.destination.bytes_mut());
            for _ in 0..n {
                black_box(&mut *destination).copy_from_slice(black_box(source));
            }
            black_box(destination);
            Ok(())
        })
    }
}

/// Copies by `process_vm_readv` of the own process: a copy that answers a bad address with an error and not a signal.
///
/// One operation is one call that copies the whole buffer. The difference to [`CopyHot`] of the same size is the price
/// of not having to trust an address.
#[derive(Debug)]
pub struct ReadOwnProcess {
    name: String,
    placement: Placement,
    source: Pages,
    destination: Pages,
}

impl ReadOwnProcess {
    /// Buffers of `bytes` bytes each, from 1 to 1 GiB. Makes one call to see whether it is allowed here.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`]; [`RawError::Os`] where the system call is filtered or missing.
    pub fn new(placement: Placement, bytes: usize) -> Result<Self, RawError> {
        within("the size in bytes", bytes as u64, 1, MOST_BYTES)?;
        let name = format!("memory/process-vm-readv-{}", size(bytes));
        let mut limit = Self { name, placement, source: Pages::filled(1, bytes), destination: Pages::filled(2, bytes) };
        limit.read(Pid::this()).map_err(|source| RawError::Os { call: "process_vm_readv", source })?;
        Ok(limit)
    }

    fn read(&mut self, process: Pid) -> io::Result<()> {
        let bytes = self.source.length;
        let local = libc::iovec { iov_base: self.destination.bytes_mut().as_mut_ptr().cast(), iov_len: bytes };
        let remote = libc::iovec { iov_base: self.source.bytes().as_ptr().cast_mut().cast(), iov_len: bytes };
        // SAFETY: both vectors describe live buffers of that length, which do not overlap; the kernel writes to the
        // first, which is borrowed mutably, and reads the second.
        let got = unsafe { libc::process_vm_readv(process.as_raw(), &raw const local, 1, &raw const remote, 1, 0) };
        match usize::try_from(got) {
            Ok(got) if got == bytes => Ok(()),
            Ok(got) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{got} of {bytes} bytes"))),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

impl Limit for ReadOwnProcess {
    fn name(&self) -> &str {
        &self.name
    }

    fn explanation(&self) -> &'static str {
        "fault-safe copy: process_vm_readv of the own process between the same two buffers"
    }

    fn suggested_operations(&self) -> u64 {
        copies(self.source.length) / 4
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        // Asked for once: what is measured is one system call per copy and not two.
        let process = Pid::this();
        timed(operations, |n| {
            for _ in 0..n {
                self.read(process).map_err(|source| RawError::Os { call: "process_vm_readv", source })?;
            }
            Ok(())
        })
    }
}

/// Reads the monotonic clock. One operation is one `Instant::now`.
#[derive(Debug)]
pub struct Clock {
    placement: Placement,
}

impl Clock {
    /// Nothing to set up.
    #[must_use]
    pub fn new(placement: Placement) -> Self {
        Self { placement }
    }
}

impl Limit for Clock {
    fn name(&self) -> &str {
        "memory/clock"
    }

    fn explanation(&self) -> &'static str {
        "one reading of the monotonic clock (Instant::now)"
    }

    fn suggested_operations(&self) -> u64 {
        1_000_000
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        timed(operations, |n| {
            for _ in 0..n {
                black_box(Instant::now());
            }
            Ok(())
        })
    }
}

/// Compare-and-swap on a word that no other thread uses. One operation is one successful exchange.
#[derive(Debug)]
pub struct CompareAndSwap {
    placement: Placement,
    word: Line<AtomicU64>,
}

impl CompareAndSwap {
    /// Nothing to set up.
    #[must_use]
    pub fn new(placement: Placement) -> Self {
        Self { placement, word: Line::default() }
    }
}

impl Limit for CompareAndSwap {
    fn name(&self) -> &str {
        "memory/compare-and-swap"
    }

    fn explanation(&self) -> &'static str {
        "one successful compare-and-swap of a word that no other thread uses"
    }

    fn suggested_operations(&self) -> u64 {
        1_000_000
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        let word = black_box(&self.word.0);
        // Relaxed: no other thread writes it.
        let mut value = word.load(Ordering::Relaxed);
        timed(operations, |n| {
            for _ in 0..n {
                // Pairs with nothing, as no other thread is there: acquire and release because that is the form whose
                // price is asked for, that of a lock or a lease.
                match word.compare_exchange(value, value + 1, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) => value += 1,
                    Err(_) => {
                        return Err(RawError::OutOfOrder { limit: self.name().to_owned() });
                    }
                }
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_page_and_have_their_length() {
        for length in [1, 4096, 70_000] {
            let mut pages = Pages::filled(7, length);
            assert_eq!(pages.bytes().as_ptr().addr() % Pages::SIZE, 0);
            assert_eq!(pages.bytes().len(), length);
            assert!(pages.bytes_mut().iter().all(|&byte| byte == 7));
        }
    }

    #[test]
    fn copies_copy() {
        let placement = Placement::detect().expect("placement");
        let mut hot = CopyHot::new(placement, 5000).expect("size in range");
        hot.measure(3).expect("copy");
        assert!(hot.destination.bytes().iter().all(|&byte| byte == 1));
        match ReadOwnProcess::new(placement, 5000) {
            // The first call has been made already.
            Ok(read) => assert!(read.destination.bytes().iter().all(|&byte| byte == 1)),
            // A sandbox may filter it.
            Err(e) => assert!(matches!(e, RawError::Os { call: "process_vm_readv", .. })),
        }
        assert!(CopyHot::new(placement, 0).is_err());
        assert!(ReadOwnProcess::new(placement, 0).is_err());
    }

    #[test]
    fn sizes_have_names() {
        assert_eq!(size(64), "64B");
        assert_eq!(size(4096), "4KiB");
        assert_eq!(size(5000), "5000B");
    }
}

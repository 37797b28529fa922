//! The way to a client's memory.
//!
//! | way | by | when |
//! | --- | --- | --- |
//! | [`Vectored`] | process number, `process_vm_readv(2)` | the client is of the server's own user, and the kernel permits it |
//! | [`Mem`] | the client's own `/proc/self/mem`, which it passed | always |
//!
//! The first takes many ranges in one call, copies once, and honours the protection of pages, but has to go through the gate. The second is bound to the
//! address space, so that it needs no gate, but has to ask for the protection. It is what the first falls back on if a permission goes away, and the faster one for
//! a few bytes for whose protection the client vouches.

mod descriptor;
mod gate;
mod mem;
mod protection;
mod range;
mod vectored;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::errno::Errno;
use nix::unistd::Pid;
use uaccel_sim::{ReadPart, WritePart};

pub use descriptor::{Binding, DescriptorError, Kind};
pub use gate::Gate;
pub use mem::Mem;
pub use protection::{Protection, Wanted};
pub use vectored::Vectored;

use range::Range;
use vectored::Barred;

/// The way to one client's memory.
#[derive(Debug)]
pub struct Reach {
    vectored: Option<Vectored>,
    /// Whether the kernel permits the faster way still.
    permitted: AtomicBool,
    /// Whether single reads go through the gate.
    guarded: AtomicBool,
    mem: Mem,
}

/// A client whose memory cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the canary is not at the gate, or the gate cannot be read and written, through the descriptor passed for /proc/self/mem: open it after the gate was made, in the process that uses it"
)]
pub struct NoReach;

impl Reach {
    /// The most bytes that are moved sooner by descriptor than by process number: the kernel copies twice there, a page at a time.
    pub const FEW: usize = 8 << 10;

    /// Finds the best way to the client's memory. `pid` is the client's number if the faster way is to be tried.
    ///
    /// # Errors
    /// [`NoReach`] if the gate cannot be read and written through the binding.
    pub fn establish(pid: Option<Pid>, binding: Binding, gate: Gate) -> Result<Self, NoReach> {
        let mem = Mem::new(binding, gate).ok_or(NoReach)?;
        let vectored = pid.and_then(|pid| match Vectored::new(pid, gate) {
            Ok(vectored) => Some(vectored),
            Err(errno) => {
                tracing::debug!(%pid, %errno, "memory is not reached by process number");
                None
            }
        });
        let vectored = vectored.filter(|vectored| {
            let same = leads_to(vectored, &mem, gate);
            if !same {
                tracing::debug!(?pid, "the process has a gate like the client's, but other memory");
            }
            same
        });
        Ok(Self { permitted: AtomicBool::new(vectored.is_some()), guarded: AtomicBool::default(), vectored, mem })
    }

    /// From now on single reads go through the gate as well: what is read can get to somebody else than through a write.
    pub fn guard_reads(&self) {
        // Relaxed: the caller lets nobody use what this is for before it is set, and the lock that it takes for that orders the two.
        self.guarded.store(true, Ordering::Relaxed);
    }

    /// What the way is called in a status report: `vectored` or `mem`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        if self.vectored().is_some() { "vectored" } else { "mem" }
    }

    /// Reads from `address` to the start of `into`, which is not empty: at least one byte. `None` if not even the first can be read.
    #[must_use]
    pub fn read(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        let range = Range::new(address, into.len())?;
        if let Some(vectored) = self.vectored() {
            match vectored.read(range, into, self.guarded.load(Ordering::Relaxed)) {
                Ok(moved) => return Some(moved),
                Err(Barred::Bad) => return None,
                Err(Barred::NotPermitted) => self.forbid(),
            }
        }
        self.mem.read(address, into)
    }

    /// Writes from the start of `from`, which is not empty, to `address`: at least one byte. `None` if not even the first can be
    /// written.
    #[must_use]
    pub fn write(&self, address: u64, from: &[u8]) -> Option<usize> {
        let range = Range::new(address, from.len())?;
        if let Some(vectored) = self.vectored() {
            match vectored.write(range, from) {
                Ok(moved) => return Some(moved),
                Err(Barred::Bad) => return None,
                Err(Barred::NotPermitted) => self.forbid(),
            }
        }
        self.mem.write(address, from)
    }

    /// As [`read`](Self::read), where the client vouches that it may read there. If it may not, it is read all the same: it is the client's own
    /// memory, and the client could do that itself.
    #[must_use]
    pub fn read_vouched(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        let moved = if into.len() <= Self::FEW { self.mem.read_vouched(address, into) } else { None };
        // The kernel does not wait there for pages that the client brings in itself (`userfaultfd(2)`).
        moved.or_else(|| self.read(address, into))
    }

    /// As [`write`](Self::write), where the client vouches that it may write there. If it may not, a private page is written all the same: it is the
    /// client's own memory, and the client could do that itself. A shared one is not.
    #[must_use]
    pub fn write_vouched(&self, address: u64, from: &[u8]) -> Option<usize> {
        let moved = if from.len() <= Self::FEW { self.mem.write_vouched(address, from) } else { None };
        // As for reading.
        moved.or_else(|| self.write(address, from))
    }

    /// Reads many ranges in one call where that can be, and says how many, from the first on, were read whole.
    #[must_use]
    pub fn read_many(&self, parts: &mut [ReadPart<'_>]) -> usize {
        self.vectored().map_or(0, |vectored| vectored.read_many(parts))
    }

    /// Writes many ranges in one call where that can be, and says how many, from the first on, were written whole.
    #[must_use]
    pub fn write_many(&self, parts: &[WritePart<'_>]) -> usize {
        self.vectored().map_or(0, |vectored| vectored.write_many(parts))
    }

    /// The faster way, while it is permitted.
    fn vectored(&self) -> Option<&Vectored> {
        // Relaxed: who sees it late is refused once more.
        self.vectored.as_ref().filter(|_| self.permitted.load(Ordering::Relaxed))
    }

    fn forbid(&self) {
        tracing::debug!("memory is no longer reached by process number: {}", Errno::EPERM);
        self.permitted.store(false, Ordering::Relaxed);
    }
}

/// Whether the process number leads to the memory that is bound. A child made by `fork` has the gate of its parent, and may have its connection.
fn leads_to(vectored: &Vectored, mem: &Mem, gate: Gate) -> bool {
    /// Values that were not used before, in this process at least.
    static NEXT: AtomicU64 = AtomicU64::new(0x9e37_79b9_7f4a_7c15);
    let mut before = [0; 8];
    if mem.read(gate.scratch(), &mut before) != Some(before.len()) {
        return false;
    }
    let mark = NEXT.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) ^ u64::from(std::process::id()).rotate_left(32);
    // Neither what is there nor its complement could be there by chance twice.
    let same = [mark, !mark].into_iter().all(|mark| {
        let mark = mark.to_le_bytes();
        mem.write(gate.scratch(), &mark) == Some(mark.len()) && vectored.has(gate.scratch(), &mark)
    });
    same & (mem.write(gate.scratch(), &before) == Some(before.len()))
}

//! A client's memory by process number.

use std::io::{IoSlice, IoSliceMut};

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use uaccel_sim::{ReadPart, WritePart};

use super::Gate;
use super::range::Range;

/// Ranges that one call takes, the gate not counted (`UIO_MAXIOV`, `linux/uio.h`, less one).
const RANGES: usize = 1023;
/// Bytes of the gate that each call goes through.
const KNOCK: usize = 8;

/// A client's memory by process number (`process_vm_readv(2)` and its twin).
///
/// The kernel checks each call: whether this process may look into that one, and each address with its protection. It carries the ranges out in
/// order and ends at the first bad one, so the [`Gate`] that comes first keeps a call from a program that is not the client.
///
/// Every write goes through the gate, and every read of many ranges. A single read needs it only if what was read can get anywhere but through a write:
/// it costs a fifth of the call.
#[derive(Debug)]
pub struct Vectored {
    pid: Pid,
    gate: Gate,
}

/// Why nothing was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Barred {
    /// The address is bad, or the client is not there any more.
    Bad,
    /// The kernel does not let this process do it.
    NotPermitted,
}

impl From<Errno> for Barred {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::EPERM | Errno::EACCES | Errno::ENOSYS => Self::NotPermitted,
            _ => Self::Bad,
        }
    }
}

impl Vectored {
    /// The memory of process `pid`, if it has the gate, and the kernel lets this process read and write there.
    ///
    /// # Errors
    /// What the kernel said, or `EFAULT` if it is not the gate that is there.
    pub fn new(pid: Pid, gate: Gate) -> Result<Self, Errno> {
        // The canary is read, and written to where it is.
        let mut found = [0; Gate::SIZE];
        let range =
            [RemoteIoVec { base: usize::try_from(gate.address()).map_err(|_| Errno::EFAULT)?, len: Gate::SIZE }];
        let count = process_vm_readv(pid, &mut [IoSliceMut::new(&mut found)], &range)?;
        if count != Gate::SIZE || found != gate.bytes() {
            return Err(Errno::EFAULT);
        }
        if process_vm_writev(pid, &[IoSlice::new(&found)], &range)? != Gate::SIZE {
            return Err(Errno::EFAULT);
        }
        Ok(Self { pid, gate })
    }

    /// Whether `bytes` are what the process has at `address`.
    pub(super) fn has(&self, address: u64, bytes: &[u8; KNOCK]) -> bool {
        let mut found = [0; KNOCK];
        let range = Range::new(address, KNOCK);
        range.is_some_and(|range| self.read(range, &mut found, true) == Ok(KNOCK)) && found == *bytes
    }

    pub(super) fn read(&self, range: Range, into: &mut [u8], through_gate: bool) -> Result<usize, Barred> {
        range.in_steps(|part| {
            if !through_gate {
                let local = &mut [IoSliceMut::new(&mut into[..part.len])];
                let moved = process_vm_readv(self.pid, local, &[remote(part)])?;
                return if moved > 0 { Ok(moved) } else { Err(Barred::Bad) };
            }
            let mut knock = [0; KNOCK];
            let mut local = [IoSliceMut::new(&mut knock), IoSliceMut::new(&mut into[..part.len])];
            let moved = process_vm_readv(self.pid, &mut local, &[self.entrance(), remote(part)])?;
            self.passed(knock, moved)
        })
    }

    pub(super) fn write(&self, range: Range, from: &[u8]) -> Result<usize, Barred> {
        range.in_steps(|part| {
            let knock = self.gate.knock();
            let local = [IoSlice::new(&knock), IoSlice::new(&from[..part.len])];
            let moved = process_vm_writev(self.pid, &local, &[self.entrance(), remote(part)])?;
            moved.checked_sub(KNOCK).filter(|moved| *moved > 0).ok_or(Barred::Bad)
        })
    }

    /// How many of the ranges, from the first on, were read whole.
    pub(super) fn read_many(&self, parts: &mut [ReadPart<'_>]) -> usize {
        let mut whole = 0;
        for parts in parts.chunks_mut(RANGES) {
            let lens: Vec<usize> = parts.iter().map(|part| part.bytes.len()).collect();
            let Some(ranges) = self.ranges(parts.iter().map(|part| (part.address, part.bytes.len()))) else { break };
            let mut knock = [0; KNOCK];
            let mut local = Vec::with_capacity(parts.len() + 1);
            local.push(IoSliceMut::new(&mut knock));
            local.extend(parts.iter_mut().map(|part| IoSliceMut::new(part.bytes)));
            let moved = process_vm_readv(self.pid, &mut local, &ranges).unwrap_or(0);
            drop(local);
            let moved = self.passed(knock, moved).unwrap_or(0);
            let complete = count_whole(moved, lens.iter().copied());
            whole += complete;
            if complete < lens.len() {
                break;
            }
        }
        whole
    }

    /// How many of the ranges, from the first on, were written whole.
    pub(super) fn write_many(&self, parts: &[WritePart<'_>]) -> usize {
        let knock = self.gate.knock();
        let mut whole = 0;
        for parts in parts.chunks(RANGES) {
            let Some(ranges) = self.ranges(parts.iter().map(|part| (part.address, part.bytes.len()))) else { break };
            let mut local = Vec::with_capacity(parts.len() + 1);
            local.push(IoSlice::new(&knock));
            local.extend(parts.iter().map(|part| IoSlice::new(part.bytes)));
            let moved = process_vm_writev(self.pid, &local, &ranges).unwrap_or(0).saturating_sub(KNOCK);
            let complete = count_whole(moved, parts.iter().map(|part| part.bytes.len()));
            whole += complete;
            if complete < parts.len() {
                break;
            }
        }
        whole
    }

    /// The gate as the first range of a call.
    fn entrance(&self) -> RemoteIoVec {
        // Fits: `new` has read there.
        RemoteIoVec { base: usize::try_from(self.gate.address()).unwrap_or(0), len: KNOCK }
    }

    /// The gate and these ranges; `None` if one of them is impossible.
    fn ranges(&self, parts: impl Iterator<Item = (u64, usize)>) -> Option<Vec<RemoteIoVec>> {
        let parts = parts.map(|(address, len)| Range::new(address, len).map(remote));
        core::iter::once(Some(self.entrance())).chain(parts).collect()
    }

    /// What was moved behind the gate, if it was the client's.
    fn passed(&self, knock: [u8; KNOCK], moved: usize) -> Result<usize, Barred> {
        let moved = moved.checked_sub(KNOCK).filter(|moved| *moved > 0).ok_or(Barred::Bad)?;
        if knock == self.gate.knock() { Ok(moved) } else { Err(Barred::Bad) }
    }
}

fn remote(range: Range) -> RemoteIoVec {
    RemoteIoVec { base: range.base, len: range.len }
}

/// How many ranges of these lengths, from the first on, `moved` bytes fill.
fn count_whole(moved: usize, lens: impl Iterator<Item = usize>) -> usize {
    let mut left = moved;
    lens.take_while(|len| {
        let fits = *len <= left;
        left = left.saturating_sub(*len);
        fits
    })
    .count()
}

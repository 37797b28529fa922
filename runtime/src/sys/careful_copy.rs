//! Copies of memory that may be missing or protected: a bad address is an error, and no signal.

use std::io::{IoSlice, IoSliceMut};
use std::ptr::NonNull;

use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use uaccel_queue::{CopyError, Fault, FaultKind};

/// The smallest page there is: what can be there while its neighbour is not.
const PAGE: usize = 4096;
/// Ranges of one call: `UIO_MAXIOV` of Linux.
const MOST: usize = 1024;

/// Copies `len` bytes from `start`, whatever is there, to `target`.
///
/// # Errors
/// The first address that cannot be read.
///
/// # Safety
/// `target` points to `len` bytes that nobody else uses.
pub(crate) unsafe fn read(start: usize, target: NonNull<u8>, len: usize) -> Result<(), Fault> {
    // SAFETY: the caller's promise. They may be uninitialised, and are only written.
    let target = unsafe { std::slice::from_raw_parts_mut(target.as_ptr(), len) };
    pieces(start, len, FaultKind::Read, |done, pieces| {
        process_vm_readv(Pid::this(), &mut [IoSliceMut::new(&mut target[done..])], pieces)
    })
}

/// Copies `len` bytes from `source` to `start`, whatever is there.
///
/// # Errors
/// The first address that cannot be written.
///
/// # Safety
/// `source` points to `len` initialised bytes that nobody writes.
pub(crate) unsafe fn write(source: NonNull<u8>, start: usize, len: usize) -> Result<(), Fault> {
    // SAFETY: the caller's promise.
    let source = unsafe { std::slice::from_raw_parts(source.as_ptr(), len) };
    pieces(start, len, FaultKind::Write, |done, pieces| {
        process_vm_writev(Pid::this(), &[IoSlice::new(&source[done..])], pieces)
    })
}

/// The same for what a driver asks of its transport: [`Transport::read_memory`](uaccel_queue::Transport::read_memory).
pub(crate) fn read_for_driver(address: usize, into: &mut [u8]) -> Result<(), CopyError> {
    let len = into.len();
    // SAFETY: the caller's own bytes.
    unsafe { read(address, NonNull::from(into).cast(), len) }.map_err(CopyError::Fault)
}

/// As [`read_for_driver`], the other way.
///
/// # Safety
/// As for [`Transport::write_memory`](uaccel_queue::Transport::write_memory).
pub(crate) unsafe fn write_for_driver(address: usize, from: &[u8]) -> Result<(), CopyError> {
    // SAFETY: a slice is initialised, and nobody writes it.
    unsafe { write(NonNull::from(from).cast(), address, from.len()) }.map_err(CopyError::Fault)
}

/// Goes through a range by pages, since the kernel copies whole pieces or nothing of them (`process_vm_readv(2)`).
fn pieces(
    start: usize,
    len: usize,
    kind: FaultKind,
    mut copy: impl FnMut(usize, &[RemoteIoVec]) -> nix::Result<usize>,
) -> Result<(), Fault> {
    let mut done = 0;
    while done < len {
        let mut pieces = Vec::new();
        let mut at = done;
        while at < len && pieces.len() < MOST {
            // Beyond the end of all addresses nothing can be had; the kernel says so.
            let base = start.wrapping_add(at);
            let piece = (PAGE - base % PAGE).min(len - at);
            pieces.push(RemoteIoVec { base, len: piece });
            at += piece;
        }
        match copy(done, &pieces) {
            Ok(0) | Err(Errno::EFAULT) => return Err(Fault { address: start.wrapping_add(done) as u64, kind }),
            Ok(copied) => done += copied,
            Err(Errno::EINTR) => {}
            // The system refuses the call as such (a filter of system calls): nothing can be had that nobody vouches for.
            Err(errno) => {
                tracing::warn!(%errno, "memory that the caller does not vouch for cannot be copied");
                return Err(Fault { address: start.wrapping_add(done) as u64, kind });
            }
        }
    }
    Ok(())
}

//! The memory of this process, for jobs.

use std::io::{IoSlice, IoSliceMut};

use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

use crate::pool::JobMemory;
use crate::{SourceWindow, Span, TargetWindow};

/// The smallest page there is; a larger one only makes more steps.
const PAGE: u64 = 4096;

/// The memory of this process.
///
/// It is copied by the kernel, which checks each address as it checks those of a system call, so a bad one is a fault and not a signal; unless the
/// host vouched for it, then it is used in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnMemory(Pid);

impl OwnMemory {
    pub(super) fn new() -> Self {
        Self(Pid::this())
    }
}

impl JobMemory for OwnMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        transfer(address, into.len(), |base, len| {
            process_vm_readv(self.0, &mut [IoSliceMut::new(&mut into[..len])], &[RemoteIoVec { base, len }])
        })
    }

    /// Honours page protection, as the kernel does.
    fn write(&self, address: u64, from: &[u8]) -> Option<usize> {
        transfer(address, from.len(), |base, len| {
            process_vm_writev(self.0, &[IoSlice::new(&from[..len])], &[RemoteIoVec { base, len }])
        })
    }

    #[inline]
    fn source_in_place(&self, span: Span) -> Option<SourceWindow> {
        // SAFETY: asked for only under the flag by which the host vouches that the memory stays mapped, initialised and unwritten until the
        // job is answered, and the window is dropped before. Whoever sets that flag in a descriptor has made this promise.
        unsafe { SourceWindow::new(span.address, span.len) }
    }

    #[inline]
    fn target_in_place(&self, span: Span, initialised: bool) -> Option<TargetWindow> {
        // SAFETY: as for sources; the host also vouches that nobody else touches a destination, and `initialised` is its word.
        unsafe { TargetWindow::new(span.address, span.len, initialised) }
    }
}

/// Moves as many of `len` bytes at `address` as can be moved in a step; `None` if not even the first one can.
///
/// The kernel may refuse a whole range of which only the later part is bad. What lies on the first page is then tried alone, so that
/// a fault is reported at the first bad byte.
fn transfer(address: u64, len: usize, mut step: impl FnMut(usize, usize) -> nix::Result<usize>) -> Option<usize> {
    let base = usize::try_from(address).ok()?;
    base.checked_add(len)?;
    if let Ok(moved @ 1..) = step(base, len) {
        return Some(moved);
    }
    let on_page = usize::try_from(PAGE - address % PAGE).ok()?;
    if on_page >= len {
        return None;
    }
    step(base, on_page).ok().filter(|moved| *moved > 0)
}

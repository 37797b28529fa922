//! Devices that no IOMMU stands behind: they reach all of the machine's memory, whatever anybody maps for them.
//!
//! The kernel gives such a device only where its own option says so (`vfio.enable_unsafe_noiommu_mode`), and only to who has `CAP_SYS_RAWIO`; it taints itself. There is nothing to
//! map: the device is told physical addresses, of huge pages that are asked for by `/proc/self/pagemap`, and data is copied through them.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use uaccel_queue::{RingMemory, TransportError};

use super::mapper::{Mapper, Reach};
use crate::sys::fork_mark::ForkMark;
use crate::sys::physical;
use crate::sys::process_memory::ProcessMemory;
use crate::sys::vfio::group::Container;

/// What stands for a mapper where nothing can be mapped: no address of the process is the device's.
#[derive(Debug)]
pub(super) struct NoMapper {
    /// Keeps the device ours.
    pub(super) _container: Arc<Container>,
}

impl Mapper for NoMapper {
    fn reach(&self) -> io::Result<Reach> {
        Ok(Reach { ranges: Vec::new(), page: 4096, left: None })
    }

    fn map(&self, _iova: u64, _start: usize, _len: usize, _write: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn unmap(&self, _iova: u64, _len: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Memory that a device reaches by physical addresses, at least `len` bytes.
pub(super) fn ring_memory(len: usize, address_bits: u32, fork: &ForkMark) -> Result<RingMemory, TransportError> {
    let refused = TransportError::Refused;
    let pages = ProcessMemory::huge(len, fork.clone()).map_err(|error| {
        refused(format!(
            "no {len} bytes of huge pages for a device without an IOMMU: {error}; as root: echo 16 > /proc/sys/vm/nr_hugepages"
        ))
    })?;
    let start: NonNull<u8> = pages.start();
    let device = physical::contiguous(start.expose_provenance().get(), pages.len(), ProcessMemory::HUGE)
        .map_err(|error| refused(format!("physical addresses cannot be had: {error}")))?;
    let last = device + (pages.len() as u64 - 1);
    if last.checked_shr(address_bits).unwrap_or(0) != 0 {
        return Err(refused(format!("physical address {last:#x} is beyond the {address_bits} bits of the device")));
    }
    let len = pages.len();
    // SAFETY: whole pages, zeroed, mapped while the keeper lives; everybody reaches them through ring memory.
    Ok(unsafe { RingMemory::new(start, device, len, Arc::new(pages)) })
}

//! How one job may use its memory.

use uaccel_queue::JobFlags;

use crate::{Access, AddressSpace, MemoryPort, WorkItem};

/// One job's way to its memory: by the port, in its address space, as one who vouches for it or not.
pub(super) struct JobAccess<'a, P> {
    port: &'a P,
    space: AddressSpace,
    is_vouched: bool,
}

impl<'a, P: MemoryPort> JobAccess<'a, P> {
    pub(super) fn new(item: &WorkItem, port: &'a P) -> Self {
        Self { port, space: item.space, is_vouched: item.flags.contains(JobFlags::VOUCHED) }
    }

    /// As [`MemoryPort::read`].
    #[inline]
    pub(super) fn read(&self, address: u64, into: &mut [u8]) -> Access<usize> {
        if self.is_vouched {
            self.port.read_vouched(self.space, address, into)
        } else {
            self.port.read(self.space, address, into)
        }
    }

    /// As [`MemoryPort::write`].
    #[inline]
    pub(super) fn write(&self, address: u64, from: &[u8]) -> Access<usize> {
        if self.is_vouched {
            self.port.write_vouched(self.space, address, from)
        } else {
            self.port.write(self.space, address, from)
        }
    }
}

//! Where a started queue's rings are.

use uaccel_warp_abi::Geometry;

/// Where a started queue's rings are, and how they are divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ring {
    pub(super) base: u64,
    pub(super) geometry: Geometry,
}

impl Ring {
    /// The device address of a byte of ring memory.
    #[inline]
    pub(super) const fn at(&self, offset: usize) -> u64 {
        self.base + offset as u64
    }
}

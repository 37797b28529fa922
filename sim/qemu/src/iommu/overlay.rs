//! The one bit that the emulated IOMMU does not show.
//!
//! Linux allows shared page tables only if the VT-d extended capability register says that the IOMMU's page walks are coherent with the processor's caches
//! in scalable mode (SMPWC, bit 48; VT-d Specification 10.4.3). In QEMU they are: both read the same memory. QEMU 11.1 does not set the bit and has no
//! option for it. So an 8-byte window lies over the register, which adds the bit; nothing else of it is changed, and where the bit is set already, or there is
//! no such IOMMU, there is no window.

use core::ffi::{c_uint, c_void};
use std::sync::OnceLock;

use super::{REGISTERS, lay_window};
use crate::ffi::{Functions, MemoryRegionOps};

/// The extended capability register.
const ECAP: u64 = REGISTERS + 0x10;
/// Page walks are coherent in scalable mode.
const SMPWC: u64 = 1 << 48;
/// Scalable mode is supported.
const SMTS: u64 = 1 << 43;

static OPERATIONS: MemoryRegionOps = MemoryRegionOps::new(read, write, 4);

/// What the register reads as, once the window is there.
static VALUE: OnceLock<u64> = OnceLock::new();

extern "C" fn read(_: *mut c_void, offset: u64, _: c_uint) -> u64 {
    part(VALUE.get().copied().unwrap_or(0), offset)
}

/// The register from its byte `offset` on. QEMU cuts off what is beyond the width of the access.
const fn part(value: u64, offset: u64) -> u64 {
    value >> (offset % 8 * 8)
}

/// The register is read only.
extern "C" fn write(_: *mut c_void, _: u64, _: u64, _: c_uint) {}

/// Lays the window over the register if it is needed. The second call does nothing.
pub(super) fn lay(functions: &Functions) {
    if VALUE.get().is_some() {
        return;
    }
    let mut result = 0;
    // SAFETY: reads a register of the machine, under the big lock.
    let ecap = unsafe { (functions.address_space_ldq_le)(functions.address_space_memory, ECAP, 0, &raw mut result) };
    if result == 0 && ecap & SMTS != 0 && ecap & SMPWC == 0 && VALUE.set(ecap | SMPWC).is_ok() {
        lay_window(functions, ECAP, &OPERATIONS, c"iommu-ecap");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_half_of_the_register_can_be_read_alone() {
        let value = 0x008d_7a20_f00f_4e11;
        assert_eq!(part(value, 0), value);
        assert_eq!(part(value, 4), value >> 32);
        assert_eq!(
            (OPERATIONS.implemented.min, OPERATIONS.implemented.max),
            (OPERATIONS.valid.min, OPERATIONS.valid.max)
        );
    }
}

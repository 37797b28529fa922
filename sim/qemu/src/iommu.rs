//! What is mended of the emulated IOMMU, so that Linux can share page tables with devices, and processes stay apart.

mod invalidations;
mod overlay;
mod presence;

use core::ffi::CStr;
use core::ptr::null_mut;

use crate::ffi::{Functions, MemoryRegionOps, Region};

pub(crate) use presence::is_present;

/// The registers of the IOMMU of the machine "q35".
const REGISTERS: u64 = 0xfed9_0000;

/// Lays the windows over its registers that are needed, if there is such an IOMMU. Called when devices are made, after the IOMMU; the second call does nothing.
pub(crate) fn mend(functions: &'static Functions) {
    // SAFETY: the type's name is a C string, the path may be empty, nobody asks whether there are several.
    let iommu = unsafe { (functions.object_resolve_path_type)(c"".as_ptr(), c"intel-iommu".as_ptr(), null_mut()) };
    if !iommu.is_null() {
        overlay::lay(functions);
        invalidations::watch(functions);
    }
}

/// Lays a window of 8 bytes over a register, for good.
fn lay_window(functions: &Functions, register: u64, operations: &'static MemoryRegionOps, name: &'static CStr) {
    let region = Box::into_raw(Box::new(Region::new()));
    // SAFETY: the region lives for ever, is large and aligned enough, and gets its operations before anybody can see it; called under the big lock.
    unsafe {
        (functions.memory_region_init_io)(region, null_mut(), operations, null_mut(), name.as_ptr(), 8);
        (functions.memory_region_add_subregion_overlap)((functions.get_system_memory)(), register, region, 1);
    }
}

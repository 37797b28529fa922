//! What is mended of the emulated IOMMU, so that Linux can share page tables with devices, and processes stay apart.

mod invalidations;
mod overlay;
mod presence;

use crate::ffi::Functions;

pub(crate) use presence::is_present;

/// The registers of the IOMMU of the machine "q35".
const REGISTERS: u64 = 0xfed9_0000;

/// Lays the windows over its registers that are needed, if there is such an IOMMU. Called when devices are made, after the IOMMU; the second call does nothing.
pub(crate) fn mend(functions: &'static Functions) {
    overlay::lay(functions);
    invalidations::watch(functions);
}

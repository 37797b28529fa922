//! Errors, and what they do.

use super::config::ErrorRegisters;
use super::registers::Registers;

/// A read of memory failed: `qm_axi_rresp`.
pub const BUS_READ: u32 = 1 << 0;
/// A write to memory failed: `qm_axi_bresp`.
pub const BUS_WRITE: u32 = 1 << 1;

impl ErrorRegisters {
    /// Notes errors; whether they raise the interrupt.
    pub(super) fn raise(&self, registers: &mut Registers, errors: u32) -> bool {
        let fresh = errors & !registers.get(self.status);
        registers.set(self.status, registers.get(self.status) | errors);
        fresh & !registers.get(self.mask) != 0
    }

    /// The kernel says that errors are dealt with.
    pub(super) fn clear(&self, registers: &mut Registers, errors: u32) {
        registers.set(self.status, registers.get(self.status) & !errors);
    }

    /// Sets the mask; whether that raises the interrupt for errors that waited behind it.
    pub(super) fn set_mask(&self, registers: &mut Registers, mask: u32) -> bool {
        let uncovered = registers.get(self.mask) & !mask;
        registers.set(self.mask, mask);
        registers.get(self.status) & uncovered != 0
    }

    /// Whether there is an error that shuts the function down.
    pub(super) fn shuts(&self, registers: &Registers) -> bool {
        registers.get(self.status) & registers.get(self.shutdown) != 0
    }
}

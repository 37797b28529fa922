//! The registers as they stand.

use core::fmt;

use uaccel_hisi_abi::pci;

/// The function's registers, 32 bits each. Those that do nothing keep what is written.
pub(super) struct Registers(Box<[u32]>);

impl Registers {
    /// All 0 but for these.
    pub(super) fn new(values: impl IntoIterator<Item = (usize, u32)>) -> Self {
        let mut registers = Self(vec![0; pci::REGISTERS_SIZE / 4].into());
        for (offset, value) in values {
            registers.set(offset, value);
        }
        registers
    }

    /// What is not a register reads as 0.
    pub(super) fn get(&self, offset: usize) -> u32 {
        self.0.get(offset / 4).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, offset: usize, value: u32) {
        if let Some(register) = self.0.get_mut(offset / 4) {
            *register = value;
        }
    }

    /// The interrupt vector that a capability names, if there is one.
    #[allow(clippy::cast_possible_truncation, reason = "the vector is the lower half")]
    pub(super) fn vector(&self, offset: usize) -> Option<u16> {
        let value = self.get(offset);
        (value >> 16 != 0).then_some(value as u16)
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registers").field("len", &self.0.len()).finish_non_exhaustive()
    }
}

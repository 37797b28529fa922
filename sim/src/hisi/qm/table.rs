//! The table of functions.

use uaccel_hisi_abi::{VftOperation, VftQueues, registers};

use super::registers::Registers;

/// Functions the table has room for, and of the function's share of time one for each of two types of algorithms.
const FUNCTIONS: usize = 64;
const SHARES: usize = 2 * FUNCTIONS;

/// The table of functions. Only the physical function, number 0, exists; what is said of others is kept.
#[derive(Debug)]
pub(super) struct Table {
    submissions: [u64; FUNCTIONS],
    completions: [u64; FUNCTIONS],
    shares: [u64; SHARES],
}

impl Table {
    pub(super) const fn new() -> Self {
        Self { submissions: [0; FUNCTIONS], completions: [0; FUNCTIONS], shares: [0; SHARES] }
    }

    /// Carries out the operation that the registers describe.
    #[allow(clippy::cast_possible_truncation, reason = "the data are cut in halves by design")]
    pub(super) fn operate(&mut self, registers: &mut Registers) {
        let function = registers.get(registers::VFT_FUNCTION) as usize;
        let kind = registers.get(registers::VFT_TYPE);
        let entry = match kind {
            kind if kind == VftOperation::Submissions as u32 => Some(&mut self.submissions[function % FUNCTIONS]),
            kind if kind == VftOperation::Completions as u32 => Some(&mut self.completions[function % FUNCTIONS]),
            kind if kind == VftOperation::Shaper as u32 => Some(&mut self.shares[function % SHARES]),
            _ => None,
        };
        let Some(entry) = entry else { return };
        if registers.get(registers::VFT_DIRECTION) & 1 == 0 {
            let [low, high] = [registers::VFT_DATA_LOW, registers::VFT_DATA_HIGH].map(|at| registers.get(at));
            *entry = u64::from(low) | u64::from(high) << 32;
        } else {
            registers.set(registers::VFT_DATA_LOW, *entry as u32);
            registers.set(registers::VFT_DATA_HIGH, (*entry >> 32) as u32);
        }
    }

    /// What the table says of a function's submission rings.
    pub(super) fn submissions(&self, function: u16) -> u64 {
        self.submissions.get(usize::from(function)).copied().unwrap_or(0)
    }

    /// How many queues the physical function has.
    pub(super) fn queues(&self) -> u32 {
        VftQueues::decode(self.submissions[0]).map_or(0, |queues| queues.count)
    }
}

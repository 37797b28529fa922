//! Page request group indices.

use std::collections::VecDeque;

/// Group indices there are: PCI Express gives them 9 bits (Base Specification 10.4.1).
const COUNT: u16 = 512;

/// The page request group indices of a function.
///
/// An index whose request was forgotten, as by a reset, may still be answered. So it is used again after all others, the one forgotten first before the
/// rest: by then its answer has come and gone.
#[derive(Debug)]
pub(crate) struct Groups {
    free: VecDeque<u16>,
    out: u32,
}

impl Groups {
    pub(crate) fn new() -> Self {
        Self { free: (0..COUNT).collect(), out: 0 }
    }

    /// How many are out.
    pub(crate) const fn out(&self) -> u32 {
        self.out
    }

    /// Takes the one that was not used for the longest time.
    pub(crate) fn take(&mut self) -> Option<u16> {
        let group = self.free.pop_front()?;
        self.out += 1;
        Some(group)
    }

    /// Gives one back, answered or forgotten.
    pub(crate) fn give_back(&mut self, group: u16) {
        self.free.push_back(group);
        self.out -= 1;
    }
}

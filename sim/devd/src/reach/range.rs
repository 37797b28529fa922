//! A range of a client's addresses.

use super::vectored::Barred;

/// The smallest page there is; a larger one only makes more steps.
const PAGE: usize = 4096;

/// A range of addresses that a call can be given: it does not wrap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) base: usize,
    pub(super) len: usize,
}

impl Range {
    pub(super) fn new(address: u64, len: usize) -> Option<Self> {
        let base = usize::try_from(address).ok()?;
        base.checked_add(len)?;
        Some(Self { base, len })
    }

    /// Moves as much as can be moved in one step, at least one byte.
    ///
    /// The kernel may refuse a whole range of which only the later part is bad. What lies on the first page is then tried alone, so that
    /// a fault is reported at the first bad byte.
    pub(super) fn in_steps(self, mut step: impl FnMut(Self) -> Result<usize, Barred>) -> Result<usize, Barred> {
        let barred = match step(self) {
            Ok(moved) => return Ok(moved),
            Err(barred) => barred,
        };
        let on_page = PAGE - self.base % PAGE;
        if barred == Barred::NotPermitted || on_page >= self.len {
            return Err(barred);
        }
        step(Self { len: on_page, ..self })
    }
}

//! The translation cache of one address space.

use crate::emulator::{PAGE, Translation};

/// Pages a cache holds.
const ENTRIES: usize = 1024;

/// The translation cache of one address space: direct-mapped, a page per entry.
#[derive(Debug)]
pub(crate) struct Cache(Vec<Option<(u64, Translation)>>);

impl Cache {
    pub(crate) fn new() -> Self {
        Self(vec![None; ENTRIES])
    }

    /// The translation of the page at `page`, if it is here.
    pub(crate) fn get(&self, page: u64) -> Option<Translation> {
        self.0[slot(page)].filter(|(cached, _)| *cached == page).map(|(_, translation)| translation)
    }

    /// Keeps a translation, in place of another if need be.
    pub(crate) fn put(&mut self, page: u64, translation: Translation) {
        self.0[slot(page)] = Some((page, translation));
    }

    /// Forgets what is translated of `address` to `address` + `last`, inclusive.
    pub(crate) fn forget(&mut self, address: u64, last: u64) {
        let end = address.saturating_add(last);
        for entry in &mut self.0 {
            if entry.is_some_and(|(page, _)| page <= end && page.saturating_add(PAGE - 1) >= address) {
                *entry = None;
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "reduced to the number of entries")]
const fn slot(page: u64) -> usize {
    (page / PAGE % ENTRIES as u64) as usize
}

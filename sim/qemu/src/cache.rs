//! The translation cache of one address space.

use crate::emulator::{LARGE, PAGE, Place, Translation};

/// The translation cache of one address space: two direct-mapped tables, one for pages and one for large pages.
#[derive(Debug)]
pub(crate) struct Cache {
    pages: Table<PAGE, 1024>,
    large: Table<LARGE, 64>,
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { pages: Table::new(), large: Table::new() }
    }

    /// Where the byte at `address` is, if that is known and the access allowed.
    pub(crate) fn get(&self, address: u64, write: bool) -> Option<Place> {
        self.pages.get(address, write).or_else(|| self.large.get(address, write))
    }

    /// Keeps the translation of the page at `page`, in place of another if need be.
    pub(crate) fn put(&mut self, page: u64, translation: Translation) {
        if translation.extent >= LARGE {
            self.large.put(page, translation);
        } else {
            self.pages.put(page, translation);
        }
    }

    /// Forgets what is translated of `address` to `address` + `last`, inclusive.
    pub(crate) fn forget(&mut self, address: u64, last: u64) {
        let end = address.saturating_add(last);
        self.pages.forget(address, end);
        self.large.forget(address, end);
    }
}

/// Translations of `N` blocks of `SIZE` bytes, a block per entry.
#[derive(Debug)]
struct Table<const SIZE: u64, const N: usize>(Vec<Option<Entry>>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    block: u64,
    /// Its translation, with the place of its first byte.
    translation: Translation,
}

impl<const SIZE: u64, const N: usize> Table<SIZE, N> {
    fn new() -> Self {
        Self(vec![None; N])
    }

    fn get(&self, address: u64, write: bool) -> Option<Place> {
        let block = address & !(SIZE - 1);
        let entry = self.0[Self::slot(block)].filter(|entry| entry.block == block)?;
        entry.translation.allows(write).then(|| entry.translation.place.plus(address - block))
    }

    fn put(&mut self, page: u64, mut translation: Translation) {
        let block = page & !(SIZE - 1);
        translation.place.address = translation.place.address.wrapping_sub(page - block);
        self.0[Self::slot(block)] = Some(Entry { block, translation });
    }

    fn forget(&mut self, address: u64, end: u64) {
        for slot in &mut self.0 {
            if slot.is_some_and(|entry| entry.block <= end && entry.block.saturating_add(SIZE - 1) >= address) {
                *slot = None;
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "reduced to the number of entries")]
    const fn slot(block: u64) -> usize {
        (block / SIZE % N as u64) as usize
    }
}

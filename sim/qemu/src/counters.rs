//! The counters of the control page.

use core::sync::atomic::{AtomicU64, Ordering};

use uaccel_warp_abi::control_page;

/// A number that is counted up under the emulator's lock.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub fn count(&self) {
        // Relaxed: nothing is ordered by it.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counters of the control page (specification, section 8.4), since power-on.
#[derive(Debug, Default)]
pub struct Counters {
    /// Translations asked for.
    pub translations: Counter,
    /// Page requests sent.
    pub page_requests: Counter,
    /// Page requests answered with success.
    pub granted: Counter,
    /// Page requests answered otherwise, or that could not be sent.
    pub refused: Counter,
    /// Invalidations received.
    pub invalidations: Counter,
}

impl Counters {
    /// The counter at an offset of the control page, if there is one.
    #[must_use]
    pub fn register(&self, offset: usize) -> Option<u64> {
        let counter = match offset {
            control_page::TRANSLATIONS => &self.translations,
            control_page::PAGE_REQUESTS => &self.page_requests,
            control_page::PAGE_REQUESTS_GRANTED => &self.granted,
            control_page::PAGE_REQUESTS_REFUSED => &self.refused,
            control_page::INVALIDATIONS => &self.invalidations,
            _ => return None,
        };
        Some(counter.get())
    }
}

//! How many processors this process may use.

use std::num::NonZeroUsize;
use std::sync::OnceLock;

/// Processors this process may use, at least 1. Asked once.
pub(crate) fn usable() -> usize {
    static USABLE: OnceLock<usize> = OnceLock::new();
    *USABLE.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

//! Memory that is unmapped and mapped again at the same address.

use uaccel_runtime::Runtime;

use super::jobs::{crc32c, noise, run};
use super::pages::{PAGE, Pages};

/// A device sees what is mapped now, and not what was: within a block of 1 GiB, and across the ends of blocks of 1 GiB, 4 GiB and 512 GiB, where to forget a
/// range takes an invalidation of as much.
pub(crate) fn is_seen_anew(runtime: &Runtime) {
    const LEN: usize = 64 * PAGE;
    for boundary in [0x5000_2000_0000, 0x5000_4000_0000, 0x5001_0000_0000, 0x5080_0000_0000] {
        for round in 0..10 {
            let pages = Pages::at(boundary - LEN / 2, LEN);
            let bytes = noise(round, LEN);
            pages.write(0, &bytes);
            let sum = run(runtime, &crc32c(pages.start(), LEN)).unwrap().checksum;
            assert_eq!(sum, ::crc32c::crc32c(&bytes), "round {round} at {boundary:#x}");
        }
    }
}

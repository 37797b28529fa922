//! How the program ends: as `uaccel` does, and with one code more.

pub use uaccel_cli::exit::{DONE, FAILED, Failure, INTERRUPTED, NO_DEVICE, USAGE, end};

/// A promise was missed, with `--fail-if-missed`.
pub const MISSED: u8 = 4;

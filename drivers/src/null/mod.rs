//! The null device: every job succeeds at once and has no effect.
//!
//! It shows what the framework costs when the work costs nothing, and it stands below any part of it, so it offers
//! every operation and every algorithm. It is only used by name.
//!
//! An answer tells the truth as far as memory goes: no byte was produced. The source counts as consumed, so that a
//! caller who works through a long input comes to its end.

mod completer;
mod driver;
mod submitter;

pub use driver::NullDriver;

/// The name of the device on [`LocalBus`](crate::local::LocalBus).
pub const DEVICE: &str = "null";

/// The name of its interface.
pub const INTERFACE: &str = "null_v1";

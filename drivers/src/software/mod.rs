//! The CPU as a device: jobs are computed in `submit`, on the thread that calls it.
//!
//! It computes with [`uaccel_units`], keeps expanded sessions, and allocates nothing per job once warm. There is no cap
//! on a job's size but that of the address space in use today. Pointers are what they are for any function: who calls
//! vouches for them.
//!
//! Source and destination of a job are slices for as long as it runs, so they do not overlap. `Copy`, `Encrypt` and
//! `Decrypt` alone may name the same memory twice; any other job that overlaps itself ends as
//! [`Status::InvalidJob`](uaccel_queue::Status::InvalidJob).

mod completer;
mod driver;
mod memory;
mod sessions;
mod submitter;
mod work;

pub use driver::SoftwareDriver;

/// The name of the device on [`LocalBus`](crate::local::LocalBus).
pub const DEVICE: &str = "software";

/// The name of its interface.
pub const INTERFACE: &str = "software_v1";

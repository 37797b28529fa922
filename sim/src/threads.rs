//! The thread host: a device model on threads of the process that uses it.

mod barrier;
mod host;
mod memory;
mod port;
mod queue;
mod shared;
mod sleepers;
mod timeline;
mod transport;
mod worker;

pub use host::{ThreadHost, ThreadHostConfig, ThreadHostError};

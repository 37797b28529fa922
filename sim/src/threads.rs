//! The thread host: a device model on threads of the process that uses it.

mod backing;
mod host;
mod own_memory;
mod part;
mod transport;

pub use host::{ThreadHost, ThreadHostConfig, ThreadHostError};

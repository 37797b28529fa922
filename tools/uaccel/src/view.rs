//! What is shown of a daemon's status.

use std::path::PathBuf;

use serde::Deserialize;
use uaccel_devd::{ClientStatus, DeviceStatus};

/// The parts of a [`Status`](uaccel_devd::Status) that are shown. What else a daemon of another version says, or does not say, is no harm.
#[derive(Clone, Debug, Deserialize)]
pub struct View {
    /// The daemon's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Its socket.
    pub socket: PathBuf,
    /// For how long it has run.
    pub uptime_ns: u64,
    /// Its devices.
    pub devices: Vec<DeviceStatus>,
    /// Its clients, as far as it shows them to this user.
    pub clients: Vec<ClientStatus>,
}

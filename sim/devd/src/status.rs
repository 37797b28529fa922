//! What a server tells of itself.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;

/// What a server tells of itself: the object that `uaccel-devd status --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The server's version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its socket.
    pub socket: PathBuf,
    /// For how long it has run.
    pub uptime_ns: u64,
    /// Its devices.
    pub devices: Vec<DeviceStatus>,
    /// Its clients, by the number of their address space: all of them for the server's own user and root, for others only their own.
    pub clients: Vec<ClientStatus>,
    /// Who may have how much.
    pub limits: Limits,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceStatus {
    /// Its name.
    pub name: String,
    /// Its programming interface.
    pub interface: String,
    /// How many queues it has.
    pub queues: usize,
    /// How many are open.
    pub queues_open: usize,
    /// How many engines it has, where a plan gives jobs a service time.
    pub engines: usize,
    /// How many threads do the work.
    pub workers: usize,
    /// How many do long jobs.
    pub lanes: usize,
    /// How many queues were given up because the device would not let go of them.
    pub leaked_queues: u64,
    /// Jobs answered since the start.
    pub jobs: u64,
    /// Bytes they named.
    pub bytes: u64,
    /// Those that ended at a bad address.
    pub faults: u64,
    /// Missing pages.
    pub page_requests: u64,
    /// Signals given to sleepers.
    pub signals: u64,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientStatus {
    /// The number of its address space.
    pub pasid: u32,
    /// Its process; 0 if it is in another PID namespace and cannot be seen.
    pub pid: i32,
    /// Its user.
    pub uid: u32,
    /// What it is called.
    pub command: String,
    /// `low`, `normal` or `high`.
    pub priority: String,
    /// How many queues it has open.
    pub queues: usize,
    /// How many windows it has registered.
    pub windows: usize,
    /// How its memory is reached: `vectored` or `mem`.
    pub access: String,
    /// For how long it has been connected.
    pub connected_ns: u64,
    /// Jobs answered.
    pub jobs: u64,
    /// Bytes they named.
    pub bytes: u64,
    /// Those that ended at a bad address.
    pub faults: u64,
    /// For how long its jobs waited while the device did something else.
    pub wait_ns: u64,
    /// For how long the device worked for it.
    pub service_ns: u64,
    /// Whether its memory does not answer, or it is being given up.
    pub blocked: bool,
}

//! A server of a test, on a socket of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use uaccel_devd::{Daemon, DaemonConfig};

use super::hand::PATIENCE;

/// A server of a test, on a socket of its own.
pub struct Server {
    pub daemon: Daemon,
    pub folder: TempDir,
}

impl Server {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// A server that is set up a little differently.
    pub fn with(change: impl FnOnce(&mut DaemonConfig)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = DaemonConfig::new(folder.path().join("devd.sock"));
        change(&mut config);
        let daemon = Daemon::start(config).expect("a server");
        Self { daemon, folder }
    }

    pub fn socket(&self) -> PathBuf {
        self.daemon.socket().to_owned()
    }

    /// The numbers of the address spaces that are bound.
    pub fn pasids(&self) -> Vec<u32> {
        self.daemon.status().clients.iter().map(|client| client.pasid).collect()
    }

    pub fn queues_open(&self) -> usize {
        self.daemon.status().devices.iter().map(|device| device.queues_open).sum()
    }
}

/// Waits until something is so.
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

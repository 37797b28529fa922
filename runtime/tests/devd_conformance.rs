//! The Warp driver over the transport of uaccel-devd, with a daemon in this process, held to the suite that defines a driver.

use std::sync::Arc;

use uaccel_conformance::{Backend, conformance};
use uaccel_devd::{Daemon, DaemonConfig};
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_runtime::devd::DevdBus;

/// A daemon of each test's own.
struct Served {
    daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl Served {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let daemon = Daemon::start(DaemonConfig::new(folder.path().join("devd.sock"))).expect("a daemon");
        Self { daemon, _folder: folder }
    }
}

impl Backend for Served {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(WarpDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(DevdBus::at(self.daemon.socket()))
    }

    fn device(&self) -> String {
        "devd:warp0".to_owned()
    }
}

conformance!(devd, Served::new());

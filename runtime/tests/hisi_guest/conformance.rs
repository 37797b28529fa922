//! The suite that defines a driver, on the device.

use std::sync::Arc;
use std::time::Duration;

use uaccel_conformance::Backend;
use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_runtime::uacce::UacceBus;

use crate::bench::{DEVICE, PATIENCE};

/// The device as a back end of the suite.
pub(crate) struct Device;

impl Backend for Device {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(HisiZipDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(UacceBus::new())
    }

    fn device(&self) -> String {
        DEVICE.to_owned()
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

uaccel_conformance::conformance!(hisi, Device);

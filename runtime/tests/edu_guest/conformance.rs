//! The suite that defines a driver, on the device.

use std::sync::Arc;
use std::time::Duration;

use uaccel_conformance::Backend;
use uaccel_drivers::edu::EduDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_runtime::Reaching;

use crate::bench::{PATIENCE, bus, device};

/// The device as a back end of the suite.
pub(crate) struct Device;

impl Backend for Device {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(Reaching(EduDriver))
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(bus())
    }

    fn device(&self) -> String {
        device().to_owned()
    }

    fn depth(&self) -> usize {
        // One transfer at a time, and each costs the machine that emulates it about a millisecond.
        4
    }

    fn endurance(&self) -> u64 {
        200
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

uaccel_conformance::conformance!(edu, Device);

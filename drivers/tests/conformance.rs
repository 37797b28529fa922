//! The devices that are this process itself, held to the suite that defines a driver.

use std::sync::Arc;

use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::local::LocalBus;
use uaccel_drivers::null::{self, NullDriver};
use uaccel_drivers::software::{self, SoftwareDriver};
use uaccel_queue::{Bus, Driver};

struct Null;

impl Backend for Null {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(NullDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(LocalBus)
    }

    fn device(&self) -> String {
        null::DEVICE.to_owned()
    }
}

struct Software;

impl Backend for Software {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(SoftwareDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(LocalBus)
    }

    fn device(&self) -> String {
        software::DEVICE.to_owned()
    }
}

conformance!(null_device, Null);
conformance!(software_device, Software);

//! The Warp driver over the uacce transport, on kernels that do not exist, held to the suite that defines a driver.

mod fake_uacce;

use std::sync::Arc;

use fake_uacce::{DEVICE, Kernel, Machine};
use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_sim::WarpConfig;

impl Backend for Machine {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(WarpDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Machine::bus(self)
    }

    fn device(&self) -> String {
        DEVICE.to_owned()
    }
}

conformance!(uacce_as_it_is, Machine::new(Kernel::New, WarpConfig::default()));
conformance!(uacce_as_it_was, Machine::new(Kernel::Old, WarpConfig::default()));

//! The suite that defines a driver, on the device.

use std::sync::Arc;
use std::time::Duration;

use uaccel_conformance::Backend;
use uaccel_drivers::virtio_crypto::VirtioCryptoDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_runtime::Reaching;
use uaccel_runtime::vfio::VfioBus;

use crate::bench::{PATIENCE, device};

/// The device as a back end of the suite.
pub(crate) struct Device;

impl Backend for Device {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(Reaching(VirtioCryptoDriver))
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(VfioBus::new())
    }

    fn device(&self) -> String {
        device().to_owned()
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

uaccel_conformance::conformance!(virtio, Device);

//! The suite that defines a driver, on the device.

use std::sync::Arc;
use std::time::Duration;

use uaccel_conformance::Backend;
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_runtime::Reaching;
use uaccel_runtime::vfio::Road;

use crate::bench::{PATIENCE, bus, device, road};

/// The device as a back end of the suite.
pub(crate) struct Device;

impl Backend for Device {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(Reaching(WarpDriver))
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(bus())
    }

    fn device(&self) -> String {
        device().to_owned()
    }

    fn endurance(&self) -> u64 {
        // Each page of each job is a detour through this process.
        if road() == Road::OnDemand { 600 } else { 6000 }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }
}

uaccel_conformance::conformance!(vfio, Device);

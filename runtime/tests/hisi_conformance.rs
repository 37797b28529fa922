//! The driver of HiSilicon's ZIP engine over its model on threads, held to the suite that defines a driver: with one worker and with several, which finish
//! out of order.

use std::sync::Arc;

use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_sim::{HisiZip, HisiZipConfig, Plan, Simulator, ThreadHost, ThreadHostConfig};

struct Simulated(Arc<ThreadHost<HisiZip>>);

impl Simulated {
    fn new(workers: usize) -> Self {
        let threads = ThreadHostConfig { workers: Some(workers), ..ThreadHostConfig::default() };
        Self(Simulator::hisi_zip(HisiZipConfig::default(), threads, Plan::default()).expect("the engine starts"))
    }
}

impl Backend for Simulated {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(HisiZipDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        self.0.clone()
    }

    fn device(&self) -> String {
        self.0.devices()[0].name.clone()
    }
}

conformance!(hisi_zip_on_threads, Simulated::new(1));
conformance!(hisi_zip_on_several_threads, Simulated::new(3));

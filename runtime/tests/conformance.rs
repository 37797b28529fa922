//! The Warp driver over the simulated engine, held to the suite that defines a driver: in its own line for shallow queues, in rings for deep ones.

use std::sync::Arc;

use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{Bus, Driver};
use uaccel_sim::{Plan, Simulator, ThreadHost, ThreadHostConfig, Warp, WarpConfig};

struct Simulated(Arc<ThreadHost<Warp>>);

impl Default for Simulated {
    fn default() -> Self {
        Self(
            Simulator::warp(WarpConfig::default(), ThreadHostConfig::default(), Plan::default())
                .expect("the engine starts"),
        )
    }
}

impl Backend for Simulated {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(WarpDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        self.0.clone()
    }

    fn device(&self) -> String {
        self.0.devices()[0].name.clone()
    }
}

conformance!(warp_on_threads, Simulated::default());

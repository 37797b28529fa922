//! The suite that defines a driver.

use std::sync::Arc;

use tally::{Tally, TallyDriver};
use uaccel_conformance::{Backend, conformance};
use uaccel_queue::{Bus, Driver};
use uaccel_sim::{Plan, ThreadHost, ThreadHostConfig};

struct OnThreads(Arc<ThreadHost<Tally>>);

impl Default for OnThreads {
    fn default() -> Self {
        let host = ThreadHost::new(Tally::new(), ThreadHostConfig::default(), Plan::default());
        Self(Arc::new(host.expect("threads can be started")))
    }
}

impl Backend for OnThreads {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(TallyDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        self.0.clone()
    }

    fn device(&self) -> String {
        self.0.devices()[0].name.clone()
    }
}

conformance!(tally_on_threads, OnThreads::default());

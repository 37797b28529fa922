//! What a device is advertised with reaches the driver that opens it.

use std::sync::{Arc, Mutex};

use uaccel_drivers::software::{DEVICE, SoftwareDriver};
use uaccel_queue::{
    Algorithm, AlgorithmSet, Capabilities, Cells, DeviceInfo, Direction, Driver, OpenError, OpenQueue, QueueRequest,
    Transport,
};
use uaccel_runtime::{Fallback, Runtime};

/// The CPU, advertised with one algorithm only.
#[derive(Debug, Default)]
struct Narrow {
    asked: Mutex<Vec<Option<AlgorithmSet>>>,
}

fn gzip() -> AlgorithmSet {
    [(Algorithm::Gzip, Direction::Forward)].into_iter().collect()
}

impl Driver for Narrow {
    fn name(&self) -> &str {
        "narrow"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        SoftwareDriver.drives(device)
    }

    fn advertised(&self, device: &DeviceInfo) -> Capabilities {
        let mut capabilities = SoftwareDriver.advertised(device);
        capabilities.algorithms = gzip();
        capabilities
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        cells: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        self.asked.lock().expect("no panic inside").push(request.algorithms);
        SoftwareDriver.open(transport, cells, request)
    }
}

#[test]
fn a_queue_is_asked_for_with_what_its_device_was_advertised_with() {
    let driver = Arc::new(Narrow::default());
    let runtime = Runtime::builder().driver(driver.clone()).device(DEVICE).fallback(Fallback::Never).build();
    drop(runtime.expect("the CPU is there"));
    let asked = driver.asked.lock().expect("no panic inside").clone();
    assert!(!asked.is_empty() && asked.iter().all(|algorithms| *algorithms == Some(gzip())), "{asked:?}");
}

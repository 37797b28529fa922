//! The suite that defines a driver.

use std::sync::Arc;

use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_hisi_abi::API_V3;
use uaccel_queue::{Bus, DeviceInfo, Driver, Transport, TransportError};

use crate::device::Device;

#[derive(Debug)]
struct Node;

impl Bus for Node {
    fn name(&self) -> &str {
        "node"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mut device = DeviceInfo::new("hisi_zip-0", API_V3);
        device.algorithms = ["zlib", "gzip", "deflate"].map(str::to_owned).to_vec();
        vec![device]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        match device {
            "hisi_zip-0" => Ok(Device::honest(1024)),
            _ => Err(TransportError::NoSuchDevice { bus: "node".to_owned(), device: device.to_owned() }),
        }
    }
}

struct Honest;

impl Backend for Honest {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(HisiZipDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(Node)
    }

    fn device(&self) -> String {
        "hisi_zip-0".to_owned()
    }
}

conformance!(hisi_zip, Honest);

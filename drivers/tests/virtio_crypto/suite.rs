//! The suite that defines a driver.

use std::sync::Arc;

use uaccel_conformance::{Backend, conformance};
use uaccel_drivers::virtio_crypto::{INTERFACE, VirtioCryptoDriver};
use uaccel_queue::{Bus, DeviceInfo, Driver, Transport, TransportError};

use crate::device::{Device, Nature};

#[derive(Debug)]
struct Slot;

impl Bus for Slot {
    fn name(&self) -> &str {
        "slot"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        vec![DeviceInfo::new("virtio-crypto", INTERFACE)]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        match device {
            "virtio-crypto" => Ok(Device::new(Nature::default())),
            _ => Err(TransportError::NoSuchDevice { bus: "slot".to_owned(), device: device.to_owned() }),
        }
    }
}

struct Honest;

impl Backend for Honest {
    fn driver(&self) -> Arc<dyn Driver> {
        Arc::new(VirtioCryptoDriver)
    }

    fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(Slot)
    }

    fn device(&self) -> String {
        "virtio-crypto".to_owned()
    }
}

conformance!(virtio_crypto, Honest);

//! A device that goes past the IOMMU, as QEMU's do unless they are told not to.

use std::fs;
use std::sync::Arc;

use uaccel_drivers::virtio_crypto::VirtioCryptoDriver;
use uaccel_queue::{Bus, Cells, Driver, OpenError, QueueRequest};
use uaccel_runtime::vfio::VfioBus;

use crate::bench::FUNCTION;
use crate::guest::jobs::eventually;
use crate::root;

/// The second device of the machine, bound to VFIO's driver and handed to the user.
fn second() -> String {
    let handed = root::handed();
    let is = |id: &str, file: &str, value: &str| {
        let text = fs::read_to_string(format!("/sys/bus/pci/devices/{id}/{file}"));
        text.is_ok_and(|text| text.trim_end() == value)
    };
    let devices = fs::read_dir("/sys/bus/pci/devices").expect("a PCI bus").flatten();
    let mut ids = devices.filter_map(|entry| entry.file_name().into_string().ok()).filter(|id| *id != handed.id);
    let id = ids.find(|id| is(id, "vendor", FUNCTION.0) && is(id, "device", FUNCTION.1));
    let id = id.expect("a second device, with iommu_platform=off");
    let folder = format!("/sys/bus/pci/devices/{id}");
    handed.run(&format!(
        "(echo {id} > {folder}/driver/unbind; echo vfio-pci > {folder}/driver_override; echo {id} > /sys/bus/pci/drivers_probe) 2>/dev/null; \
         chown 1000:1000 /dev/vfio/* /dev/vfio/devices/*; chmod 666 /dev/vfio/vfio"
    ));
    eventually("VFIO's driver has the device", || fs::exists(format!("{folder}/vfio-dev")).unwrap_or(false));
    id
}

#[test]
fn a_device_past_the_iommu_is_refused_and_the_reason_is_told() {
    let transport = VfioBus::new().open(&format!("vfio-{}", second())).expect("the device opens");
    let cells = Arc::new(Cells::new(8));
    let opened = VirtioCryptoDriver.open(transport.clone(), cells, &QueueRequest::new(8));
    match opened {
        Err(OpenError::Transport(error)) => {
            let text = error.to_string();
            assert!(text.contains("past the IOMMU") && text.contains("iommu_platform=on"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    assert!(transport.is_alive());
}

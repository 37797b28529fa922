//! The device on the bench.

use std::sync::{Arc, LazyLock};

use uaccel_runtime::vfio::VfioBus;
use uaccel_runtime::{Fallback, Runtime};

pub(crate) use crate::guest::jobs::PATIENCE;
use crate::root;

/// Vendor and device on the PCI bus: VIRTIO 1.2, sections 4.1.2 and 5.9.1.
pub(crate) const FUNCTION: (&str, &str) = ("0x1af4", "0x1054");

/// The name of the device.
pub(crate) fn device() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("vfio-{}", root::handed().id));
    &NAME
}

/// A runtime on the device that never falls back.
pub(crate) fn runtime() -> Runtime {
    let device = device();
    let builder = Runtime::builder().bus(Arc::new(VfioBus::new())).device(device);
    builder.fallback(Fallback::Never).deadline(PATIENCE).build().expect("the device opens")
}

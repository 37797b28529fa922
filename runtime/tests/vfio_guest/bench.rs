//! The device on the bench.

use std::sync::{Arc, LazyLock};

use uaccel_runtime::vfio::{Counts, Road, VfioBus};
use uaccel_runtime::{Builder, Fallback, Runtime};

pub(crate) use crate::guest::jobs::{PATIENCE, copy, crc32c, eventually, fill, noise, run};
use crate::root;

/// Vendor and device on the PCI bus: specification of the engine, section 8.5.
pub(crate) const FUNCTION: (&str, &str) = ("0x1234", "0x5741");

/// The name of the device.
pub(crate) fn device() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("vfio-{}", root::handed().id));
    &NAME
}

/// The road that these tests take, named by the variable `UACCEL_TEST_ROAD`; the first that there is, without.
pub(crate) fn road() -> Road {
    match std::env::var("UACCEL_TEST_ROAD").as_deref() {
        Ok("group") => Road::Group,
        Ok("cdev") => Road::Cdev,
        Ok("pasid") => Road::Pasid,
        Ok("on-demand") => Road::OnDemand,
        Ok(other) => panic!("there is no road '{other}'"),
        Err(_) => Road::Best,
    }
}

/// The bus, by that road.
pub(crate) fn bus() -> VfioBus {
    VfioBus::new().by(road())
}

/// A runtime on the device that never falls back.
pub(crate) fn runtime() -> Runtime {
    builder().build().expect("the device opens")
}

/// The same, to be changed.
pub(crate) fn builder() -> Builder {
    builder_on(bus())
}

/// The same with other rules for the device.
pub(crate) fn builder_on(bus: VfioBus) -> Builder {
    Runtime::builder().bus(Arc::new(bus)).device(device()).fallback(Fallback::Never).deadline(PATIENCE)
}

/// What was done to make memory reachable.
pub(crate) fn counts() -> Counts {
    VfioBus::new().counts(device()).expect("the device is open")
}

//! The device on the bench.

use std::sync::LazyLock;

use uaccel_runtime::vfio::{Counts, VfioBus};
use uaccel_runtime::{Builder, Fallback, Runtime};

pub(crate) use crate::guest::jobs::{PATIENCE, copy, crc32c, eventually, fill, noise, run};
use crate::root;

/// The name of the device.
pub(crate) fn device() -> &'static str {
    static NAME: LazyLock<String> = LazyLock::new(|| format!("vfio-{}", root::handed().id));
    &NAME
}

/// A runtime on the device that never falls back.
pub(crate) fn runtime() -> Runtime {
    builder().build().expect("the device opens")
}

/// The same, to be changed.
pub(crate) fn builder() -> Builder {
    Runtime::builder().device(device()).fallback(Fallback::Never).deadline(PATIENCE)
}

/// What was done to make memory reachable.
pub(crate) fn counts() -> Counts {
    VfioBus::new().counts(device()).expect("the device is open")
}

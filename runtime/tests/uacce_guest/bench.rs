//! The device on the bench, and what its kernel side shows of it.

use std::fs;
use std::path::{Path, PathBuf};

use uaccel_runtime::{Builder, Fallback, Runtime};

pub(crate) use crate::guest::jobs::{PATIENCE, copy, crc32c, eventually, fill, noise, run};

/// The name of the device.
pub(crate) const DEVICE: &str = "warp-0";

/// A runtime on the device that never falls back.
pub(crate) fn runtime() -> Runtime {
    builder().build().expect("the device opens")
}

/// The same, to be changed.
pub(crate) fn builder() -> Builder {
    Runtime::builder().device(DEVICE).fallback(Fallback::Never).deadline(PATIENCE)
}

/// The device's folder in sysfs.
pub(crate) fn folder() -> PathBuf {
    Path::new("/sys/class/uacce").join(DEVICE)
}

/// The number in an attribute.
pub(crate) fn number(attribute: &str) -> u64 {
    let text = fs::read_to_string(folder().join(attribute)).expect("an attribute");
    text.trim().parse().expect("a number")
}

/// Page requests so far: answered with success, and otherwise.
pub(crate) fn page_requests() -> (u64, u64) {
    (number("device/page_requests_granted"), number("device/page_requests_refused"))
}

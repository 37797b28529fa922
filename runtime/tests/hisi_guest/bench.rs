//! The device on the bench, and what its kernel side shows of it.

use std::fs;
use std::path::{Path, PathBuf};

use uaccel_runtime::{Builder, Fallback, Runtime};

pub(crate) use crate::guest::jobs::{PATIENCE, eventually, noise, run};

/// The name of the device.
pub(crate) const DEVICE: &str = "hisi_zip-0";

/// A runtime on the device that never falls back.
pub(crate) fn runtime() -> Runtime {
    builder().build().expect("the device opens")
}

/// The same, to be changed.
pub(crate) fn builder() -> Builder {
    Runtime::builder().device(DEVICE).fallback(Fallback::Never).deadline(PATIENCE)
}

/// The device's node.
pub(crate) fn device_file() -> PathBuf {
    Path::new("/dev").join(DEVICE)
}

/// The device's folder in sysfs.
pub(crate) fn folder() -> PathBuf {
    Path::new("/sys/class/uacce").join(DEVICE)
}

/// The text of an attribute.
pub(crate) fn text(attribute: &str) -> String {
    let text = fs::read_to_string(folder().join(attribute)).expect("an attribute");
    text.trim_end().to_owned()
}

/// The number in an attribute.
pub(crate) fn number(attribute: &str) -> u64 {
    text(attribute).parse().expect("a number")
}

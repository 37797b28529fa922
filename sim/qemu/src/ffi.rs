//! What is used of QEMU's internals: functions, layouts, and the versions they were checked with.

mod functions;
mod layouts;
mod version;

pub(crate) use functions::{Functions, functions};
pub(crate) use layouts::*;
pub(crate) use version::{Version, VersionError};

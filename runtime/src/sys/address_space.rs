//! This process's own memory as files, for somebody who is to reach it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

/// Descriptors that are bound to the address space this process has now: they end when it does, at `exec` or exit, and whoever has them needs no other
/// right.
#[derive(Debug)]
pub(crate) struct AddressSpace {
    /// `/proc/self/mem`, for reading and writing.
    pub(crate) memory: OwnedFd,
    /// `/proc/self/maps`.
    pub(crate) maps: OwnedFd,
}

impl AddressSpace {
    /// Opens both. The kernel refuses it to processes that are not dumpable, and where there is no `/proc` there is nothing to open.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let memory = File::options().read(true).write(true).open("/proc/self/mem")?.into();
        let maps = File::open("/proc/self/maps")?.into();
        Ok(Self { memory, maps })
    }
}

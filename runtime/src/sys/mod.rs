//! Every system call of the host side.

pub(crate) mod cpus;
pub(crate) mod device_map;
pub(crate) mod fork_mark;
pub(crate) mod process_memory;
pub(crate) mod sigbus;
pub(crate) mod signal;
pub(crate) mod store_barrier;
pub(crate) mod uacce_node;
pub(crate) mod uapi;

//! Every system call of the host side.

pub(crate) mod address_space;
pub(crate) mod careful_copy;
pub(crate) mod cpus;
pub(crate) mod device_map;
pub(crate) mod doorbell;
pub(crate) mod fork_mark;
pub(crate) mod gate_page;
pub(crate) mod limits;
pub(crate) mod membarrier;
pub(crate) mod peer_map;
pub(crate) mod physical;
pub(crate) mod process_memory;
pub(crate) mod sealed_memory;
pub(crate) mod sigbus;
pub(crate) mod signal;
pub(crate) mod signal_socket;
pub(crate) mod signals;
pub(crate) mod store_barrier;
pub(crate) mod uacce_node;
pub(crate) mod uapi;
pub(crate) mod vfio;

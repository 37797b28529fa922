//! One simulated accelerator, many client processes: `uaccel-devd`.
//!
//! What a device with PASID and its IOMMU is to the processes of a machine, this server is in user space, without privileges: a client opens queues and passes
//! plain pointers, and each queue is bound to the address space of the process that opened it. The device models and the threads that work for them are those of
//! [`uaccel_sim`]; clients link `uaccel-runtime` only. `docs/devd.md` tells how to run it.
//!
//! | piece | is |
//! | --- | --- |
//! | [`Daemon`] | the server: devices, a socket, a session for each who connects |
//! | [`Listener`] | the socket, made here or passed by a service manager |
//! | session (one thread) | the rare requests of one client; sleeps on its connection and on the life of its process |
//! | [`reach`] | the way to a client's memory |
//! | [`Windows`](window::Windows) | memory that a client has registered, used in place |
//! | [`Limits`] | how much one client, one user, and all together may have |
//! | [`Status`] | what the server tells of itself |
//!
//! On the way of a job there is no socket and no system call but those that move its bytes: descriptors and completions lie in memory that both sides map.
//!
//! # Trust
//!
//! The server trusts no client. What a client can write (queue memory, registered memory, messages, descriptors) is looked at once and copied, or accessed by
//! atomic words and by copies of the C library; it is never a slice. A client whose memory does not answer keeps one thread waiting, for which another stands in, and is given
//! up alone. A client trusts the server with its memory, and so connects only to one of its own user or root.
//!
//! **A connection is closed only when the device touches nothing of the client any more.** Whoever sees the hang-up may use the memory again.

mod alert;
mod backing;
mod client;
mod config;
mod daemon;
mod device;
mod error;
mod house;
mod limits;
mod listener;
mod memfd;
mod memory;
mod pasid;
mod peer;
mod plan_file;
pub mod reach;
mod refused;
mod service;
mod session;
mod status;
pub mod window;

pub use config::{DaemonConfig, DeviceConfig, DeviceConfigError};
pub use daemon::Daemon;
pub use error::StartError;
pub use limits::Limits;
pub use listener::Listener;
pub use memfd::MemfdError;
pub use memory::ClientMemory;
pub use plan_file::{PlanError, read_plan};
pub use status::{ClientStatus, DeviceStatus, Status};
pub use uaccel_devd_protocol::{SOCKET_VARIABLE, default_socket};

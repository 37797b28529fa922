//! Simulated accelerators in a process of their own: `uaccel-devd`, which serves many clients on their own pointers.
//!
//! [`DevdBus`] is a bus of a runtime only when it is asked for: by [`Builder::devd`](crate::Builder::devd), by the variable [`SOCKET_VARIABLE`], or because the device named
//! is `devd` or begins with `devd:`. Its devices are called `devd:NAME`, where NAME is the daemon's own name for one; `devd` alone is the first of them.
//! Nothing here ever starts a daemon.
//!
//! # What client and daemon share
//!
//! Per queue a page of registers and ring memory, in memory files that cannot become shorter; a socket of which a byte is a signal; and an eventfd, the doorbell
//! of a daemon that sleeps. The way of a job has no socket and, while both sides are busy, no system call. What is rare goes over one socket per
//! bus and process (`uaccel_devd_protocol`).
//!
//! # What is trusted
//!
//! The daemon reaches all of this process's memory, as a device with shared addresses does. So a client connects only to a daemon of its own effective user or
//! of root. That the daemon *errs* is another matter: whatever it sends is checked, and memory that could vanish is not mapped.
//!
//! # Quiet
//!
//! The daemon closes a connection only when it touches nothing of its client any more, and when it dies the kernel does so. A hang-up is therefore a proof that
//! every queue is quiet; a daemon that neither answers nor hangs up proves nothing. After a hang-up the next queue that is opened makes a new connection. A
//! child process made by `fork` has none of its parent's queues, and makes a connection of its own.

mod bus;
mod connection;
mod line;
mod refusal;
mod transport;
mod window;

pub use bus::{DEVD, DevdBus};
pub use uaccel_devd_protocol::{Priority, SOCKET_VARIABLE};

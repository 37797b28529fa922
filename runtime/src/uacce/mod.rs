//! Real accelerators through the kernel's uacce framework: `/dev/<name>-<n>`, one queue for each time it is opened, on this process's own
//! addresses.
//!
//! [`UacceBus`] is one of the buses of every runtime. Devices are found in `/sys/class/uacce`; where that is missing there are none. [`Builder::root`](crate::Builder::root)
//! or the variable [`ROOT_VARIABLE`] look for `/sys` and `/dev` elsewhere.
//!
//! # What the kernel promises, and what is made of it
//!
//! - `open` binds the process's address space to the device and takes a queue. Only an `open` that succeeded shows that the device can be used:
//!   the attribute `flags` may be wrong.
//! - A queue is **quiet** when the stop request or the close has returned: the kernel has taken it from the device by then. It is not
//!   used again after that under any kernel; a reset closes it and opens another one, whose registers appear where the old ones were.
//! - `poll` shows a signal once. It shows nothing when the device is gone, so sleeps are cut into pieces and the device is looked at in between.
//! - When a device is **removed**, its registers vanish from the process, and the next access would end it (`SIGBUS`). A handler, installed when the
//!   first queue is opened, puts ordinary memory there instead; the transport then says that the device is gone. Signals that are not about
//!   registers go to the handler that was there before.
//! - Where a device has hardware queues of several **kinds**, one queue takes one of each, or none: opening fails if not all can be had, and what was had goes back.
//! - The **queue manager** of HiSilicon stops every queue of a process before it resets its device, and starts none of them again. Their drivers see it in shared memory.
//!   A reset of the queue then closes it and asks for another one, for which the kernel has none while it is at it; that is waited for, but not past the limit, and not if the
//!   device isolates itself. Its driver says that a queue is stopped also where the device did not drain it in its time (some seconds); that is in the kernel's log alone.
//! - The same driver is neither unloaded nor taken from its device while a process has a queue: whoever wants that waits, and nobody is told. A runtime keeps its queues as long as it
//!   lives.
//! - A **child process** inherits the descriptor, but not the registers, nor the rings. What it inherits is refused, and closed without touching the
//!   parent's queue.

mod bus;
mod kinds;
mod node;
mod parts;
mod refusal;
mod reopening;
mod sysfs;
mod transport;

pub use bus::{ROOT_VARIABLE, UacceBus};
pub use kinds::{Description, QueueKind};
pub use node::{Layout, Node, Nodes};

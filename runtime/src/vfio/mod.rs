//! Real accelerators that were given to user space (VFIO): this process is the driver, on its own addresses, with pinned memory.
//!
//! [`VfioBus`] is one of the buses of every runtime. A device is found by its IOMMU group, whatever bus it is on, and is called `vfio-` and its name there,
//! such as `vfio-0000:00:01.0`. It has to be bound to VFIO's driver by root; the report says with which commands.
//!
//! # What the kernel promises, and what is made of it
//!
//! - **No page tables are shared.** The device reaches what was mapped for it, and mapped memory is pinned. The runtime maps each page at its own address
//!   ([`AddressMode::IdentityPinned`](uaccel_queue::AddressMode::IdentityPinned)), so plain pointers work; what a job names is mapped before it is submitted
//!   and, unless it is mapped for another reason, unmapped when it is answered. A job whose memory cannot be mapped is never submitted.
//! - **Nobody is told of memory that goes** (`munmap`, `madvise`). So nothing that a safe program names stays mapped when no job uses it, but
//!   what the runtime owns, and what is [registered](crate::Runtime::share) with an owner that gives it back only afterwards. [`VfioBus::keeping_pins`] is faster, and unsafe.
//! - **The whole device is this process's**, its privileged registers too. [`Control`](uaccel_drivers::function::Control) does what a kernel driver would:
//!   it gives queues to address spaces, takes them back, resets.
//! - A queue is **quiet** when the device says that it touches no memory for it any more; when the device is closed, the kernel takes it off the bus.
//! - When the system wants a device back (unbinding, removal), the kernel waits until it is closed. A thread hears of it, ends all queues, and
//!   gives the device back.

mod arena;
mod bus;
mod discovery;
mod interrupts;
mod mapper;
mod mappings;
mod memory;
mod on_demand;
mod open_device;
mod pinning;
mod refusal;
mod registration;
mod road;
mod space;
mod transport;
mod unprotected;
mod watch;

pub use bus::VfioBus;
pub use mapper::{Mapper, Reach};
pub use memory::Counts;
pub use pinning::Pinning;
pub use road::Road;

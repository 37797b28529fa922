//! virtio-crypto, the cipher device of virtual machines, by virtio over PCI.
//!
//! It is held whole, through VFIO: one data queue, for the jobs, and the control queue, for sessions. A job is a chain of four descriptors in a split virtqueue: the request with
//! the IV, the source, the destination, the device's word on how it ended. Source and destination are the job's own addresses, so the device must sit behind an IOMMU and
//! say so (`VIRTIO_F_ACCESS_PLATFORM`); one that goes past it is refused.
//!
//! AES in CBC and CTR mode is offered where the device says that it has it; QEMU's own cipher (`cryptodev-backend-builtin`) says so of CBC alone. XTS is not offered: the
//! specification does not say that a device takes texts that are not whole blocks, and the contract asks for it.
//!
//! Stopping is the reset of the device: after it has been read back a device touches no queue (2.4.1).
//!
//! Source: Virtual I/O Device (VIRTIO) version 1.2, its sections are those that the comments name, and for layouts `linux/virtio_pci.h`, `linux/virtio_ring.h` and
//! `linux/virtio_crypto.h`. What they leave open was looked up in QEMU's `hw/virtio/virtio-crypto.c` and `backends/cryptodev-builtin.c`.

mod completer;
mod control;
mod control_queue;
mod data_queue;
mod driver;
mod layout;
mod offer;
mod registers;
mod request;
mod ring;
mod submitter;

pub use control::VirtioCryptoFunction;
pub use driver::VirtioCryptoDriver;

/// The name of its interface.
pub const INTERFACE: &str = "virtio_crypto_v1";

/// The most bytes of one job, as far as the device does not say less (QEMU 11.1: half a megabyte). QEMU takes what a chain names apart into pieces that are contiguous for it, pages at
/// worst, and gives up a device whose chain has more than 1024 (`VIRTQUEUE_MAX_SIZE`); this is half of that, for source and destination together.
const LONGEST: u64 = 1 << 20;

/// The most sessions of one queue. The specification has no number, nor does a device tell its own: QEMU's has 256 for all who use it, and keeps them when it is reset.
const SESSIONS: u16 = 128;

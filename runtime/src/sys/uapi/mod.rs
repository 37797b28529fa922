//! Numbers and layouts of kernel interfaces, as the kernel's own headers have them; one module per header.
//!
//! Each item names the header it is from. What can be computed is held against the value that compiling the header gave.

pub(crate) mod hisi_qm;
pub(crate) mod iommufd;
pub(crate) mod membarrier;
pub(crate) mod uacce;
pub(crate) mod vfio;

/// An ioctl number without an argument: `_IO` of `include/uapi/asm-generic/ioctl.h`.
const fn io(kind: u8, number: u8) -> u64 {
    (kind as u64) << 8 | number as u64
}

/// The number of an ioctl whose argument of `size` bytes goes both ways: `_IOWR` of the same header.
const fn iowr(kind: u8, number: u8, size: usize) -> u64 {
    3 << 30 | (size as u64) << 16 | io(kind, number)
}

//! Somebody else's device behind the IOMMU, driven from here alone: QEMU's `edu`.
//!
//! Built only with the feature `device-tests`, and run as root where there is one that nobody else uses, one test at a time. Its transfers take a tenth of a second each, of the guest's time; where
//! that stands still while the guest works, they take none:
//!
//!     sva-lab run --device edu --load vfio-pci --load vfio_iommu_type1 --qemu-arg=-icount --qemu-arg=shift=3,sleep=off -- <this program> --test-threads=1
//!
//! With `--device edu,dma_mask=0xffffffffffffffff` it reaches the process's own addresses; `UACCEL_TEST_ADDRESS_BITS=64` says so to these tests.

mod bench;
mod conformance;
mod copies;
#[path = "../guest/mod.rs"]
mod guest;
#[path = "../vfio_guest/root.rs"]
#[allow(dead_code, reason = "the device is never unbound here")]
mod root;

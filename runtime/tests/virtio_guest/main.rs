//! Somebody else's device behind the IOMMU, driven from here alone: virtio-crypto of an unmodified QEMU.
//!
//! Built only with the feature `device-tests`, and run as root where there is one that nobody else uses, one test at a time: in the lab's guest,
//!
//!     sva-lab run --no-engine --load vfio-pci --load vfio_iommu_type1 \
//!         --qemu-arg=-object --qemu-arg=cryptodev-backend-builtin,id=c0 --device virtio-crypto-pci,cryptodev=c0,iommu_platform=on,disable-legacy=on \
//!         --qemu-arg=-object --qemu-arg=cryptodev-backend-builtin,id=c1 --device virtio-crypto-pci,cryptodev=c1,disable-legacy=on \
//!         --allow "handling fault status reg" --allow "Present bit in first-level paging entry is clear" -- <this program> --test-threads=1
//!
//! The second device goes past the IOMMU, and is refused. One test has the first meet memory that was not mapped for it, and the kernel says so.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod bench;
mod ciphers;
mod conformance;
#[path = "../guest/mod.rs"]
mod guest;
mod past_iommu;
mod queue;
#[path = "../vfio_guest/root.rs"]
#[allow(dead_code, reason = "the device is never unbound here")]
mod root;

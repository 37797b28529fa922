//! The host side of each accelerator, one folder each.
//!
//! A driver knows one programming interface. It turns jobs into what the device reads, and what the device writes into
//! answers; it is handed its way to the device and never calls the operating system. `uaccel_queue` is the contract,
//! `uaccel_conformance` the suite that every driver here passes.
//!
//! | driver | interface | device |
//! | --- | --- | --- |
//! | [`warp::WarpDriver`] | `warp_v1` | the Warp engine, wherever it is hosted |
//! | [`hisi::HisiZipDriver`] | `hisi_qm_v3` with ZIP's algorithms | the compression engine of Kunpeng servers, through uacce |
//! | [`software::SoftwareDriver`] | `software_v1` | this CPU |
//! | [`edu::EduDriver`] | `edu_v1` | `edu`, QEMU's device for teaching, through VFIO |
//! | [`virtio_crypto::VirtioCryptoDriver`] | `virtio_crypto_v1` | virtio-crypto, the cipher device of virtual machines, through VFIO |
//! | [`null::NullDriver`] | `null_v1` | none: jobs succeed without effect, for measuring what surrounds them |

pub mod edu;
pub mod function;
mod handoff;
pub mod hisi;
pub mod local;
pub mod null;
pub mod software;
pub mod virtio_crypto;
pub mod warp;

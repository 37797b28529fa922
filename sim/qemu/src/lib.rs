//! Accelerators inside an unmodified QEMU: PCI functions that work on plain process pointers of a guest.
//!
//! `libuaccel_qemu.so` is a plug-in for `qemu-system-x86_64` 11.1. It adds the device types `warp` and `hisi-zip`: PCI Express endpoints with PASID, ATS and PRI behind the
//! emulated Intel IOMMU, whose engines are models of `uaccel-sim`. A stock Linux guest shares page tables with them (SVA): see `README.md` beside this crate for
//! how to start one, and `sva-lab` for a tool that does.
//!
//! # How it is built
//!
//! A [`Function`] is what the emulator calls: the registers of one kind of device. Behind it a server takes the jobs of a
//! [`DeviceModel`](uaccel_sim::DeviceModel)'s queues through their stages, the same for all. They ask for what they need of an [`Emulator`], a trait of a dozen
//! functions. QEMU is one implementation; the tests have another, with page tables of their own. Everything but the code that talks to QEMU (`ffi`, `stock`, `device`, `iommu`, `plugin`) is safe Rust.
//!
//! | on which thread | what | lock |
//! | --- | --- | --- |
//! | a virtual CPU | register accesses; invalidations; answers to page requests | QEMU's big lock |
//! | QEMU's main loop | the bottom half, [`Function::run`]: Fetch, Gather, Scatter, Complete | QEMU's big lock |
//! | workers | Compute, on staging | none |
//!
//! **Invalidations.** All memory is accessed under the big lock, a page at a time, with the translation looked up in the same step. An invalidation comes under the
//! same lock, so when it returns, no access with the old translation is running, and none will begin.
//!
//! **Missing pages.** An access to a page that has no translation sends a page request and answers Pending. The job is parked with its staging; others overtake it. The
//! answer schedules the bottom half, and the job goes on where it stopped: with the page, or with a fault at the address.
//!
//! **Address spaces.** Translation cache, page requests and QEMU's notifiers belong to a context for each PASID, counted by its queues.
//!
//! **What the model tells without waiting** (the state word, need-wake-up) is posted: kept until its page is there, and stored then.

mod cache;
mod context;
mod counters;
mod device;
mod emulator;
mod ffi;
mod function;
mod groups;
mod iommu;
mod options;
mod plugin;
mod port;
mod server;
mod stock;
mod trace;
mod translations;

pub use counters::{Counter, Counters};
pub use emulator::{Emulator, NO_PASID, PAGE, Place, Refusal, Translation};
pub use function::{Function, HisiZipFunction, WarpFunction};
pub use options::{HisiOptions, Options, OptionsError};
pub use plugin::{qemu_plugin_install, qemu_plugin_version};
pub use trace::Trace;

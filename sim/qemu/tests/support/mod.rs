//! A machine with an IOMMU and processes, in a few lines, and a Warp driver by hand.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its part")]
#![allow(clippy::cast_possible_truncation, reason = "these tests run where QEMU runs, on 64 bits")]

pub mod chance;
pub mod kunpeng;
pub mod machine;
pub mod user;

pub use chance::Chance;
pub use machine::{Machine, Rights};
pub use user::User;

use std::sync::Arc;

use uaccel_qemu::{Function, NO_PASID, PAGE, Trace, WarpFunction};
use uaccel_sim::{Warp, WarpConfig};
use uaccel_warp_abi::{Assignment, control_page};

/// The function under test in its machine.
pub type WarpHost = WarpFunction<Machine>;

/// A function with four queues and one worker.
pub fn plug() -> (Arc<Machine>, Arc<WarpHost>) {
    let machine = Arc::new(Machine::default());
    let model = Warp::new(WarpConfig { queues: 4, max_transfer: 1 << 20, ..WarpConfig::default() }).expect("possible");
    let host = Arc::new(WarpFunction::new(model, machine.clone(), 1, Trace::new("warp", false)).expect("threads"));
    machine.connect(&(host.clone() as Arc<dyn Function>));
    (machine, host)
}

/// Assigns a queue as the kernel does, or with [`NO_PASID`] as whoever has no PASIDs.
pub fn assign(host: &WarpHost, queue: usize, pasid: u32) {
    let assignment = if pasid == NO_PASID { Assignment::OWN } else { Assignment::to(pasid).expect("20 bits") };
    host.write(control_page::assign(queue), assignment.encode());
}

/// Revokes a queue as the kernel does.
pub fn revoke(host: &WarpHost, queue: usize) {
    host.write(control_page::assign(queue), 0);
}

/// Page number `n` of a process, far from 0.
pub const fn page(n: u64) -> u64 {
    0x7f00_0000_0000 + n * PAGE
}

//! A simulated device whose plan the test holds in its hand.
#![allow(dead_code, reason = "every test uses another part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use uaccel_runtime::{Builder, Fallback, ReadBuf, Room, Runtime, WriteBuf};
use uaccel_sim::{Plan, PlanHandle, Simulator, ThreadHostConfig, WarpConfig};

/// Long enough that only a hang gets there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Short: these tests let it pass on purpose.
pub(crate) const DEADLINE: Duration = Duration::from_millis(100);

/// A runtime on a simulated engine of its own, which never falls back, and the engine's plan.
pub(crate) fn simulated(config: WarpConfig) -> (Builder, PlanHandle) {
    let threads = ThreadHostConfig { device: "warp0".to_owned(), ..ThreadHostConfig::default() };
    let host = Simulator::warp(config, threads, Plan::default()).expect("the engine starts");
    let plan = host.plan();
    let builder = Runtime::builder().bus(host).device("warp0").fallback(Fallback::Never).deadline(DEADLINE);
    (builder, plan)
}

/// The same with everything at its default.
pub(crate) fn engine() -> (Runtime, PlanHandle) {
    let (builder, plan) = simulated(WarpConfig::default());
    (builder.build().expect("the runtime starts"), plan)
}

/// Waits for something that another thread does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A vector that says when it is dropped.
#[derive(Debug)]
pub(crate) struct Tracked {
    pub(crate) bytes: Vec<u8>,
    dropped: Arc<AtomicBool>,
}

impl Tracked {
    pub(crate) fn new(bytes: Vec<u8>) -> (Self, Arc<AtomicBool>) {
        let dropped = Arc::new(AtomicBool::new(false));
        (Self { bytes, dropped: dropped.clone() }, dropped)
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        self.dropped.store(true, Ordering::SeqCst);
    }
}

// SAFETY: the vector's bytes are on the heap.
unsafe impl ReadBuf for Tracked {
    fn bytes(&self) -> (*const u8, usize) {
        self.bytes.bytes()
    }
}

// SAFETY: the vector's bytes are on the heap.
unsafe impl WriteBuf for Tracked {
    fn room(&mut self) -> Room {
        self.bytes.room()
    }

    unsafe fn set_written(&mut self, written: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.bytes.set_written(written) }
    }

    fn wipe(&mut self) {
        self.bytes.wipe();
    }
}

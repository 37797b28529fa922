//! Streams and windows of HiSilicon's ZIP engine, as a model on threads, at the level of the contract: what driver and model make of each other.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

#[path = "../contract_queue/mod.rs"]
mod contract_queue;
mod formats;
mod pieces;
#[path = "../small_history/mod.rs"]
mod small_history;
mod windows;

use contract_queue::ContractQueue;
use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_queue::Bus as _;
use uaccel_sim::{HisiZipConfig, Plan, Simulator, ThreadHostConfig};

/// A queue of an engine of its own.
pub(crate) fn queue() -> ContractQueue {
    let threads = ThreadHostConfig { workers: Some(1), ..ThreadHostConfig::default() };
    let engine = Simulator::hisi_zip(HisiZipConfig::default(), threads, Plan::default()).expect("the engine starts");
    ContractQueue::open(&HisiZipDriver, &*engine, &engine.devices()[0].name)
}

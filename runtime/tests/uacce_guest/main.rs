//! What a real kernel does with a real device behind its uacce framework.
//!
//! Built only with the feature `device-tests`, and run where there is a device and nobody else uses it, one test at a time: in the lab's guest,
//!
//!     sva-lab run -- <this program> --test-threads=1
//!
//! Tests of module `denied` need a guest that lacks something, and are run by name.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod bench;
mod conformance;
mod denied;
mod faults;
#[path = "../guest/mod.rs"]
mod guest;
mod isolation;
mod pointers;
mod processes;
mod queues;
mod races;
mod removal;
mod waiting;

use guest::{child, held_answers, pages, workload};

//! What the vendor's own kernel driver, unmodified, makes of the model of a Kunpeng ZIP function, and what we make of the node that it offers.
//!
//! Built only with the feature `device-tests`, and run where there is such a function and nobody else uses it, one test at a time: in the lab's guest,
//!
//!     sva-lab run --device hisi-zip -- <this program> --test-threads=1
//!
//! Modules `node`, `opening` and `probe` use the kernel's interface alone, all others the driver of this project. Tests of module `resets` need a function that fails, and are
//! run by name.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod bench;
mod conformance;
mod formats;
#[path = "../guest/mod.rs"]
mod guest;
mod node;
mod opening;
mod pieces;
mod pointers;
mod probe;
mod processes;
mod queues;
mod removal;
mod resets;
mod round;
#[path = "../small_history/mod.rs"]
mod small_history;
mod streams;

use guest::{child, pages};

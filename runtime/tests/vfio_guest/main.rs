//! What a real kernel does with a real device that was given to user space.
//!
//! Built only with the feature `device-tests`, and run as root where there is a Warp engine that nobody else uses, one test at a time: in the lab's
//! guest,
//!
//!     sva-lab run -- <this program> --test-threads=1
//!
//! Root binds the engine to VFIO's driver and hands over its nodes; everything else is done as an ordinary user (`bench.rs`).

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod bench;
mod conformance;
mod counted;
mod device_file;
mod faults;
#[path = "../guest/mod.rs"]
mod guest;
mod limits;
mod mishaps;
mod pointers;
mod processes;
mod queues;
mod registered;
mod removal;
mod roads;
mod root;
mod spaces;

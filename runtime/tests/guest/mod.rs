//! What the tests on devices that vouch for nothing share, whichever road they take to one.

#![allow(dead_code, reason = "each program of tests uses a part")]
#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

#[path = "../altered_warp/mod.rs"]
mod altered_warp;
pub(crate) mod child;
pub(crate) mod held_answers;
pub(crate) mod jobs;
pub(crate) mod mapped_again;
pub(crate) mod pages;
pub(crate) mod workload;

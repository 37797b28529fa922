//! Many processes on one device: what a daemon and its clients do to each other, and what they cannot.
//!
//! Daemon and clients are processes, so that they can be killed and stopped. Each is this program again, in a role.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod bench;
mod blocked_memory;
mod client_death;
mod daemon_death;
mod daemon_stop;
#[path = "../guest/mod.rs"]
mod guest;
mod hostile;
mod other_user;
mod process;
mod roles;
mod server;
mod spaces;

use guest::{pages, workload};

#[test]
#[ignore = "the other tests run it, as their processes"]
fn a_process_of_another_test() {
    if let Ok(role) = std::env::var(process::ROLE) {
        roles::play(&role);
    }
}

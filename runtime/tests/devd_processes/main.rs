//! Many processes on one device: what a daemon and its clients do to each other, and what they cannot.
//!
//! Daemon and clients are processes, so that they can be killed and stopped. Each is this program again, in a role.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod bench;
mod blocked_memory;
mod client_death;
mod daemon_death;
mod daemon_stop;
mod hostile;
mod other_user;
#[path = "../uacce_guest/pages.rs"]
#[allow(dead_code, reason = "the tests in the guest use the rest")]
mod pages;
mod process;
mod roles;
mod server;
mod spaces;
#[path = "../uacce_guest/workload.rs"]
mod workload;

#[test]
#[ignore = "the other tests run it, as their processes"]
fn a_process_of_another_test() {
    if let Ok(role) = std::env::var(process::ROLE) {
        roles::play(&role);
    }
}

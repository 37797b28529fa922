//! What the tests have in common: a server, a client that speaks the protocol by hand, and other processes.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its part")]

pub mod client;
#[path = "../../../tests/support/mod.rs"]
pub mod hand;
pub mod process;
pub mod server;
pub mod withheld;

pub use client::{Client, Gate};
pub use process::Process;
pub use server::{Server, eventually};
pub use withheld::Withheld;

/// Says loudly that a test was not made.
pub fn skip(test: &str, why: &str) {
    eprintln!("SKIPPED: {test}: {why}");
}

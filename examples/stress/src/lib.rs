//! Many processes on one accelerator, killed, stopped and lied to; every byte verified, every job accounted for.
//!
//! ```text
//! cargo run --release --package uaccel-stress                       # about a minute
//! cargo run --release --package uaccel-stress -- --minutes 60      # a soak
//! cargo run --release --package uaccel-stress -- --seed 7 -v       # the same again
//! ```
//!
//! A run starts a daemon and clients, each of which uses the runtime's public interface: calls that borrow, leases, scopes, futures, bad
//! pointers on purpose. Results are verified with other libraries than those the device works with. Meanwhile a schedule, made from the seed, kills and stops clients and daemon, and
//! daemons are told to do things wrong. Each thread writes its [history](log) into a file that outlives its process, and in the end a [checker] holds all histories to the rules.

pub mod bad_pointer;
pub mod cases;
pub mod checker;
pub mod cli;
mod client;
pub mod clock;
pub mod daemon;
pub mod disturbance;
pub mod faults;
pub mod flight;
pub mod guarded;
pub mod hand;
pub mod log;
pub mod plan;
pub mod quarantine;
pub mod record;
pub mod report;
pub mod run;
pub mod schedule;
pub mod vitals;
pub mod worker;

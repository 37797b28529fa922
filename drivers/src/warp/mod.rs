//! The Warp engine, wherever it is hosted.
//!
//! The interface is specified in `drivers/warp-abi/SPECIFICATION.md`; `§` in comments refers to it. The driver knows
//! descriptors, completions, ring memory and the user page, and nothing of who is behind them: threads of this process,
//! another process, a virtual machine's device.
//!
//! # Why nothing is overwritten
//!
//! At most `depth` jobs are in flight, since each has a slot of the queue's table, and at most `Commands::COUNT`
//! commands of the driver's own (sessions, cancels). The rings have at least as many entries as both together.
//!
//! - Ring mode, submissions: the device fetches in order. Were the line of submission `n - entries` not fetched when
//!   `n` is to be written to it, all the `entries` submissions from it on would be unanswered, with `n` one more than
//!   there can be.
//! - Ring mode, completions: what stands unread in the completion ring is an answer to a job or command that the host
//!   still counts.
//! - Mailbox mode: a line is used again when its answer was taken, which the halves tell each other
//!   (`Lines`); the ring's memory, which the device can write, has no say in it.
//!
//! # What is believed
//!
//! Of what the device writes, the phase bit and the need-wake-up word steer only *whether* the driver looks or rings.
//! Tokens are compared with the table, lengths with the job, statuses and flags with the lists of the specification.
//! What does not fit ends the queue.

mod answer;
mod commands;
mod completer;
mod control;
mod driver;
mod lines;
mod request;
mod sessions;
mod submitter;

pub use control::WarpFunction;
pub use driver::WarpDriver;

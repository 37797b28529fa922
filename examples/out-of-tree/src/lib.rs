//! Tally: a made-up engine that counts, copies and compares, from the model of the device to its driver.
//!
//! It stands for what the author of an accelerator writes in a repository of their own. Nothing here knows more of the framework than
//! what its crates publish: `uaccel-queue` (the contract) for the driver, `uaccel-sim` for the model.
//!
//! | file | what it is | who would have written it |
//! | --- | --- | --- |
//! | `layout.rs` | registers and bytes | both sides, agreeing |
//! | `model.rs` | the device | the hardware's designer |
//! | `driver.rs`, `submitter.rs`, `completer.rs` | the driver | you |
//!
//! Tally is unlike the project's own engine on purpose: 32-byte entries, no tokens, no completion ring. It answers in the order of
//! submission, by a counter, and leaves each result in the entry that asked for it.

mod completer;
mod driver;
pub mod layout;
mod model;
mod submitter;

pub use driver::TallyDriver;
pub use model::{Completions, Submissions, Tally};

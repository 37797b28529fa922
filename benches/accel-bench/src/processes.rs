//! Several processes on one device: what they get together, and what each gets of it.
//!
//! Every process is this program, started again, with a runtime of its own. What it does it is told over its standard input, a line at a
//! time; all do it within the same stretch of time.

mod order;
mod run;
mod sharing;
mod team;
mod worker;

pub(crate) use order::OpenOrder;
pub(crate) use run::run;
pub use sharing::Sharing;
pub(crate) use team::Team;
pub(crate) use worker::work;

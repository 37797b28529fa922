//! What this machine can do at best, with no framework in the way.
//!
//! A promise such as "a depth-1 round trip costs at most 1.5 times the raw mailbox" can only be judged when both
//! sides are timed in the same run, on the same two CPUs, in turn. This crate has the second side: hand-written,
//! minimal protocols between two pinned threads or processes, plus the prices of one thread, of sleeping, and of memory.
//!
//! Every figure is a **duration in nanoseconds per operation** (`f64`, finite, greater than zero). What one operation
//! is stands in the documentation of each limit.
//!
//! ```no_run
//! use accel_bench_raw::{Limit, Mailbox, Pairs, Placement, RawError};
//!
//! # fn framework_round_trip(_n: u64) -> Result<f64, RawError> { Ok(300.0) }
//! # fn main() -> Result<(), RawError> {
//! let placement = Placement::detect()?;
//! let mut limit = Mailbox::new(placement, 1)?;
//! let report = Pairs::default().run(
//!     || framework_round_trip(100_000), // A: what is judged
//!     || limit.measure(100_000),        // B: the limit
//! )?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! Rules that all limits keep:
//!
//! * [`Limit::measure`] pins the calling thread for the time of the call and gives it its old CPU set back afterwards.
//! * A few untimed operations come first, so that a repetition never pays for a cold start.
//! * Between two calls the engine **sleeps**: whatever is measured in turn with the limit has the CPU to itself.
//! * Dropping a limit stops its engine and waits for its end, also while a panic unwinds.
//! * Loops that wait for the other CPU contain the pause hint ([`std::hint::spin_loop`]); a comparison wants the same.
//! * What the engine answers is checked; a job lost, doubled or out of order is an error and never a good figure.
//!
//! Figures of different machines, or of one machine at different loads, must not be compared with each other: use the
//! ratio that [`Pairs`] gives.

pub mod between;
pub mod catalogue;
pub mod dynqueue;
mod engine;
pub mod errand;
pub mod error;
mod floor;
mod futex;
pub mod limit;
mod line;
pub mod mailbox;
pub mod memory;
pub mod pairs;
pub mod partner;
pub mod pingpong;
pub mod placement;
pub mod rings;
mod slot;
pub mod wake;

pub use between::{BetweenProcesses, PAUSE};
pub use catalogue::{Entry, catalogue, catalogue_of_processes};
pub use dynqueue::DynQueue;
pub use errand::Errand;
pub use error::RawError;
pub use limit::{Limit, after_pauses};
pub use mailbox::Mailbox;
pub use memory::{Clock, CompareAndSwap, CopyHot, ReadOwnProcess};
pub use pairs::{PairReport, Pairs, Spread};
pub use partner::{Launcher, serve};
pub use pingpong::{Lines, PingPong};
pub use placement::{Pin, Placement, pin, usable_cpus};
pub use rings::{RingShape, Rings};
pub use wake::{Bell, Wake};

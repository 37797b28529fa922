//! A pool: threads that serve the queues of a device model, whoever the queues belong to.
//!
//! What a queue stands on is its [`Backing`]: registers, ring memory, the memory of its user's jobs, a way to wake the user. The
//! [thread host](crate::threads) has users in this process; a server has them in others. Who shares the device is an [`Account`]: users are served in
//! turn by the time that was spent on them, long jobs have [threads of their own](PoolConfig::lanes), and where a user's memory does not answer another
//! thread [stands in](PoolConfig::stand_ins).

mod account;
mod backing;
mod barrier;
mod config;
mod handle;
mod hands;
mod idle;
mod job_memory;
mod lanes;
mod place;
mod port;
mod post;
mod queue;
mod rings;
mod shared;
mod sleepers;
mod timeline;
mod to_plan;
mod watch;
mod worker;

pub use account::{Account, AccountStats};
pub use backing::Backing;
pub use barrier::FenceScope;
pub use config::PoolConfig;
pub use handle::{Pool, PoolError};
pub use job_memory::JobMemory;
pub use queue::Queue;
pub use rings::{RingBlock, Rings};

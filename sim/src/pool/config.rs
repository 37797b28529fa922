//! How a model is put on threads.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::FenceScope;

/// How a model is put on threads.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// The name of the device; threads are named after it.
    pub name: String,
    /// How many threads do the work; `None` takes one less than there are CPUs, but at least one.
    pub workers: Option<usize>,
    /// The CPU the first worker is bound to, the others to those behind it; `None` lets the system choose.
    pub pin: Option<usize>,
    /// How many more threads there are for jobs of more than about half a millisecond, so that short ones need not wait for them. With 0 workers do
    /// those as well.
    pub lanes: usize,
    /// Whether another thread stands in for one that is held up in the memory of a user, whose queues are then left alone.
    pub stand_ins: bool,
    /// How long the memory of a user may leave a thread waiting before the user is [given up](super::Backing::give_up).
    pub memory_patience: Duration,
    /// Whose threads are fenced for before workers sleep.
    pub fence: FenceScope,
    /// Whether time is measured, and shared out fairly between [accounts](super::Account).
    pub keeps_accounts: bool,
    /// The clock that time is measured with, in nanoseconds, for those who want to say themselves how long things take; `None` for the system's.
    pub clock: Option<Arc<AtomicU64>>,
}

impl PoolConfig {
    /// A pool for users in this process, all of one account.
    #[must_use]
    pub fn for_this_process(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            workers: None,
            pin: None,
            lanes: 0,
            stand_ins: false,
            memory_patience: Duration::from_secs(5),
            fence: FenceScope::Process,
            keeps_accounts: false,
            clock: None,
        }
    }

    /// A pool for users in many processes: fair, with a lane for every worker, and stand-ins.
    #[must_use]
    pub fn for_many_processes(name: impl Into<String>) -> Self {
        Self {
            lanes: super::handle::default_workers(),
            stand_ins: true,
            fence: FenceScope::Registered,
            keeps_accounts: true,
            ..Self::for_this_process(name)
        }
    }
}

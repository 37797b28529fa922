//! The pool itself: threads, and what users do to their queues.

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::{Pid, SysconfVar, sysconf};
use uaccel_queue::{Quiet, TransportError};

use super::lanes::Lane;
use super::post::Post;
use super::shared::Shared;
use super::sleepers::Sleepers;
use super::watch::Watch;
use super::worker::Worker;
use super::{Account, Backing, PoolConfig, Queue};
use crate::{AddressSpace, DeviceModel, Plan, PlanHandle, Stats};

/// Why a model cannot be put on threads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// There would be nobody to do the work.
    #[error("a device needs at least one worker")]
    NoWorkers,
    /// Workers could not sleep.
    #[error("no set of bells for workers to sleep on")]
    Bells(#[source] Errno),
    /// No thread could be started.
    #[error("worker cannot be started")]
    Thread(#[source] io::Error),
    /// A worker cannot run where it should.
    #[error("worker cannot be bound to CPU {cpu}")]
    Pin {
        /// Where.
        cpu: usize,
        /// Why.
        source: io::Error,
    },
}

/// A device model on threads of this process. A handle: clones share everything, and when the last one goes the threads end.
///
/// In a child made by `fork` there are no threads; see [`is_foreign`](Self::is_foreign).
pub struct Pool<M: DeviceModel, B: Backing>(Arc<Core<M, B>>);

impl<M: DeviceModel, B: Backing> Clone for Pool<M, B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Core<M: DeviceModel, B: Backing> {
    shared: Arc<Shared<M, B>>,
    name: String,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    process: Pid,
}

impl<M: DeviceModel, B: Backing> Pool<M, B> {
    /// Starts the threads.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn new(model: M, config: PoolConfig, plan: Plan) -> Result<Self, PoolError> {
        let cpus = usable_cpus(config.pin.is_some());
        let workers = config.workers.unwrap_or_else(|| cpus.saturating_sub(1).max(1));
        if workers == 0 {
            return Err(PoolError::NoWorkers);
        }
        let sleepers = Arc::new(Sleepers::new().map_err(PoolError::Bells)?);
        let bell = sleepers.clone();
        let plan = PlanHandle::new(plan, model.engines(), move || bell.wake());
        let shared = Arc::new(Shared::new(model, plan, sleepers, workers, &config));
        // From here on dropping the core ends whatever was started.
        let pool = Self(Arc::new(Core {
            shared: shared.clone(),
            name: config.name,
            threads: Arc::default(),
            process: Pid::this(),
        }));
        let starter = Starter {
            shared,
            name: pool.0.name.clone(),
            spare: workers < cpus,
            started: Arc::new(AtomicUsize::new(0)),
            threads: pool.0.threads.clone(),
            watched: config.stand_ins,
        };
        for index in 0..workers {
            let cpu = config.pin.map(|first| first + index);
            starter.start(Role::Worker, cpu)?;
        }
        for _ in 0..config.lanes {
            starter.start(Role::Lane, None)?;
        }
        if config.stand_ins {
            pool.0.watch(starter, config.memory_patience)?;
        }
        Ok(pool)
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &M {
        &self.0.shared.model
    }

    /// The name of the device.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The plan, to look at and to change.
    #[must_use]
    pub fn plan(&self) -> PlanHandle {
        self.0.shared.plan.clone()
    }

    /// What the device has done.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.shared.stats()
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.0.shared.workers
    }

    /// How many threads there are for long jobs.
    #[must_use]
    pub fn lanes(&self) -> usize {
        self.0.shared.lanes.threads()
    }

    /// How many queues are open.
    #[must_use]
    pub fn open_queues(&self) -> usize {
        self.0.shared.queues().len()
    }

    /// Makes the device fail: every open queue takes no more jobs and says so. A reset of the queue brings it back.
    pub fn fail(&self, reason: u32) {
        self.0.shared.fail(reason);
    }

    /// Makes one queue fail, as [`fail`](Self::fail) does all.
    pub fn fail_queue(&self, queue: &Queue<M, B>, reason: u32) {
        self.0.shared.fail_queue(queue, reason);
    }

    /// Takes the device away, for good: as a reset of the machine it is in, or a pulled card.
    pub fn unplug(&self) {
        self.0.shared.alive.store(false, Ordering::Relaxed);
        self.0.shared.fail(0);
    }

    /// Whether the device is there.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.0.shared.alive.load(Ordering::Relaxed)
    }

    /// Whether this is a forked child of the process that has the threads. Locks may be held there for ever by threads that do not exist.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.0.is_foreign()
    }

    /// Whether a worker that is about to sleep fences for all threads of its [scope](super::FenceScope), so that they need not do it.
    #[must_use]
    pub fn fences_for_all(&self) -> bool {
        self.0.shared.barrier.is_for_all()
    }

    /// Opens a queue of this [kind](DeviceModel::kinds), if one is free, for the user that `account` stands for.
    ///
    /// # Errors
    /// [`TransportError::Busy`].
    pub fn open(
        &self,
        backing: B,
        account: Arc<Account>,
        space: AddressSpace,
        kind: u16,
    ) -> Result<Arc<Queue<M, B>>, TransportError> {
        self.0.shared.open(&self.0.name, backing, account, space, kind)
    }

    /// Takes a write to a register of a queue, as the [model](DeviceModel::doorbell) does, and acts on it.
    #[inline]
    pub fn doorbell(&self, queue: &Queue<M, B>, offset: usize, value: u64) {
        self.0.shared.doorbell(queue, offset, value);
    }

    /// Wakes a worker, if all sleep: jobs were published by a user who saw that one wants to be woken.
    pub fn wake(&self) {
        self.0.shared.sleepers.wake();
    }

    /// Has writes to an eventfd wake a sleeping worker. It is never read, so whoever else has it can neither block nor starve the pool with it.
    ///
    /// # Errors
    /// What the system says.
    pub fn add_bell(&self, bell: BorrowedFd<'_>) -> io::Result<()> {
        Ok(self.0.shared.sleepers.add(bell)?)
    }

    /// Ends that. Needed before the descriptor is closed, if somebody else has it as well.
    pub fn remove_bell(&self, bell: BorrowedFd<'_>) {
        if let Err(errno) = self.0.shared.sleepers.remove(bell) {
            tracing::debug!(%errno, "bell could not be removed");
        }
    }

    /// Stops a queue: takes no new job, drops those that have not begun, waits for those that run.
    pub fn stop(&self, queue: &Queue<M, B>, within: Duration) -> Quiet {
        self.0.shared.stop(queue, within)
    }

    /// Brings a queue back to the state after opening.
    ///
    /// # Errors
    /// [`TransportError::TimedOut`].
    pub fn reset(&self, queue: &Queue<M, B>, within: Duration) -> Result<(), TransportError> {
        self.0.shared.reset(queue, within)
    }

    /// Stops a queue for good and gives up its place. If the device may still use its memory after `within`, nothing is given up: try again, or
    /// [abandon](Self::abandon) it.
    pub fn close(&self, queue: &Queue<M, B>, within: Duration) -> Quiet {
        self.0.shared.close(queue, within)
    }

    /// Gives up on a queue that does not stop: its memory stays as it is for ever, and its place taken.
    pub fn abandon(&self, queue: &Arc<Queue<M, B>>) {
        self.0.shared.abandon(queue);
    }
}

impl<M: DeviceModel, B: Backing> Core<M, B> {
    fn is_foreign(&self) -> bool {
        Pid::this() != self.process
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the thread that looks whether others are held up.
    fn watch(&self, starter: Starter<M, B>, patience: Duration) -> Result<(), PoolError> {
        let shared = self.shared.clone();
        let stand_in = move |post: &Arc<Post>| {
            let role = if post.is_lane() { Role::Lane } else { Role::Worker };
            starter.start(role, None).inspect_err(|error| tracing::debug!(%error, "no thread")).is_ok()
        };
        let watch = Watch::new(shared, patience, Box::new(stand_in));
        let thread = thread::Builder::new().name(format!("{}-watch", self.name)).spawn(move || watch.run());
        self.threads().push(thread.map_err(PoolError::Thread)?);
        Ok(())
    }
}

/// What a thread is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Worker,
    Lane,
}

/// Starts threads.
struct Starter<M: DeviceModel, B: Backing> {
    shared: Arc<Shared<M, B>>,
    name: String,
    /// Whether a CPU is left when all workers poll.
    spare: bool,
    started: Arc<AtomicUsize>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
    watched: bool,
}

impl<M: DeviceModel, B: Backing> Starter<M, B> {
    /// Starts one, bound to a CPU if one is named.
    fn start(&self, role: Role, cpu: Option<usize>) -> Result<(), PoolError> {
        // Relaxed: a number to tell threads apart.
        let index = self.started.fetch_add(1, Ordering::Relaxed);
        let (shared, spare) = (self.shared.clone(), self.spare);
        let post = Arc::new(Post::new(self.watched, role == Role::Lane));
        shared.take_up(post.clone());
        let (report, bound) = mpsc::channel();
        let spawned = thread::Builder::new().name(format!("{}-{index}", self.name)).spawn({
            let post = post.clone();
            move || {
                let outcome = cpu.map_or(Ok(()), bind);
                let bound = outcome.is_ok();
                // Whoever started us waits for this.
                let _ = report.send(outcome);
                match role {
                    _ if !bound => shared.leave(&post),
                    Role::Worker => Worker::new(shared, post, index, spare).run(),
                    Role::Lane => Lane::new(shared, post).run(),
                }
            }
        });
        let thread = spawned.map_err(|error| {
            self.shared.leave(&post);
            PoolError::Thread(error)
        })?;
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that others stood in for have gone home by now, or will.
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
        drop(threads);
        bound.recv().unwrap_or(Ok(()))
    }
}

impl<M: DeviceModel, B: Backing> Drop for Core<M, B> {
    fn drop(&mut self) {
        let threads = core::mem::take(&mut *self.threads());
        if self.is_foreign() {
            // They do not exist here; only their handles do.
            threads.into_iter().for_each(core::mem::forget);
            return;
        }
        self.shared.shut_down();
        for thread in threads {
            // Not one that is held up: it ends with the process.
            if self.shared.posts().iter().any(|post| post.is_relieved()) && !thread.is_finished() {
                continue;
            }
            if thread.join().is_err() {
                tracing::error!(device = %self.name, "a worker panicked");
            }
        }
    }
}

impl<M: DeviceModel, B: Backing> fmt::Debug for Pool<M, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("model", &self.0.shared.model)
            .field("name", &self.0.name)
            .field("workers", &self.workers())
            .field("lanes", &self.lanes())
            .finish_non_exhaustive()
    }
}

/// How many workers there are unless somebody says so.
pub(super) fn default_workers() -> usize {
    usable_cpus(false).saturating_sub(1).max(1)
}

/// How many CPUs workers and users have together. Workers that are bound to CPUs need not be where the caller is, so for them all count.
fn usable_cpus(bound: bool) -> usize {
    let online = || usize::try_from(sysconf(SysconfVar::_NPROCESSORS_ONLN).ok()??).ok();
    let usable = || thread::available_parallelism().map_or(1, usize::from);
    if bound { online().unwrap_or_else(usable) } else { usable() }
}

/// Binds the calling thread to a CPU.
fn bind(cpu: usize) -> Result<(), PoolError> {
    let mut set = CpuSet::new();
    set.set(cpu)
        .and_then(|()| sched_setaffinity(Pid::from_raw(0), &set))
        .map_err(|errno| PoolError::Pin { cpu, source: errno.into() })
}

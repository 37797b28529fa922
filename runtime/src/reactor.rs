//! The thread that looks after futures nobody polls. One per runtime, started with the first pending future.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use uaccel_queue::{DeviceError, Transport};

use crate::device::Seat;
use crate::error::Cause;
use crate::owned::recover_owned;
use crate::patience::BACKSTOP;
use crate::queue_core::{Home, QueueCore};
use crate::sys::fork_mark::ForkMark;
use crate::sys::signal::{self, Bell};

/// How often a queue that cannot wake anybody is polled, at first and at last.
const BLIND: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(5));

/// Sleeps on the queues that have owned jobs in flight, hands out their answers, and keeps their deadlines.
#[derive(Debug)]
pub(crate) struct Reactor {
    shared: Arc<Shared>,
    thread: OnceLock<Option<JoinHandle<()>>>,
    fork: ForkMark,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<Vec<Arc<QueueCore>>>,
    bell: Bell,
    /// The runtime is gone: only futures that somebody still has are looked after.
    closing: AtomicBool,
    stop: AtomicBool,
}

impl Reactor {
    pub(crate) fn new(fork: ForkMark) -> io::Result<Self> {
        let shared = Shared {
            queues: Mutex::new(Vec::new()),
            bell: Bell::new()?,
            closing: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        };
        Ok(Self { shared: Arc::new(shared), thread: OnceLock::new(), fork })
    }

    /// Looks after a queue until it has no owned jobs in flight.
    pub(crate) fn watch(&self, core: &Arc<QueueCore>) {
        // AcqRel: pairs with the release in `Shared::visit`, which takes the mark away before it looks at the queue for the last time.
        if core.watched.swap(true, Ordering::AcqRel) {
            return;
        }
        self.shared.list().push(core.clone());
        let thread = self.thread.get_or_init(|| {
            let shared = self.shared.clone();
            let spawned = std::thread::Builder::new().name("uaccel-reactor".into()).spawn(move || shared.run());
            spawned
                .inspect_err(|error| tracing::error!(%error, "no reactor thread; futures move only when polled"))
                .ok()
        });
        if thread.is_some() {
            self.shared.bell.ring();
        }
    }
}

impl Reactor {
    /// The runtime is gone: queues that nobody waits for are closed, which stops what is in flight on them.
    pub(crate) fn close(&self) {
        // Relaxed: the bell orders it.
        self.shared.closing.store(true, Ordering::Relaxed);
        self.shared.bell.ring();
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        if !self.fork.is_home() {
            // The thread stayed with the parent.
            std::mem::forget(self.shared.clone());
            return;
        }
        // Relaxed: the bell orders it.
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.bell.ring();
        if let Some(Some(thread)) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic there has been printed by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Arc<QueueCore>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut blind = BLIND.0;
        while !self.stop.load(Ordering::Relaxed) {
            self.bell.clear();
            let mut queues = self.list().clone();
            let closing = self.closing.load(Ordering::Relaxed);
            let visits: Vec<_> = queues.iter().map(|core| visit(core, closing)).collect();
            let moved = visits.iter().any(|visit| visit.moved);
            blind = if moved { BLIND.0 } else { (blind * 2).min(BLIND.1) };
            self.list().retain(|core| core.watched.load(Ordering::Relaxed));

            let now = Instant::now();
            let mut nap = if queues.is_empty() { Duration::from_secs(3600) } else { BACKSTOP };
            for visit in &visits {
                if visit.can_wake == Some(false) {
                    nap = nap.min(blind);
                }
                if let Some(deadline) = visit.deadline {
                    nap = nap.min(deadline.saturating_duration_since(now));
                }
            }
            let transports: Vec<_> = visits.into_iter().filter_map(|visit| visit.transport).collect();
            // Nothing may keep a queue alive while the reactor sleeps but the list itself.
            queues.clear();
            self.sleep(&transports, nap);
        }
    }

    fn sleep(&self, transports: &[Arc<dyn Transport>], nap: Duration) {
        let mut descriptors: Vec<BorrowedFd<'_>> = vec![self.bell.as_fd()];
        let waking: Vec<_> =
            transports.iter().filter_map(|transport| Some((transport, transport.wake_fd()?))).collect();
        descriptors.extend(waking.iter().map(|(_, fd)| *fd));
        match signal::sleep_on(&descriptors, nap) {
            Ok(ready) => {
                for ((transport, _), _) in waking.iter().zip(&ready[1..]).filter(|(_, ready)| **ready) {
                    transport.clear_wake();
                }
            }
            Err(error) => {
                tracing::error!(%error, "reactor cannot sleep on its queues");
                std::thread::sleep(nap.min(BACKSTOP));
            }
        }
    }
}

/// What one look at a queue found.
struct Visit {
    moved: bool,
    /// `None` if it need not be waited for.
    can_wake: Option<bool>,
    deadline: Option<Instant>,
    transport: Option<Arc<dyn Transport>>,
}

/// Hands out what is answered, enforces deadlines, and demands a signal for the rest.
fn visit(core: &Arc<QueueCore>, closing: bool) -> Visit {
    let done = |moved| Visit { moved, can_wake: None, deadline: None, transport: None };
    // Somebody else polls the queue at the moment, and may leave before the answers are there: look again soon.
    let busy = Visit { moved: false, can_wake: Some(false), deadline: None, transport: None };
    let Some(mut seat) = Seat::take(core) else { return busy };
    let pair = match &mut *seat.home {
        Home::Here(pair) => pair,
        Home::Leased => return busy,
        Home::Down(_) => {
            core.watched.store(false, Ordering::Release);
            return done(false);
        }
    };
    let mut moved = false;
    // Twice, since what is answered before the device sees the demand is not signalled.
    for _ in 0..2 {
        match core.drain(pair, |_, _| {}) {
            Ok(count) => moved |= count != 0,
            Err(error) => {
                recover_owned(core, pair, &error.into());
                return busy;
            }
        }
        if pair.owned == 0 || (closing && !core.is_wanted()) {
            // Release: pairs with `watch`. Whoever submits next holds the pair after us, finds the mark gone, and sets it again.
            core.watched.store(false, Ordering::Release);
            return done(moved);
        }
        pair.completer.arm();
    }
    // No signal tells that a device has gone.
    if !moved && !pair.transport.is_alive() {
        recover_owned(core, pair, &Box::new(DeviceError::Gone).into());
        return busy;
    }
    let deadline = core.next_deadline();
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        let limit = core.device.options.deadline;
        recover_owned(core, pair, &Cause::Deadline(limit));
        return Visit { moved: true, ..busy };
    }
    Visit { moved, can_wake: Some(pair.granted.wakes), deadline, transport: Some(pair.transport.clone()) }
}

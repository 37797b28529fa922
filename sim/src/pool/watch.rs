//! Has other threads stand in for those that are held up in the memory of a user.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Backing;
use super::post::Post;
use super::queue::Queue;
use super::shared::Shared;
use crate::DeviceModel;

/// How often is looked whether somebody is held up. One who is waits once or twice as long before another stands in, and everybody else with him.
const TICK: Duration = Duration::from_millis(10);

/// Wakes the watch when there is something to watch.
#[derive(Debug, Default)]
pub(super) struct Alarm {
    alert: Mutex<bool>,
    bell: Condvar,
}

impl Alarm {
    /// Somebody begins to work.
    pub(super) fn raise(&self) {
        let mut alert = self.lock();
        if !*alert {
            *alert = true;
            drop(alert);
            self.bell.notify_one();
        }
    }

    /// Waits until somebody works.
    fn wait(&self) {
        let mut alert = self.lock();
        while !*alert {
            alert = self.bell.wait(alert).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody seems to work: whoever begins from now on raises it again.
    fn lower(&self) {
        *self.lock() = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.alert.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread in the place of the one that had this post; says whether there is one.
pub(super) type StandIn = Box<dyn Fn(&Arc<Post>) -> bool + Send>;

/// Looks whether threads of the pool are held up.
pub(super) struct Watch<M: DeviceModel, B: Backing> {
    shared: Arc<Shared<M, B>>,
    patience: Duration,
    stand_in: StandIn,
    /// Inside which call each thread was at the last look, by its post.
    seen: HashMap<usize, u64>,
    held_up: Vec<HeldUp<M, B>>,
    /// Posts for which nobody could be found yet.
    vacant: Vec<Arc<Post>>,
}

/// A thread that others stand in for.
struct HeldUp<M: DeviceModel, B: Backing> {
    post: Arc<Post>,
    queue: Arc<Queue<M, B>>,
    since: Instant,
}

impl<M: DeviceModel, B: Backing> Watch<M, B> {
    pub(super) fn new(shared: Arc<Shared<M, B>>, patience: Duration, stand_in: StandIn) -> Self {
        Self { shared, patience, stand_in, seen: HashMap::new(), held_up: Vec::new(), vacant: Vec::new() }
    }

    /// Watches until the pool is shut.
    pub(super) fn run(mut self) {
        while !self.shared.is_shut() {
            if !self.look() {
                self.shared.alarm.lower();
                // Once more, for who began between the look and now.
                if !self.look() {
                    self.shared.alarm.wait();
                }
            }
            std::thread::sleep(TICK);
        }
    }

    /// Looks at every post. Whether anybody works, or is waited for.
    fn look(&mut self) -> bool {
        let posts: Vec<Arc<Post>> = self.shared.posts().clone();
        let mut seen = HashMap::with_capacity(posts.len());
        let mut busy = self.shared.sleepers.anybody_polls();
        for post in &posts {
            busy |= post.serving() != 0 && !post.is_relieved();
            let Some(inside) = post.inside() else { continue };
            let name = Arc::as_ptr(post).addr();
            if self.seen.get(&name) == Some(&inside) {
                self.relieve(post, inside);
            } else {
                seen.insert(name, inside);
            }
        }
        self.seen = seen;
        self.vacant.retain(|post| !(self.stand_in)(post));
        let (patience, now) = (self.patience, Instant::now());
        self.held_up.retain(|held_up| {
            let still = held_up.post.serving() == held_up.queue.id;
            let over = still && now.duration_since(held_up.since) >= patience;
            if over {
                tracing::warn!(queue = held_up.queue.id, ?patience, "memory does not answer; giving up on its user");
                held_up.queue.backing.give_up();
            }
            still && !over
        });
        busy || !self.held_up.is_empty() || !self.vacant.is_empty()
    }

    /// Has another thread stand in for one that is held up.
    fn relieve(&mut self, post: &Arc<Post>, inside: u64) {
        let serving = post.serving();
        let Some(queue) = self.shared.queues().iter().find(|queue| queue.id == serving).cloned() else { return };
        // Before, so that the queue is left alone from the moment on when somebody else might come to it.
        queue.account.hold_up();
        if !post.relieve(inside) {
            queue.account.let_go();
            // Somebody may have passed its jobs over meanwhile, and sleep.
            self.shared.lanes.stir();
            self.shared.sleepers.wake();
            return;
        }
        tracing::debug!(queue = queue.id, "a thread is held up in the memory of a user; another stands in");
        if post.is_polling() {
            self.shared.sleepers.begin_work();
        }
        if !(self.stand_in)(post) {
            tracing::error!("nobody can stand in for a thread that is held up; trying again");
            self.vacant.push(post.clone());
        }
        self.held_up.push(HeldUp { post: post.clone(), queue, since: Instant::now() });
    }
}

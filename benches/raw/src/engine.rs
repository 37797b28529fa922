//! The thread on the other CPU.
//!
//! It sleeps between repetitions, spins (or does whatever its body does) within one, and is gone when its owner is.

use std::fmt;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::RawError;
use crate::line::Line;
use crate::placement::pin;

/// Idle rounds between two looks at something that is none of the protocol's business (the gate, the engine's health).
const ROUNDS: u32 = 256;

/// Says to the engine's body whether the repetition goes on.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    open: Line<AtomicBool>,
}

impl Gate {
    /// Whether the body should return as soon as it has nothing in hand.
    pub(crate) fn closed(&self) -> bool {
        // Pairs with the release store in `Session::drop`: what the caller did before it closed the gate is seen.
        !self.open.0.load(Ordering::Acquire)
    }

    /// A spin loop of the engine that looks at the gate now and then.
    pub(crate) fn idle(&self) -> Idle<'_> {
        Idle { gate: self, rounds: 0 }
    }
}

/// Counts the empty rounds of an engine's loop.
#[derive(Debug)]
pub(crate) struct Idle<'a> {
    gate: &'a Gate,
    rounds: u32,
}

impl Idle<'_> {
    /// One more round without work. `true` when the body must return.
    #[inline]
    pub(crate) fn round(&mut self) -> bool {
        self.rounds = self.rounds.wrapping_add(1);
        spin_loop();
        self.rounds.is_multiple_of(ROUNDS) && self.gate.closed()
    }
}

/// What the caller wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Sleep,
    Run,
    End,
}

/// What the engine does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Asleep,
    Running,
    Gone,
}

#[derive(Debug)]
struct Shared {
    gate: Gate,
    turn: Mutex<(Wish, State)>,
    changed: Condvar,
}

impl Shared {
    /// The state is two plain words, whole at any time: a panic elsewhere does not spoil it.
    fn turn(&self) -> MutexGuard<'_, (Wish, State)> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Kick = Box<dyn Fn() + Send + Sync>;

/// A pinned thread that runs its body once per [`Session`] and sleeps otherwise.
pub(crate) struct Engine {
    limit: String,
    shared: Arc<Shared>,
    /// Wakes a body that sleeps in the kernel. Called again and again until the body has seen the closed gate.
    kick: Kick,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("limit", &self.limit).field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Engine {
    /// Starts a thread on `cpu`. `body` is called once per session and must return soon after the gate is closed.
    pub(crate) fn start(
        limit: &str,
        cpu: usize,
        kick: impl Fn() + Send + Sync + 'static,
        mut body: impl FnMut(&Gate) + Send + 'static,
    ) -> Result<Self, RawError> {
        let shared = Arc::new(Shared {
            gate: Gate::default(),
            turn: Mutex::new((Wish::Sleep, State::Asleep)),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let (placed, place) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("raw-engine".to_owned())
            .spawn(move || {
                let farewell = Farewell(theirs);
                let pinned = pin(cpu);
                let stays = pinned.is_ok();
                let (pinned, outcome) = match pinned {
                    Ok(pinned) => (Some(pinned), Ok(())),
                    Err(e) => (None, Err(e)),
                };
                // The receiver waits for exactly this message; it cannot be gone.
                let _ = placed.send(outcome);
                if stays {
                    serve(&farewell.0, &mut body);
                }
                drop(pinned);
                // What the body owns goes before the farewell.
                drop(body);
            })
            .map_err(|source| RawError::Spawn { limit: limit.to_owned(), source })?;
        let engine = Self { limit: limit.to_owned(), shared, kick: Box::new(kick), thread: Some(thread) };
        // On an error `engine` is dropped here, which joins the thread.
        place.recv().unwrap_or_else(|_| Err(engine.gone()))?;
        Ok(engine)
    }

    /// Wakes the engine; when this returns its body runs, or is about to.
    pub(crate) fn session(&self) -> Result<Session<'_>, RawError> {
        // Relaxed is enough: the engine looks at the gate only after it has taken the lock below.
        self.shared.gate.open.0.store(true, Ordering::Relaxed);
        let mut turn = self.shared.turn();
        if turn.1 != State::Gone {
            turn.0 = Wish::Run;
            self.shared.changed.notify_all();
        }
        let turn = self
            .shared
            .changed
            .wait_while(turn, |turn| *turn == (Wish::Run, State::Asleep))
            .unwrap_or_else(PoisonError::into_inner);
        if turn.1 == State::Running {
            Ok(Session { engine: self })
        } else {
            // Dead, or its body has given up before anybody looked.
            Err(self.gone())
        }
    }

    /// Whether the body runs, in a session.
    #[cold]
    fn check(&self) -> Result<(), RawError> {
        if self.shared.turn().1 == State::Running { Ok(()) } else { Err(self.gone()) }
    }

    /// The error that says that the thread has ended.
    fn gone(&self) -> RawError {
        RawError::EngineGone { limit: self.limit.clone() }
    }

    /// Closes the gate and waits until the body has returned.
    fn quiesce(&self, wish: Wish) {
        // Pairs with the acquire load in `Gate::closed`.
        self.shared.gate.open.0.store(false, Ordering::Release);
        let mut turn = self.shared.turn();
        turn.0 = wish;
        self.shared.changed.notify_all();
        while turn.1 == State::Running {
            // A kick may come between the body's look at the gate and its going to sleep, and is then lost: repeat it.
            drop(turn);
            (self.kick)();
            (turn, _) = self
                .shared
                .changed
                .wait_timeout_while(self.shared.turn(), Duration::from_millis(1), |turn| turn.1 == State::Running)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.quiesce(Wish::End);
        if let Some(thread) = self.thread.take() {
            // A panic of the engine thread has been reported by the panic hook and as `EngineGone`.
            let _ = thread.join();
        }
    }
}

/// The engine thread, once it is in its place.
fn serve(shared: &Shared, body: &mut impl FnMut(&Gate)) {
    loop {
        let mut turn = shared
            .changed
            .wait_while(shared.turn(), |turn| turn.0 == Wish::Sleep)
            .unwrap_or_else(PoisonError::into_inner);
        if turn.0 == Wish::End {
            return;
        }
        turn.1 = State::Running;
        shared.changed.notify_all();
        drop(turn);
        body(&shared.gate);
        let mut turn = shared.turn();
        turn.1 = State::Asleep;
        // A body that returns before the gate is closed is not started again for the same session.
        if turn.0 == Wish::Run {
            turn.0 = Wish::Sleep;
        }
        shared.changed.notify_all();
    }
}

/// Tells the caller that the thread is gone, whatever it died of.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.turn().1 = State::Gone;
        self.0.changed.notify_all();
    }
}

/// The time in which the engine's body runs. Dropping it sends the engine to sleep, and waits until it does.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    engine: &'a Engine,
}

impl Session<'_> {
    /// A spin loop of the caller that finds out when the engine has died.
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience { engine: self.engine, rounds: 0 }
    }

    /// Whether the body still runs; for callers that sleep rather than spin.
    pub(crate) fn check(&self) -> Result<(), RawError> {
        self.engine.check()
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.engine.quiesce(Wish::Sleep);
    }
}

/// Counts the empty rounds of a caller's loop.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    engine: &'a Engine,
    rounds: u32,
}

impl Patience<'_> {
    /// One more round without an answer.
    #[inline]
    pub(crate) fn round(&mut self) -> Result<(), RawError> {
        self.rounds = self.rounds.wrapping_add(1);
        spin_loop();
        if self.rounds.is_multiple_of(ROUNDS * 256) { self.engine.check() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::Placement;
    use std::sync::atomic::AtomicU32;

    fn cpu() -> usize {
        Placement::detect().expect("placement").caller()
    }

    /// An engine that holds `token` and counts its sessions.
    fn counting(token: &Arc<AtomicU32>) -> Engine {
        let held = Arc::clone(token);
        Engine::start(
            "test",
            cpu(),
            || (),
            move |gate| {
                held.fetch_add(1, Ordering::Relaxed);
                let mut idle = gate.idle();
                while !idle.round() {}
            },
        )
        .expect("engine")
    }

    #[test]
    fn dropping_ends_the_thread() {
        let token = Arc::new(AtomicU32::new(0));
        let engine = counting(&token);
        drop(engine.session().expect("first session"));
        drop(engine.session().expect("second session"));
        assert_eq!(token.load(Ordering::Relaxed), 2);
        assert_eq!(Arc::strong_count(&token), 2);
        drop(engine);
        assert_eq!(Arc::strong_count(&token), 1, "the thread still holds its share");
    }

    #[test]
    fn dropping_an_engine_that_never_ran_ends_the_thread() {
        let token = Arc::new(AtomicU32::new(0));
        drop(counting(&token));
        assert_eq!(Arc::strong_count(&token), 1);
        assert_eq!(token.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_panic_of_the_caller_stops_the_spinning() {
        let token = Arc::new(AtomicU32::new(0));
        let engine = counting(&token);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _session = engine.session().expect("session");
            std::panic::resume_unwind(Box::new("the caller's own"));
        }));
        assert!(result.is_err());
        assert_eq!(engine.shared.turn().1, State::Asleep);
        drop(engine);
        assert_eq!(Arc::strong_count(&token), 1);
    }

    #[test]
    fn a_dead_engine_is_an_error_for_all_who_wait() {
        let engine = Engine::start("dying", cpu(), || (), |_| std::panic::resume_unwind(Box::new(()))).expect("engine");
        // The engine may die before or after the session has begun; both must come to an end.
        if let Ok(session) = engine.session() {
            let mut patience = session.patience();
            let died = loop {
                if let Err(e) = patience.round() {
                    break e;
                }
            };
            assert!(matches!(died, RawError::EngineGone { .. }));
            assert!(session.check().is_err());
        }
        assert!(matches!(engine.session(), Err(RawError::EngineGone { .. })));
    }

    #[test]
    fn a_body_that_gives_up_at_once_is_an_error_and_no_hang() {
        let engine = Engine::start("weary", cpu(), || (), |_| ()).expect("engine");
        for _ in 0..100 {
            if let Ok(session) = engine.session() {
                while session.check().is_ok() {
                    std::thread::yield_now();
                }
            }
        }
    }

    #[test]
    fn an_engine_that_cannot_be_placed_is_an_error_and_leaves_no_thread() {
        let token = Arc::new(());
        let held = Arc::clone(&token);
        let refused = Engine::start("nowhere", usize::MAX, || (), move |_| drop(Arc::clone(&held)));
        assert!(matches!(refused, Err(RawError::Pin { .. })));
        assert_eq!(Arc::strong_count(&token), 1);
    }
}

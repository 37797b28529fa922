//! What it costs to sleep in the kernel and be woken.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::engine::Engine;
use crate::error::RawError;
use crate::futex::{self, Reach};
use crate::limit::{Limit, timed};
use crate::line::Line;
use crate::placement::{Placement, pin};

/// What wakes the sleeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bell {
    /// A private futex: one call to sleep, one to wake.
    Futex,
    /// An eventfd: a blocking read to sleep, a write to wake. What a device's interrupt arrives by.
    EventFd,
}

/// Two threads that sleep and wake each other in turn; neither ever spins.
///
/// One operation is one round trip: the caller wakes its partner and sleeps, the partner wakes the caller and sleeps.
#[derive(Debug)]
pub struct Wake {
    name: &'static str,
    caller: usize,
    same_cpu: bool,
    bells: Arc<Bells>,
    engine: Engine,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, behind an Arc; the size is that of lines kept apart")]
enum Bells {
    Futex { there: Line<AtomicU32>, back: Line<AtomicU32> },
    EventFd { there: EventFd, back: EventFd },
}

impl Wake {
    /// The two threads on the two CPUs of the placement.
    ///
    /// # Errors
    ///
    /// [`RawError::NeedsTwoCpus`], [`RawError::Pin`], [`RawError::Spawn`], [`RawError::Os`].
    pub fn across(placement: Placement, bell: Bell) -> Result<Self, RawError> {
        let name = match bell {
            Bell::Futex => "wake/futex-two-cpus",
            Bell::EventFd => "wake/eventfd-two-cpus",
        };
        Self::start(name, placement.caller(), placement.engine_for(name)?, bell)
    }

    /// Both threads on the caller's CPU, where a wake-up is a change of thread and no interrupt.
    ///
    /// # Errors
    ///
    /// [`RawError::Pin`], [`RawError::Spawn`], [`RawError::Os`].
    pub fn on_one_cpu(placement: Placement, bell: Bell) -> Result<Self, RawError> {
        let name = match bell {
            Bell::Futex => "wake/futex-one-cpu",
            Bell::EventFd => "wake/eventfd-one-cpu",
        };
        Self::start(name, placement.caller(), placement.caller(), bell)
    }

    fn start(name: &'static str, caller: usize, partner: usize, bell: Bell) -> Result<Self, RawError> {
        let eventfd = || {
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC).map_err(|e| RawError::Os { call: "eventfd", source: e.into() })
        };
        let bells = Arc::new(match bell {
            Bell::Futex => Bells::Futex { there: Line::default(), back: Line::default() },
            Bell::EventFd => Bells::EventFd { there: eventfd()?, back: eventfd()? },
        });
        // A sandbox that filters the calls is found out here, before a thread depends on them.
        match &*bells {
            Bells::Futex { there, .. } => {
                let value = there.0.load(Ordering::Relaxed);
                // Not the value that the word has: the call returns at once.
                futex::wait(&there.0, value.wrapping_add(1), Reach::Process, None)
                    .and_then(|()| futex::wake(&there.0, Reach::Process))
                    .map_err(|source| RawError::Os { call: "futex", source })?;
            }
            Bells::EventFd { there, .. } => drain(there)?,
        }
        let (ringer, theirs) = (Arc::clone(&bells), Arc::clone(&bells));
        let kick = move || match &*ringer {
            Bells::Futex { there, .. } => {
                // The word stays as it is: the sleeper finds no question, looks at the gate, and leaves.
                let _ = futex::wake(&there.0, Reach::Process);
            }
            Bells::EventFd { there, .. } => {
                let _ = there.write(1);
            }
        };
        let mut answered = 0;
        let engine = Engine::start(name, partner, kick, move |gate| {
            // The calls have been tried out in `start`; with valid words and descriptors they have no way to fail
            // after that. Should one do so nevertheless, returning is better than going round for ever.
            match &*theirs {
                Bells::Futex { there, back } => loop {
                    // Pairs with the release store in `ring`.
                    if there.0.load(Ordering::Acquire) != answered {
                        answered = answered.wrapping_add(1);
                        if ring(&back.0, answered).is_err() {
                            return;
                        }
                    } else if gate.closed() || futex::wait(&there.0, answered, Reach::Process, None).is_err() {
                        return;
                    }
                },
                Bells::EventFd { there, back } => loop {
                    match there.read() {
                        Ok(_) if gate.closed() => return,
                        Ok(_) => {
                            if back.write(1).is_err() {
                                return;
                            }
                        }
                        Err(Errno::EINTR) => {}
                        Err(_) => return,
                    }
                },
            }
        })?;
        Ok(Self { name, caller, same_cpu: caller == partner, bells, engine })
    }
}

impl Limit for Wake {
    fn name(&self) -> &str {
        self.name
    }

    fn explanation(&self) -> &'static str {
        match (&*self.bells, self.same_cpu) {
            (Bells::Futex { .. }, false) => "round trip by futex between two sleeping threads on two CPUs",
            (Bells::Futex { .. }, true) => "round trip by futex between two sleeping threads on one CPU",
            (Bells::EventFd { .. }, false) => "round trip by eventfd between two sleeping threads on two CPUs",
            (Bells::EventFd { .. }, true) => "round trip by eventfd between two sleeping threads on one CPU",
        }
    }

    fn suggested_operations(&self) -> u64 {
        if self.same_cpu { 5_000 } else { 1_000 }
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.caller)?;
        let os = |call| move |source: io::Error| RawError::Os { call, source };
        if let Bells::EventFd { there, .. } = &*self.bells {
            // Kicks at the end of the last session may have left a count, which would be taken for a question. The
            // partner sleeps elsewhere now.
            drain(there)?;
        }
        let session = self.engine.session()?;
        timed(operations, |n| {
            match &*self.bells {
                Bells::Futex { there, back } => {
                    for _ in 0..n {
                        // Relaxed: only this thread writes the word.
                        let question = there.0.load(Ordering::Relaxed).wrapping_add(1);
                        ring(&there.0, question).map_err(os("futex"))?;
                        let mut slept = false;
                        // Pairs with the release store in `ring` by the partner.
                        while back.0.load(Ordering::Acquire) != question {
                            if slept {
                                // Awake without an answer, which is rare: look whether one can still come.
                                session.check()?;
                            }
                            futex::wait(&back.0, question.wrapping_sub(1), Reach::Process, None)
                                .map_err(os("futex"))?;
                            slept = true;
                        }
                    }
                }
                Bells::EventFd { there, back } => {
                    for _ in 0..n {
                        there.write(1).map_err(|e| os("eventfd")(e.into()))?;
                        loop {
                            match back.read() {
                                Ok(_) => break,
                                Err(Errno::EINTR) => session.check()?,
                                Err(e) => return Err(os("eventfd")(e.into())),
                            }
                        }
                    }
                }
            }
            Ok(())
        })
    }
}

/// Sets an eventfd's count to zero. Never blocks, as it adds one before it reads.
fn drain(bell: &EventFd) -> Result<(), RawError> {
    bell.write(1).and_then(|_| bell.read()).map(|_| ()).map_err(|e| RawError::Os { call: "eventfd", source: e.into() })
}

/// Sets the word and wakes who sleeps on it.
fn ring(word: &AtomicU32, value: u32) -> io::Result<()> {
    // Pairs with the acquire load of the sleeper. That it does not fall asleep after this is the kernel's doing: it
    // compares the word under the lock that the wake-up takes.
    word.store(value, Ordering::Release);
    futex::wake(word, Reach::Process)
}

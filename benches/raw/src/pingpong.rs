//! One cache line there and back between two CPUs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Engine;
use crate::error::RawError;
use crate::limit::{Limit, timed};
use crate::line::Line;
use crate::placement::{Placement, pin};

/// How many lines travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lines {
    /// The answer is written into the line that carried the question.
    One,
    /// The question has a line, the answer another.
    Two,
}

/// The bare price of a question and its answer between two CPUs that both spin: no job, no ring, one word.
///
/// One operation is one round trip.
#[derive(Debug)]
pub struct PingPong {
    name: &'static str,
    lines: Lines,
    placement: Placement,
    words: Arc<Words>,
    last: u64,
    engine: Engine,
}

/// A question is an odd number, its answer the next even one. With one line, only `there` is used.
#[derive(Debug, Default)]
struct Words {
    there: Line<AtomicU64>,
    back: Line<AtomicU64>,
}

impl PingPong {
    /// Starts the engine thread.
    ///
    /// # Errors
    ///
    /// [`RawError::NeedsTwoCpus`], [`RawError::Pin`], [`RawError::Spawn`].
    pub fn new(placement: Placement, lines: Lines) -> Result<Self, RawError> {
        let name = match lines {
            Lines::One => "pingpong/one-line",
            Lines::Two => "pingpong/two-lines",
        };
        let cpu = placement.engine_for(name)?;
        let words = Arc::new(Words::default());
        let theirs = Arc::clone(&words);
        let mut answered = 0;
        let engine = Engine::start(
            name,
            cpu,
            || (),
            move |gate| {
                let back = match lines {
                    Lines::One => &theirs.there.0,
                    Lines::Two => &theirs.back.0,
                };
                let mut idle = gate.idle();
                loop {
                    // Pairs with the caller's release store of the question.
                    if theirs.there.0.load(Ordering::Acquire) == answered + 1 {
                        answered += 2;
                        // Pairs with the caller's acquire load of the answer.
                        back.store(answered, Ordering::Release);
                    } else if idle.round() {
                        return;
                    }
                }
            },
        )?;
        Ok(Self { name, lines, placement, words, last: 0, engine })
    }
}

impl Limit for PingPong {
    fn name(&self) -> &str {
        self.name
    }

    fn explanation(&self) -> &'static str {
        match self.lines {
            Lines::One => "round trip of one word between two spinning CPUs, answered in the same cache line",
            Lines::Two => "round trip of one word between two spinning CPUs, a cache line for each way",
        }
    }

    fn suggested_operations(&self) -> u64 {
        100_000
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        let session = self.engine.session()?;
        let mut patience = session.patience();
        let there = &self.words.there.0;
        let back = match self.lines {
            Lines::One => there,
            Lines::Two => &self.words.back.0,
        };
        let last = &mut self.last;
        timed(operations, |n| {
            for _ in 0..n {
                // Pairs with the engine's acquire load of the question.
                there.store(*last + 1, Ordering::Release);
                *last += 2;
                // Pairs with the engine's release store of the answer.
                while back.load(Ordering::Acquire) != *last {
                    patience.round()?;
                }
            }
            Ok(())
        })
    }
}

//! When to wake a sleeper for an answer that does not come from the engine.

use uaccel_queue::sync::atomic::{AtomicBool, Ordering};

/// Whether somebody sleeps, or is about to, for whom nobody has signalled since: for jobs that end without the engine, and for signals of the engine's that the submitter took.
#[derive(Debug, Default)]
pub(super) struct Alarm(AtomicBool);

impl Alarm {
    /// Demands a signal. Who does so looks for answers once more before sleeping.
    pub(super) fn arm(&self) {
        // AcqRel, and not a mere store: pairs with `is_due`. Of the two, the later finds what the earlier left: the look that follows finds the
        // answer, or `is_due` finds the demand.
        self.0.swap(true, Ordering::AcqRel);
    }

    /// Takes the demand, if there is one. The answer can be found by now.
    pub(super) fn is_due(&self) -> bool {
        // AcqRel: pairs with `arm`.
        self.0.swap(false, Ordering::AcqRel)
    }
}

#[cfg(all(loom, test))]
mod tests {
    use std::sync::Arc;

    use uaccel_queue::Token;

    use super::*;
    use crate::handoff;

    #[test]
    fn who_does_not_find_the_answer_is_signalled() {
        loom::model(|| {
            let alarm = Arc::new(Alarm::default());
            let (mut giver, mut taker) = handoff::ring(1);
            let sleeper = {
                let alarm = alarm.clone();
                loom::thread::spawn(move || {
                    alarm.arm();
                    taker.take(1).count()
                })
            };
            giver.give([Token::from_raw(1)].into_iter());
            let signalled = alarm.is_due();
            let found = sleeper.join().expect("no panic inside");
            assert!(found == 1 || signalled);
        });
    }
}

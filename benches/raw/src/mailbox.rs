//! Raw null device without a completion ring: the engine answers in the job's own line.

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::{RawError, within};
use crate::limit::{Limit, timed};
use crate::line::Line;
use crate::placement::{Placement, pin};
use crate::slot::{Slot, job, slots, token};

/// A row of 64-byte job lines, each answered in place by an engine on the other CPU.
///
/// One operation is one job, written whole, read whole by the engine, answered, and its answer checked. At depth 1
/// the figure is a round trip; at greater depths it is the time per job with that many outstanding.
///
/// This is the fastest protocol known for shallow queues: job and answer need one line transfer each way.
#[derive(Debug)]
pub struct Mailbox {
    name: String,
    placement: Placement,
    slots: Arc<Line<Box<[Slot]>>>,
    depth: u64,
    submitted: u64,
    completed: u64,
    engine: Engine,
}

/// Greatest depth.
const MOST: usize = 4096;

/// Sequence words of the job with number `serial` in a row of `count` slots: question, answer.
///
/// Slot `serial % count` goes 0 (fresh), 1, 2, 3, 4 …: each lap takes two steps.
#[inline]
pub(crate) fn turns(serial: u64, lap_bits: u32) -> (u64, u64) {
    let question = ((serial >> lap_bits) << 1) + 1;
    (question, question + 1)
}

impl Mailbox {
    /// Starts the engine thread. `depth` is how many jobs are outstanding at most, from 1 to 4096.
    ///
    /// There are as few lines as do for the depth: at depth 1 one and the same line goes back and forth, which is the
    /// best that can be.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`], [`RawError::NeedsTwoCpus`], [`RawError::Pin`], [`RawError::Spawn`].
    pub fn new(placement: Placement, depth: usize) -> Result<Self, RawError> {
        within("the depth", depth as u64, 1, MOST as u64)?;
        Self::start(placement, depth, depth.next_power_of_two(), format!("mailbox/depth-{depth}"))
    }

    /// As [`Mailbox::new`], but the jobs walk through a row of `lines` lines (a power of two, `depth` to 4096), as they
    /// do in a queue whose ring is larger than what is outstanding.
    ///
    /// At depth 1 this is the limit of a queue that takes its ring's lines in turn; the difference to one line was
    /// found to be from nothing to a half, depending on the machine.
    ///
    /// # Errors
    ///
    /// As for [`Mailbox::new`].
    pub fn in_row(placement: Placement, depth: usize, lines: usize) -> Result<Self, RawError> {
        within("the depth", depth as u64, 1, MOST as u64)?;
        within("the number of lines", lines as u64, depth.next_power_of_two() as u64, MOST as u64)?;
        if !lines.is_power_of_two() {
            return Err(RawError::NotPowerOfTwo { what: "the number of lines", given: lines as u64 });
        }
        Self::start(placement, depth, lines, format!("mailbox/depth-{depth}-of-{lines}"))
    }

    fn start(placement: Placement, depth: usize, lines: usize, name: String) -> Result<Self, RawError> {
        let cpu = placement.engine_for(&name)?;
        let slots = slots(lines);
        let theirs = Arc::clone(&slots);
        let mut serial = 0u64;
        let engine = Engine::start(
            &name,
            cpu,
            || (),
            move |gate| {
                let row = &*theirs.0;
                let (mask, lap_bits) = (row.len() - 1, row.len().trailing_zeros());
                let mut idle = gate.idle();
                loop {
                    let slot = &row[index(serial, mask)];
                    let (question, answer) = turns(serial, lap_bits);
                    if !slot.holds(question) {
                        if idle.round() {
                            return;
                        }
                        continue;
                    }
                    // SAFETY: the sequence word says that this is the engine's turn; the caller does not touch the words
                    // before it sees `answer`.
                    unsafe { slot.set_answer(slot.take()) };
                    slot.publish(answer);
                    serial += 1;
                }
            },
        )?;
        Ok(Self { name, placement, slots, depth: depth as u64, submitted: 0, completed: 0, engine })
    }
}

/// Index of job `serial` in a ring.
#[inline]
#[allow(clippy::cast_possible_truncation)] // The mask keeps only low bits.
pub(crate) fn index(serial: u64, mask: usize) -> usize {
    serial as usize & mask
}

impl Limit for Mailbox {
    fn name(&self) -> &str {
        &self.name
    }

    fn explanation(&self) -> &'static str {
        if self.depth == 1 {
            "round trip of a 64-byte job that an engine on the other CPU answers in the job's own line"
        } else {
            "64-byte jobs answered in their own lines by an engine on the other CPU, that many outstanding"
        }
    }

    fn suggested_operations(&self) -> u64 {
        if self.depth == 1 { 100_000 } else { 400_000 }
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        let session = self.engine.session()?;
        let mut patience = session.patience();
        let row = &*self.slots.0;
        let (mask, lap_bits) = (row.len() - 1, row.len().trailing_zeros());
        let depth = self.depth;
        let (submitted, completed) = (&mut self.submitted, &mut self.completed);
        let mut wrong = 0;
        let ns = timed(operations, |n| {
            // Kept in registers; written back at the end.
            let (mut sub, mut done) = (*submitted, *completed);
            let end = done + n;
            while done < end {
                let room = (depth - (sub - done)).min(end - sub);
                for _ in 0..room {
                    let slot = &row[index(sub, mask)];
                    // SAFETY: at most `depth` jobs are outstanding and there are at least so many slots: the former
                    // job of this slot has been answered, and the engine waits for the next question.
                    unsafe { slot.write(job(sub)) };
                    slot.publish(turns(sub, lap_bits).0);
                    sub += 1;
                }
                let before = done;
                while done < sub {
                    let slot = &row[index(done, mask)];
                    if !slot.holds(turns(done, lap_bits).1) {
                        break;
                    }
                    // SAFETY: the sequence word says that the slot is the caller's again.
                    wrong |= unsafe { slot.answer() } ^ token(done);
                    done += 1;
                }
                if done == before {
                    patience.round()?;
                }
            }
            (*submitted, *completed) = (sub, done);
            Ok(())
        })?;
        if wrong == 0 { Ok(ns) } else { Err(RawError::OutOfOrder { limit: self.name.clone() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_right_in_rows_of_any_size() {
        let _alone = crate::limit::alone();
        let placement = Placement::detect().expect("placement");
        for (depth, lines) in [(1, 1), (1, 8), (3, 4), (3, 64), (4, 4)] {
            let mut mailbox = match Mailbox::in_row(placement, depth, lines) {
                Err(RawError::NeedsTwoCpus { .. }) => return,
                other => other.expect("mailbox"),
            };
            for n in [1, 7, 40] {
                let ns = mailbox.measure(n).expect("in order");
                assert!(ns.is_finite() && ns > 0.0);
            }
            assert_eq!(mailbox.completed, mailbox.submitted);
            assert_eq!(mailbox.completed, (1 + 1) + (1 + 7) + (6 + 40));
        }
    }

    #[test]
    fn rows_that_cannot_be_are_refused() {
        let one = Placement::on_one_cpu(0);
        assert!(matches!(Mailbox::new(one, 0), Err(RawError::BadParameter { .. })));
        assert!(matches!(Mailbox::new(one, 4097), Err(RawError::BadParameter { .. })));
        assert!(matches!(Mailbox::in_row(one, 5, 4), Err(RawError::BadParameter { least: 8, .. })));
        assert!(matches!(Mailbox::in_row(one, 1, 48), Err(RawError::NotPowerOfTwo { given: 48, .. })));
    }

    #[test]
    fn a_slot_takes_two_steps_a_lap() {
        assert_eq!(turns(0, 2), (1, 2));
        assert_eq!(turns(3, 2), (1, 2));
        assert_eq!(turns(4, 2), (3, 4));
        assert_eq!(turns(7, 0), (15, 16));
    }
}

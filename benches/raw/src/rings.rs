//! Raw null device for deep queues: a submission ring and a completion ring.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Engine;
use crate::error::{RawError, within};
use crate::limit::{Limit, timed};
use crate::line::Line;
use crate::mailbox::index;
use crate::placement::{Placement, pin};
use crate::slot::{Slot, job, slots, token};

/// Parameters of [`Rings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingShape {
    /// Jobs outstanding at most: 1 to 4096.
    pub depth: usize,
    /// Jobs submitted, and completions taken, at most, before the caller turns to the other: 1 to 4096.
    pub burst: usize,
    /// Completions that the engine makes visible together while there is more work: 1 to 4096. When the submission
    /// ring runs dry it publishes what it has.
    pub publish_every: usize,
}

impl Default for RingShape {
    /// Depth 128, burst 32, published in eights: the steadiest fast shape.
    fn default() -> Self {
        Self { depth: 128, burst: 32, publish_every: 8 }
    }
}

/// Greatest value of any of the parameters.
const MOST: u64 = 4096;

/// A 64-byte submission ring with the sequence word in each slot, and a 16-byte completion ring, four to a line.
///
/// One operation is one job: written whole, read whole by an engine on the other CPU, completed by a record with its
/// token, which the caller checks. The figure is the time per job at the depth given.
#[derive(Debug)]
pub struct Rings {
    name: String,
    placement: Placement,
    shape: RingShape,
    rings: Arc<Memory>,
    submitted: u64,
    completed: u64,
    engine: Engine,
}

#[derive(Debug)]
struct Memory {
    submissions: Arc<Line<Box<[Slot]>>>,
    completions: Box<[Completion]>,
    /// Jobs served up to the end of the last repetition.
    served: AtomicU64,
}

/// A completion record. Sequence word `serial + 1` says that `token` belongs to job `serial`.
#[derive(Debug, Default)]
#[repr(C, align(16))]
struct Completion {
    token: AtomicU64,
    sequence: AtomicU64,
}

impl Rings {
    /// Starts the engine thread.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`], [`RawError::NeedsTwoCpus`], [`RawError::Pin`], [`RawError::Spawn`].
    pub fn new(placement: Placement, shape: RingShape) -> Result<Self, RawError> {
        within("the depth", shape.depth as u64, 1, MOST)?;
        within("the burst", shape.burst as u64, 1, MOST)?;
        within("the number of completions published together", shape.publish_every as u64, 1, MOST)?;
        let name = format!("rings/depth-{}-burst-{}-by-{}", shape.depth, shape.burst, shape.publish_every);
        let cpu = placement.engine_for(&name)?;
        let count = shape.depth.next_power_of_two();
        let rings = Arc::new(Memory {
            submissions: slots(count),
            completions: (0..count).map(|_| Completion::default()).collect(),
            served: AtomicU64::new(0),
        });
        let theirs = Arc::clone(&rings);
        let publish_every = shape.publish_every as u64;
        let (mut taken, mut published) = (0u64, 0u64);
        let engine = Engine::start(
            &name,
            cpu,
            || (),
            move |gate| {
                let (row, records) = (&*theirs.submissions.0, &*theirs.completions);
                let mask = row.len() - 1;
                let publish = |from: u64, to: u64| {
                    for serial in from..to {
                        // Pairs with the caller's acquire load: it sees the token, and the engine's reading of the
                        // submission slot is over before the caller writes there again.
                        records[index(serial, mask)].sequence.store(serial + 1, Ordering::Release);
                    }
                };
                let mut idle = gate.idle();
                loop {
                    let slot = &row[index(taken, mask)];
                    if !slot.holds(taken + 1) {
                        if published < taken {
                            publish(published, taken);
                            published = taken;
                        }
                        if idle.round() {
                            // Read by tests only, after the session has ended: the lock of the engine orders it.
                            theirs.served.store(taken, Ordering::Relaxed);
                            return;
                        }
                        continue;
                    }
                    // SAFETY: the sequence word says that the job is there; the caller writes the slot again only after
                    // it has seen the completion, which is published later.
                    let token = unsafe { slot.take() };
                    // Relaxed: the release store of the sequence word in `publish` carries it.
                    records[index(taken, mask)].token.store(token, Ordering::Relaxed);
                    taken += 1;
                    if taken - published == publish_every {
                        publish(published, taken);
                        published = taken;
                    }
                }
            },
        )?;
        Ok(Self { name, placement, shape, rings, submitted: 0, completed: 0, engine })
    }

    /// The parameters.
    #[must_use]
    pub fn shape(&self) -> RingShape {
        self.shape
    }
}

impl Limit for Rings {
    fn name(&self) -> &str {
        &self.name
    }

    fn explanation(&self) -> &'static str {
        "64-byte jobs through a submission ring to the other CPU, 16-byte completions back, published in groups"
    }

    fn suggested_operations(&self) -> u64 {
        if self.shape.depth < 8 { 100_000 } else { 1_000_000 }
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        let session = self.engine.session()?;
        let mut patience = session.patience();
        let (row, records) = (&*self.rings.submissions.0, &*self.rings.completions);
        let mask = row.len() - 1;
        let (depth, burst) = (self.shape.depth as u64, self.shape.burst as u64);
        let (submitted, completed) = (&mut self.submitted, &mut self.completed);
        let mut wrong = 0;
        let ns = timed(operations, |n| {
            // Kept in registers; written back at the end.
            let (mut sub, mut done) = (*submitted, *completed);
            let end = done + n;
            while done < end {
                let room = (depth - (sub - done)).min(burst).min(end - sub);
                for _ in 0..room {
                    let slot = &row[index(sub, mask)];
                    // SAFETY: at most `depth` jobs are outstanding and there are at least so many slots: the former
                    // job of this slot has been completed, so the engine has read it and waits for the next.
                    unsafe { slot.write(job(sub)) };
                    slot.publish(sub + 1);
                    sub += 1;
                }
                let before = done;
                let most = sub.min(done + burst);
                while done < most {
                    let record = &records[index(done, mask)];
                    // Pairs with the engine's release store in `publish`.
                    if record.sequence.load(Ordering::Acquire) != done + 1 {
                        break;
                    }
                    // Relaxed: ordered by the acquire load above.
                    wrong |= record.token.load(Ordering::Relaxed) ^ token(done);
                    done += 1;
                }
                if done == before && room == 0 {
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

    /// `measure` itself compares every completion's token with that of the job whose turn it is; what is left to show
    /// is that the engine served no job twice, with shapes that fit the ring badly as well as those that fit.
    #[test]
    fn each_job_is_served_once_and_comes_back_in_order() {
        let _alone = crate::limit::alone();
        let placement = Placement::detect().expect("placement");
        for (depth, burst, publish_every) in [(1, 1, 1), (1, 1, 8), (3, 2, 2), (5, 32, 8), (128, 32, 8), (8, 3, 64)] {
            let mut rings = match Rings::new(placement, RingShape { depth, burst, publish_every }) {
                Err(RawError::NeedsTwoCpus { .. }) => return,
                other => other.expect("rings"),
            };
            let mut expected = 0;
            for n in [1u64, 7, 40] {
                let ns = rings.measure(n).expect("in order");
                assert!(ns.is_finite() && ns > 0.0);
                expected += n / 8 + 1 + n;
                assert_eq!(rings.completed, expected);
                assert_eq!(rings.submitted, expected);
                assert_eq!(rings.rings.served.load(Ordering::Relaxed), expected);
            }
        }
    }

    #[test]
    fn a_wrong_token_is_found() {
        let _alone = crate::limit::alone();
        let placement = Placement::detect().expect("placement");
        let Ok(mut rings) = Rings::new(placement, RingShape { depth: 4, burst: 4, publish_every: 8 }) else {
            return;
        };
        rings.measure(4).expect("in order");
        // The slot's turn is passed on with the words of its last job: a submission that never arrived, answered with
        // an old token.
        let lost = rings.submitted;
        rings.rings.submissions.0[index(lost, 3)].publish(lost + 1);
        rings.submitted += 1;
        assert!(matches!(rings.measure(4), Err(RawError::OutOfOrder { .. })));
    }

    #[test]
    fn shapes_out_of_range_are_refused() {
        let placement = Placement::on_one_cpu(0);
        for shape in [
            RingShape { depth: 0, ..RingShape::default() },
            RingShape { burst: 4097, ..RingShape::default() },
            RingShape { publish_every: 0, ..RingShape::default() },
        ] {
            assert!(matches!(Rings::new(placement, shape), Err(RawError::BadParameter { .. })));
        }
        assert!(matches!(Rings::new(placement, RingShape::default()), Err(RawError::NeedsTwoCpus { only: 0, .. })));
    }
}

//! The half that gives answers.

use std::sync::Arc;

use uaccel_hisi_abi::zip::{Carried, Entry, Results};
use uaccel_queue::{Completer, DeviceError, Direction, Done, JobFlags, Token};

use super::alarm::Alarm;
use super::answer::outcome;
use super::stream;
use super::task::SPECIAL;
use crate::handoff::Taker;
use crate::hisi::qm::{Answered, Head, Record};

#[derive(Debug)]
pub(super) struct ZipCompleter {
    /// Hardware queues, and which way they work.
    pub(super) heads: [(Direction, Head); 2],
    /// Which of them is looked at first.
    pub(super) first: usize,
    /// Jobs that ended without the engine.
    pub(super) ended: Taker,
    pub(super) alarm: Arc<Alarm>,
}

impl ZipCompleter {
    /// Takes what the engine has answered.
    #[inline(always)]
    fn drain(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        for number in [self.first, 1 - self.first] {
            let (direction, head) = &mut self.heads[number];
            if done.room() > 0 && head.is_ready() {
                // Neither direction keeps the other from its turn when there is little room.
                self.first = 1 - number;
                let taken = take(*direction, head, done);
                head.give_back();
                taken?;
            }
        }
        Ok(())
    }
}

/// Takes what one hardware queue has answered, as far as there is room.
#[inline]
fn take(direction: Direction, head: &mut Head, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
    while done.room() > 0 {
        let Some(answered) = head.take::<{ Entry::WORDS }>()? else { break };
        let token = answered.record.token;
        #[allow(clippy::cast_possible_truncation, reason = "the tag is the low half of its word")]
        let echoed = Token::from_raw(answered.word(Entry::TAG) as u32);
        if echoed != token {
            return Err(DeviceError::Malformed { token, what: "another job's tag" }.into());
        }
        let results = Results::decode([answered.word(0), answered.word(1)]);
        let found = done.find(token)?;
        let job = found.job();
        if job.flags.intersects(SPECIAL) {
            complete_special(done, answered, direction)?;
            continue;
        }
        let extents = (job.source_len as u64, job.destination_len as u64);
        let outcome = outcome(results, direction, extents, answered.record.note);
        found.complete(outcome)?;
    }
    Ok(())
}

/// Answers a job with something [special](SPECIAL). It is looked for again, so that nothing of the others is kept in memory for this.
#[cold]
#[inline(never)]
fn complete_special(
    done: &mut Done<'_>,
    answered: Answered<'_, { Entry::WORDS }>,
    direction: Direction,
) -> Result<(), Box<DeviceError>> {
    let results = Results::decode([answered.word(0), answered.word(1)]);
    let Record { token, note: header } = answered.record;
    let found = done.find(token)?;
    let job = found.job();
    // SAFETY: it is in flight, and the device has done with it.
    let outcome = unsafe {
        if job.flags.contains(JobFlags::STREAM) {
            let carried = Carried::decode(Carried::WORDS.map(|word| answered.word(word)));
            stream::answer(results, carried, direction, job, header)?
        } else {
            outcome(results, direction, job.extents(), header)
        }
    };
    Ok(found.complete(outcome)?)
}

// SAFETY: a job is answered when its completion was seen, which the device writes after all else, or when it never came to the device.
unsafe impl Completer for ZipCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        let before = done.room();
        if before == 0 {
            return Ok(());
        }
        // SAFETY: they come from `launch_answered`, and the hand-off orders them behind it.
        unsafe { done.complete_answered(self.ended.take(before)) }?;
        self.drain(done)?;
        if done.room() != before || !self.heads.iter().any(|(_, head)| head.is_stopped()) {
            return Ok(());
        }
        // Answers may have come between the look at the rings and the look at the stop words. The next poll will report the stop.
        self.drain(done)?;
        if done.room() != before { Ok(()) } else { Err(DeviceError::Stopped(0).into()) }
    }

    fn arm(&mut self) {
        self.alarm.arm();
        for (_, head) in &self.heads {
            head.arm();
        }
    }
}

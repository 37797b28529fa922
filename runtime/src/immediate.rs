//! Single jobs of a device that is this process itself: done within the call, without a way through the queue.

use std::sync::Arc;

use uaccel_queue::{Job, Outcome, Status, Token};

use crate::pair::Pair;
use crate::queue_core::QueueCore;
use crate::recover::Verdict;
use crate::work::RawWork;
use crate::{Error, scope};

/// Runs one job over a pair to its end, where jobs can be done at once.
#[inline]
pub(crate) fn run_now(core: &Arc<QueueCore>, pair: &mut Pair, work: &RawWork<'_>) -> Result<Outcome, Error> {
    if !core.fork.is_home() {
        return Err(Error::Forked);
    }
    if pair.verdict != Verdict::Usable {
        return scope::run_one_queued(core, pair, work);
    }
    let room = work.check(core.device.name(), &pair.granted)?;
    let session = match work.session {
        Some(session) => {
            let id = pair.enter(core, session)?;
            // Nobody can close it before this returns, so it need not count as in use.
            pair.sessions.leave(id);
            Some(id)
        }
        None => None,
    };
    let mut job = Job::nop(Token::first(0));
    work.fill(&mut job, session, room);
    // SAFETY: the request was checked; its memory is borrowed for this call, or the caller of `run_raw` vouches.
    let performed = unsafe { pair.submitter.perform(&job) };
    let Some(outcome) = &performed else { return scope::run_one_queued(core, pair, work) };
    let tally = &core.tally;
    tally.jobs.add_alone(1);
    tally.bytes_in.add_alone(outcome.consumed);
    tally.bytes_out.add_alone(outcome.produced);
    let Pair { sessions, submitter, .. } = pair;
    sessions.tidy(&mut **submitter);
    if outcome.status == Status::Ok {
        // Value by value, as it was written: a processor waits for what was just stored in small pieces and is moved in wide
        // ones. A job that ended well has met no fault.
        return Ok(Outcome::ok(outcome.consumed, outcome.produced).with_checksum(outcome.checksum));
    }
    if outcome.status == Status::More {
        return Ok(*outcome);
    }
    tally.failures.add_alone(1);
    Err(scope::failed(core, work, outcome))
}

//! Getting back what a device holds: cancel, then stop and reset, then give up. Each step takes a bounded time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{Cancel, OpenError, Outcome, Quiet, Token, Transport, TransportError};

use crate::error::{Cause, with_cause};
use crate::pair::Pair;
use crate::queue_core::{QueueCore, Reason};
use crate::reach;

/// The longest a stop or a reset may take.
pub(crate) const STEP: Duration = Duration::from_secs(1);
/// How long a cancelled job may take to say so.
const CANCEL: Duration = Duration::from_millis(20);

/// What became of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing is in flight, and the queue can be used.
    Usable,
    /// Nothing is in flight, and there is no queue: another one can be opened in its place.
    Dead,
    /// The device may still use the memory of jobs that were given up.
    Unproven,
}

/// Takes back everything in flight on a queue. Answers of borrowed jobs go to `borrowed`; those that did not come by themselves say
/// [`Status::Aborted`](uaccel_queue::Status::Aborted).
pub(crate) fn recover(
    core: &QueueCore,
    pair: &mut Pair,
    cause: &Cause,
    mut borrowed: impl FnMut(Token, &Outcome),
) -> Verdict {
    let device = core.device.name();
    tracing::warn!(device, ?cause, in_flight = core.cells.in_flight().count(), "taking jobs back");
    if let Cause::Deadline(_) = cause {
        core.tally.deadlines.add(core.cells.in_flight().count() as u64);
        if cancel(core, pair, cause, &mut borrowed) {
            return Verdict::Usable;
        }
    }
    stop(core, pair, cause, borrowed)
}

/// Asks the device to drop what it has not begun; says whether nothing is in flight afterwards.
fn cancel(core: &QueueCore, pair: &mut Pair, cause: &Cause, borrowed: &mut impl FnMut(Token, &Outcome)) -> bool {
    let tokens: Vec<_> = core.cells.in_flight().collect();
    let asked = tokens.iter().filter(|token| pair.submitter.cancel(**token) == Cancel::Requested).count();
    let until = Instant::now() + CANCEL;
    loop {
        if core.drain_because(pair, Reason::TakenBack(cause), &mut *borrowed).is_err() {
            return false;
        }
        if core.cells.in_flight().next().is_none() {
            return true;
        }
        if asked == 0 || Instant::now() >= until {
            return false;
        }
        std::thread::yield_now();
    }
}

/// Stops the queue and, if the device is quiet then, ends what was in flight and brings the queue back.
pub(crate) fn stop(
    core: &QueueCore,
    pair: &mut Pair,
    cause: &Cause,
    mut borrowed: impl FnMut(Token, &Outcome),
) -> Verdict {
    let device = core.device.name();
    match pair.transport.stop(STEP) {
        Ok(Quiet::Proven) => {}
        stopped => {
            tracing::error!(device, ?stopped, "device is not quiet");
            return Verdict::Unproven;
        }
    }
    // What was answered before the stop is good. An error here is what brought us, or as bad.
    let _ = core.drain_because(pair, Reason::TakenBack(cause), &mut borrowed);
    core.abort_all(pair, cause, borrowed);
    match reopen(core, pair) {
        Ok(()) => {
            core.tally.resets.add(1);
            tracing::info!(device, "queue is back");
            Verdict::Usable
        }
        Err(error) => {
            tracing::error!(device, %error, "queue does not come back");
            Verdict::Dead
        }
    }
}

/// Brings back a queue that is down. If the device had not let go of it, it is asked once more, and must have.
pub(crate) fn revive(core: &QueueCore, pair: &mut Pair) -> Result<(), OpenError> {
    if pair.verdict == Verdict::Unproven {
        match pair.transport.stop(CANCEL)? {
            Quiet::Proven => pair.verdict = Verdict::Dead,
            Quiet::Unproven => {
                let why = "the device may still use the memory of jobs that were given up";
                return Err(TransportError::Refused(why.to_owned()).into());
            }
        }
    }
    open_anew(core, pair)?;
    pair.verdict = Verdict::Usable;
    tracing::info!(device = core.device.name(), "queue is back");
    Ok(())
}

/// Opens the queue again, over the same transport if it can be reset, else over a new one.
fn reopen(core: &QueueCore, pair: &mut Pair) -> Result<(), OpenError> {
    match pair.transport.reset(STEP) {
        Ok(()) => open_over(core, pair, pair.transport.clone()).inspect_err(|_| pair.let_go()),
        Err(error) => {
            tracing::warn!(device = core.device.name(), %error, "no reset; opening another queue");
            open_anew(core, pair)
        }
    }
}

/// Opens another queue in the place of one that is quiet.
fn open_anew(core: &QueueCore, pair: &mut Pair) -> Result<(), OpenError> {
    // A device that has few may have none to give before this one is back.
    pair.let_go();
    let transport = core.device.bus.open(&core.device.info.name)?;
    open_over(core, pair, transport)
}

fn open_over(core: &QueueCore, pair: &mut Pair, transport: Arc<dyn Transport>) -> Result<(), OpenError> {
    let device = &core.device;
    let (mut open, pins) = reach::open(&*device.driver, &transport, &core.cells, &device.request)?;
    // The same device as before: what was found out when the queue was first opened still holds.
    open.granted.faults = pair.granted.faults;
    pair.replace(core, open, transport).map_err(|error| {
        TransportError::Refused(format!("a session that jobs wait with cannot be opened again: {}", with_cause(&error)))
    })?;
    core.set_pins(pins.as_ref());
    core.set_pasid(pair.transport.pasid());
    Ok(())
}

//! Other hardware queues in the place of those that a queue had.

use std::io;
use std::time::{Duration, Instant};

use uaccel_queue::TransportError;

use super::refusal::{isolated, may_pass};
use super::transport::UacceTransport;

/// How long to leave the kernel alone that has no queue just now: first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Gives these queues back and takes others of the same kinds, started: all or none. One that cannot be had just now is waited for at most `within`; the others go back
/// meanwhile, so that no two users wait for what the other has.
pub(super) fn reopen(queues: &[&UacceTransport], within: Duration) -> Result<(), TransportError> {
    let begun = Instant::now();
    // Held throughout: who asks whether the device is there meanwhile is not told of a queue that is none.
    let mut stopped: Vec<_> = queues.iter().map(|queue| queue.stopped()).collect();
    // Until others work, these are not used.
    stopped.iter_mut().for_each(|stopped| **stopped = true);
    let mut pause = PAUSE.0;
    loop {
        give_back(queues)?;
        let missed = queues.iter().zip(&mut stopped).find_map(|(queue, stopped)| {
            let taken = take(queue);
            **stopped = taken.is_err();
            taken.err()
        });
        let Some(missed) = missed else { return Ok(()) };
        for (queue, stopped) in queues.iter().zip(&mut stopped).filter(|(_, stopped)| !***stopped) {
            // Nothing was asked of it yet, and it is closed in any case.
            let _ = queue.node.put();
            **stopped = true;
        }
        give_back(queues)?;
        if !missed.may_pass || begun.elapsed() + pause > within {
            return Err(missed.error);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Why there is no queue.
struct Missed {
    error: TransportError,
    may_pass: bool,
}

impl Missed {
    fn of(source: io::Error, error: impl FnOnce(io::Error) -> TransportError) -> Self {
        Self { may_pass: may_pass(&source), error: error(source) }
    }
}

fn take(queue: &UacceTransport) -> Result<(), Missed> {
    // The kernel gives queues of such a device as well.
    if queue.entry.is_isolated() {
        return Err(Missed { error: isolated(&queue.entry.name, &queue.entry.driver()), may_pass: false });
    }
    queue.node.reopen().map_err(|source| Missed::of(source, |source| queue.refused(source)))?;
    queue.start_queue().map_err(|(call, source)| Missed::of(source, |source| queue.failed(call, source)))
}

fn give_back(queues: &[&UacceTransport]) -> Result<(), TransportError> {
    queues.iter().try_for_each(|queue| queue.give_back())
}

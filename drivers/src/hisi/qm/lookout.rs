//! When the kernel is to look at the completions.

/// Says when the kernel is to look at a queue's completions, lest it stops to wake sleepers.
///
/// For `poll` the kernel has a head of its own, which moves when it is asked and at no other time, and it tells a new completion by the phase that stands there (`qm.c`:
/// `hisi_qm_is_q_updated`). If the device gets further ahead of that head than one round, while the user takes its answers from memory and asks nobody, the phase is that of
/// another round, and up to a further round of completions wakes nobody.
#[derive(Debug)]
pub(in crate::hisi) struct Lookout {
    /// Places of the completion ring.
    places: usize,
    /// The most jobs in flight.
    depth: usize,
    /// Jobs that were submitted since the kernel looked.
    since: usize,
}

impl Lookout {
    pub(in crate::hisi) fn new(places: usize, depth: usize) -> Self {
        Self { places, depth, since: 0 }
    }

    /// Whether the kernel is to look before so many more jobs are submitted.
    #[inline]
    pub(in crate::hisi) fn is_due(&mut self, jobs: usize) -> bool {
        // What was in flight when it looked can be completed behind its head, and so can what came since.
        let due = self.since + jobs + self.depth > self.places;
        self.since = if due { jobs } else { self.since + jobs };
        due
    }
}

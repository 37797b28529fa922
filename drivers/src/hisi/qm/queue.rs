//! Opens a hardware queue.

use std::sync::Arc;

use uaccel_hisi_abi::{Description, Doorbell, DoorbellCommand, Dus, StopWords};
use uaccel_queue::sync::atomic::{AtomicU64, Ordering};
use uaccel_queue::{OpenError, Region, RegionKind, RingMemory, Token, Transport, TransportError};

use super::{Head, Tail};

/// What both halves of a hardware queue use.
#[derive(Debug)]
pub(in crate::hisi) struct Queue {
    transport: Arc<dyn Transport>,
    pub(super) memory: RingMemory,
    pub(super) dus: Dus,
    /// The queue's number in the function.
    pub(super) number: u16,
    /// By place of the entry: the host's own record of whose it is. The device cannot write it.
    records: Box<[AtomicU64]>,
}

/// Whose an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::hisi) struct Record {
    /// The job's token.
    pub(in crate::hisi) token: Token,
    /// A note of the submitter's for the completer.
    pub(in crate::hisi) note: u32,
}

fn refused(why: String) -> OpenError {
    TransportError::Refused(why).into()
}

impl Queue {
    /// Opens the hardware queue of this kind, whose entries have so many bytes, and gives its two halves.
    ///
    /// # Errors
    /// [`OpenError`] if it is of another kind, or what the kernel says of it makes no sense.
    pub(in crate::hisi) fn open(part: &Arc<dyn Transport>, kind: u16, entry: usize) -> Result<(Tail, Head), OpenError> {
        let region = |kind, name| part.region(kind).ok_or(OpenError::MissingRegion(name));
        let user = region(RegionKind::User, "user")?;
        if user.len() < Doorbell::OFFSET + 8 {
            return Err(refused(format!("{} bytes of registers hold no doorbell", user.len())));
        }
        let Description { dus, queue, kind: found } = describe(region(RegionKind::Description, "description")?)?;
        if found != kind {
            return Err(refused(format!("a hardware queue of kind {found} stands where one of kind {kind} should")));
        }
        if usize::try_from(dus.entry) != Ok(entry) {
            return Err(refused(format!("entries of {} bytes instead of {entry}", dus.entry)));
        }
        let possible = 2..=Dus::DEEPEST;
        if !possible.contains(&dus.submissions) || !possible.contains(&dus.completions) {
            return Err(refused(format!("rings of {} and {} places", dus.submissions, dus.completions)));
        }
        if queue > Doorbell::LAST_QUEUE {
            return Err(refused(format!("queue {queue} has no doorbell")));
        }
        let needed = dus.rings() + StopWords::FROM_END;
        let memory = part.ring_memory(needed)?;
        if memory.len() < needed || !memory.len().is_multiple_of(8) {
            return Err(refused(format!("{} bytes of ring memory instead of {needed}", memory.len())));
        }
        let records = (0..dus.submissions).map(|_| AtomicU64::new(0)).collect();
        let queue = Arc::new(Self { transport: part.clone(), memory, dus, number: queue, records });
        Ok((Tail::new(queue.clone()), Head::new(queue)))
    }

    /// The most jobs in flight: one place of either ring stays empty.
    pub(in crate::hisi) fn limit(&self) -> usize {
        usize::from(self.dus.submissions.min(self.dus.completions)) - 1
    }

    /// Rings the doorbell. What was written before is visible to the device when it notices ([`Transport::ring_doorbell`]).
    #[inline]
    pub(super) fn ring(&self, command: DoorbellCommand, index: u16, priority: u16) {
        let doorbell = Doorbell { queue: self.number, command, index, priority };
        self.transport.ring_doorbell(Doorbell::OFFSET, doorbell.encode());
    }

    /// Records whose an entry is, before the doorbell.
    #[inline]
    pub(super) fn put(&self, place: u16, record: Record) {
        // Relaxed: ordered by the doorbell, which the device answers.
        self.records[usize::from(place)].store(record.encode(), Ordering::Relaxed);
    }

    /// Whose an entry is that the device answered. One that it made up finds a record of the past, whose token names no job in flight.
    #[inline]
    pub(super) fn record(&self, place: u16) -> Record {
        // Relaxed: see `put`; the completion was seen with acquire ordering.
        Record::decode(self.records[usize::from(place)].load(Ordering::Relaxed))
    }
}

/// The stop words. Acquire: pairs with the kernel's store, which comes after the last completion that counts.
#[inline]
pub(super) fn stop_words(memory: &RingMemory) -> StopWords {
    StopWords::decode(memory.observe(memory.len() - StopWords::FROM_END))
}

impl Record {
    #[inline]
    fn encode(self) -> u64 {
        u64::from(self.token.raw()) | u64::from(self.note) << 32
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the two halves of the word")]
    fn decode(word: u64) -> Self {
        Self { token: Token::from_raw(word as u32), note: (word >> 32) as u32 }
    }
}

/// What the kernel says of the queue.
fn describe(region: &Region) -> Result<Description, OpenError> {
    let mut bytes = [0; Description::SIZE];
    if region.len() < bytes.len() {
        return Err(refused(format!("a description of {} bytes", region.len())));
    }
    for (at, word) in bytes.chunks_exact_mut(8).enumerate() {
        word.copy_from_slice(&region.read(8 * at).to_le_bytes());
    }
    Description::decode(&bytes).map_err(|error| refused(error.to_string()))
}

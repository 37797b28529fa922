//! The control queue: sessions, one request at a time.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{DeviceError, RingMemory, Transport, TransportError};

use super::registers::QueueOffer;
use super::request::{self, CREATED, HEADER, LONGEST_KEY, UNANSWERED};
use super::ring::{Piece, Ring};

/// Makes and ends sessions on the device.
pub(super) struct ControlQueue {
    ring: Ring,
    transport: Arc<dyn Transport>,
    queue: QueueOffer,
    /// A request was not answered in its time: the device may still do so, and there is no place for another.
    stuck: bool,
}

impl ControlQueue {
    /// Descriptors: two are used, and a ring has at least four.
    pub(super) const SIZE: u16 = 4;

    /// Where the request is, and where the answer.
    const REQUEST: usize = Ring::bytes(Self::SIZE).next_multiple_of(8);
    const ANSWER: usize = Self::REQUEST + (HEADER + LONGEST_KEY).next_multiple_of(8);

    /// Bytes of ring memory.
    pub(super) const BYTES: usize = Self::ANSWER + CREATED;

    /// How long a device may take for a request.
    pub(super) const PATIENCE: Duration = Duration::from_secs(1);

    pub(super) fn new(memory: RingMemory, transport: Arc<dyn Transport>, queue: QueueOffer) -> Self {
        Self { ring: Ring::new(memory, Self::SIZE), transport, queue, stuck: false }
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// Sends a request and waits for its answer of `N` bytes. The request is wiped from memory when it was answered.
    pub(super) fn exchange<const N: usize>(
        &mut self,
        request: &[u8],
        within: Duration,
    ) -> Result<[u8; N], DeviceError> {
        debug_assert!(request.len() <= HEADER + LONGEST_KEY && N <= CREATED, "{} and {N} bytes", request.len());
        let unanswered =
            || DeviceError::from(TransportError::TimedOut { step: "a request of the control queue", within });
        if self.stuck {
            return Err(unanswered());
        }
        let memory = self.ring.memory().clone();
        request::put(&memory, Self::REQUEST, request);
        request::put(&memory, Self::ANSWER, &[UNANSWERED; CREATED]);
        #[allow(clippy::cast_possible_truncation, reason = "both are short")]
        let piece =
            |offset, len: usize, writes| Piece { address: memory.device_address(offset), len: len as u32, writes };
        self.ring.describe(0, &[piece(Self::REQUEST, request.len(), false), piece(Self::ANSWER, N, true)]);
        self.ring.offer(0);
        if self.ring.publish() {
            self.transport.ring_doorbell16(self.queue.doorbell, self.queue.index);
        }
        // Whatever happens: until it was answered the device has it.
        self.stuck = true;
        let until = Instant::now() + within;
        let (head, written) = loop {
            if let Some(used) = self.ring.take()? {
                break used;
            }
            if Instant::now() >= until {
                return Err(unanswered());
            }
            std::thread::yield_now();
        };
        if head != 0 {
            return Err(DeviceError::Protocol("an answer on the control queue to what was not asked"));
        }
        self.stuck = false;
        request::put(&memory, Self::REQUEST, &[0; HEADER + LONGEST_KEY]);
        if usize::try_from(written).ok() != Some(N) {
            return Err(DeviceError::Protocol(
                "an answer on the control queue of another length than there was room for",
            ));
        }
        let mut answer = [0; N];
        for (at, chunk) in answer.chunks_mut(8).enumerate() {
            let word = memory.read(Self::ANSWER + 8 * at).to_ne_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(answer)
    }
}

impl fmt::Debug for ControlQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlQueue").field("queue", &self.queue).field("stuck", &self.stuck).finish_non_exhaustive()
    }
}

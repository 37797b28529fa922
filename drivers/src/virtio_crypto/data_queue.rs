//! The data queue: jobs on their way. Shared by the two halves.

use std::collections::VecDeque;
use std::sync::Arc;

use uaccel_queue::{DeviceError, Outcome, RingMemory, Token, Transport};

use super::registers::{DeviceStatus, QueueOffer, Registers};
use super::request::{self, DeviceSession, HEADER, IV, STATUS, UNANSWERED};
use super::ring::{Piece, Ring};

/// Jobs that the device has, and answers that nobody has fetched.
#[derive(Debug)]
pub(super) struct DataQueue {
    ring: Ring,
    transport: Arc<dyn Transport>,
    registers: Registers,
    queue: QueueOffer,
    /// What the device is at, by the job's slot, which has descriptors and a place in memory of its own.
    flights: Vec<Option<Flight>>,
    answered: VecDeque<(Token, Outcome)>,
    /// Whether somebody is about to sleep.
    armed: bool,
}

/// A job that the device has.
#[derive(Clone, Copy, Debug)]
struct Flight {
    token: Token,
    len: u32,
}

/// A job for the device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub(super) token: Token,
    pub(super) session: DeviceSession,
    pub(super) iv: [u8; IV],
    pub(super) source: u64,
    pub(super) destination: u64,
    /// Not 0: there are no pieces without bytes.
    pub(super) len: u32,
}

impl DataQueue {
    /// Descriptors of a job.
    pub(super) const CHAIN: u16 = 4;

    /// Where in a slot's place the status is, and how long that place is.
    const STATUS: usize = HEADER + IV;
    const PLACE: usize = 128;

    /// Descriptors for so many jobs.
    pub(super) fn size(depth: u16) -> u16 {
        Self::CHAIN * depth.next_power_of_two()
    }

    /// Bytes of ring memory for so many jobs.
    pub(super) fn bytes(depth: u16) -> usize {
        Self::place(Self::size(depth), usize::from(depth))
    }

    /// Where the place of a slot is.
    fn place(size: u16, slot: usize) -> usize {
        Ring::bytes(size).next_multiple_of(Self::PLACE) + Self::PLACE * slot
    }

    pub(super) fn new(
        memory: RingMemory,
        transport: Arc<dyn Transport>,
        registers: Registers,
        queue: QueueOffer,
        depth: u16,
    ) -> Self {
        Self {
            ring: Ring::new(memory, Self::size(depth)),
            transport,
            registers,
            queue,
            flights: vec![None; depth.into()],
            answered: VecDeque::with_capacity(depth.into()),
            armed: false,
        }
    }

    pub(super) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// A job that ends without the device.
    pub(super) fn end(&mut self, token: Token, outcome: Outcome) {
        self.answered.push_back((token, outcome));
    }

    /// Puts a job behind the others, whose slot has none. The device sees it with the next [`publish`](Self::publish).
    pub(super) fn add(&mut self, text: &Text) {
        let slot = text.token.slot();
        self.flights[slot] = Some(Flight { token: text.token, len: text.len });
        let place = Self::place(self.ring.size(), slot);
        let memory = self.ring.memory();
        request::put(memory, place, &request::cipher(&text.session, text.iv, text.len));
        request::put(memory, place + Self::STATUS, &[UNANSWERED]);
        let piece = |address, len, writes| Piece { address, len, writes };
        #[allow(clippy::cast_possible_truncation, reason = "short pieces")]
        let pieces = [
            piece(memory.device_address(place), (HEADER + IV) as u32, false),
            piece(text.source, text.len, false),
            piece(text.destination, text.len, true),
            piece(memory.device_address(place + Self::STATUS), STATUS as u32, true),
        ];
        #[allow(clippy::cast_possible_truncation, reason = "a slot is below the depth")]
        let head = Self::CHAIN * slot as u16;
        self.ring.describe(head, &pieces);
        self.ring.offer(head);
    }

    /// Shows the device what was added.
    pub(super) fn publish(&mut self) {
        if self.ring.publish() {
            self.transport.ring_doorbell16(self.queue.doorbell, self.queue.index);
        }
    }

    /// The next answer.
    pub(super) fn answer(&mut self) -> Option<(Token, Outcome)> {
        self.answered.pop_front()
    }

    /// Demands a signal for the next answer.
    pub(super) fn arm(&mut self) {
        self.ring.demand_signal(true);
        self.armed = true;
    }

    /// Fetches what the device has answered.
    pub(super) fn advance(&mut self) -> Result<(), DeviceError> {
        let before = self.answered.len();
        while let Some((head, written)) = self.ring.take()? {
            let (token, outcome) = self.settle(head, written)?;
            self.answered.push_back((token, outcome));
        }
        if self.answered.len() > before && self.ring.demands_signal() {
            self.ring.demand_signal(false);
            self.registers.acknowledge();
        }
        // A device that gives up does not answer. It is asked when somebody is about to wait, since each look is a trip to the device.
        let idle = self.answered.is_empty() && self.ring.outstanding() > 0;
        if std::mem::take(&mut self.armed) && idle {
            let status = self.registers.status();
            if status.contains(DeviceStatus::NEEDS_RESET) {
                return Err(DeviceError::Stopped(status.bits().into()));
            }
        }
        Ok(())
    }

    /// How the job ended whose chain began at `head`.
    fn settle(&mut self, head: u32, written: u32) -> Result<(Token, Outcome), DeviceError> {
        let slot = usize::try_from(head).ok().filter(|head| head.is_multiple_of(Self::CHAIN.into()));
        let slot = slot.map(|head| head / usize::from(Self::CHAIN));
        let flight = slot.and_then(|slot| Some((slot, self.flights.get_mut(slot)?.take()?)));
        let (slot, Flight { token, len }) =
            flight.ok_or(DeviceError::Protocol("an answer to a request that it does not have"))?;
        // The status is the last byte; beyond what was written nothing is to be believed (2.7.8.3).
        if u64::from(written) != u64::from(len) + STATUS as u64 {
            return Err(DeviceError::Malformed { token, what: "another length than there was room for" });
        }
        let [status, ..] = self.ring.memory().read(Self::place(self.ring.size(), slot) + Self::STATUS).to_ne_bytes();
        let outcome = request::outcome(status, len).ok_or(DeviceError::UnknownStatus { token, status })?;
        Ok((token, outcome))
    }
}

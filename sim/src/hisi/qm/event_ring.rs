//! A ring of events.

use uaccel_hisi_abi::{Event, EventContext};

/// A ring of events, ordinary or asynchronous, which both have four bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventRing {
    base: u64,
    depth: u32,
    head: u32,
    tail: u32,
    phase: bool,
    /// How many events the kernel took.
    taken: u64,
    /// Whether the next event raises the interrupt.
    armed: bool,
}

/// Where the next event goes, and in which phase.
pub(super) struct Place {
    pub(super) address: u64,
    pub(super) phase: bool,
}

impl EventRing {
    /// A ring as its context says, unless its positions are outside of it. Not armed: the kernel rings the doorbell when it is ready.
    pub(super) fn new(context: &EventContext) -> Option<Self> {
        let &EventContext { head, tail, base, depth, phase } = context;
        let (head, tail) = (u32::from(head), u32::from(tail));
        (head < depth && tail < depth).then_some(Self { base, depth, head, tail, phase, taken: 0, armed: false })
    }

    /// The context as it stands.
    #[allow(clippy::cast_possible_truncation, reason = "positions are below the depth, which is at most 65536")]
    pub(super) const fn context(&self) -> EventContext {
        let Self { base, depth, head, tail, phase, .. } = *self;
        EventContext { head: head as u16, tail: tail as u16, base, depth, phase }
    }

    /// The place of the next event; `None` if there is no room.
    pub(super) fn next(&self) -> Option<Place> {
        let address = self.base.wrapping_add(u64::from(self.tail) * Event::SIZE as u64);
        ((self.tail + 1) % self.depth != self.head).then_some(Place { address, phase: self.phase })
    }

    /// The event is there. Its number, by which [`was_taken`](Self::was_taken) knows it.
    pub(super) fn advance(&mut self) -> u64 {
        let number = self.taken + u64::from(self.out());
        self.tail = (self.tail + 1) % self.depth;
        if self.tail == 0 {
            self.phase = !self.phase;
        }
        number
    }

    /// How many events are out.
    const fn out(&self) -> u32 {
        (self.tail + self.depth - self.head) % self.depth
    }

    /// Whether the kernel took an event.
    pub(super) const fn was_taken(&self, number: u64) -> bool {
        number < self.taken
    }

    /// The kernel took the events up to `head`, and wants to know of the next one. What is not a place is dropped.
    pub(super) fn take(&mut self, head: u16) {
        if u32::from(head) < self.depth {
            self.taken += u64::from((u32::from(head) + self.depth - self.head) % self.depth);
            self.head = u32::from(head);
            self.armed = true;
        }
    }

    /// Whether the interrupt is due; it counts as raised.
    pub(super) fn fire(&mut self) -> bool {
        let due = self.armed && self.head != self.tail;
        self.armed &= !due;
        due
    }
}

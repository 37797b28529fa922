//! A split virtqueue (2.7), the driver's side.

use std::sync::atomic::{Ordering, fence};

use uaccel_queue::{DeviceError, RingMemory};

/// Bytes of a descriptor (2.7.5), and of an element of the used ring (2.7.8).
const DESCRIPTOR: usize = 16;
const ELEMENT: usize = 8;

/// Flags of a descriptor (2.7.5).
const NEXT: u64 = 1;
const WRITE: u64 = 2;

/// The flag of the available ring that asks for no interrupt (2.7.7), and of the used ring that asks for no doorbell (2.7.10).
const NO_INTERRUPT: u16 = 1;
const NO_NOTIFY: u16 = 1;

/// Where flags and index are in the available ring.
const FLAGS: usize = 0;
const INDEX: usize = 1;

/// One queue. What the device cannot see yet, or has said, is kept beside: the memory is only written.
#[derive(Debug)]
pub(super) struct Ring {
    memory: RingMemory,
    size: u16,
    /// The available ring: flags, index, and the entries, as they stand in memory.
    available: Vec<u16>,
    /// The index behind the last entry, which the device may not know yet.
    next: u16,
    /// How far the used ring was read.
    seen: u16,
    /// Chains that the device has, or will have with the next [`publish`](Self::publish).
    outstanding: u16,
}

/// A piece of memory in a chain.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) address: u64,
    pub(super) len: u32,
    /// Whether the device writes it.
    pub(super) writes: bool,
}

impl Ring {
    /// How many bytes a queue of `size` descriptors, a power of two and at least 4, takes. What is behind is the user's own.
    pub(super) const fn bytes(size: u16) -> usize {
        Self::used(size) + 4 + ELEMENT * size as usize
    }

    /// A queue in fresh memory of at least [`bytes`](Self::bytes).
    pub(super) fn new(memory: RingMemory, size: u16) -> Self {
        let words = Self::available_bytes(size) / 2;
        let mut ring = Self { memory, size, available: vec![0; words], next: 0, seen: 0, outstanding: 0 };
        ring.demand_signal(false);
        ring
    }

    pub(super) fn size(&self) -> u16 {
        self.size
    }

    pub(super) fn memory(&self) -> &RingMemory {
        &self.memory
    }

    pub(super) fn outstanding(&self) -> u16 {
        self.outstanding
    }

    /// The device's addresses of descriptors, available ring and used ring.
    pub(super) fn addresses(&self) -> [u64; 3] {
        [0, Self::available(self.size), Self::used(self.size)].map(|offset| self.memory.device_address(offset))
    }

    const fn available(size: u16) -> usize {
        DESCRIPTOR * size as usize
    }

    /// Flags, index and entries, in whole words.
    const fn available_bytes(size: u16) -> usize {
        (4 + 2 * size as usize).next_multiple_of(8)
    }

    /// Four bytes into a word, so that its elements are words.
    const fn used(size: u16) -> usize {
        Self::available(size) + Self::available_bytes(size) + 4
    }

    /// Writes a chain into the descriptors from `head` on. The device has none of them.
    pub(super) fn describe(&self, head: u16, pieces: &[Piece]) {
        for (at, piece) in (head..).zip(pieces) {
            let last = usize::from(at - head) + 1 == pieces.len();
            let next = if last { 0 } else { NEXT | u64::from(at + 1) << 16 };
            let flags = next | if piece.writes { WRITE } else { 0 };
            let offset = DESCRIPTOR * usize::from(at);
            self.memory.write(offset, piece.address.to_le());
            self.memory.write(offset + 8, (u64::from(piece.len) | flags << 32).to_le());
        }
    }

    /// Puts a chain behind the others. The device sees it with the next [`publish`](Self::publish).
    pub(super) fn offer(&mut self, head: u16) {
        let entry = 2 + usize::from(self.next & (self.size - 1));
        self.available[entry] = head;
        self.next = self.next.wrapping_add(1);
        self.outstanding += 1;
        self.memory.write(Self::available(self.size) + 8 * (entry / 4), self.word(entry / 4));
    }

    /// Shows the device all that was offered; says whether it wants a doorbell for that.
    #[must_use]
    pub(super) fn publish(&mut self) -> bool {
        self.available[INDEX] = self.next;
        // Release: pairs with the device's read of the index (2.7.13.3), which then sees entries, descriptors, and what they lead to.
        self.memory.publish(Self::available(self.size), self.word(0));
        // Pairs with the device's barrier between wanting doorbells again and its last look at the index (2.7.10.1): each side stores one
        // word and then loads the other's.
        fence(Ordering::SeqCst);
        let [flags, _] = self.used_head();
        flags & NO_NOTIFY == 0
    }

    /// Demands a signal for what the device answers from now on, or none.
    pub(super) fn demand_signal(&mut self, demand: bool) {
        self.available[FLAGS] = if demand { 0 } else { NO_INTERRUPT };
        self.memory.publish(Self::available(self.size), self.word(0));
        // Pairs with the device's barrier between its index and its look at the flags (2.7.7.2): either it signals, or the next look at
        // the used ring sees the answer.
        fence(Ordering::SeqCst);
    }

    /// Whether a signal is demanded.
    pub(super) fn demands_signal(&self) -> bool {
        self.available[FLAGS] == 0
    }

    /// The next chain that the device is done with: its head and how many bytes were written, as the device says, not believed.
    pub(super) fn take(&mut self) -> Result<Option<(u32, u32)>, DeviceError> {
        let [_, index] = self.used_head();
        let pending = index.wrapping_sub(self.seen);
        if pending == 0 {
            return Ok(None);
        }
        if pending > self.outstanding {
            return Err(DeviceError::Protocol("a used ring that is ahead of the requests, or ran back"));
        }
        let element = Self::used(self.size) + 4 + ELEMENT * usize::from(self.seen & (self.size - 1));
        let element = u64::from_le(self.memory.read(element));
        self.seen = self.seen.wrapping_add(1);
        self.outstanding -= 1;
        #[allow(clippy::cast_possible_truncation, reason = "halves of a word")]
        Ok(Some((element as u32, (element >> 32) as u32)))
    }

    /// Flags and index of the used ring. They are the second half of a word.
    fn used_head(&self) -> [u16; 2] {
        // Acquire: pairs with the device's barrier before it writes the index (2.7.8.2), so that elements and what was written are seen.
        let word = u64::from_le(self.memory.observe(Self::used(self.size) - 4));
        #[allow(clippy::cast_possible_truncation, reason = "quarters of a word")]
        [(word >> 32) as u16, (word >> 48) as u16]
    }

    /// Four entries of the available ring as they stand in memory.
    fn word(&self, number: usize) -> u64 {
        let mut bytes = [0; 8];
        for (place, entry) in bytes.chunks_exact_mut(2).zip(&self.available[4 * number..]) {
            place.copy_from_slice(&entry.to_le_bytes());
        }
        u64::from_ne_bytes(bytes)
    }
}

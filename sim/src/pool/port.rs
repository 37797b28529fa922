//! The ports of a pool: to a queue's rings, and to the memory of its jobs.

use core::sync::atomic::Ordering;

use uaccel_queue::{Fault, FaultKind};

use super::post::Post;
use super::{JobMemory, Rings};
use crate::{Access, AddressSpace, MemoryPort, ReadPart, SourceWindow, Span, TargetWindow, WritePart};

/// The way to a queue's rings. Never answers [`Access::Pending`]: a page that is not there is the kernel's business.
///
/// Ring memory is accessed as atomic words; everything else is up to the [`JobMemory`].
#[derive(Clone, Debug)]
pub(super) struct PoolPort<J> {
    rings: Rings,
    memory: J,
}

impl<J: JobMemory> PoolPort<J> {
    /// The port that knows these pieces of ring memory.
    pub(super) fn new(rings: Rings, memory: J) -> Self {
        Self { rings, memory }
    }
}

impl<J: JobMemory> MemoryPort for PoolPort<J> {
    #[inline]
    fn observe(&self, _: AddressSpace, address: u64) -> Access<u64> {
        match self.rings.at(address).and_then(|(ring, offset)| ring.word(offset)) {
            Some(word) => Access::Ready(word.load(Ordering::Acquire)),
            None => unreadable(address),
        }
    }

    fn read(&self, _: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        if into.is_empty() {
            return Access::Ready(0);
        }
        match self.memory.read(address, into) {
            Some(count) => Access::Ready(count),
            None => unreadable(address),
        }
    }

    fn write(&self, _: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        if from.is_empty() {
            return Access::Ready(0);
        }
        match self.memory.write(address, from) {
            Some(count) => Access::Ready(count),
            None => unwritable(address),
        }
    }

    #[inline]
    fn publish(&self, _: AddressSpace, address: u64, value: u64) -> Access<()> {
        match self.rings.at(address).and_then(|(ring, offset)| ring.word(offset)) {
            Some(word) => {
                word.store(value, Ordering::Release);
                Access::Ready(())
            }
            None => unwritable(address),
        }
    }

    #[inline]
    fn words<const N: usize>(&self, _: AddressSpace, address: u64) -> Access<[u64; N]> {
        let Some((ring, offset)) = self.rings.at(address) else { return unreadable(address) };
        match ring.record(offset) {
            // Relaxed: ordered by the acquire load that observed the record's publication.
            Some(words) => Access::Ready(words.each_ref().map(|word| word.load(Ordering::Relaxed))),
            // Rings are looked at when the queue is started, so a record that is not wholly inside is none of them.
            None => unreadable(address),
        }
    }

    #[inline]
    fn put(&self, _: AddressSpace, address: u64, value: u64) -> Access<()> {
        match self.rings.at(address).and_then(|(ring, offset)| ring.word(offset)) {
            // Relaxed: ordered by the publication of the record it is part of.
            Some(word) => {
                word.store(value, Ordering::Relaxed);
                Access::Ready(())
            }
            None => unwritable(address),
        }
    }

    #[inline]
    fn take_record<const N: usize>(
        &self,
        _: AddressSpace,
        address: u64,
        valid: impl FnOnce(u64) -> bool,
    ) -> Access<Option<[u64; N]>> {
        let Some(record) = self.rings.at(address).and_then(|(ring, offset)| ring.record::<N>(offset)) else {
            return unreadable(address);
        };
        // Acquire, as in `observe`: the other words are then the host's.
        let last = record[N - 1].load(Ordering::Acquire);
        Access::Ready(valid(last).then(|| {
            // Relaxed: ordered by the acquire above.
            let mut words = record.each_ref().map(|word| word.load(Ordering::Relaxed));
            words[N - 1] = last;
            words
        }))
    }

    #[inline]
    fn publish_record<const N: usize>(&self, _: AddressSpace, address: u64, words: [u64; N]) -> Access<()> {
        let Some(record) = self.rings.at(address).and_then(|(ring, offset)| ring.record::<N>(offset)) else {
            return unwritable(address);
        };
        for (place, word) in record[..N - 1].iter().zip(words) {
            // Relaxed: ordered by the release below.
            place.store(word, Ordering::Relaxed);
        }
        // Release, as in `publish`.
        record[N - 1].store(words[N - 1], Ordering::Release);
        Access::Ready(())
    }

    #[inline]
    fn expect_write(&self, _: AddressSpace, address: u64) {
        if let Some(word) = self.rings.at(address).and_then(|(ring, offset)| ring.word(offset)) {
            uaccel_queue::prefetch::for_write(word);
        }
    }

    fn ring(&self, _: AddressSpace, span: Span) -> bool {
        self.rings.at(span.address).is_some_and(|(ring, offset)| ring.len() as u64 - offset >= span.len as u64)
    }

    fn home(&self, _: AddressSpace) -> Option<u64> {
        self.rings.last().map(|ring| ring.address())
    }
}

const fn unreadable<T>(address: u64) -> Access<T> {
    Access::Fault(Fault { address, kind: FaultKind::Read })
}

const fn unwritable<T>(address: u64) -> Access<T> {
    Access::Fault(Fault { address, kind: FaultKind::Write })
}

/// The way to the memory of jobs, for one worker: it says on its [post](Post) when it is inside a call that may block.
#[derive(Debug)]
pub(super) struct JobPort<'a, J> {
    memory: &'a J,
    post: &'a Post,
}

impl<'a, J: JobMemory> JobPort<'a, J> {
    pub(super) fn new(memory: &'a J, post: &'a Post) -> Self {
        Self { memory, post }
    }

    /// Moves `len` bytes by a call that may block, if there are any; what it says if not even the first can be moved.
    #[inline]
    fn moving(&self, len: usize, call: impl FnOnce(&J) -> Option<usize>, otherwise: Access<usize>) -> Access<usize> {
        if len == 0 {
            return Access::Ready(0);
        }
        self.post.reaching(|| call(self.memory)).map_or(otherwise, Access::Ready)
    }
}

impl<J: JobMemory> MemoryPort for JobPort<'_, J> {
    /// Records are in rings.
    fn observe(&self, _: AddressSpace, address: u64) -> Access<u64> {
        unreadable(address)
    }

    #[inline]
    fn read(&self, _: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        self.moving(into.len(), |memory| memory.read(address, into), unreadable(address))
    }

    #[inline]
    fn write(&self, _: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        self.moving(from.len(), |memory| memory.write(address, from), unwritable(address))
    }

    #[inline]
    fn read_vouched(&self, _: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        self.moving(into.len(), |memory| memory.read_vouched(address, into), unreadable(address))
    }

    #[inline]
    fn write_vouched(&self, _: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        self.moving(from.len(), |memory| memory.write_vouched(address, from), unwritable(address))
    }

    fn publish(&self, _: AddressSpace, address: u64, _: u64) -> Access<()> {
        unwritable(address)
    }

    #[inline]
    fn read_many(&self, _: AddressSpace, parts: &mut [ReadPart<'_>]) -> usize {
        self.post.reaching(|| self.memory.read_many(parts))
    }

    #[inline]
    fn write_many(&self, _: AddressSpace, parts: &[WritePart<'_>]) -> usize {
        self.post.reaching(|| self.memory.write_many(parts))
    }

    #[inline]
    fn copy(&self, _: AddressSpace, source: Span, destination: Span) -> bool {
        self.memory.copy(source, destination)
    }

    #[inline]
    fn source_in_place(&self, _: AddressSpace, span: Span) -> Option<SourceWindow> {
        self.memory.source_in_place(span)
    }

    #[inline]
    fn target_in_place(&self, _: AddressSpace, span: Span, initialised: bool) -> Option<TargetWindow> {
        self.memory.target_in_place(span, initialised)
    }
}

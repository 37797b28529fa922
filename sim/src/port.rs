//! The memory port: a device model's only way to memory.

use uaccel_queue::Fault;

use crate::{SourceWindow, Span, TargetWindow};

/// The address space an access goes to: what hardware calls the PASID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AddressSpace(pub u32);

/// The name of a page request that is out. The port chooses it; whoever runs the port says later that it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PageRequest(pub u64);

/// What came of an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Access<T> {
    /// It was done.
    Ready(T),
    /// It cannot be done, here.
    Fault(Fault),
    /// A page is not there yet. Nothing was done; try again once this request was answered.
    Pending(PageRequest),
}

impl<T> Access<T> {
    /// The same with another value.
    #[inline]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Access<U> {
        match self {
            Self::Ready(value) => Access::Ready(f(value)),
            Self::Fault(fault) => Access::Fault(fault),
            Self::Pending(request) => Access::Pending(request),
        }
    }

    /// The value, if the access was done.
    #[inline]
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Ready(value) => Some(value),
            _ => None,
        }
    }
}

/// A range to read.
#[derive(Debug)]
pub struct ReadPart<'a> {
    /// The first byte.
    pub address: u64,
    /// Where it goes, and how much; never empty.
    pub bytes: &'a mut [u8],
}

/// A range to write.
#[derive(Clone, Copy, Debug)]
pub struct WritePart<'a> {
    /// The first byte.
    pub address: u64,
    /// What goes there; never empty.
    pub bytes: &'a [u8],
}

/// A device's access to memory.
///
/// An implementation owes its callers this: an invalidation of a translation returns only when no access with the old translation is
/// running. Where translations can go away, one call therefore moves what it can move in one step under the lock that
/// invalidations take, at most to the end of the page, and says how far it came.
pub trait MemoryPort {
    /// Loads the aligned word that makes a record valid. Acquire: pairs with the host's release store of that word, so later reads see the
    /// whole record.
    fn observe(&self, space: AddressSpace, address: u64) -> Access<u64>;

    /// Reads from `address` to the start of `into`, and says how many bytes: at least one, unless `into` is empty. A fault names the
    /// first byte that could not be read, which is `address` itself.
    fn read(&self, space: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize>;

    /// Writes from the start of `from` to `address`, and says how many bytes: at least one, unless `from` is empty. A fault names
    /// `address`.
    fn write(&self, space: AddressSpace, address: u64, from: &[u8]) -> Access<usize>;

    /// As [`read`](Self::read), where the host vouches for the memory: that it is there, and its to read. For a port that need not ask then.
    #[inline]
    fn read_vouched(&self, space: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        self.read(space, address, into)
    }

    /// As [`write`](Self::write), where the host vouches for the memory: that it is there, and its to write. For a port that need not ask then.
    #[inline]
    fn write_vouched(&self, space: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        self.write(space, address, from)
    }

    /// Stores the aligned word that makes a record valid. Release: pairs with the host's acquire load of that word, which then sees all
    /// that was written before, the job's data included.
    fn publish(&self, space: AddressSpace, address: u64, value: u64) -> Access<()>;

    /// Reads `N` aligned words of a record whose publication was observed.
    #[inline]
    fn words<const N: usize>(&self, space: AddressSpace, address: u64) -> Access<[u64; N]> {
        let mut words = [[0; 8]; N];
        let bytes = words.as_flattened_mut();
        let mut done = 0;
        while done < bytes.len() {
            match self.read(space, address.wrapping_add(done as u64), &mut bytes[done..]) {
                Access::Ready(count) => done += count,
                Access::Fault(fault) => return Access::Fault(fault),
                Access::Pending(request) => return Access::Pending(request),
            }
        }
        Access::Ready(words.map(u64::from_le_bytes))
    }

    /// Writes an aligned word of a record that is published later.
    #[inline]
    fn put(&self, space: AddressSpace, address: u64, value: u64) -> Access<()> {
        // An aligned word does not straddle a page, so a port moves it in one step.
        self.write(space, address, &value.to_le_bytes()).map(|_| ())
    }

    /// Reads a record of `N` aligned words, the last of which makes it valid: observes that one and, if `valid` says so, reads the
    /// others. `None` if the record is not valid. For a port that finds both in one step.
    #[inline]
    fn take_record<const N: usize>(
        &self,
        space: AddressSpace,
        address: u64,
        valid: impl FnOnce(u64) -> bool,
    ) -> Access<Option<[u64; N]>> {
        match self.observe(space, address + last_of::<N>()) {
            Access::Ready(last) if valid(last) => self.words(space, address).map(|mut words: [u64; N]| {
                // What was observed, whatever stands there by now.
                words[N - 1] = last;
                Some(words)
            }),
            Access::Ready(_) => Access::Ready(None),
            Access::Fault(fault) => Access::Fault(fault),
            Access::Pending(request) => Access::Pending(request),
        }
    }

    /// Writes a record of aligned words, the last of which makes it valid: [puts](Self::put) the others and publishes that one. For a
    /// port that does both in one step.
    #[inline]
    fn publish_record<const N: usize>(&self, space: AddressSpace, address: u64, words: [u64; N]) -> Access<()> {
        for (word, address) in words[..N - 1].iter().zip((address..).step_by(8)) {
            match self.put(space, address, *word) {
                Access::Ready(()) => {}
                other => return other,
            }
        }
        self.publish(space, address + last_of::<N>(), words[N - 1])
    }

    /// Says that the word at `address` will be written soon: a hint for a port whose stores wait for the line that a host's processor has.
    #[inline]
    fn expect_write(&self, space: AddressSpace, address: u64) {
        let _ = (space, address);
    }

    /// Whether rings may lie at `span`. A port that knows what was set aside for rings says no to anything else.
    fn ring(&self, space: AddressSpace, span: Span) -> bool {
        let _ = space;
        span.end().is_some()
    }

    /// The start of the ring memory handed out last, for reporting that the queue's own registers make no sense; `None` if the port does
    /// not know.
    fn home(&self, space: AddressSpace) -> Option<u64> {
        let _ = space;
        None
    }

    /// Reads many ranges, and says how many of them, from the first on, were read whole. The others are to be [read](Self::read). For a port
    /// to which many ranges cost less at once than one by one.
    #[inline]
    fn read_many(&self, space: AddressSpace, parts: &mut [ReadPart<'_>]) -> usize {
        let _ = (space, parts);
        0
    }

    /// Writes many ranges, and says how many of them, from the first on, were written whole. The others are to be [written](Self::write).
    #[inline]
    fn write_many(&self, space: AddressSpace, parts: &[WritePart<'_>]) -> usize {
        let _ = (space, parts);
        0
    }

    /// Copies from one range to another of the same length without staging, if the port can. `false` if nothing was done.
    #[inline]
    fn copy(&self, space: AddressSpace, source: Span, destination: Span) -> bool {
        let _ = (space, source, destination);
        false
    }

    /// Memory that the host vouched for, to be read in place; `None` if it is to be copied. Only asked for jobs that carry the host's promise.
    #[inline]
    fn source_in_place(&self, space: AddressSpace, span: Span) -> Option<SourceWindow> {
        let _ = (space, span);
        None
    }

    /// Memory that the host vouched for, to be written in place; `None` if it is to be copied. `initialised` says whether it holds
    /// proper bytes now.
    #[inline]
    fn target_in_place(&self, space: AddressSpace, span: Span, initialised: bool) -> Option<TargetWindow> {
        let _ = (space, span, initialised);
        None
    }
}

/// The offset of the last of `N` words.
const fn last_of<const N: usize>() -> u64 {
    (N as u64 - 1) * 8
}

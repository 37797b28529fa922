//! Memory that a queue's user and the device share.

use core::fmt;
use core::sync::atomic::AtomicU64;
use std::sync::Arc;

use memmap2::MmapRaw;

/// One piece of ring memory as the device has it mapped. Whoever maps it as well accesses it atomically, in words.
pub struct RingBlock {
    map: MmapRaw,
    base: u64,
}

impl RingBlock {
    /// The piece behind `map`, which is readable and writable; descriptors and registers call its first byte `base`.
    #[must_use]
    pub fn new(map: MmapRaw, base: u64) -> Self {
        Self { map, base }
    }

    /// The device's address of the first byte.
    #[must_use]
    pub fn address(&self) -> u64 {
        self.base
    }

    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where it is mapped here.
    #[must_use]
    pub fn start(&self) -> *mut u8 {
        self.map.as_mut_ptr()
    }

    /// The `N` words at `offset`, if they are aligned and lie inside.
    #[inline]
    pub(super) fn record<const N: usize>(&self, offset: u64) -> Option<&[AtomicU64; N]> {
        let offset = usize::try_from(offset).ok()?;
        if !offset.is_multiple_of(8) || offset >= self.map.len() || self.map.len() - offset < N * 8 {
            return None;
        }
        // SAFETY: aligned (mappings start at a page) and inside, as just checked; mapped while `self` lives; everybody accesses this
        // memory atomically.
        Some(unsafe { &*self.map.as_mut_ptr().add(offset).cast() })
    }

    /// The word at `offset`, if it is aligned and lies inside.
    #[inline]
    pub(super) fn word(&self, offset: u64) -> Option<&AtomicU64> {
        self.record::<1>(offset).map(|[word]| word)
    }
}

impl fmt::Debug for RingBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RingBlock")
            .field("address", &format_args!("{:#x}", self.base))
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// The ring memory of one queue: as many pieces as were handed out.
#[derive(Clone, Debug, Default)]
pub struct Rings(Vec<Arc<RingBlock>>);

impl Rings {
    /// Adds a piece.
    pub fn push(&mut self, block: Arc<RingBlock>) {
        self.0.push(block);
    }

    /// How many pieces there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets all pieces.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The piece that was added last.
    pub(super) fn last(&self) -> Option<&RingBlock> {
        self.0.last().map(|block| &**block)
    }

    /// The piece that has this address, and where in it.
    #[inline]
    pub(super) fn at(&self, address: u64) -> Option<(&RingBlock, u64)> {
        self.0
            .iter()
            .map(|block| (&**block, address.wrapping_sub(block.address())))
            .find(|(block, offset)| *offset < block.len() as u64)
    }
}

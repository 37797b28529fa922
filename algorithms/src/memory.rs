//! Copies, fills, comparisons.

use uaccel_runtime::{Error, Outcome, Runtime, Work};

use crate::batch::{self, Item};
use crate::detour::max_transfer;
use crate::member::written;

/// Pieces of a comparison that are in flight before the first answer counts.
const COMPARED_AT_ONCE: usize = 16;

/// Copies, fills and compares memory of any length. Cheap to clone.
///
/// What is larger than the device takes at a time is split into jobs that are in flight together.
///
/// ```
/// # fn main() -> Result<(), uaccel_algorithms::Error> {
/// use uaccel_algorithms::Memory;
/// use uaccel_runtime::Runtime;
///
/// let memory = Memory::new(&Runtime::new()?);
/// let mut a = vec![0; 10_000];
/// memory.fill(&mut a, u64::from_le_bytes(*b"pattern "))?;
/// assert_eq!(&a[..12], b"pattern patt");
///
/// let mut b = vec![0; 10_000];
/// memory.copy(&a, &mut b)?;
/// assert_eq!(memory.difference(&a, &b)?, None);
/// b[7777] = 0;
/// assert_eq!(memory.difference(&a, &b)?, Some(7777));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    runtime: Runtime,
    limit: usize,
}

impl Memory {
    /// Memory operations on this runtime's device.
    #[must_use]
    pub fn new(runtime: &Runtime) -> Self {
        Self { runtime: runtime.clone(), limit: max_transfer(runtime).max(1) }
    }

    /// Copies `source` to the start of `destination`.
    ///
    /// # Errors
    /// [`Error::OutputTooSmall`] if `destination` is shorter; nothing was copied then. See [`Error`] for others.
    pub fn copy(&self, source: &[u8], destination: &mut [u8]) -> Result<(), Error> {
        if source.len() <= self.limit || destination.len() < source.len() {
            return self.runtime.run(Work::copy(source, destination)).map(drop);
        }
        let pieces = source.chunks(self.limit).zip(destination.chunks_mut(self.limit));
        self.all(pieces.map(|(source, destination)| Piece::Copy { source, destination })).map(drop)
    }

    /// Fills `destination` with the eight bytes of `pattern`, least significant first, repeated from its start.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn fill(&self, destination: &mut [u8], pattern: u64) -> Result<(), Error> {
        if destination.len() <= self.limit {
            return self.runtime.run(Work::fill(destination, pattern)).map(drop);
        }
        let limit = self.limit;
        let pieces = destination.chunks_mut(limit).enumerate().map(|(index, destination)| {
            // Where a piece does not begin with the pattern's first byte, it begins with another one.
            let offset = index.wrapping_mul(limit) % 8;
            let pattern = (0..offset).fold(pattern, |pattern, _| pattern.rotate_right(8));
            Piece::Fill { destination, pattern }
        });
        self.all(pieces).map(drop)
    }

    /// The offset of the first byte in which the two differ, if there is one.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if they have different lengths. See [`Error`] for others.
    pub fn difference(&self, a: &[u8], b: &[u8]) -> Result<Option<usize>, Error> {
        if a.len() <= self.limit || a.len() != b.len() {
            return Ok(first_difference(&self.runtime.run(Work::compare(a, b))?, a.len()));
        }
        let at_once = self.limit.saturating_mul(COMPARED_AT_ONCE);
        for (group, (a, b)) in a.chunks(at_once).zip(b.chunks(at_once)).enumerate() {
            let pieces = a.chunks(self.limit).zip(b.chunks(self.limit));
            let outcomes = self.all(pieces.map(|(a, b)| Piece::Compare { a, b }))?;
            let differences = outcomes.iter().zip(a.chunks(self.limit)).enumerate();
            let mut found = differences.filter_map(|(index, (outcome, piece))| {
                first_difference(outcome, piece.len()).map(|offset| group * at_once + index * self.limit + offset)
            });
            if let Some(offset) = found.next() {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    fn all<'a>(&self, pieces: impl Iterator<Item = Piece<'a>>) -> Result<Vec<Outcome>, Error> {
        batch::run_all(&self.runtime, &mut pieces.collect::<Vec<_>>()).into_iter().collect()
    }
}

fn first_difference(outcome: &Outcome, len: usize) -> Option<usize> {
    Some(written(outcome)).filter(|offset| *offset < len)
}

/// One job of a split operation.
enum Piece<'a> {
    Copy { source: &'a [u8], destination: &'a mut [u8] },
    Fill { destination: &'a mut [u8], pattern: u64 },
    Compare { a: &'a [u8], b: &'a [u8] },
}

impl Item for Piece<'_> {
    fn work(&mut self) -> Work<'_> {
        match self {
            Self::Copy { source, destination } => Work::copy(source, destination),
            Self::Fill { destination, pattern } => Work::fill(destination, *pattern),
            Self::Compare { a, b } => Work::compare(a, b),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Copy { source, .. } => source.len(),
            Self::Fill { destination, .. } => destination.len(),
            Self::Compare { a, .. } => a.len(),
        }
    }
}

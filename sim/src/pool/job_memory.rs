//! Where jobs read and write.

use crate::{ReadPart, SourceWindow, Span, TargetWindow, WritePart};

/// Where the jobs of one user read and write: all memory of an address space but the rings.
///
/// Calls come from any worker, and from several at once. They may block; a pool that was told so has another thread
/// [stand in](super::PoolConfig::stand_ins) for one that does.
pub trait JobMemory: Clone + Send + Sync + 'static {
    /// Reads from `address` to the start of `into`, which is not empty, and says how many bytes: at least one. `None` if not even the
    /// byte at `address` can be read.
    fn read(&self, address: u64, into: &mut [u8]) -> Option<usize>;

    /// Writes from the start of `from`, which is not empty, to `address`, and says how many bytes: at least one. `None` if not even the
    /// byte at `address` can be written.
    fn write(&self, address: u64, from: &[u8]) -> Option<usize>;

    /// As [`read`](Self::read), where the host vouches for the memory: that it is there, and its to read.
    fn read_vouched(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.read(address, into)
    }

    /// As [`write`](Self::write), where the host vouches for the memory: that it is there, and its to write.
    fn write_vouched(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.write(address, from)
    }

    /// Reads many ranges, and says how many of them, from the first on, were read whole. The others are read one by one then.
    fn read_many(&self, parts: &mut [ReadPart<'_>]) -> usize {
        let _ = parts;
        0
    }

    /// Writes many ranges, and says how many of them, from the first on, were written whole. The others are written one by one then.
    fn write_many(&self, parts: &[WritePart<'_>]) -> usize {
        let _ = parts;
        0
    }

    /// Copies without staging, if both ranges lie where that can be done; they have one length. `false` if nothing was done. Unlike the other calls it
    /// must not block: workers make it under locks.
    fn copy(&self, source: Span, destination: Span) -> bool {
        let _ = (source, destination);
        false
    }

    /// As [`MemoryPort::source_in_place`](crate::MemoryPort::source_in_place).
    fn source_in_place(&self, span: Span) -> Option<SourceWindow> {
        let _ = span;
        None
    }

    /// As [`MemoryPort::target_in_place`](crate::MemoryPort::target_in_place).
    fn target_in_place(&self, span: Span, initialised: bool) -> Option<TargetWindow> {
        let _ = (span, initialised);
        None
    }
}

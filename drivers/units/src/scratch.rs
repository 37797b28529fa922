//! What a worker keeps between jobs.

use core::fmt;

use crate::stream::pieces::Compressors;
use crate::{deflate, lz4};

/// The mutable state of one worker: compressors, decompressors and a staging buffer.
///
/// Each part is made when the first job needs it and kept: once warm, a job allocates nothing. It carries nothing from one job to
/// the next that a result depends on, so that any worker may run any job.
#[derive(Default)]
pub struct Scratch {
    pub(crate) deflate: deflate::Engines,
    pub(crate) lz4: lz4::Tables,
    #[cfg(feature = "zstd")]
    pub(crate) zstd: crate::zstd::Contexts,
    pub(crate) stage: Stage,
    pub(crate) pieces: Compressors,
}

impl Scratch {
    /// State with nothing in it yet; does not allocate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// A buffer for compressors that want more room than their output takes.
#[derive(Default)]
pub(crate) struct Stage(Vec<u8>);

impl Stage {
    /// What is kept between jobs. One giant job must not tie up its memory for the rest of the worker's life.
    const KEEP: usize = 16 << 20;

    /// `len` bytes of unspecified content, or `None` if the memory is not to be had.
    pub(crate) fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        if self.0.len() < len {
            self.0.try_reserve_exact(len - self.0.len()).ok()?;
            self.0.resize(len, 0);
        }
        self.0.get_mut(..len)
    }

    /// Called when a job is through with the room.
    pub(crate) fn trim(&mut self) {
        if self.0.capacity() > Self::KEEP {
            self.0 = Vec::new();
        }
    }
}

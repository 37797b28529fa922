//! The private memory of a job inside the device.

use core::fmt;

use zeroize::Zeroize;

use crate::{SourceWindow, TargetWindow, WorkItem};

/// Input of a job.
#[derive(Debug, Default)]
pub(super) enum Inlet {
    /// Copied in; as many bytes of the item's buffer as the range has.
    #[default]
    Staged,
    /// Read where it is.
    InPlace(SourceWindow),
}

/// Output of a job.
#[derive(Debug, Default)]
pub(super) enum Outlet {
    /// Written to the item's buffer, copied out later.
    #[default]
    Staged,
    /// Written where it belongs.
    InPlace(TargetWindow),
}

/// One kept buffer. Its content beyond what a job put there is left over from others; only what a job wrote ever leaves.
#[derive(Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// The most this job has had of it.
    used: usize,
}

impl Buffer {
    /// What a buffer keeps between jobs. One giant job must not tie up its memory for the rest of the worker's life.
    const KEEP: usize = 1 << 20;

    pub(super) fn room(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        self.used = self.used.max(len);
        &mut self.bytes[..len]
    }

    pub(super) fn bytes(&self, len: usize) -> &[u8] {
        &self.bytes[..len]
    }

    fn reset(&mut self, secret: bool) {
        if secret {
            self.bytes[..self.used].zeroize();
        }
        self.used = 0;
        if self.bytes.capacity() > Self::KEEP {
            self.bytes = Vec::new();
        }
    }
}

/// What a job holds between Gather and Scatter.
#[derive(Default)]
pub struct Staging {
    pub(super) source: Inlet,
    pub(super) aux: Inlet,
    pub(super) destination: Outlet,
    pub(super) source_buffer: Buffer,
    pub(super) aux_buffer: Buffer,
    pub(super) destination_buffer: Buffer,
    /// Bytes of source and aux that are in, and of the destination that are out.
    pub(super) gathered: [usize; 2],
    pub(super) scattered: usize,
    /// Whether source and aux were looked at, so that a resumed stage goes on where it stopped.
    pub(super) placed: bool,
    secret: bool,
}

impl Staging {
    /// Drops what belongs to one job, keeps the buffers.
    fn reset(&mut self) {
        self.source = Inlet::Staged;
        self.aux = Inlet::Staged;
        self.destination = Outlet::Staged;
        self.gathered = [0; 2];
        self.scattered = 0;
        self.placed = false;
        for buffer in [&mut self.source_buffer, &mut self.aux_buffer, &mut self.destination_buffer] {
            buffer.reset(self.secret);
        }
        self.secret = false;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.reset();
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging")
            .field("gathered", &self.gathered)
            .field("scattered", &self.scattered)
            .finish_non_exhaustive()
    }
}

/// Staging kept for the next job, so that a job allocates nothing once its worker is warm. One per worker.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "an item moves its box in and out, and stays small itself")]
pub struct Pool(Vec<Box<Staging>>);

impl Pool {
    /// How many a pool keeps.
    const KEEP: usize = 32;

    /// An empty pool; does not allocate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the item staging, if it has none.
    #[inline]
    pub(super) fn supply<'a>(&mut self, item: &'a mut WorkItem) -> &'a mut Staging {
        let secret = item.is_secret();
        item.staging.get_or_insert_with(|| {
            let mut staging = self.0.pop().unwrap_or_default();
            staging.secret = secret;
            staging
        })
    }

    /// Takes back an item's staging. Secrets are wiped.
    #[inline]
    pub fn reclaim(&mut self, item: &mut WorkItem) {
        if let Some(mut staging) = item.staging.take() {
            staging.reset();
            if self.0.len() < Self::KEEP {
                self.0.push(staging);
            }
        }
    }
}

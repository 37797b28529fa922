//! The memory of a job, where the driver itself has to look at it, or to write.

use std::ptr;

use uaccel_queue::{CopyError, Outcome, Segment, Status, Transport};

/// The memory of a job that was handed to `submit`, is not answered, and is not the device's yet.
#[derive(Clone, Copy)]
pub(super) struct JobMemory<'a> {
    source: &'a [Segment],
    destination: &'a [Segment],
    /// Bytes of both.
    extents: (usize, usize),
    is_vouched: bool,
    transport: &'a dyn Transport,
}

impl<'a> JobMemory<'a> {
    /// # Safety
    /// The pieces are those of a job that was handed to `submit` and is not answered, nor seen by the device, before the value is dropped; together they have so many bytes.
    pub(super) unsafe fn new(
        (source, destination): (&'a [Segment], &'a [Segment]),
        extents: (usize, usize),
        is_vouched: bool,
        transport: &'a dyn Transport,
    ) -> Self {
        Self { source, destination, extents, is_vouched, transport }
    }

    /// Bytes of the source.
    pub(super) fn source_len(&self) -> usize {
        self.extents.0
    }

    /// Bytes of the destination.
    pub(super) fn room(&self) -> usize {
        self.extents.1
    }

    /// Copies bytes of the source, which there are.
    pub(super) fn read(&self, at: usize, into: &mut [u8]) -> Result<(), CopyError> {
        let mut done = 0;
        for (address, len) in stretches(self.source, at, into.len()) {
            let into = &mut into[done..done + len];
            if self.is_vouched {
                // SAFETY: within the source, which `submit`'s caller vouches for; `into` is memory of ours.
                unsafe { ptr::copy_nonoverlapping(ptr::with_exposed_provenance(address), into.as_mut_ptr(), len) };
            } else {
                self.transport.read_memory(address, into)?;
            }
            done += len;
        }
        debug_assert!(done == into.len(), "within the source");
        Ok(())
    }

    /// Writes the first bytes of the destination, which has room for them.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<(), CopyError> {
        let mut done = 0;
        for (address, len) in stretches(self.destination, 0, bytes.len()) {
            let from = &bytes[done..done + len];
            if self.is_vouched {
                let start = ptr::with_exposed_provenance_mut(address);
                // SAFETY: within the destination, which `submit`'s caller vouches for, and which the device does not have yet.
                unsafe { ptr::copy_nonoverlapping(from.as_ptr(), start, len) };
            } else {
                // SAFETY: the same.
                unsafe { self.transport.write_memory(address, from) }?;
            }
            done += len;
        }
        debug_assert!(done == bytes.len(), "within the destination");
        Ok(())
    }
}

/// Where so many bytes are from `at` on, as if the pieces were one: addresses and lengths.
fn stretches(pieces: &[Segment], at: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let (mut skip, mut left) = (at as u64, len as u64);
    pieces.iter().filter_map(move |piece| {
        let skipped = skip.min(piece.len);
        let taken = left.min(piece.len - skipped);
        (skip, left) = (skip - skipped, left - taken);
        #[allow(clippy::cast_possible_truncation, reason = "addresses and lengths of this process")]
        (taken > 0).then_some((piece.address.wrapping_add(skipped) as usize, taken as usize))
    })
}

/// How a job ends whose memory could not be copied.
#[cold]
pub(super) fn uncopied(error: CopyError) -> Outcome {
    match error {
        CopyError::Fault(fault) => Outcome::faulted(fault),
        _ => Outcome::failed(Status::Unsupported),
    }
}

//! The memory of a job, where the driver itself has to look at it, or to write.

use std::ptr;

use uaccel_queue::{CopyError, Job, JobFlags, Outcome, Segment, Status, Transport};

/// The memory of a job that was handed to `submit`, is not answered, and is not the device's yet.
#[derive(Clone, Copy)]
pub(super) struct JobMemory<'a> {
    source: Side<'a>,
    destination: Side<'a>,
    is_vouched: bool,
    transport: &'a dyn Transport,
}

/// One side of it.
#[derive(Clone, Copy)]
enum Side<'a> {
    Whole { address: usize, len: usize },
    Pieces { list: &'a [Segment], len: usize },
}

impl<'a> JobMemory<'a> {
    /// The memory of a job in one piece.
    ///
    /// # Safety
    /// The job was handed to `submit` and is not answered, nor seen by the device, before the value is dropped; it names a source and a destination, and has no lists.
    #[inline]
    pub(super) unsafe fn new(job: &Job, transport: &'a dyn Transport) -> Self {
        let source = Side::Whole { address: job.source.expose_provenance(), len: job.source_len };
        let destination = Side::Whole { address: job.destination.expose_provenance(), len: job.destination_len };
        Self { source, destination, is_vouched: job.flags.contains(JobFlags::VOUCHED), transport }
    }

    /// The memory of a job in pieces, which have so many bytes.
    ///
    /// # Safety
    /// As for [`new`](Self::new), but for the lists.
    pub(super) unsafe fn in_pieces(job: &'a Job, extents: (usize, usize), transport: &'a dyn Transport) -> Self {
        // SAFETY: the caller's promise.
        let (source, destination) = unsafe { (job.source_pieces(), job.destination_pieces()) };
        Self {
            source: Side::Pieces { list: source, len: extents.0 },
            destination: Side::Pieces { list: destination, len: extents.1 },
            is_vouched: job.flags.contains(JobFlags::VOUCHED),
            transport,
        }
    }

    /// Bytes of the source.
    #[inline]
    pub(super) fn source_len(&self) -> usize {
        self.source.len()
    }

    /// Bytes of the destination.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.destination.len()
    }

    /// Copies bytes of the source, which there are.
    #[inline]
    pub(super) fn read(&self, at: usize, into: &mut [u8]) -> Result<(), CopyError> {
        debug_assert!(at + into.len() <= self.source.len(), "within the source");
        match self.source {
            Side::Whole { address, .. } => self.read_at(address.wrapping_add(at), into),
            Side::Pieces { list, .. } => self.read_pieces(list, at, into),
        }
    }

    /// Writes bytes of the destination, which there are.
    #[inline]
    pub(super) fn write(&self, at: usize, bytes: &[u8]) -> Result<(), CopyError> {
        debug_assert!(at + bytes.len() <= self.destination.len(), "within the destination");
        match self.destination {
            Side::Whole { address, .. } => self.write_at(address.wrapping_add(at), bytes),
            Side::Pieces { list, .. } => self.write_pieces(list, at, bytes),
        }
    }

    #[cold]
    fn read_pieces(&self, list: &[Segment], at: usize, into: &mut [u8]) -> Result<(), CopyError> {
        let mut done = 0;
        for (address, len) in stretches(list, at, into.len()) {
            self.read_at(address, &mut into[done..done + len])?;
            done += len;
        }
        Ok(())
    }

    #[cold]
    fn write_pieces(&self, list: &[Segment], at: usize, bytes: &[u8]) -> Result<(), CopyError> {
        let mut done = 0;
        for (address, len) in stretches(list, at, bytes.len()) {
            self.write_at(address, &bytes[done..done + len])?;
            done += len;
        }
        Ok(())
    }

    /// Copies from an address within the source.
    #[inline]
    fn read_at(&self, address: usize, into: &mut [u8]) -> Result<(), CopyError> {
        if self.is_vouched {
            let start = ptr::with_exposed_provenance(address);
            // SAFETY: within the source, which `submit`'s caller vouches for; `into` is memory of ours.
            unsafe { ptr::copy_nonoverlapping(start, into.as_mut_ptr(), into.len()) };
            return Ok(());
        }
        self.transport.read_memory(address, into)
    }

    /// Copies to an address within the destination.
    #[inline]
    fn write_at(&self, address: usize, bytes: &[u8]) -> Result<(), CopyError> {
        if self.is_vouched {
            let start = ptr::with_exposed_provenance_mut(address);
            // SAFETY: within the destination, which `submit`'s caller vouches for, and which the device does not have yet.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
            return Ok(());
        }
        // SAFETY: the same.
        unsafe { self.transport.write_memory(address, bytes) }
    }
}

impl Side<'_> {
    #[inline]
    fn len(&self) -> usize {
        match self {
            Self::Whole { len, .. } | Self::Pieces { len, .. } => *len,
        }
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

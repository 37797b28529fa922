//! The one place where a job's pointers become slices.

use std::{ptr, slice};

use uaccel_queue::{Job, JobFlags};

/// The most bytes a source or destination can have: more than any process maps, and less than a slice can hold.
pub(super) const LONGEST: usize = 1 << 40;

/// The source.
///
/// # Safety
/// The job was handed to `submit`, names a source, and is not answered before the slice is dropped.
#[inline]
pub(super) unsafe fn source(job: &Job) -> Option<&[u8]> {
    // SAFETY: `submit`'s caller vouches for the source until the job is answered.
    unsafe { bytes(job.source, job.source_len) }
}

/// The second source.
///
/// # Safety
/// As for [`source`], for a job that names one.
#[inline]
pub(super) unsafe fn aux(job: &Job) -> Option<&[u8]> {
    // SAFETY: as in `source`.
    unsafe { bytes(job.aux, job.aux_len) }
}

/// The first `need` bytes of the destination, or all of it if it is shorter; initialised, and apart from what the job
/// reads.
///
/// # Safety
/// As for [`source`], for a job that names a destination; `reads` are slices of the same job, and the result is the
/// only one of its destination.
#[inline]
#[allow(clippy::mut_from_ref, reason = "the job is the address of the memory, not the memory")]
pub(super) unsafe fn destination<'a>(job: &'a Job, need: usize, reads: [&[u8]; 2]) -> Option<&'a mut [u8]> {
    let len = job.destination_len.min(need);
    if !possible(job.destination, job.destination_len) {
        return None;
    }
    if len == 0 {
        return Some(&mut []);
    }
    // Two slices of one memory, one of them for writing, are undefined behaviour, whoever was to prevent it.
    if reads.into_iter().any(|read| overlap(read, job.destination, len)) {
        return None;
    }
    if job.flags.contains(JobFlags::UNINIT_DESTINATION) {
        // A slice is of initialised bytes.
        // SAFETY: `submit`'s caller vouches for the destination until the job is answered.
        unsafe { ptr::write_bytes(job.destination, 0, len) };
    }
    // SAFETY: as above; nobody else touches the destination, and it was initialised by the caller or just now.
    Some(unsafe { slice::from_raw_parts_mut(job.destination, len) })
}

/// The source of a job whose destination begins where its source does, as the one slice it is; initialised, as a source has to be.
///
/// # Safety
/// As for [`source`], for a job that names a source and a destination; the result is the only slice of either.
#[inline]
#[allow(clippy::mut_from_ref, reason = "the job is the address of the memory, not the memory")]
pub(super) unsafe fn in_place(job: &Job) -> Option<&mut [u8]> {
    let len = job.source_len;
    if !std::ptr::eq(job.source, job.destination) || len > job.destination_len || !possible(job.destination, len) {
        return None;
    }
    if len == 0 {
        return Some(&mut []);
    }
    // SAFETY: `submit`'s caller vouches for the destination, of which this is a part, until the job is answered; a source is
    // initialised, and is not read but through this slice.
    Some(unsafe { slice::from_raw_parts_mut(job.destination, len) })
}

/// Copies the source to the destination, which may be the same memory. `false` if the lengths do not match.
///
/// # Safety
/// As for [`source`], for a job that names a source and a destination.
#[inline]
pub(super) unsafe fn copy(job: &Job) -> bool {
    let len = job.source_len;
    if len != job.destination_len || !possible(job.source, len) || !possible(job.destination, len) {
        return false;
    }
    // SAFETY: `submit`'s caller vouches for both until the job is answered. Overlapping is allowed here, and no bytes
    // pass through a slice, so they may be uninitialised.
    unsafe { ptr::copy(job.source, job.destination, len) };
    true
}

/// # Safety
/// If `len` is not 0, `start` points to so many bytes that are initialised and not written for as long as the slice
/// lives.
#[inline]
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    if len == 0 {
        return Some(&[]);
    }
    // SAFETY: the caller's promise; `start` is not null and `len` is not more than a slice can hold.
    possible(start, len).then(|| unsafe { slice::from_raw_parts(start, len) })
}

#[inline]
fn possible(start: *const u8, len: usize) -> bool {
    (!start.is_null() || len == 0) && len <= LONGEST
}

#[inline]
fn overlap(read: &[u8], write: *const u8, len: usize) -> bool {
    let (a, b) = (read.as_ptr().addr(), write.addr());
    a < b.saturating_add(len) && b < a.saturating_add(read.len())
}

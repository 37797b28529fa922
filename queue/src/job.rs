//! One job, as a driver sees it.

use core::ptr;

use crate::{Operation, Token};

bitflags::bitflags! {
    /// What a driver may assume, or must do, beyond the operation.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[repr(transparent)]
    pub struct JobFlags: u8 {
        /// All memory the job names stays mapped, and nobody else writes it, until the job completes: the runtime owns it or
        /// has it borrowed, and may itself do with it what the job does. A device in the same process may then use it in place, and
        /// one made of software elsewhere need not ask whether it may.
        const VOUCHED = 1 << 0;
        /// The destination may hold uninitialised bytes: it is written before anybody reads it.
        const UNINIT_DESTINATION = 1 << 1;
        /// The next job of the batch starts when this one has succeeded, else it ends as
        /// [`Status::Canceled`](crate::Status::Canceled). Needs [`Capabilities::chains`](crate::Capabilities::chains).
        const CHAINED = 1 << 2;
        /// `source` and `destination` point to lists of [`Segment`]s, and the lengths count segments, of which any may be empty. What counts is the bytes of all of them together, as if they
        /// were one piece; outcomes count bytes. The lists are the runtime's own: they stay as they are until the job is answered, whoever vouches for what they name. Needs
        /// [`Capabilities::scatter`](crate::Capabilities::scatter), and no list is longer than [`Capabilities::pieces`](crate::Capabilities::pieces).
        const SCATTER = 1 << 3;
        /// The job is one of a [stream](crate::stream), whose state is `aux`, which it reads and writes. Needs its algorithm to be among [`Capabilities::streams`](crate::Capabilities::streams).
        const STREAM = 1 << 4;
        /// It is the stream's first: what the state holds counts for nothing.
        const FIRST = 1 << 5;
        /// Its source is all that is left of the stream.
        const LAST = 1 << 6;
    }
}

/// One piece of a scattered source or destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Segment {
    /// Where it starts.
    pub address: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// The number a session has on one queue, chosen by the runtime and below [`Capabilities::sessions`](crate::Capabilities::sessions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct SessionId(pub u16);

/// One job: what to do, with which memory.
///
/// It is built in place in its slot of the queue's table ([`Cells`](crate::Cells)) and stays there, unchanged, until it completes.
/// Which fields count depends on the operation ([`Operation`]); the others keep what an earlier job left there, and a
/// driver must not read them. Addresses are addresses of this process.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Job {
    /// The job's name; its slot is the one the job is in.
    pub token: Token,
    /// The session, for operations that need one.
    pub session: SessionId,
    /// What to do.
    pub operation: Operation,
    /// Promises and demands.
    pub flags: JobFlags,
    /// First byte to read.
    pub source: *const u8,
    /// Bytes to read.
    pub source_len: usize,
    /// First byte to write.
    pub destination: *mut u8,
    /// Room for writing, in bytes.
    pub destination_len: usize,
    /// Second source: what `Compare` compares with, or associated data. Of a job of a stream its state, which is written as well.
    pub aux: *const u8,
    /// Its length in bytes.
    pub aux_len: usize,
    /// Small operand: pattern, checksum to continue from, nonce, or IV.
    pub immediate: [u8; 16],
}

impl Job {
    /// A job that does nothing, under this token.
    #[must_use]
    pub const fn nop(token: Token) -> Self {
        Self {
            token,
            session: SessionId(0),
            operation: Operation::Nop,
            flags: JobFlags::empty(),
            source: ptr::null(),
            source_len: 0,
            destination: ptr::null_mut(),
            destination_len: 0,
            aux: ptr::null(),
            aux_len: 0,
            immediate: [0; 16],
        }
    }

    /// The pieces of the source.
    ///
    /// # Safety
    /// The job is one with [`JobFlags::SCATTER`] on a queue that was granted it, was handed to [`submit`](crate::Submitter::submit), and is not answered while the slice lives.
    #[must_use]
    pub unsafe fn source_pieces(&self) -> &[Segment] {
        // SAFETY: the caller's promise: the list stays as it is.
        unsafe { pieces(self.source.cast(), self.source_len) }
    }

    /// The pieces of the destination.
    ///
    /// # Safety
    /// As for [`source_pieces`](Self::source_pieces).
    #[must_use]
    pub unsafe fn destination_pieces(&self) -> &[Segment] {
        // SAFETY: the caller's promise: the list stays as it is.
        unsafe { pieces(self.destination.cast_const().cast(), self.destination_len) }
    }

    /// Bytes to read, and room for writing: of a job in one piece its lengths, else the sums of its segments.
    ///
    /// # Safety
    /// As for [`source_pieces`](Self::source_pieces), if the job has the flag.
    #[inline]
    #[must_use]
    pub unsafe fn extents(&self) -> (u64, u64) {
        if self.flags.contains(JobFlags::SCATTER) {
            // SAFETY: the caller's promise.
            return unsafe { self.sums() };
        }
        (self.source_len as u64, self.destination_len as u64)
    }

    /// # Safety
    /// As for [`source_pieces`](Self::source_pieces).
    #[cold]
    unsafe fn sums(&self) -> (u64, u64) {
        let sum = |pieces: &[Segment]| pieces.iter().fold(0_u64, |sum, piece| sum.saturating_add(piece.len));
        // SAFETY: the caller's promise.
        unsafe { (sum(self.source_pieces()), sum(self.destination_pieces())) }
    }

    /// The 8-byte pattern of a `Fill`.
    #[inline]
    #[must_use]
    pub fn pattern(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.immediate;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The value a checksum continues from.
    #[inline]
    #[must_use]
    pub fn seed(&self) -> u32 {
        let [a, b, c, d, ..] = self.immediate;
        u32::from_le_bytes([a, b, c, d])
    }

    /// The initialisation vector of a cipher job.
    #[inline]
    #[must_use]
    pub const fn iv(&self) -> [u8; 16] {
        self.immediate
    }

    /// The nonce of an AEAD job.
    #[inline]
    #[must_use]
    pub fn nonce(&self) -> [u8; 12] {
        let [nonce @ .., _, _, _, _] = self.immediate;
        nonce
    }
}

/// # Safety
/// `start` points to `count` segments that nobody writes while the slice lives, unless there are none.
unsafe fn pieces<'a>(start: *const Segment, count: usize) -> &'a [Segment] {
    if count == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(start, count) }
}

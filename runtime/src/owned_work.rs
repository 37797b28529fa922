//! Jobs that own their buffers, before they are submitted.

use std::fmt;

use uaccel_queue::Operation;

use crate::{Error, ReadBuf, Session, TextBuf, WriteBuf};

/// A job with its own buffers: what to do, from `source`, to `destination`, with `aux` as second source.
// In this order the small operand is aligned: a processor does not forward it, once stored, to a load that is not.
#[derive(Debug)]
#[repr(C)]
pub struct OwnedWork<S, D, A = ()> {
    pub(crate) immediate: [u8; 16],
    pub(crate) session: Option<Session>,
    pub(crate) source: S,
    pub(crate) destination: D,
    pub(crate) aux: A,
    pub(crate) operation: Operation,
    /// The bytes of text at the start of the destination, where that is the source as well.
    pub(crate) in_place: Option<usize>,
}

impl OwnedWork<(), ()> {
    /// A job that does nothing.
    #[must_use]
    pub fn nop() -> Self {
        Self::plain(Operation::Nop, (), ())
    }
}

impl<S: ReadBuf> OwnedWork<S, ()> {
    /// CRC-32C of `source`, continued from `seed` (0 to begin).
    #[must_use]
    pub fn crc32c(source: S, seed: u32) -> Self {
        Self::seeded(Operation::Crc32c, source, seed)
    }

    /// CRC-32 as gzip has it of `source`, continued from `seed` (0 to begin).
    #[must_use]
    pub fn crc32(source: S, seed: u32) -> Self {
        Self::seeded(Operation::Crc32, source, seed)
    }

    fn seeded(operation: Operation, source: S, seed: u32) -> Self {
        let mut work = Self::plain(operation, source, ());
        work.immediate[..4].copy_from_slice(&seed.to_le_bytes());
        work
    }
}

impl<S: ReadBuf, D: WriteBuf> OwnedWork<S, D> {
    /// Copies `source` to the start of `destination`.
    #[must_use]
    pub fn copy(source: S, destination: D) -> Self {
        Self::plain(Operation::Copy, source, destination)
    }

    /// What `session` does, from `source` to `destination`.
    #[must_use]
    pub fn session(session: &Session, source: S, destination: D) -> Self {
        Self { session: Some(session.clone()), ..Self::plain(session.operation(), source, destination) }
    }

    /// The initialisation vector of a cipher job.
    #[must_use]
    pub fn with_iv(self, iv: [u8; 16]) -> Self {
        Self { immediate: iv, ..self }
    }

    /// The nonce and the associated data of an AEAD job.
    #[must_use]
    pub fn with_nonce<A: ReadBuf>(self, nonce: [u8; 12], associated_data: A) -> OwnedWork<S, D, A> {
        let mut immediate = self.immediate;
        immediate[..12].copy_from_slice(&nonce);
        let Self { operation, session, source, destination, aux: (), in_place, .. } = self;
        OwnedWork { operation, session, source, destination, aux: associated_data, immediate, in_place }
    }

    fn plain(operation: Operation, source: S, destination: D) -> Self {
        Self { operation, session: None, source, destination, aux: (), immediate: [0; 16], in_place: None }
    }
}

impl<D: TextBuf> OwnedWork<(), D> {
    /// What `session` does, on the text in `buffer` where it stands: for sessions that encrypt or decrypt.
    #[must_use]
    pub fn session_in_place(session: &Session, buffer: D) -> Self {
        let in_place = Some(buffer.text_len());
        Self { session: Some(session.clone()), in_place, ..Self::plain(session.operation(), (), buffer) }
    }
}

impl<S: ReadBuf, D: WriteBuf, A: ReadBuf> OwnedWork<S, D, A> {
    /// Source, destination and aux, for those who do not want to submit the job any more.
    #[must_use]
    pub fn into_buffers(self) -> (S, D, A) {
        (self.source, self.destination, self.aux)
    }

    pub(crate) fn source_len(&self) -> u64 {
        self.in_place.unwrap_or_else(|| self.source.bytes().1) as u64
    }

    #[cold]
    pub(crate) fn rejected(self, error: Error) -> Box<Rejected<S, D, A>> {
        Box::new(Rejected { error, work: self })
    }
}

/// A job that could not be submitted, with its buffers.
#[derive(Debug)]
pub struct Rejected<S, D, A = ()> {
    /// Why.
    pub error: Error,
    /// The job, as it was given.
    pub work: OwnedWork<S, D, A>,
}

impl<S: fmt::Debug, D: fmt::Debug, A: fmt::Debug> std::error::Error for Rejected<S, D, A> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl<S, D, A> fmt::Display for Rejected<S, D, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the job was not submitted")
    }
}

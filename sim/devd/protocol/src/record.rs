//! The 64 bytes that every message begins with.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{DecodeError, RECORD};

/// Words of a record.
pub(crate) const WORDS: usize = 6;

/// The record, as it lies in a message.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Record {
    pub(crate) kind: U32,
    pub(crate) queue: U32,
    pub(crate) serial: U32,
    pub(crate) code: U32,
    words: [U64; WORDS],
}

impl Record {
    pub(crate) fn new<const N: usize>(kind: u32, queue: u32, serial: u32, code: u32, used: [u64; N]) -> Self {
        const { assert!(N <= WORDS) };
        let mut words = [U64::ZERO; WORDS];
        for (word, value) in words.iter_mut().zip(used) {
            word.set(value);
        }
        Self { kind: kind.into(), queue: queue.into(), serial: serial.into(), code: code.into(), words }
    }

    /// The record at the beginning of a message, and what is behind.
    pub(crate) fn of(message: &[u8]) -> Result<(&Self, &[u8]), DecodeError> {
        Self::ref_from_prefix(message).map_err(|_| DecodeError::Length { expected: RECORD, found: message.len() })
    }

    /// The words that the kind uses; the others must be 0.
    pub(crate) fn words<const N: usize>(&self) -> Result<[u64; N], DecodeError> {
        const { assert!(N <= WORDS) };
        let mut used = [0; N];
        for (index, word) in self.words.iter().enumerate() {
            match used.get_mut(index) {
                Some(place) => *place = word.get(),
                None => reserved("word", word.get())?,
            }
        }
        Ok(used)
    }

    /// A record that concerns no queue.
    pub(crate) fn no_queue(&self) -> Result<(), DecodeError> {
        reserved("queue", self.queue.get().into())
    }
}

/// What must be 0.
pub(crate) fn reserved(field: &'static str, value: u64) -> Result<(), DecodeError> {
    if value == 0 { Ok(()) } else { Err(DecodeError::Reserved { field, value }) }
}

/// A word that is a number of 32 bits.
pub(crate) fn narrow(field: &'static str, value: u64) -> Result<u32, DecodeError> {
    u32::try_from(value).map_err(|_| DecodeError::Value { field, value })
}

/// The serial of a message of which nothing else may be right; 0 if it is too short to have one.
#[must_use]
pub fn serial_of(message: &[u8]) -> u32 {
    Record::of(message).map_or(0, |(record, _)| record.serial.get())
}

//! What can go wrong with a message.

use std::io;
use std::time::Duration;

use crate::{DESCRIPTORS, MESSAGE};

/// Why bytes are no message of this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is not as long as it must be.
    #[error("a message of {found} bytes, where {expected} are expected")]
    Length {
        /// As long as it must be, or must be at least.
        expected: usize,
        /// As long as it is.
        found: usize,
    },
    /// There is no message of this kind.
    #[error("there is no message of kind {0}")]
    Kind(u32),
    /// What must be 0 is not.
    #[error("{field} is {value:#x} and must be 0")]
    Reserved {
        /// What.
        field: &'static str,
        /// What it is.
        value: u64,
    },
    /// A field has a value that makes no sense.
    #[error("{field} cannot be {value:#x}")]
    Value {
        /// Which.
        field: &'static str,
        /// What it is.
        value: u64,
    },
    /// The text is not as it must be.
    #[error("the text {0}")]
    Text(&'static str),
    /// It comes with too many descriptors, or too few.
    #[error("{found} descriptors, where {expected} are expected")]
    Descriptors {
        /// How many belong to it.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

/// Why a message was not sent or received.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChannelError {
    /// The other side has closed the connection, or is gone.
    #[error("the other side has hung up")]
    HungUp,
    /// Nothing could be sent, or nothing came, in the time given.
    #[error("nothing within {0:?}")]
    TimedOut(Duration),
    /// The message was cut off, and is lost.
    #[error("a message of more than {MESSAGE} bytes")]
    TooLong,
    /// Descriptors were cut off, or there are too many. The message is lost.
    #[error("a message with more than {DESCRIPTORS} descriptors, or this process cannot have more of them")]
    TooManyDescriptors,
    /// It is not the socket of a local connection that keeps messages apart.
    #[error("not a socket of kind SOCK_SEQPACKET")]
    NotAChannel,
    /// A system call failed.
    #[error("{call} failed")]
    System {
        /// Which.
        call: &'static str,
        /// Why.
        source: io::Error,
    },
}

//! Why a request was refused.

use crate::DecodeError;

/// Why a request was refused. The reply's text says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// It breaks the rules of the protocol.
    BadRequest,
    /// The versions of client and daemon do not go together.
    Version,
    /// There is no such device, or it has failed.
    NoSuchDevice,
    /// All queues are in use. Others may give some back.
    Busy,
    /// The client has as much as it may.
    Limit,
    /// The client, or the daemon, is not allowed to.
    NotPermitted,
    /// It was not done in the time given.
    TimedOut,
    /// The device failed.
    Failed,
    /// A system call of the daemon failed with this error number.
    System(u32),
}

impl Refusal {
    /// The number in the record, and the first word.
    pub(crate) const fn encode(self) -> (u32, u64) {
        match self {
            Self::BadRequest => (1, 0),
            Self::Version => (2, 0),
            Self::NoSuchDevice => (3, 0),
            Self::Busy => (4, 0),
            Self::Limit => (5, 0),
            Self::NotPermitted => (6, 0),
            Self::TimedOut => (7, 0),
            Self::Failed => (8, 0),
            Self::System(errno) => (9, errno as u64),
        }
    }

    pub(crate) fn decode(code: u32, word: u64) -> Result<Self, DecodeError> {
        let refusal = match code {
            1 => Self::BadRequest,
            2 => Self::Version,
            3 => Self::NoSuchDevice,
            4 => Self::Busy,
            5 => Self::Limit,
            6 => Self::NotPermitted,
            7 => Self::TimedOut,
            8 => Self::Failed,
            9 => return Ok(Self::System(crate::record::narrow("error number", word)?)),
            _ => return Err(DecodeError::Value { field: "code", value: code.into() }),
        };
        crate::record::reserved("word", word)?;
        Ok(refusal)
    }
}

//! A request that is not carried out.

use std::io;

use uaccel_devd_protocol::{Refusal, Reply};
use uaccel_queue::TransportError;

use crate::backing::RingError;
use crate::limits::Full;
use crate::memfd::MemfdError;
use crate::window::WindowError;

/// A request that is not carried out, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    refusal: Refusal,
    text: String,
    /// Whether the connection ends with it.
    fatal: bool,
}

impl Refused {
    pub(crate) fn new(refusal: Refusal, text: impl ToString) -> Self {
        Self { refusal, text: text.to_string(), fatal: false }
    }

    /// The client does not keep to the protocol.
    pub(crate) fn bad(text: impl ToString) -> Self {
        Self { fatal: true, ..Self::new(Refusal::BadRequest, text) }
    }

    /// The same, and the connection ends.
    pub(crate) fn for_good(self) -> Self {
        Self { fatal: true, ..self }
    }

    pub(crate) fn is_fatal(&self) -> bool {
        self.fatal
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::Refused { refusal: self.refusal, text: self.text.clone() }
    }

    /// A system call of this process failed.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Self::new(refusal_of(error), format!("the server cannot {what}: {error}"))
    }
}

/// The refusal that carries the error's number, if it has one.
fn refusal_of(error: &io::Error) -> Refusal {
    let number = error.raw_os_error().and_then(|number| u32::try_from(number).ok());
    number.map_or(Refusal::Failed, Refusal::System)
}

impl From<Full> for Refused {
    fn from(full: Full) -> Self {
        Self::new(Refusal::Limit, full)
    }
}

impl From<TransportError> for Refused {
    fn from(error: TransportError) -> Self {
        let refusal = match &error {
            TransportError::Busy(_) => Refusal::Busy,
            TransportError::NoSuchDevice { .. } | TransportError::Gone => Refusal::NoSuchDevice,
            TransportError::TimedOut { .. } => Refusal::TimedOut,
            TransportError::System { source, .. } => return Self::system("do it", source),
            _ => Refusal::Failed,
        };
        Self::new(refusal, error)
    }
}

impl From<RingError> for Refused {
    fn from(error: RingError) -> Self {
        match &error {
            RingError::System(source) => Self::system("make ring memory", source),
            _ => Self::new(Refusal::Limit, error),
        }
    }
}

impl From<WindowError> for Refused {
    fn from(error: WindowError) -> Self {
        match &error {
            WindowError::Memory(MemfdError::Map(source) | MemfdError::System(source)) => {
                Self::new(refusal_of(source), format!("{error}: {source}"))
            }
            _ => Self::new(Refusal::NotPermitted, error),
        }
    }
}

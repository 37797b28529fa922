//! What stands behind the adaptors of [`read`](crate::read) and [`write`](mod@crate::write): encoders and decoders that do no input or output of their own.

mod decoder;
mod encoder;
mod members;
mod one_stream;
mod output;

use std::io;

pub(crate) use decoder::{Decoder, Next};
pub(crate) use encoder::Encoder;
pub(crate) use output::Output;
use uaccel_runtime::Error;

/// An error as adaptors report it: broken data by its kind, ours as the source.
pub(crate) fn to_io(error: Error) -> io::Error {
    let kind = match &error {
        Error::Corrupt(_) => io::ErrorKind::InvalidData,
        Error::Truncated(_) => io::ErrorKind::UnexpectedEof,
        Error::Deadline(_) => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

//! Transformations of inputs that come in pieces, on the CPU.
//!
//! For what is larger than an engine takes in one job. A stream does no input or output of its own: the caller hands it slices and is
//! told how much of them was used. No piece needs to end anywhere in particular.

mod deflate;
mod digest;
mod inflate;
pub mod pieces;

pub use deflate::DeflateStream;
pub use digest::{DigestStream, DigestValue};
pub use inflate::InflateStream;

/// What one call achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that were used. The rest must be handed in again.
    pub consumed: usize,
    /// Bytes at the start of the output that were written.
    pub produced: usize,
    /// What the stream needs next.
    pub state: State,
}

/// What a stream needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// More input, or the word that there is none. All input was used.
    More,
    /// More room. The output is full, and the stream may have more to write; call again, if need be with an empty input.
    NeedOutput,
    /// Nothing: the stream is at its end. Bytes of the input beyond `consumed` are not part of it. Further calls change nothing.
    End,
}

/// Why a stream cannot go on. It stays failed until it is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream breaks the rules of its format, its checksum does not match, or it asks for a preset dictionary.
    #[error("the stream is corrupt")]
    Corrupt,
    /// The input ended before the stream did.
    #[error("the stream ends early")]
    Truncated,
    /// There is no memory for the stream's state.
    #[error("no memory for the stream's state")]
    NoMemory,
}

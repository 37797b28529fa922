//! Where the result of a stream goes.

use uaccel_runtime::{Error, Operation};

/// Takes the result of a stream, piece by piece.
pub(crate) trait Sink {
    /// Room for `len` more bytes, or for as many as there can be.
    fn room(&mut self, len: usize) -> &mut [u8];

    /// The first `len` bytes of the room are part of the result.
    fn took(&mut self, len: usize);

    /// Bytes of the result so far.
    fn len(&self) -> usize;

    /// Back to where it had so many bytes.
    fn rewind(&mut self, len: usize);

    /// The error if the result is longer than it can be here.
    fn too_small(&self, operation: Operation) -> Error;
}

/// A result that grows.
#[derive(Debug)]
pub(crate) struct Text {
    bytes: Vec<u8>,
    /// Bytes that are text; the others are room.
    len: usize,
    limit: usize,
}

impl Text {
    /// A text of at most so many bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: Vec::new(), len: 0, limit }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn left(&self) -> usize {
        self.limit - self.len
    }

    pub(crate) fn into_bytes(mut self) -> Vec<u8> {
        self.bytes.truncate(self.len);
        self.bytes
    }
}

impl Sink for Text {
    fn room(&mut self, len: usize) -> &mut [u8] {
        let end = self.len.saturating_add(len.min(self.left()));
        if self.len == 0 {
            // Fresh zeros are cheaper than grown ones: untouched pages stay untouched.
            if self.bytes.len() != end {
                self.bytes = vec![0; end];
            }
        } else {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.len..]
    }

    fn took(&mut self, len: usize) {
        self.len += len;
    }

    fn len(&self) -> usize {
        self.len
    }

    fn rewind(&mut self, len: usize) {
        self.len = len;
    }

    fn too_small(&self, operation: Operation) -> Error {
        Error::OutputTooSmall { operation, needed: None, room: self.limit as u64 }
    }
}

/// A room that is what it is.
#[derive(Debug)]
pub(crate) struct Destination<'a> {
    bytes: &'a mut [u8],
    len: usize,
    needed: Option<u64>,
}

impl<'a> Destination<'a> {
    /// This room; `needed` would surely be enough, if that is known.
    pub(crate) fn new(bytes: &'a mut [u8], needed: Option<u64>) -> Self {
        Self { bytes, len: 0, needed }
    }
}

impl Sink for Destination<'_> {
    fn room(&mut self, _len: usize) -> &mut [u8] {
        &mut self.bytes[self.len..]
    }

    fn took(&mut self, len: usize) {
        self.len += len;
    }

    fn len(&self) -> usize {
        self.len
    }

    fn rewind(&mut self, len: usize) {
        self.len = len;
    }

    fn too_small(&self, operation: Operation) -> Error {
        Error::OutputTooSmall { operation, needed: self.needed, room: self.bytes.len() as u64 }
    }
}

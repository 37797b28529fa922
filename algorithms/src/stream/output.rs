//! Output that waits to be fetched.

use std::collections::VecDeque;

/// Pieces of output in order, fetched from the front.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that were fetched.
    fetched: usize,
    spare: Vec<u8>,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    len: usize,
}

impl Output {
    /// Appends the first `len` of `bytes`.
    pub(crate) fn push(&mut self, bytes: Vec<u8>, len: usize) {
        if len == 0 {
            self.spare = bytes;
        } else {
            self.pieces.push_back(Piece { bytes, len });
        }
    }

    /// The next bytes to be fetched; empty if there are none.
    pub(crate) fn front(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| &piece.bytes[self.fetched..piece.len])
    }

    /// The first `len` bytes of [`front`](Self::front) were fetched.
    pub(crate) fn advance(&mut self, len: usize) {
        self.fetched += len;
        if self.pieces.front().is_some_and(|piece| self.fetched >= piece.len) {
            self.fetched = 0;
            self.spare = self.pieces.pop_front().map(|piece| piece.bytes).unwrap_or_default();
        }
    }

    /// Copies as much as there is to `room`, and says how much that was.
    pub(crate) fn fetch(&mut self, room: &mut [u8]) -> usize {
        let len = self.front().len().min(room.len());
        room[..len].copy_from_slice(&self.front()[..len]);
        self.advance(len);
        len
    }

    /// Memory of a piece that was fetched, with anything in it.
    pub(crate) fn spare(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.spare)
    }
}

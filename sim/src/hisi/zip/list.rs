//! A list of pieces, as a job's source or destination.

use uaccel_hisi_abi::zip::{ListEntry, ListHead};
use uaccel_queue::Status;

use crate::{PieceList, Span};

/// How many lists a chain may have before it is taken for one without an end. Ours.
const MOST_LISTS: usize = 256;

/// A list of pieces that is read as far as it is needed.
#[derive(Debug)]
pub(super) struct List {
    pieces: Vec<Span>,
    /// Bytes that are to be left out yet, and bytes that are to be found yet.
    skip: usize,
    missing: usize,
    next: Next,
    lists: usize,
}

/// What is to be read next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Head(u64),
    Entries { address: u64, head: ListHead },
    Nothing,
}

impl List {
    /// The list at `address`, for the `len` bytes behind the first `skip`.
    ///
    /// # Errors
    /// If there can be none.
    pub(super) fn new(address: u64, skip: u32, len: u32) -> Result<Self, Status> {
        // Widening: both have 32 bits.
        let (skip, missing) = (skip as usize, len as usize);
        let mut list = Self { pieces: Vec::new(), skip, missing, next: Next::Nothing, lists: 0 };
        if missing != 0 {
            list.go_to(address)?;
        }
        Ok(list)
    }

    fn go_to(&mut self, address: u64) -> Result<(), Status> {
        self.lists += 1;
        if address == 0 || !address.is_multiple_of(ListHead::ALIGN) || self.lists > MOST_LISTS {
            return Err(Status::InvalidJob);
        }
        self.next = Next::Head(address);
        Ok(())
    }

    /// Takes pieces until there are enough of them.
    fn add(&mut self, entries: &[u8]) {
        for entry in entries.as_chunks::<{ ListEntry::SIZE }>().0 {
            let ListEntry { address, len } = ListEntry::decode(entry);
            let left_out = self.skip.min(len as usize);
            self.skip -= left_out;
            let len = (len as usize - left_out).min(self.missing);
            if len != 0 {
                self.missing -= len;
                self.pieces.push(Span::new(address.wrapping_add(left_out as u64), len));
            }
        }
    }
}

impl PieceList for List {
    fn wants(&self) -> Option<Span> {
        match self.next {
            Next::Head(address) => Some(Span::new(address, ListHead::SIZE)),
            Next::Entries { address, head } => Some(Span::new(address, usize::from(head.entries) * ListEntry::SIZE)),
            Next::Nothing => None,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Status> {
        match self.next {
            Next::Head(address) => {
                let head = bytes.first_chunk().map(ListHead::decode).ok_or(Status::InvalidJob)?;
                if head.entries > head.room || head.room > ListHead::MOST {
                    return Err(Status::InvalidJob);
                }
                self.next = Next::Entries { address: address.wrapping_add(ListHead::SIZE as u64), head };
            }
            Next::Entries { head, .. } => {
                self.add(bytes);
                self.next = Next::Nothing;
                if self.missing != 0 {
                    self.go_to(head.next)?;
                }
            }
            Next::Nothing => {}
        }
        Ok(())
    }

    fn pieces(&self) -> &[Span] {
        &self.pieces
    }
}

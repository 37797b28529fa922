//! Memory in pieces, for one job.

use std::marker::PhantomData;
use std::ptr::NonNull;

use uaccel_queue::{Capabilities, Job, Segment};

/// The memory of one job that is not in one piece: what it reads and what it writes, each in as many pieces as there are. Counted are the bytes of all of them together, as if they were one; some may be
/// empty.
///
/// [`Work::session_in_pieces`](crate::Work::session_in_pieces) makes a job of it. What was lent cannot be used before this is gone:
/// ```compile_fail
/// # use uaccel_runtime::Pieces;
/// let mut room = [0; 10];
/// let pieces = Pieces::new([&b"one"[..], b"two"], [&mut room[..]]);
/// room[0] = 1;
/// drop(pieces);
/// ```
#[derive(Debug)]
pub struct Pieces<'a> {
    source: Side,
    destination: Side,
    /// What a device that writes less at a time is offered of the destination. Kept here, since it stays until the job is answered.
    offered: Vec<Segment>,
    _memory: PhantomData<(&'a [u8], &'a mut [u8])>,
}

/// One side: the pieces that have bytes.
#[derive(Debug, Default)]
struct Side {
    pieces: Vec<Segment>,
    len: usize,
}

impl Side {
    fn push(&mut self, start: NonNull<u8>, len: usize) {
        if len != 0 {
            self.pieces.push(Segment { address: start.as_ptr().expose_provenance() as u64, len: len as u64 });
            // Pieces of a source may be the same memory, so the sum of their lengths may be anything.
            self.len = self.len.saturating_add(len);
        }
    }

    /// The only piece, or an empty one if there is none. `None` if there are more.
    fn only(&self) -> Option<(NonNull<u8>, usize)> {
        match self.pieces[..] {
            [] => Some((NonNull::dangling(), 0)),
            [piece] => Some(range(&piece)),
            _ => None,
        }
    }
}

impl<'a> Pieces<'a> {
    /// What a job reads, and where it writes.
    ///
    /// ```
    /// # use uaccel_runtime::Pieces;
    /// use std::io::{IoSlice, IoSliceMut};
    ///
    /// let (head, body) = ([1; 16], vec![2; 1000]);
    /// let (mut first, mut second) = ([0; 100], vec![0; 2000]);
    /// let pieces = Pieces::new([&head[..], &body], [&mut first[..], &mut second]);
    /// assert_eq!((pieces.source_len(), pieces.room()), (1016, 2100));
    ///
    /// // Or, of what vectored calls of `std::io` take:
    /// let (from, mut to) = ([IoSlice::new(&head), IoSlice::new(&body)], [IoSliceMut::new(&mut first)]);
    /// let pieces = Pieces::new(from.iter().map(|piece| &piece[..]), to.iter_mut().map(|piece| &mut piece[..]));
    /// ```
    pub fn new(
        source: impl IntoIterator<Item = &'a [u8]>,
        destination: impl IntoIterator<Item = &'a mut [u8]>,
    ) -> Self {
        let mut sides = [Side::default(), Side::default()];
        for piece in source {
            sides[0].push(NonNull::from(piece).cast(), piece.len());
        }
        for piece in destination {
            let len = piece.len();
            sides[1].push(NonNull::from(piece).cast(), len);
        }
        let [source, destination] = sides;
        Self { source, destination, offered: Vec::new(), _memory: PhantomData }
    }

    /// Bytes to read.
    #[must_use]
    pub fn source_len(&self) -> usize {
        self.source.len
    }

    /// Room to write, in bytes.
    #[must_use]
    pub fn room(&self) -> usize {
        self.destination.len
    }

    /// Whether a queue that was granted this takes them as they are.
    pub(crate) fn are_taken(&self, granted: &Capabilities) -> bool {
        granted.scatter && self.most() <= granted.pieces
    }

    /// The most pieces of one side, those without bytes aside.
    pub(crate) fn most(&self) -> usize {
        self.source.pieces.len().max(self.destination.pieces.len())
    }

    /// The source, if it is in one piece.
    pub(crate) fn only_source(&self) -> Option<(NonNull<u8>, usize)> {
        self.source.only()
    }

    /// The destination, if it is in one piece.
    pub(crate) fn only_destination(&self) -> Option<(NonNull<u8>, usize)> {
        self.destination.only()
    }

    /// Where what is read is.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        self.source.pieces.iter().map(range)
    }

    /// Where is written.
    pub(crate) fn destinations(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        self.destination.pieces.iter().map(range)
    }

    /// Names the lists in a job, which has `room` bytes to write. They stay as they are until this is called again, or dropped.
    pub(crate) fn name_in(&mut self, job: &mut Job, room: usize) {
        let destination = if room < self.destination.len {
            self.offer(room);
            &self.offered
        } else {
            &self.destination.pieces
        };
        (job.source, job.source_len) = (self.source.pieces.as_ptr().cast(), self.source.pieces.len());
        (job.destination, job.destination_len) = (destination.as_ptr().cast_mut().cast(), destination.len());
    }

    /// Cuts the destination to so many bytes.
    fn offer(&mut self, room: usize) {
        let mut left = room as u64;
        let cut = self.destination.pieces.iter().map(|piece| {
            let len = piece.len.min(left);
            left -= len;
            Segment { len, ..*piece }
        });
        self.offered.clear();
        self.offered.extend(cut.take_while(|piece| piece.len != 0));
    }
}

fn range(piece: &Segment) -> (NonNull<u8>, usize) {
    // Neither is cut short: both were a pointer and a length of this process.
    let (address, len) = (usize::try_from(piece.address).unwrap_or(0), usize::try_from(piece.len).unwrap_or(0));
    (NonNull::new(std::ptr::with_exposed_provenance_mut(address)).unwrap_or(NonNull::dangling()), len)
}

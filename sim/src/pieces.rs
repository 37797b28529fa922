//! What a job has beyond flat memory and an outcome.

use core::fmt;

use uaccel_queue::{Outcome, Status};

use crate::{Access, AddressSpace, MemoryPort, PageRequest, Span};

/// A list of the pieces that a range of a job's memory is made of, in a layout of the device's own.
///
/// It stands in memory itself, and is read piece by piece: the stages read what it wants, and go on when it wants nothing more.
pub trait PieceList: fmt::Debug + Send {
    /// What is to be read next; `None` when all pieces are known.
    fn wants(&self) -> Option<Span>;

    /// Takes what it wanted.
    ///
    /// # Errors
    /// How the job ends if the list makes no sense.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Status>;

    /// The pieces, as far as they are known. Together they are at least as long as the range.
    fn pieces(&self) -> &[Span];
}

/// What a job has beyond flat memory and an outcome. Seldom needed, hence behind one pointer.
#[derive(Debug, Default)]
pub struct Extra {
    /// What the source is made of, if it is not flat.
    source: Option<Pieces>,
    /// What the destination is made of, if it is not flat.
    destination: Option<Pieces>,
    /// Where what a job leaves besides its destination goes, if anywhere.
    pub(crate) second: u64,
    /// What it leaves.
    pub(crate) aftermath: Aftermath,
    /// How much of it is out.
    pub(crate) scattered: usize,
    /// What of a list was read that is not read whole.
    partial: Vec<u8>,
    /// How much of that.
    done: usize,
}

/// What a job leaves besides its destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aftermath {
    /// Bytes that go to where the job's [`Extra`] says.
    pub bytes: Vec<u8>,
    /// What the answer says, in the model's own layout.
    pub words: Vec<u32>,
}

/// A list, and what is known of it.
#[derive(Debug)]
pub(crate) struct Pieces {
    list: Box<dyn PieceList>,
    /// Where in the range each piece ends: there may be many, and none is looked for one by one.
    ends: Vec<usize>,
}

impl Pieces {
    fn new(list: Box<dyn PieceList>) -> Self {
        Self { list, ends: Vec::new() }
    }

    /// Notes where the pieces end that are known by now.
    fn measure(&mut self) {
        let mut end = self.ends.last().copied().unwrap_or(0);
        for piece in self.list.pieces().iter().skip(self.ends.len()) {
            end = piece.len.saturating_add(end);
            self.ends.push(end);
        }
    }
}

/// Why a list is not known yet.
pub(crate) enum Unknown {
    Parked(PageRequest),
    Ended(Outcome),
}

impl Extra {
    /// A source and a destination that are in pieces, where there is a list.
    #[must_use]
    pub fn in_pieces(source: Option<Box<dyn PieceList>>, destination: Option<Box<dyn PieceList>>) -> Self {
        Self { source: source.map(Pieces::new), destination: destination.map(Pieces::new), ..Self::default() }
    }

    /// The job's source.
    pub(crate) fn source(&self, span: Span) -> Range<'_> {
        self.source.as_ref().map_or(Range::Flat(span), Range::Pieces)
    }

    /// The job's destination.
    pub(crate) fn destination(&self, span: Span) -> Range<'_> {
        self.destination.as_ref().map_or(Range::Flat(span), Range::Pieces)
    }

    /// The same, of a job that leaves bytes at this address as well: those of its [`Aftermath`].
    #[must_use]
    pub fn with_second(self, address: u64) -> Self {
        Self { second: address, ..self }
    }

    /// What the job has left.
    #[must_use]
    pub fn aftermath(&self) -> &Aftermath {
        &self.aftermath
    }

    /// Reads the lists, as far as they are there.
    pub(crate) fn resolve<P: MemoryPort>(&mut self, port: &P, space: AddressSpace) -> Result<(), Unknown> {
        let Self { source, destination, partial, done, .. } = self;
        for pieces in [source, destination].into_iter().flatten() {
            let list = &mut pieces.list;
            while let Some(span) = list.wants() {
                partial.resize(span.len, 0);
                while *done < span.len {
                    match port.read(space, span.address.wrapping_add(*done as u64), &mut partial[*done..]) {
                        Access::Ready(count) => *done += count.min(span.len - *done),
                        Access::Fault(fault) => return Err(Unknown::Ended(Outcome::faulted(fault))),
                        Access::Pending(request) => return Err(Unknown::Parked(request)),
                    }
                }
                *done = 0;
                list.take(partial).map_err(|status| Unknown::Ended(Outcome::failed(status)))?;
            }
            pieces.measure();
        }
        Ok(())
    }
}

/// A range of a job's memory: flat, or in pieces.
#[derive(Clone, Copy)]
pub(crate) enum Range<'a> {
    Flat(Span),
    Pieces(&'a Pieces),
}

impl Range<'_> {
    /// What of the range lies in one piece from its byte number `at` on, and at most `most` bytes of it. Empty behind the end.
    pub(crate) fn from(&self, at: usize, most: usize) -> Span {
        match self {
            Self::Flat(span) => Span::new(span.address.wrapping_add(at as u64), most),
            Self::Pieces(Pieces { list, ends }) => {
                let index = ends.partition_point(|end| *end <= at);
                let Some(piece) = list.pieces().get(index).filter(|_| index < ends.len()) else {
                    return Span::default();
                };
                let skip = at - index.checked_sub(1).map_or(0, |before| ends[before]);
                Span::new(piece.address.wrapping_add(skip as u64), most.min(piece.len - skip))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Known(Vec<Span>);

    impl PieceList for Known {
        fn wants(&self) -> Option<Span> {
            None
        }

        fn take(&mut self, _: &[u8]) -> Result<(), Status> {
            Ok(())
        }

        fn pieces(&self) -> &[Span] {
            &self.0
        }
    }

    #[test]
    fn a_byte_is_found_in_its_piece_whatever_stands_before_it() {
        let spans = [(100, 3), (50, 0), (200, 1), (300, usize::MAX), (400, 5)];
        let mut pieces = Pieces::new(Box::new(Known(spans.map(|(address, len)| Span::new(address, len)).to_vec())));
        pieces.measure();
        pieces.measure();
        let range = Range::Pieces(&pieces);
        let found: Vec<Span> = [0, 2, 3, 4, 10].map(|at| range.from(at, 7)).to_vec();
        assert_eq!(found, [(100, 3), (102, 1), (200, 1), (300, 7), (306, 7)].map(|(at, len)| Span::new(at, len)));
        assert_eq!(range.from(usize::MAX, 1), Span::default());
        assert_eq!(Range::Flat(Span::new(8, 8)).from(4, 2), Span::new(12, 2));
    }
}

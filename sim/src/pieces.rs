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
    pub(crate) source: Option<Box<dyn PieceList>>,
    /// What the destination is made of, if it is not flat.
    pub(crate) destination: Option<Box<dyn PieceList>>,
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

/// Why a list is not known yet.
pub(crate) enum Unknown {
    Parked(PageRequest),
    Ended(Outcome),
}

impl Extra {
    /// A source and a destination that are in pieces, where there is a list.
    #[must_use]
    pub fn in_pieces(source: Option<Box<dyn PieceList>>, destination: Option<Box<dyn PieceList>>) -> Self {
        Self { source, destination, ..Self::default() }
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
        for list in [source, destination].into_iter().flatten() {
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
        }
        Ok(())
    }
}

/// A range of a job's memory: flat, or in pieces.
#[derive(Clone, Copy)]
pub(crate) enum Range<'a> {
    Flat(Span),
    Pieces(&'a [Span]),
}

impl<'a> Range<'a> {
    pub(crate) fn new(span: Span, list: Option<&'a dyn PieceList>) -> Self {
        list.map_or(Self::Flat(span), |list| Self::Pieces(list.pieces()))
    }

    /// What of the range lies in one piece from its byte number `at` on, and at most `most` bytes of it. Empty behind the end.
    pub(crate) fn from(&self, at: usize, most: usize) -> Span {
        match self {
            Self::Flat(span) => Span::new(span.address.wrapping_add(at as u64), most),
            Self::Pieces(pieces) => {
                let mut skip = at;
                for piece in *pieces {
                    if skip < piece.len {
                        return Span::new(piece.address.wrapping_add(skip as u64), most.min(piece.len - skip));
                    }
                    skip -= piece.len;
                }
                Span::default()
            }
        }
    }
}

//! Jobs in pieces on a queue that takes none: what they read is brought together first, and what comes of them is spread.

use std::ptr::NonNull;
use std::sync::Arc;
use std::{io, slice};

use uaccel_queue::{Family, JobFlags, Outcome};
use zeroize::Zeroize;

use crate::pair::Pair;
use crate::pieces::Pieces;
use crate::queue_core::QueueCore;
use crate::work::{RawWork, room_needed};
use crate::{Error, scope};

/// Runs one job over a pair to its end, in one piece.
#[cold]
pub(crate) fn run_one(
    core: &Arc<QueueCore>,
    pair: &mut Pair,
    work: &RawWork<'_>,
    pieces: &Pieces<'_>,
) -> Result<Outcome, Error> {
    let (operation, len, limit) = (work.operation, pieces.source_len() as u64, pair.granted.max_transfer);
    if len > limit {
        return Err(Error::TooLarge { operation, len, limit });
    }
    let mut gathered = Gathered::new(work, pieces)?;
    core.tally.gathered.add_alone(1);
    core.tally.gathered_bytes.add_alone(gathered.source.as_ref().map_or(0, Vec::len) as u64);
    let outcome = scope::run_one(core, pair, &gathered.work(work))?;
    core.tally.gathered_bytes.add_alone(gathered.spread(&outcome) as u64);
    Ok(outcome)
}

/// The one piece that stands for each side of a job that has more.
#[derive(Debug)]
struct Gathered<'w> {
    pieces: &'w Pieces<'w>,
    source: Option<Vec<u8>>,
    room: Option<Vec<u8>>,
    /// Whether nothing of them may be left behind in memory.
    secret: bool,
}

impl<'w> Gathered<'w> {
    /// Brings together what a job reads, and gets room for what it writes.
    fn new(work: &RawWork<'_>, pieces: &'w Pieces<'w>) -> Result<Self, Error> {
        let family = work.session.map(|session| session.spec().algorithm().family());
        let mut gathered = Self { pieces, source: None, room: None, secret: family != Some(Family::Compression) };
        if pieces.only_source().is_none() {
            let source = gathered.source.insert(empty(pieces.source_len())?);
            for (start, len) in pieces.sources() {
                // SAFETY: a piece is borrowed as long as the pieces are, and nobody writes it meanwhile.
                source.extend_from_slice(unsafe { slice::from_raw_parts(start.as_ptr(), len) });
            }
        }
        if pieces.only_destination().is_none() {
            // No more than the operation can use.
            let room = room_needed(work).map_or(pieces.room(), |needed| needed.min(pieces.room()));
            gathered.room = Some(empty(room)?);
        }
        Ok(gathered)
    }

    /// The job in one piece.
    fn work<'s>(&mut self, work: &RawWork<'s>) -> RawWork<'s> {
        let mut one = *work;
        one.flags.remove(JobFlags::SCATTER);
        if let Some((start, len)) = self.pieces.only_source() {
            (one.source, one.source_len) = (start.as_ptr(), len);
        }
        if let Some(source) = &self.source {
            (one.source, one.source_len) = (source.as_ptr(), source.len());
        }
        if let Some((start, len)) = self.pieces.only_destination() {
            (one.destination, one.destination_len) = (start.as_ptr(), len);
        }
        if let Some(room) = &mut self.room {
            one.flags.insert(JobFlags::UNINIT_DESTINATION);
            (one.destination, one.destination_len) = (room.as_mut_ptr(), room.capacity().min(self.pieces.room()));
        }
        one
    }

    /// Brings what a job that ended well has written to where it belongs, and says how many bytes that are.
    fn spread(&mut self, outcome: &Outcome) -> usize {
        let Some(room) = &mut self.room else { return 0 };
        let written = usize::try_from(outcome.produced).unwrap_or(usize::MAX).min(room.capacity());
        // SAFETY: there is room for so many bytes, and they were written.
        unsafe { room.set_len(written) };
        let mut rest = &room[..];
        for (start, len) in self.pieces.destinations() {
            let (here, behind) = rest.split_at(len.min(rest.len()));
            // SAFETY: a piece is borrowed for writing as long as the pieces are; the other is memory of our own.
            unsafe { start.copy_from_nonoverlapping(NonNull::from(here).cast(), here.len()) };
            rest = behind;
        }
        written
    }
}

/// A buffer with room for exactly so many bytes.
fn empty(len: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let memory = bytes.try_reserve_exact(len);
    memory.map_err(|error| Error::System {
        call: "allocation",
        source: io::Error::new(io::ErrorKind::OutOfMemory, error),
    })?;
    Ok(bytes)
}

impl Drop for Gathered<'_> {
    fn drop(&mut self) {
        if self.secret {
            // Of a vector all of its capacity is wiped, whatever was written to it.
            [&mut self.source, &mut self.room].into_iter().flatten().for_each(Zeroize::zeroize);
        }
    }
}

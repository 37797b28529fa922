//! Gzip in several members, each small enough for the device.

use uaccel_runtime::{Algorithm, Error, Operation, Outcome, Pieces, Runtime, Session, Work};

use crate::batch::{self, Item};
use crate::detour::max_transfer;

/// The most bytes of text whose member, at its worst, is within what the device writes in one job.
pub(crate) fn member_len(runtime: &Runtime) -> usize {
    let limit = max_transfer(runtime);
    let fits = |len: usize| bound(len).is_some_and(|most| most <= limit);
    // Halving: the bound has no inverse.
    let (mut fitting, mut too_long) = (1, limit);
    while fitting + 1 < too_long {
        let middle = fitting + (too_long - fitting) / 2;
        *(if fits(middle) { &mut fitting } else { &mut too_long }) = middle;
    }
    fitting
}

/// The room that is enough for one member of `len` bytes of text.
pub(crate) fn bound(len: usize) -> Option<usize> {
    uaccel_units::bound(Algorithm::Gzip, len as u64).and_then(|most| usize::try_from(most).ok())
}

/// The room that is enough for `len` bytes of text in members of `member_len` bytes each.
pub(crate) fn bound_of_all(len: usize, member_len: usize) -> Option<usize> {
    let rest = len % member_len;
    let whole = bound(member_len)?.checked_mul(len / member_len)?;
    // No text at all is one member as well.
    if rest == 0 && len != 0 { Some(whole) } else { whole.checked_add(bound(rest)?) }
}

/// One member on its way.
struct Member<'a> {
    session: &'a Session,
    pieces: Pieces<'a>,
}

impl Item for Member<'_> {
    fn work(&mut self) -> Work<'_> {
        Work::session_in_pieces(self.session, &mut self.pieces)
    }

    fn len(&self) -> usize {
        self.pieces.source_len()
    }

    fn room(&self) -> usize {
        self.pieces.room()
    }
}

/// Cuts a text that is in pieces into what becomes a member each.
fn chunks<'a>(text: &[&'a [u8]], member_len: usize) -> Vec<Vec<&'a [u8]>> {
    let (mut chunks, mut left) = (Vec::new(), 0);
    for mut rest in text.iter().copied() {
        while !rest.is_empty() {
            if left == 0 {
                chunks.push(Vec::new());
                left = member_len;
            }
            let (piece, behind) = rest.split_at(left.min(rest.len()));
            if let Some(chunk) = chunks.last_mut() {
                chunk.push(piece);
            }
            left -= piece.len();
            rest = behind;
        }
    }
    chunks
}

/// Compresses a text that is in pieces into several members at once.
pub(crate) fn compress_all(
    runtime: &Runtime,
    session: &Session,
    text: &[&[u8]],
    member_len: usize,
) -> Result<Vec<u8>, Error> {
    let operation = Operation::Compress;
    let too_long = Error::InvalidInput { operation, reason: "too long for this address space" };
    let len = text.iter().try_fold(0, |len: usize, piece| len.checked_add(piece.len()));
    let room_all = len.and_then(|len| bound_of_all(len, member_len));
    let (Some(room_each), Some(room_all)) = (bound(member_len), room_all) else { return Err(too_long) };
    let mut output = vec![0; room_all];
    let mut members: Vec<_> = chunks(text, member_len)
        .into_iter()
        .zip(output.chunks_mut(room_each))
        .map(|(text, room)| Member { session, pieces: Pieces::new(text, [room]) })
        .collect();
    let results = batch::run_all(runtime, &mut members);
    drop(members);
    let mut end = 0;
    for (index, result) in results.into_iter().enumerate() {
        let start = index * room_each;
        let len = written(&result?);
        output.copy_within(start..start + len, end);
        end += len;
    }
    output.truncate(end);
    Ok(output)
}

/// Compresses into one member after the other, for a room that may not be enough for their worst case.
pub(crate) fn compress_each(
    runtime: &Runtime,
    session: &Session,
    text: &[u8],
    member_len: usize,
    destination: &mut [u8],
) -> Result<usize, Error> {
    let room = destination.len() as u64;
    let mut end = 0;
    for text_of_member in text.chunks(member_len) {
        match runtime.run(Work::session(session, text_of_member, &mut destination[end..])) {
            Ok(outcome) => end += written(&outcome),
            Err(Error::OutputTooSmall { operation, .. }) => {
                let needed = bound_of_all(text.len(), member_len).map(|needed| needed as u64);
                return Err(Error::OutputTooSmall { operation, needed, room });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(end)
}

/// Bytes an outcome says were written. The runtime has checked them against the room, which is a length.
pub(crate) fn written(outcome: &Outcome) -> usize {
    usize::try_from(outcome.produced).unwrap_or(usize::MAX)
}

//! Lists of pieces, as the engine reads them.

use std::mem;
use std::sync::Arc;

use uaccel_hisi_abi::zip::{ListEntry, ListHead};
use uaccel_queue::{Cells, Job, Segment, Token};

/// Lists of jobs in pieces, each slot's in memory of its own. They are in memory of this process, as what they name: the device reads them by the same way.
#[derive(Debug)]
pub(super) struct Lists {
    slots: Box<[Slot]>,
    /// Says which of the jobs are in flight.
    cells: Arc<Cells>,
}

/// The lists of the job that a slot had last.
#[derive(Debug, Default)]
struct Slot {
    job: Option<Token>,
    lines: Vec<Line>,
}

/// A head, or two entries.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Line([u8; 64]);

const _: () = {
    assert!(align_of::<Line>() as u64 == ListHead::ALIGN && size_of::<Line>() == ListHead::SIZE);
    assert!(ListEntry::SIZE * 2 == ListHead::SIZE);
};

/// Entries of one list.
const ROOM: usize = ListHead::MOST as usize;
/// Lines of one list: its head, and its entries.
const STRIDE: usize = 1 + ROOM.div_ceil(2);

impl Lists {
    /// The most pieces of one side of a job: the count of a chain has 16 bits, and 255 lists of 255 pieces are as many as the engine's model reads.
    pub(super) const MOST: usize = ROOM * ROOM;

    /// For the jobs of a table.
    pub(super) fn new(cells: Arc<Cells>) -> Self {
        Self { slots: (0..cells.depth()).map(|_| Slot::default()).collect(), cells }
    }

    /// Writes the lists of a job, and says where they are.
    ///
    /// # Safety
    /// The job has [`JobFlags::SCATTER`](uaccel_queue::JobFlags::SCATTER), no more than [`MOST`](Self::MOST) pieces, was handed to `submit`, and is not seen by the device yet.
    #[cold]
    pub(super) unsafe fn put(&mut self, job: &Job) -> (u64, u64) {
        let slot = &mut self.slots[job.token.slot()];
        // SAFETY: the caller's promise.
        let (source, destination) = unsafe { (job.source_pieces(), job.destination_pieces()) };
        slot.job = Some(job.token);
        // The slot is this job's, so the one before it was answered: the device has done with what stands there.
        slot.lines.clear();
        slot.lines.resize(lines(source) + lines(destination), Line([0; 64]));
        let (first, second) = slot.lines.split_at_mut(lines(source));
        (chain(first, source), chain(second, destination))
    }
}

/// The pieces that have bytes.
fn full(pieces: &[Segment]) -> impl Iterator<Item = &Segment> + Clone {
    pieces.iter().filter(|piece| piece.len > 0)
}

/// Lines of the lists of these pieces. There is one list at least.
fn lines(pieces: &[Segment]) -> usize {
    full(pieces).count().div_ceil(ROOM).max(1) * STRIDE
}

/// Writes lists of these pieces, each of which names the next, and says where the first is.
fn chain(lines: &mut [Line], pieces: &[Segment]) -> u64 {
    let start = lines.as_mut_ptr().expose_provenance() as u64;
    let (mut left, mut pieces) = (full(pieces).count(), full(pieces));
    let count = |pieces: usize| u16::try_from(pieces).unwrap_or(u16::MAX);
    let all = left;
    for (number, list) in lines.chunks_exact_mut(STRIDE).enumerate() {
        let entries = left.min(ROOM);
        left -= entries;
        let next = if left > 0 { start + ((number + 1) * STRIDE * size_of::<Line>()) as u64 } else { 0 };
        let (head, places) = list.split_at_mut(1);
        head[0].0 = ListHead { next, chain: count(all), entries: count(entries), room: ListHead::MOST }.encode();
        let places = places.iter_mut().flat_map(|line| line.0.chunks_exact_mut(ListEntry::SIZE));
        for (place, piece) in places.zip(pieces.by_ref().take(entries)) {
            let len = u32::try_from(piece.len).unwrap_or(u32::MAX);
            place.copy_from_slice(&ListEntry { address: piece.address, len }.encode());
        }
    }
    start
}

/// What a job in flight names stays where it is, though nobody will use it any more.
impl Drop for Lists {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            if slot.job.is_some_and(|job| self.cells.is_live(job)) {
                mem::forget(mem::take(&mut slot.lines));
            }
        }
    }
}

//! The slots of a queue that nobody uses, and those that were built and not yet submitted.

use uaccel_queue::MAX_DEPTH;

/// A line of slots, through which each goes in the same order: it is free, it is built, it is submitted and leaves; when
/// it is answered it joins the line again at the end.
///
/// So jobs of one batch stand side by side, and so do the answers of one poll: a driver reads the ones and writes the
/// others where they are. A slot rests as long as possible before it is used again, which is good for late answers, and
/// for a processor that is still at the last one.
///
/// The line moves through an array with room for twice the largest queue, and now and then back to its start.
#[derive(Debug)]
pub(crate) struct SlotLine {
    slots: Box<[u32; ROOM]>,
    // `submitted` ≤ `built` ≤ `end`, and no more than `MAX_DEPTH` between the first and the last.
    submitted: usize,
    built: usize,
    end: usize,
}

const ROOM: usize = 2 * MAX_DEPTH;

impl SlotLine {
    /// A line of the free slots 0 to `depth` − 1.
    #[allow(clippy::cast_possible_truncation, reason = "below twice MAX_DEPTH")]
    pub(crate) fn new(depth: usize) -> Self {
        debug_assert!(depth <= MAX_DEPTH, "{depth} slots");
        Self { slots: Box::new(std::array::from_fn(|slot| slot as u32)), submitted: 0, built: 0, end: depth }
    }

    /// Whether there is a free slot.
    #[inline]
    pub(crate) fn has_free(&self) -> bool {
        self.built != self.end
    }

    /// The next free slot, which stays so. There is one.
    #[inline]
    pub(crate) fn next(&self) -> usize {
        debug_assert!(self.has_free(), "somebody has looked");
        // The remainder tells the compiler that the place is inside.
        self.slots[self.built % ROOM] as usize
    }

    /// Counts the slot that [`next`](Self::next) said as built.
    #[inline]
    pub(crate) fn built(&mut self) {
        debug_assert!(self.has_free(), "there was a next slot");
        self.built += 1;
    }

    /// How many slots are free.
    pub(crate) fn free(&self) -> usize {
        self.end - self.built
    }

    /// Whether no slot is built and not submitted.
    #[inline]
    pub(crate) fn is_submitted(&self) -> bool {
        self.built == self.submitted
    }

    /// Slots that are built and not submitted, from the oldest on.
    #[inline]
    pub(crate) fn staged(&self) -> &[u32] {
        &self.slots[self.submitted..self.built]
    }

    /// The first `count` built slots were submitted.
    #[inline]
    pub(crate) fn submitted(&mut self, count: usize) {
        debug_assert!(count <= self.built - self.submitted, "{count} jobs were not built");
        self.submitted += count;
    }

    /// Of the built slots, those for which `gone` says so were submitted, wherever they stand. Says how many.
    pub(crate) fn submitted_where(&mut self, gone: impl Fn(u32) -> bool) -> usize {
        let staged = &mut self.slots[self.submitted..self.built];
        // Stable, so what is left keeps its order.
        staged.sort_by_key(|slot| !gone(*slot));
        let count = staged.iter().take_while(|slot| gone(**slot)).count();
        self.submitted += count;
        count
    }

    /// Slots that were built and not submitted are free again, after `each` has seen them.
    #[inline]
    pub(crate) fn discard_staged(&mut self, mut each: impl FnMut(u32)) {
        while self.built != self.submitted {
            self.built -= 1;
            each(self.slots[self.built % ROOM]);
        }
    }

    /// Where the slots of the next answers go: enough places for all slots that are away.
    #[inline]
    pub(crate) fn places(&mut self) -> &mut [u32] {
        if self.end > MAX_DEPTH {
            self.move_back();
        }
        &mut self.slots[self.end..]
    }

    #[cold]
    fn move_back(&mut self) {
        self.slots.copy_within(self.submitted..self.end, 0);
        self.built -= self.submitted;
        self.end -= self.submitted;
        self.submitted = 0;
    }

    /// The slots that stand in the first `count` of [`places`](Self::places) are free. Returns them.
    #[inline]
    pub(crate) fn answered(&mut self, count: usize) -> &[u32] {
        let first = self.end;
        self.end += count;
        &self.slots[first..self.end]
    }

    /// Frees a slot that was away.
    pub(crate) fn release(&mut self, slot: u32) {
        self.places()[0] = slot;
        self.answered(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(line: &mut SlotLine) -> usize {
        assert!(line.has_free());
        let slot = line.next();
        line.built();
        slot
    }

    #[test]
    fn a_slot_comes_back_after_all_the_others() {
        let mut line = SlotLine::new(3);
        assert_eq!([build(&mut line), build(&mut line)], [0, 1]);
        assert_eq!((line.staged(), line.free()), (&[0, 1][..], 1));
        line.submitted(2);
        line.places()[..2].copy_from_slice(&[1, 0]);
        assert_eq!(line.answered(2), [1, 0]);
        assert_eq!([build(&mut line), build(&mut line), build(&mut line)], [2, 1, 0]);
        assert!(!line.has_free());
    }

    #[test]
    fn what_is_not_submitted_is_free_again() {
        let mut line = SlotLine::new(4);
        (0..4).for_each(|_| {
            build(&mut line);
        });
        assert_eq!(line.submitted_where(|slot| slot == 2), 1);
        assert_eq!(line.staged(), [0, 1, 3]);
        let mut discarded = Vec::new();
        line.discard_staged(|slot| discarded.push(slot));
        assert_eq!(discarded, [3, 1, 0]);
        assert!(line.is_submitted());
        assert_eq!((line.free(), line.next()), (3, 0));
        line.release(2);
        assert_eq!(line.free(), 4);
    }

    #[test]
    fn the_order_holds_when_the_line_moves_back() {
        let mut line = SlotLine::new(3);
        for round in 0..3 * MAX_DEPTH {
            let slots = [build(&mut line), build(&mut line)].map(|slot| u32::try_from(slot).expect("a slot"));
            assert_eq!(line.staged(), slots, "round {round}");
            line.submitted(1);
            // Answered while the other one waits to be submitted.
            line.release(slots[0]);
            assert_eq!(line.staged(), &slots[1..], "round {round}");
            line.submitted(1);
            line.release(slots[1]);
        }
        assert_eq!((line.free(), line.is_submitted()), (3, true));
    }
}

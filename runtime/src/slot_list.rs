//! A list of slots that never grows.

use uaccel_queue::MAX_DEPTH;

/// A list of slots with room for all slots that a queue can have. Its size is fixed so that the compiler knows every index to be inside: on the hot
/// path there is neither a check nor code for growing.
#[derive(Debug)]
pub(crate) struct SlotList {
    slots: Box<[u32; MAX_DEPTH]>,
    len: usize,
}

impl SlotList {
    /// A list with these slots.
    pub(crate) fn new(first: impl Iterator<Item = u32>) -> Self {
        let mut list = Self { slots: Box::new([0; MAX_DEPTH]), len: 0 };
        first.for_each(|slot| list.push(slot));
        list
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u32] {
        &self.slots[..self.len]
    }

    /// Appends a slot. There is room: a slot is in one list at a time.
    #[inline]
    pub(crate) fn push(&mut self, slot: u32) {
        debug_assert!(self.len < MAX_DEPTH, "a slot is in one list at a time");
        self.slots[self.len % MAX_DEPTH] = slot;
        self.len += 1;
    }

    /// Appends slots, for which there is room as in [`push`](Self::push).
    #[inline]
    pub(crate) fn extend(&mut self, slots: &[u32]) {
        // Slot by slot: there is often but one, and then a copy in one go costs more.
        let (places, mut len) = (&mut *self.slots, self.len);
        for slot in slots {
            debug_assert!(len < MAX_DEPTH, "a slot is in one list at a time");
            places[len % MAX_DEPTH] = *slot;
            len += 1;
        }
        self.len = len;
    }

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<u32> {
        let last = self.len.checked_sub(1)?;
        self.len = last;
        Some(self.slots[last % MAX_DEPTH])
    }

    #[inline]
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Removes the first `count` slots.
    pub(crate) fn remove_first(&mut self, count: usize) {
        self.slots.copy_within(count..self.len, 0);
        self.len -= count;
    }

    /// Keeps the slots for which `keep` says so.
    pub(crate) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let mut kept = 0;
        for index in 0..self.len {
            let slot = self.slots[index];
            if keep(slot) {
                self.slots[kept] = slot;
                kept += 1;
            }
        }
        self.len = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_leaves_the_rest_in_order() {
        let mut list = SlotList::new(0..6);
        list.remove_first(2);
        list.retain(|slot| slot != 4);
        list.push(7);
        list.push(6);
        assert_eq!(list.as_slice(), [2, 3, 5, 7, 6]);
        assert_eq!(list.pop(), Some(6));
        list.clear();
        assert_eq!(list.pop(), None);
        assert!(list.is_empty());
    }
}

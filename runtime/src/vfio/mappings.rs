//! Which pages are mapped for a device, and who uses them.
//!
//! Pieces do not overlap, are mapped as a whole and unmapped as a whole, which is all that the kernel's interfaces can do. A range that is acquired lies in
//! pieces, each of which counts it as a user; the gaps between those that were there become pieces of their own. A piece stays as it is while it
//! has users, so whoever releases a range meets exactly the pieces that counted it.
//!
//! A page of which a range is only a part may be a neighbour's, too, who may use it for longer. So it is a piece of its own: did it lie in one with the pages behind it,
//! the neighbour would keep those as well, while their owner gives them back, and whoever gets the addresses next would find the old pages mapped.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;

use nix::libc;

use super::mapper::Mapper;

/// Pages mapped for a device. Addresses are those of this process, and the device's are the same.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    /// By first address.
    pieces: BTreeMap<usize, Piece>,
    /// Bytes of all pieces.
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    end: usize,
    write: bool,
    users: usize,
}

/// Why pages could not be acquired. Nothing has changed then, but that pieces without users may be gone.
#[derive(Debug)]
pub(super) enum Unmapped {
    /// The page cannot be pinned for this access.
    Fault(usize),
    /// The page is in use as memory that is only read.
    ReadOnly(usize),
    /// The page is in no piece, and none may be made.
    Absent(usize),
    /// The kernel refused this range.
    Kernel(Range<usize>, io::Error),
}

impl Mappings {
    /// Counts a user of the pages around `bytes`, and maps what of them is not mapped yet. `bytes` is not empty; pages are the mapper's, and there is a whole one
    /// around its end.
    pub(super) fn acquire(
        &mut self,
        mapper: &dyn Mapper,
        page: usize,
        bytes: Range<usize>,
        write: bool,
    ) -> Result<(), Unmapped> {
        let whole = bytes.start.next_multiple_of(page)..bytes.end - bytes.end % page;
        let pages = bytes.start - bytes.start % page..bytes.end.next_multiple_of(page);
        self.give_way(mapper, &pages, write)?;
        // Counted first: what is there already must not go to make room for the rest.
        self.over(&pages).for_each(|(_, piece)| piece.users += 1);
        let gaps: Vec<_> = self.gaps(&pages).into_iter().flat_map(|gap| cut(gap, &whole)).collect();
        for (number, gap) in gaps.iter().enumerate() {
            match self.map(mapper, page, gap, write) {
                Ok(write) => {
                    self.bytes += gap.len();
                    self.pieces.insert(gap.start, Piece { end: gap.end, write, users: 1 });
                }
                Err(error) => {
                    gaps[..number].iter().for_each(|gap| self.end(mapper, gap.start));
                    self.over(&pages).for_each(|(_, piece)| piece.users -= 1);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Counts a user of `pages` if all of it is in use by others.
    pub(super) fn join(&mut self, pages: Range<usize>, write: bool) -> Result<(), Unmapped> {
        let mut at = pages.start;
        for (start, piece) in self.over(&pages) {
            if start > at || piece.users == 0 {
                break;
            }
            if write && !piece.write {
                return Err(Unmapped::ReadOnly(at));
            }
            at = piece.end;
        }
        if at < pages.end {
            return Err(Unmapped::Absent(at));
        }
        self.over(&pages).for_each(|(_, piece)| piece.users += 1);
        Ok(())
    }

    /// Takes back one [`acquire`](Self::acquire) or [`join`](Self::join) of the same pages. Pieces that nobody uses any more are unmapped, unless
    /// they are to be kept.
    pub(super) fn release(&mut self, mapper: &dyn Mapper, pages: Range<usize>, keep: bool) {
        let mut idle = Vec::new();
        for (start, piece) in self.over(&pages) {
            debug_assert!(piece.users > 0, "page {start:#x} is released more often than it was acquired");
            piece.users = piece.users.saturating_sub(1);
            if piece.users == 0 {
                idle.push(start);
            }
        }
        if !keep {
            idle.into_iter().for_each(|start| self.end(mapper, start));
        }
    }

    /// Unmaps every piece that nobody uses; says whether there was one.
    pub(super) fn drop_idle(&mut self, mapper: &dyn Mapper) -> bool {
        let idle: Vec<_> = self.pieces.iter().filter(|(_, piece)| piece.users == 0).map(|(start, _)| *start).collect();
        idle.iter().for_each(|start| self.end(mapper, *start));
        !idle.is_empty()
    }

    /// Unmaps every piece, whoever uses it.
    pub(super) fn end_all(&mut self, mapper: &dyn Mapper) {
        for (start, piece) in std::mem::take(self).pieces {
            if let Err(error) = mapper.unmap(start as u64, piece.end - start) {
                // They may have gone with the device.
                tracing::debug!(start = format_args!("{start:#x}"), %error, "pages are not unmapped");
            }
        }
    }

    /// Bytes that are mapped.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Unmaps pieces that cannot stay as they are: pages that are to be written and were mapped for reading.
    fn give_way(&mut self, mapper: &dyn Mapper, pages: &Range<usize>, write: bool) -> Result<(), Unmapped> {
        if !write {
            return Ok(());
        }
        let read_only: Vec<_> =
            self.over(pages).filter(|(_, piece)| !piece.write).map(|(at, p)| (at, p.users)).collect();
        if let Some((start, _)) = read_only.iter().find(|(_, users)| *users != 0) {
            return Err(Unmapped::ReadOnly((*start).max(pages.start)));
        }
        read_only.into_iter().for_each(|(start, _)| self.end(mapper, start));
        Ok(())
    }

    /// Maps a gap; for writing, too, if that can be. Says whether it is.
    fn map(&mut self, mapper: &dyn Mapper, page: usize, gap: &Range<usize>, write: bool) -> Result<bool, Unmapped> {
        let mut map = |write| {
            let map = || mapper.map(gap.start as u64, gap.start, gap.len(), write);
            match map() {
                // What is kept for later makes room.
                Err(error) if is_full(&error) && self.drop_idle(mapper) => map(),
                mapped => mapped,
            }
        };
        match map(true) {
            Ok(()) => return Ok(true),
            Err(error) if !is_fault(&error) => return Err(Unmapped::Kernel(gap.clone(), error)),
            Err(_) => {}
        }
        // A page may be one that is only read, of a program's constants or of a file.
        match if write { Err(libc::EFAULT) } else { map(false).map_err(|error| error.raw_os_error().unwrap_or(0)) } {
            Ok(()) => Ok(false),
            Err(libc::EFAULT) => Err(self.first_fault(mapper, page, gap, write)),
            Err(number) => Err(Unmapped::Kernel(gap.clone(), io::Error::from_raw_os_error(number))),
        }
    }

    /// Finds the first page of a range that cannot be pinned. Tries ever shorter parts, and ends what it maps.
    fn first_fault(&mut self, mapper: &dyn Mapper, page: usize, range: &Range<usize>, write: bool) -> Unmapped {
        // All before `good` can be pinned, and not all before `bad`.
        let (mut good, mut bad) = (range.start, range.end);
        while bad - good > page {
            let middle = good + (bad - good) / page / 2 * page;
            let part = middle - good;
            match mapper.map(good as u64, good, part, write) {
                Ok(()) => {
                    if let Err(error) = mapper.unmap(good as u64, part) {
                        tracing::error!(%error, "pages stay mapped for the device");
                    }
                    good = middle;
                }
                Err(error) if is_fault(&error) => bad = middle,
                Err(error) if is_full(&error) && self.drop_idle(mapper) => {}
                Err(error) => return Unmapped::Kernel(good..middle, error),
            }
        }
        Unmapped::Fault(good)
    }

    /// The parts of a range that are in no piece.
    fn gaps(&mut self, pages: &Range<usize>) -> Vec<Range<usize>> {
        let (mut gaps, mut at) = (Vec::new(), pages.start);
        for (start, piece) in self.over(pages) {
            if start > at {
                gaps.push(at..start);
            }
            at = piece.end;
        }
        if at < pages.end {
            gaps.push(at..pages.end);
        }
        gaps
    }

    /// The pieces that a range touches, from the lowest on.
    fn over(&mut self, pages: &Range<usize>) -> impl Iterator<Item = (usize, &mut Piece)> {
        let before = self.pieces.range(..=pages.start).next_back().filter(|(_, piece)| piece.end > pages.start);
        let first = before.map_or(pages.start, |(start, _)| *start);
        self.pieces.range_mut(first..pages.end).map(|(start, piece)| (*start, piece))
    }

    fn end(&mut self, mapper: &dyn Mapper, start: usize) {
        let Some(piece) = self.pieces.remove(&start) else { return };
        let len = piece.end - start;
        self.bytes -= len;
        if let Err(error) = mapper.unmap(start as u64, len) {
            // Pinned pages stay what they are, so this is a leak and no danger; the next mapping there fails, and says so.
            tracing::error!(start = format_args!("{start:#x}"), len, %error, "pages stay mapped for the device");
        }
    }
}

/// A range in up to three parts: what is before `whole`, what is of it, and what is behind. Of a range within one page there is no whole, and one part.
fn cut(range: Range<usize>, whole: &Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let seams = if whole.start < whole.end { [whole.start, whole.end] } else { [whole.start; 2] };
    let [first, second] = seams.map(|seam| seam.clamp(range.start, range.end));
    [range.start..first, first..second, second..range.end].into_iter().filter(|part| !part.is_empty())
}

fn is_fault(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EFAULT)
}

/// Whether there is no room for one more: locked memory, or mappings.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::ENOSPC))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::super::mapper::Reach;
    use super::*;

    const PAGE: usize = 4096;
    const PAGES: usize = 24;

    /// A kernel that takes pages 20 and 21 for read-only, 22 for missing, and has room for so many pages.
    #[derive(Debug)]
    struct Kernel {
        mapped: Mutex<BTreeMap<usize, (usize, bool)>>,
        room: usize,
    }

    impl Kernel {
        fn new(room: usize) -> Self {
            Self { mapped: Mutex::default(), room }
        }

        fn allows(page: usize, write: bool) -> bool {
            page != 22 && !(write && (20..22).contains(&page))
        }

        /// Pages the device can reach, and whether for writing.
        fn pages(&self) -> BTreeMap<usize, bool> {
            let mapped = self.mapped.lock().unwrap();
            mapped
                .iter()
                .flat_map(|(start, (end, write))| (start / PAGE..end / PAGE).map(|page| (page, *write)))
                .collect()
        }
    }

    impl Mapper for Kernel {
        fn reach(&self) -> io::Result<Reach> {
            Ok(Reach { ranges: vec![0..=u64::MAX], page: PAGE, left: None })
        }

        fn map(&self, iova: u64, start: usize, len: usize, write: bool) -> io::Result<()> {
            assert_eq!(iova, start as u64);
            assert!(len > 0 && start.is_multiple_of(PAGE) && len.is_multiple_of(PAGE));
            let range = start / PAGE..(start + len) / PAGE;
            if !range.clone().all(|page| Self::allows(page, write)) {
                return Err(io::Error::from_raw_os_error(libc::EFAULT));
            }
            let there = self.pages();
            assert!(range.clone().all(|page| !there.contains_key(&page)), "{range:?} overlaps {there:?}");
            if there.len() + range.len() > self.room {
                return Err(io::Error::from_raw_os_error(libc::ENOMEM));
            }
            self.mapped.lock().unwrap().insert(start, (start + len, write));
            Ok(())
        }

        fn unmap(&self, iova: u64, len: usize) -> io::Result<()> {
            let start = usize::try_from(iova).unwrap();
            let gone = self.mapped.lock().unwrap().remove(&start);
            assert_eq!(gone.map(|(end, _)| end), Some(start + len), "mappings end as they were made");
            Ok(())
        }
    }

    fn bytes(pages: &Range<usize>) -> Range<usize> {
        pages.start * PAGE..pages.end * PAGE
    }

    #[derive(Clone, Debug)]
    enum Step {
        Acquire(Range<usize>, bool),
        Join(Range<usize>, bool),
        Release(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let range = || (0..PAGES, 1..8usize).prop_map(|(start, len)| start..(start + len).min(PAGES));
        prop_oneof![
            3 => (range(), any::<bool>()).prop_map(|(range, write)| Step::Acquire(range, write)),
            1 => (range(), any::<bool>()).prop_map(|(range, write)| Step::Join(range, write)),
            3 => any::<usize>().prop_map(Step::Release),
        ]
    }

    proptest! {
        #[test]
        fn what_is_in_use_is_reachable_and_what_is_not_is_gone(
            steps in proptest::collection::vec(step(), 1..60), keep in any::<bool>(), room in 6..PAGES,
        ) {
            let kernel = Kernel::new(room);
            let mut mappings = Mappings::default();
            let mut held: Vec<(Range<usize>, bool)> = Vec::new();
            for step in steps {
                match step {
                    Step::Acquire(range, write) => match mappings.acquire(&kernel, PAGE, bytes(&range), write) {
                        Ok(()) => held.push((range, write)),
                        Err(Unmapped::Fault(page)) => {
                            let page = page / PAGE;
                            prop_assert!(range.contains(&page) && !Kernel::allows(page, write), "{page} of {range:?}");
                        }
                        Err(Unmapped::ReadOnly(page)) => prop_assert!(write && !kernel.pages()[&(page / PAGE)]),
                        Err(Unmapped::Kernel(gap, error)) => {
                            prop_assert!(is_full(&error));
                            // What is left is in use, or part of the range.
                            let wanted: BTreeSet<_> = kernel.pages().into_keys().chain(range.clone()).collect();
                            prop_assert!(wanted.len() > room, "there was room for {gap:?}");
                        }
                        Err(Unmapped::Absent(page)) => prop_assert!(false, "page {page:#x} could have been mapped"),
                    },
                    Step::Join(range, write) => match mappings.join(bytes(&range), write) {
                        Ok(()) => held.push((range, write)),
                        Err(Unmapped::Absent(page)) => {
                            prop_assert!(!held.iter().any(|(held, _)| held.contains(&(page / PAGE))), "{page:#x} is in use");
                        }
                        Err(Unmapped::ReadOnly(page)) => prop_assert!(write && !kernel.pages()[&(page / PAGE)]),
                        Err(error) => prop_assert!(false, "{error:?}"),
                    },
                    Step::Release(which) if !held.is_empty() => {
                        let (range, _) = held.swap_remove(which % held.len());
                        mappings.release(&kernel, bytes(&range), keep);
                    }
                    Step::Release(_) => {}
                }
                let there = kernel.pages();
                prop_assert_eq!(mappings.bytes(), there.len() * PAGE);
                for (range, write) in &held {
                    for page in range.clone() {
                        prop_assert!(there.get(&page).is_some_and(|w| *w || !write), "page {} of {:?}", page, range);
                    }
                }
            }
            for (range, _) in held {
                mappings.release(&kernel, bytes(&range), keep);
            }
            prop_assert!(keep || kernel.pages().is_empty());
            mappings.drop_idle(&kernel);
            prop_assert!(kernel.pages().is_empty());
        }
    }

    #[test]
    fn a_neighbour_in_a_page_keeps_that_page_and_no_other() {
        let (kernel, mut mappings) = (Kernel::new(PAGES), Mappings::default());
        // Both ends of the one lie in pages that others are in, too.
        let (one, before, behind) = (PAGE + 100..5 * PAGE + 100, PAGE..PAGE + 100, 5 * PAGE + 100..5 * PAGE + 200);
        for bytes in [&one, &before, &behind] {
            mappings.acquire(&kernel, PAGE, bytes.clone(), true).unwrap();
        }
        assert_eq!(kernel.pages().into_keys().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        mappings.release(&kernel, bytes(&(1..6)), false);
        assert_eq!(kernel.pages().into_keys().collect::<Vec<_>>(), [1, 5], "the rest may be somebody else's by now");
        mappings.release(&kernel, bytes(&(1..2)), false);
        mappings.release(&kernel, bytes(&(5..6)), false);
        assert!(kernel.pages().is_empty());
    }

    #[test]
    fn pages_of_which_a_range_is_only_a_part_are_mapped_by_themselves() {
        let parts = |start, end| {
            let (kernel, mut mappings) = (Kernel::new(PAGES), Mappings::default());
            mappings.acquire(&kernel, PAGE, start..end, true).unwrap();
            let mapped = kernel.mapped.lock().unwrap();
            mapped.iter().map(|(start, (end, _))| (start / PAGE, end / PAGE)).collect::<Vec<_>>()
        };
        assert_eq!(parts(PAGE, 4 * PAGE), [(1, 4)]);
        assert_eq!(parts(PAGE + 1, 4 * PAGE), [(1, 2), (2, 4)]);
        assert_eq!(parts(PAGE, 4 * PAGE - 1), [(1, 3), (3, 4)]);
        assert_eq!(parts(PAGE + 1, 4 * PAGE - 1), [(1, 2), (2, 3), (3, 4)]);
        assert_eq!(parts(PAGE + 1, 3 * PAGE - 1), [(1, 2), (2, 3)]);
        assert_eq!(parts(PAGE + 1, PAGE + 2), [(1, 2)]);
    }

    #[test]
    fn the_first_page_that_cannot_be_had_is_named() {
        let (kernel, mut mappings) = (Kernel::new(PAGES), Mappings::default());
        let acquire = |mappings: &mut Mappings, write| mappings.acquire(&kernel, PAGE, bytes(&(3..24)), write);
        assert!(matches!(acquire(&mut mappings, true), Err(Unmapped::Fault(page)) if page == 20 * PAGE));
        assert!(matches!(acquire(&mut mappings, false), Err(Unmapped::Fault(page)) if page == 22 * PAGE));
        assert!(kernel.pages().is_empty(), "nothing stays of a failure");
    }

    #[test]
    fn memory_that_is_only_read_is_mapped_for_reading() {
        let (kernel, mut mappings) = (Kernel::new(PAGES), Mappings::default());
        mappings.acquire(&kernel, PAGE, bytes(&(19..22)), false).unwrap();
        assert!(!kernel.pages()[&20]);
        let writer = mappings.acquire(&kernel, PAGE, bytes(&(19..20)), true);
        assert!(matches!(writer, Err(Unmapped::ReadOnly(page)) if page == 19 * PAGE), "{writer:?}");
        mappings.release(&kernel, bytes(&(19..22)), true);
        mappings.acquire(&kernel, PAGE, bytes(&(19..20)), true).unwrap();
        assert!(kernel.pages()[&19]);
    }
}

//! The engine's way to memory: one page at a time, translated and copied in one step.

use core::cell::{Cell, RefCell};
use core::sync::atomic::{Ordering, fence};

use uaccel_queue::{Fault, FaultKind};
use uaccel_sim::{Access, AddressSpace, MemoryPort, PageRequest};

use crate::emulator::{Emulator, PAGE, Place, Refusal};
use crate::translations::{Found, Missing, Translations};

/// What an item waits for that has had its turn: the next run of the bottom half. Page requests count from 1.
pub(crate) const NEXT_RUN: PageRequest = PageRequest(0);

/// Pages that are asked for ahead.
const AHEAD: u64 = 16;

/// A word that is to be stored when its page is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Posted {
    pub(crate) request: PageRequest,
    pub(crate) space: AddressSpace,
    pub(crate) address: u64,
    pub(crate) value: u64,
}

/// The engine's way to memory, for one call of a stage or of the model. All calls are made under the emulator's big lock.
#[derive(Debug)]
pub(crate) struct Port<'a, E> {
    translations: &'a Translations<E>,
    /// A page that was just refused: the access that waited for it ends here, without asking for the page again.
    refused: Option<Missing>,
    /// Where words go whose page is not there, for a caller that cannot wait.
    posted: Option<&'a RefCell<Vec<Posted>>>,
    /// Accesses that are left in this run of the bottom half, where they are counted.
    turn: Option<&'a Cell<u32>>,
    faulted: Cell<bool>,
    /// The word that was published last, or posted.
    told: Cell<Option<u64>>,
}

impl<'a, E: Emulator> Port<'a, E> {
    pub(crate) fn new(translations: &'a Translations<E>) -> Self {
        Self { translations, refused: None, posted: None, turn: None, faulted: Cell::new(false), told: Cell::new(None) }
    }

    /// The same, for whatever waited for a page that is not going to come.
    pub(crate) fn after(self, refused: Option<Missing>) -> Self {
        Self { refused, ..self }
    }

    /// The same, for a caller that cannot wait: words are posted. They are stored in the order in which their pages come.
    pub(crate) fn posting(self, posted: &'a RefCell<Vec<Posted>>) -> Self {
        Self { posted: Some(posted), ..self }
    }

    /// The same, for a job, which lets others have their turn.
    pub(crate) fn taking_turns(self, turn: &'a Cell<u32>) -> Self {
        Self { turn: Some(turn), ..self }
    }

    /// Whether an access faulted.
    pub(crate) fn faulted(&self) -> bool {
        self.faulted.get()
    }

    /// The word that was published last, or posted.
    pub(crate) fn told(&self) -> Option<u64> {
        self.told.get()
    }

    fn access<T>(
        &self,
        space: AddressSpace,
        address: u64,
        write: bool,
        act: impl FnOnce(&E, Place) -> Result<T, Refusal>,
    ) -> Access<T> {
        let page = address & !(PAGE - 1);
        let is_refused = self.refused.is_some_and(|missing| missing.page == page && (write || !missing.write));
        let found = if is_refused { Found::Nowhere } else { self.translations.find(space.0, address, write) };
        match found {
            Found::Place(_) if self.turn.is_some_and(|turn| turn.get() == 0) => Access::Pending(NEXT_RUN),
            Found::Place(place) => match act(self.translations.emulator(), place) {
                Ok(value) => {
                    if let Some(turn) = self.turn {
                        turn.set(turn.get() - 1);
                    }
                    Access::Ready(value)
                }
                Err(_) => self.fault(address, write),
            },
            Found::Wait(request) => Access::Pending(request),
            Found::Nowhere => self.fault(address, write),
        }
    }

    /// While an access waits for a page, asks for those behind it that it is going to need: the system brings them in together.
    fn ask_ahead(&self, space: AddressSpace, address: u64, len: usize, write: bool) {
        let Some(last) = address.checked_add(len as u64 - 1) else { return };
        let first = address & !(PAGE - 1);
        let pages = (1..=AHEAD).map_while(|ahead| first.checked_add(ahead * PAGE).filter(|page| *page <= last));
        for page in pages {
            if !self.translations.ask_ahead(space.0, page, write) {
                return;
            }
        }
    }

    fn fault<T>(&self, address: u64, write: bool) -> Access<T> {
        self.faulted.set(true);
        Access::Fault(Fault { address, kind: if write { FaultKind::Write } else { FaultKind::Read } })
    }
}

impl<E: Emulator> MemoryPort for Port<'_, E> {
    fn observe(&self, space: AddressSpace, address: u64) -> Access<u64> {
        if !address.is_multiple_of(8) {
            return self.fault(address, false);
        }
        let word = self.access(space, address, false, |emulator, place| emulator.load(place));
        // Acquire, after the load: pairs with the host's release store of the word.
        fence(Ordering::Acquire);
        word
    }

    fn read(&self, space: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        let len = on_page(address, into.len());
        if len == 0 {
            return Access::Ready(0);
        }
        let access =
            self.access(space, address, false, |emulator, place| emulator.read(place, &mut into[..len]).map(|()| len));
        if matches!(access, Access::Pending(request) if request != NEXT_RUN) {
            self.ask_ahead(space, address, into.len(), false);
        }
        access
    }

    fn write(&self, space: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        let len = on_page(address, from.len());
        if len == 0 {
            return Access::Ready(0);
        }
        let access =
            self.access(space, address, true, |emulator, place| emulator.write(place, &from[..len]).map(|()| len));
        if matches!(access, Access::Pending(request) if request != NEXT_RUN) {
            self.ask_ahead(space, address, from.len(), true);
        }
        access
    }

    fn publish(&self, space: AddressSpace, address: u64, value: u64) -> Access<()> {
        if !address.is_multiple_of(8) {
            return self.fault(address, true);
        }
        self.told.set(Some(value));
        // Release, before the store: pairs with the host's acquire load of the word.
        fence(Ordering::Release);
        match (self.access(space, address, true, |emulator, place| emulator.store(place, value)), self.posted) {
            (Access::Pending(request), Some(posted)) => {
                posted.borrow_mut().push(Posted { request, space, address, value });
                Access::Ready(())
            }
            (access, _) => access,
        }
    }
}

/// How many of `len` bytes at `address` are on its page.
#[allow(clippy::cast_possible_truncation, reason = "at most a page")]
fn on_page(address: u64, len: usize) -> usize {
    len.min((PAGE - address % PAGE) as usize)
}

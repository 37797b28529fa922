//! What the engine asks of the machine emulator it is part of.

use core::fmt;

/// Bytes of a page, the unit of translations and page requests.
pub const PAGE: u64 = 4096;

/// Bytes of a large page.
pub(crate) const LARGE: u64 = 2 << 20;

/// What stands in a PASID's place for the function's own address space, whose accesses carry none: `PCI_NO_PASID` of QEMU's `hw/pci/pci.h`.
pub const NO_PASID: u32 = u32::MAX;

/// A place in the machine's memory, after translation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the emulator's address spaces; only the emulator knows what the number means.
    pub memory: usize,
    /// The address there.
    pub address: u64,
}

impl Place {
    /// The place `offset` bytes behind this one.
    #[must_use]
    pub const fn plus(self, offset: u64) -> Self {
        Self { memory: self.memory, address: self.address.wrapping_add(offset) }
    }
}

/// The answer to a translation request for one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Where the first byte of the page is.
    pub place: Place,
    /// Bytes of the mapping that the page is part of: a power of two, aligned to itself, at least a page. The rest of it is around `place`.
    pub extent: u64,
    /// Whether the page may be read.
    pub readable: bool,
    /// Whether the page may be written.
    pub writable: bool,
}

impl Translation {
    /// Whether it allows an access.
    #[must_use]
    pub const fn allows(&self, write: bool) -> bool {
        if write { self.writable } else { self.readable }
    }
}

impl fmt::Display for Translation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |allowed, letter| if allowed { letter } else { '-' };
        let size = match self.extent {
            PAGE => "",
            LARGE.. => " of a large page",
            _ => " of several",
        };
        write!(f, "{:#x} {}{}{size}", self.place.address, letter(self.readable, 'r'), letter(self.writable, 'w'))
    }
}

/// Why the emulator refuses a request. The number is an error number of its own, negative as it gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no translation for the page; a page request may help.
    #[error("no translation")]
    Untranslated,
    /// There is no such address space.
    #[error("no address space")]
    NoSpace,
    /// The request itself was refused: the capability is not enabled, or no more requests are taken.
    #[error("refused with {0}")]
    Refused(i64),
    /// The memory system had nothing at the place.
    #[error("bus error {0:#x}")]
    Bus(u32),
}

/// What the engine asks of the machine emulator it is part of. All functions but [`schedule`](Self::schedule) are called under the emulator's big lock.
///
/// Where a PASID is asked for, [`NO_PASID`] stands for the function's own address space.
///
/// The emulator in turn tells the engine what happens to its translations and page requests; it may do so from within [`translate`](Self::translate) and
/// [`request_page`](Self::request_page).
pub trait Emulator: Send + Sync + 'static {
    /// Asks for the translation of the page at `page` (ATS).
    ///
    /// # Errors
    /// [`Refusal::Untranslated`] if the page cannot be had as it is, else why the request was refused.
    fn translate(&self, pasid: u32, page: u64, write: bool) -> Result<Translation, Refusal>;

    /// Asks the system to bring a page in (PRI): one page, last of its group.
    ///
    /// # Errors
    /// Why the request could not be sent.
    fn request_page(&self, pasid: u32, page: u64, group: u16, write: bool) -> Result<(), Refusal>;

    /// How many page requests may be out at a time; 0 while the system has not enabled them.
    fn page_request_allocation(&self) -> u32;

    /// Begins to tell the engine of invalidations and answers to page requests of an address space.
    ///
    /// # Errors
    /// Why the address space cannot be watched.
    fn watch(&self, pasid: u32) -> Result<(), Refusal>;

    /// Ends that.
    fn unwatch(&self, pasid: u32);

    /// Reads bytes, which do not run over the end of a page.
    ///
    /// # Errors
    /// [`Refusal::Bus`].
    fn read(&self, place: Place, into: &mut [u8]) -> Result<(), Refusal>;

    /// Writes bytes, which do not run over the end of a page.
    ///
    /// # Errors
    /// [`Refusal::Bus`].
    fn write(&self, place: Place, from: &[u8]) -> Result<(), Refusal>;

    /// Loads an aligned word in one access.
    ///
    /// # Errors
    /// [`Refusal::Bus`].
    fn load(&self, place: Place) -> Result<u64, Refusal>;

    /// Stores an aligned word in one access.
    ///
    /// # Errors
    /// [`Refusal::Bus`].
    fn store(&self, place: Place, value: u64) -> Result<(), Refusal>;

    /// Whether the function may access memory at all: bus mastering is on.
    fn may_access(&self) -> bool;

    /// Raises an interrupt of the function, if the system has enabled it.
    fn interrupt(&self, vector: usize);

    /// Has the engine's bottom half run soon, under the big lock. Callable from any thread.
    fn schedule(&self);
}

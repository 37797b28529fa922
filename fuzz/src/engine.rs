//! An engine without a host, Warp's unless said otherwise: the target decides when it fetches, computes and answers, one step at a time on one thread.

use std::cell::{Cell, RefCell};

use uaccel_queue::{Fault, FaultKind};
use uaccel_sim::stages::{self, Pool, Step};
use uaccel_sim::{
    Access, AddressSpace, Budget, Control, DeviceModel, Doorbell, Fetch, MemoryPort, Opening, PageRequest, Span, Taken,
    UserPage, Warp, WarpConfig, WorkItem,
};
use uaccel_units::Scratch;
use uaccel_warp_abi::Geometry;

/// The device's address of the memory's first byte.
pub const BASE: u64 = 0x10_0000;

/// Bytes of memory that may be ring memory, at [`BASE`].
pub const RING: usize = 0x4000;

/// Bytes of memory for data, behind.
pub const DATA: usize = 0x8000;

/// The address of the data.
pub const DATA_AT: u64 = BASE + RING as u64;

/// Pages are small, so that everything straddles one.
const PAGE: usize = 512;

/// The one address space there is.
pub const SPACE: AddressSpace = AddressSpace(1);

/// Memory with holes, in which pages are sometimes not there yet.
#[derive(Debug)]
pub struct Memory {
    bytes: RefCell<Vec<u8>>,
    /// Pages of the data that are not there at all, by bit.
    holes: u64,
    /// Whether the next accesses have to wait for a page, by bit; used up from the lowest.
    waits: Cell<u64>,
    requests: Cell<u64>,
    /// Whether a job has written into the rings. That is the user's own doing, but it makes the rings say anything.
    pub rings_written: Cell<bool>,
    /// Where jobs may write, while somebody cares.
    pub writable: RefCell<Option<Vec<Span>>>,
}

impl Memory {
    /// Zeroed rings, and data that is not.
    #[must_use]
    pub fn new(holes: u64, waits: u64) -> Self {
        let mut bytes = vec![0; RING + DATA];
        for (at, byte) in bytes[RING..].iter_mut().enumerate() {
            *byte = (at / 7) as u8 ^ (at / 300) as u8;
        }
        Self {
            bytes: RefCell::new(bytes),
            holes,
            waits: Cell::new(waits),
            requests: Cell::new(0),
            rings_written: Cell::new(false),
            writable: RefCell::new(None),
        }
    }

    /// Reads a word, as the user.
    #[must_use]
    pub fn load(&self, offset: usize) -> u64 {
        let bytes = self.bytes.borrow();
        bytes.get(offset..offset + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().expect("eight bytes")))
    }

    /// Writes a word, as the user.
    pub fn store(&self, offset: usize, value: u64) {
        if let Some(word) = self.bytes.borrow_mut().get_mut(offset..offset + 8) {
            word.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Writes bytes of the data, as the user.
    pub fn fill(&self, offset: usize, from: &[u8]) {
        let mut bytes = self.bytes.borrow_mut();
        let data = &mut bytes[RING..];
        let at = offset.min(data.len());
        let len = from.len().min(data.len() - at);
        data[at..at + len].copy_from_slice(&from[..len]);
    }

    /// Pages that were asked for are there now.
    pub fn settle(&self) {
        self.waits.set(0);
    }

    /// How many of `len` bytes at `address` can be accessed in one step, and where they are.
    fn reach(&self, address: u64, len: usize, kind: FaultKind) -> Access<(usize, usize)> {
        if len == 0 {
            return Access::Ready((0, 0));
        }
        let offset = address.checked_sub(BASE).and_then(|offset| usize::try_from(offset).ok());
        let Some(offset) = offset.filter(|offset| *offset < RING + DATA && !self.is_hole(*offset)) else {
            return Access::Fault(Fault { address, kind });
        };
        let waits = self.waits.get();
        self.waits.set(waits >> 1);
        if waits & 1 != 0 {
            self.requests.set(self.requests.get() + 1);
            return Access::Pending(PageRequest(self.requests.get()));
        }
        Access::Ready((offset, len.min(PAGE - offset % PAGE)))
    }

    fn is_hole(&self, offset: usize) -> bool {
        offset >= RING && self.holes >> ((offset - RING) / PAGE) & 1 != 0
    }

    fn word(&self, address: u64, kind: FaultKind) -> Access<usize> {
        assert!(address.is_multiple_of(8), "{address:#x} is not that of a word");
        self.reach(address, 8, kind).map(|(offset, _)| offset)
    }
}

impl MemoryPort for Memory {
    fn observe(&self, space: AddressSpace, address: u64) -> Access<u64> {
        assert_eq!(space, SPACE);
        self.word(address, FaultKind::Read).map(|offset| self.load(offset))
    }

    fn read(&self, space: AddressSpace, address: u64, into: &mut [u8]) -> Access<usize> {
        assert_eq!(space, SPACE);
        self.reach(address, into.len(), FaultKind::Read).map(|(offset, len)| {
            into[..len].copy_from_slice(&self.bytes.borrow()[offset..offset + len]);
            len
        })
    }

    fn write(&self, space: AddressSpace, address: u64, from: &[u8]) -> Access<usize> {
        assert_eq!(space, SPACE);
        self.reach(address, from.len(), FaultKind::Write).map(|(offset, len)| {
            if let Some(spans) = &*self.writable.borrow() {
                let inside =
                    |span: &Span| span.address <= address && address + len as u64 <= span.end().unwrap_or(u64::MAX);
                assert!(len == 0 || spans.iter().any(inside), "{len} bytes at {address:#x} are no job's destination");
            }
            if offset < RING && len != 0 {
                self.rings_written.set(true);
            }
            self.bytes.borrow_mut()[offset..offset + len].copy_from_slice(&from[..len]);
            len
        })
    }

    fn publish(&self, space: AddressSpace, address: u64, value: u64) -> Access<()> {
        assert_eq!(space, SPACE);
        // The words of the queue's state are told once and not again, whether they arrive or not; a page of theirs does not wait.
        let told = address.wrapping_sub(BASE) < Geometry::SUBMISSIONS as u64;
        let waits = self.waits.get();
        if told {
            self.waits.set(0);
        }
        let access = self.word(address, FaultKind::Write);
        if told {
            self.waits.set(waits);
        }
        access.map(|offset| {
            assert!(offset < RING, "a control word outside of ring memory, at {address:#x}");
            self.store(offset, value);
        })
    }

    fn put(&self, space: AddressSpace, address: u64, value: u64) -> Access<()> {
        assert_eq!(space, SPACE);
        self.word(address, FaultKind::Write).map(|offset| {
            assert!(offset < RING, "a record outside of ring memory, at {address:#x}");
            self.store(offset, value);
        })
    }

    fn ring(&self, _: AddressSpace, span: Span) -> bool {
        span.address >= BASE && span.end().is_some_and(|end| end <= DATA_AT)
    }

    fn home(&self, _: AddressSpace) -> Option<u64> {
        Some(BASE)
    }
}

/// The engine with one queue, its registers and its memory.
pub struct Engine<M: DeviceModel = Warp> {
    /// What makes it the device it is.
    pub model: M,
    /// The registers.
    pub page: UserPage,
    /// The memory.
    pub memory: Memory,
    opening: Opening,
    submissions: M::Submissions,
    completions: M::Completions,
    /// Jobs that were fetched and are not answered.
    pub running: Vec<WorkItem>,
    /// Whether the engine gave the queue up.
    pub failed: bool,
    pool: Pool,
    scratch: Scratch,
}

impl Engine {
    /// An engine whose queue is open and not started.
    #[must_use]
    pub fn new(config: WarpConfig, memory: Memory) -> Self {
        Self::of(Warp::new(config).expect("a possible engine"), Opening::shared(SPACE), memory)
    }
}

impl<M: DeviceModel> Engine<M> {
    /// An engine of a model, whose queue is open and not started.
    #[must_use]
    pub fn of(model: M, opening: Opening, memory: Memory) -> Self {
        let page = UserPage::new();
        model.describe(&page);
        let (submissions, completions) = model.open_queue(opening);
        Self {
            model,
            page,
            memory,
            opening,
            submissions,
            completions,
            running: Vec::new(),
            failed: false,
            pool: Pool::new(),
            scratch: Scratch::new(),
        }
    }

    /// Rings a doorbell, as a host does: what it asks of the set-up is done.
    pub fn ring(&mut self, offset: usize, value: u64) {
        let Self { model, page, memory, submissions, completions, .. } = self;
        if model.doorbell(page, offset, value) == Doorbell::Control {
            model.control(submissions, completions, memory, page, offset, value);
        }
    }

    /// Writes a doorbell register.
    pub fn control(&mut self, offset: usize, value: u64) -> Control {
        self.page.store(offset, value);
        let Self { model, page, memory, submissions, completions, .. } = self;
        model.control(submissions, completions, memory, page, offset, value)
    }

    /// Takes descriptors.
    pub fn fetch(&mut self, budget: Budget) -> Fetch {
        let mut taken = Taken::default();
        let Self { model, page, memory, submissions, .. } = self;
        let fetch = model.fetch(submissions, memory, page, &mut taken, budget);
        for item in taken.items {
            // As a host does: what can be cancelled has not begun.
            self.running.push(item);
        }
        for tag in taken.cancels {
            if let Some(item) = self.running.iter_mut().find(|item| item.tag == tag && item.untouched()) {
                item.cancel();
            }
        }
        self.failed |= fetch == Fetch::Failed;
        fetch
    }

    /// Takes one of the fetched jobs as far as it goes, and answers it if it is done.
    pub fn work(&mut self, pick: usize) {
        if self.running.is_empty() {
            return;
        }
        let at = pick % self.running.len();
        if let Step::Done = stages::run(&mut self.running[at], &self.memory, &mut self.pool, &mut self.scratch) {
            let item = self.running.remove(at);
            self.model.complete(&mut self.completions, &self.memory, &item);
        }
    }

    /// Publishes answers. Whether all that there are.
    pub fn flush(&mut self) -> bool {
        self.model.flush(&mut self.completions, &self.memory, &self.page).blocked.is_none()
    }

    /// Whether the user is to be signalled.
    pub fn signal(&mut self) -> bool {
        self.model.signal(&mut self.completions, &self.page)
    }

    /// Sets the need-wake-up word.
    pub fn want_wakeup(&mut self, wanted: bool) {
        self.model.want_wakeup(&mut self.submissions, &self.memory, wanted);
    }

    /// What a host does when a stop was asked for: drops what runs, and says so.
    pub fn stop(&mut self) {
        self.running.clear();
        self.model.stopped(&mut self.submissions, &self.memory);
    }

    /// The queue as it is after a reset.
    pub fn reset(&mut self) {
        self.running.clear();
        (self.submissions, self.completions) = self.model.open_queue(self.opening);
        self.page.clear();
        self.model.describe(&self.page);
        self.failed = false;
    }
}

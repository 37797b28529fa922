//! A transport whose device is the test, and a queue over it.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    AddressMode, Batch, Cells, Completer, DeviceError, Done, Driver, Job, OpenError, OpenQueue, Outcome, QueueRequest,
    Quiet, Region, RegionKind, RingMemory, Submitter, Token, Transport, TransportError, Wake,
};
use uaccel_warp_abi::{Answer, Completion, Descriptor, Features, Geometry, Limits, State, VERSION, ident, user_page};

/// Memory as a transport hands it out.
#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

fn pages(len: usize) -> Arc<[Page]> {
    (0..len.div_ceil(4096)).map(|_| Page([const { AtomicU64::new(0) }; 512])).collect()
}

/// What the device says of itself when it is opened, and how it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    pub(crate) ident: u64,
    pub(crate) features: Features,
    pub(crate) limits: Limits,
    /// The state after the doorbell.
    pub(crate) state: State,
}

impl Default for Nature {
    fn default() -> Self {
        Self {
            ident: ident(VERSION),
            features: Features::empty(),
            limits: Limits { entries: 256, sessions: 16, max_transfer: 1 << 20 },
            state: State::Ready,
        }
    }
}

/// The transport, and the device's view of it.
#[derive(Debug)]
pub(crate) struct Fake {
    nature: Nature,
    registers: Region,
    memory: Mutex<Option<RingMemory>>,
    doorbells: Mutex<Vec<(usize, u64)>>,
}

impl Fake {
    /// The device's address of ring memory: nothing like the host's.
    pub(crate) const BASE: u64 = 0x7000_0000;

    pub(crate) fn new(nature: Nature) -> Arc<Self> {
        let page = pages(user_page::SIZE);
        let base = NonNull::from(&page[0]).cast();
        let keeper = Arc::new(page);
        // SAFETY: a page of atomics, kept by the keeper, and only accessed through this region.
        let registers = unsafe { Region::new(RegionKind::User, base, user_page::SIZE, keeper) };
        registers.write(user_page::IDENT, nature.ident);
        registers.write(user_page::FEATURES, nature.features.bits());
        registers.write(user_page::LIMITS, nature.limits.encode());
        registers.write(user_page::OPERATIONS, u64::MAX);
        for word in [0, 8] {
            registers.write(user_page::FORWARD + word, u64::MAX);
            registers.write(user_page::INVERSE + word, u64::MAX);
        }
        Arc::new(Self { nature, registers, memory: Mutex::new(None), doorbells: Mutex::new(Vec::new()) })
    }

    pub(crate) fn register(&self, offset: usize) -> u64 {
        self.registers.read(offset)
    }

    /// The doorbells rung since the last call.
    pub(crate) fn doorbells(&self) -> Vec<(usize, u64)> {
        std::mem::take(&mut self.doorbells.lock().expect("no panic inside"))
    }

    pub(crate) fn memory(&self) -> RingMemory {
        self.memory.lock().expect("no panic inside").clone().expect("the driver asked for ring memory")
    }
}

impl Transport for Fake {
    fn regions(&self) -> &[Region] {
        std::slice::from_ref(&self.registers)
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        let page = pages(len);
        let host = NonNull::from(&page[0]).cast();
        let keeper = Arc::new(page);
        // SAFETY: zeroed atomics, kept by the keeper.
        let memory = unsafe { RingMemory::new(host, Self::BASE, len, keeper) };
        *self.memory.lock().expect("no panic inside") = Some(memory.clone());
        Ok(memory)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        self.doorbells.lock().expect("no panic inside").push((offset, value));
        if (offset, value) == (user_page::ENABLE, 1) {
            self.memory().publish(Geometry::STATE, self.nature.state.encode());
        }
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        std::thread::sleep(until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now())));
        Ok(Wake::TimedOut)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
        Ok(Quiet::Proven)
    }

    fn reset(&self, _within: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

/// A queue over a [`Fake`]; the test is runtime on one side and device on the other.
pub(crate) struct Queue {
    pub(crate) fake: Arc<Fake>,
    pub(crate) geometry: Geometry,
    pub(crate) memory: RingMemory,
    pub(crate) cells: Arc<Cells>,
    pub(crate) submitter: Box<dyn Submitter>,
    pub(crate) completer: Box<dyn Completer>,
    /// Completions the device has published, in ring mode.
    completed: u64,
}

pub(crate) fn open(nature: Nature, depth: usize) -> Result<(Arc<Fake>, Arc<Cells>, OpenQueue), OpenError> {
    let fake = Fake::new(nature);
    let cells = Arc::new(Cells::new(depth));
    let transport: Arc<dyn Transport> = Arc::<Fake>::clone(&fake);
    let opened = WarpDriver.open(transport, Arc::clone(&cells), &QueueRequest::new(depth))?;
    Ok((fake, cells, opened))
}

impl Queue {
    pub(crate) fn new(depth: usize) -> Self {
        Self::with(Nature::default(), depth)
    }

    pub(crate) fn with(nature: Nature, depth: usize) -> Self {
        let (fake, cells, opened) = open(nature, depth).expect("the driver opens a queue");
        let geometry = Geometry::from_register(fake.register(user_page::GEOMETRY)).expect("a geometry");
        let memory = fake.memory();
        fake.doorbells();
        let OpenQueue { submitter, completer, .. } = opened;
        Self { fake, geometry, memory, cells, submitter, completer, completed: 0 }
    }

    /// Builds a job in a free slot and returns its token.
    pub(crate) fn build(&self, slot: u32, build: impl FnOnce(&mut Job)) -> Token {
        // SAFETY: the tests use each slot for one job at a time.
        unsafe {
            self.cells.build(slot as usize, |job| {
                build(job);
                job.token
            })
        }
    }

    pub(crate) fn submit(&mut self, slots: &[u32]) -> usize {
        // SAFETY: the slots were built and are not in flight; the fake device touches no memory of jobs.
        unsafe {
            let batch = Batch::new(&self.cells, slots);
            self.submitter.submit(&batch).expect("the queue works")
        }
    }

    /// Builds and submits one job.
    pub(crate) fn send(&mut self, slot: u32, build: impl FnOnce(&mut Job)) -> Token {
        let token = self.build(slot, build);
        assert_eq!(self.submit(&[slot]), 1);
        token
    }

    pub(crate) fn poll_room(&mut self, room: usize) -> Result<Vec<(u32, Outcome)>, DeviceError> {
        let mut places = vec![0; room];
        // SAFETY: the only completer.
        let mut done = unsafe { Done::new(&self.cells, &mut places) };
        let result = self.completer.poll(&mut done);
        // SAFETY: just answered.
        let answers = done.slots().iter().map(|slot| (*slot, unsafe { self.cells.outcome(*slot as usize) })).collect();
        result.map(|()| answers)
    }

    pub(crate) fn poll(&mut self) -> Result<Vec<(u32, Outcome)>, DeviceError> {
        self.poll_room(64)
    }

    /// The words of submission number `index`.
    pub(crate) fn words(&self, index: u64) -> [u64; 8] {
        let offset = self.geometry.submission(index);
        std::array::from_fn(|word| self.memory.observe(offset + 8 * word))
    }

    /// Submission number `index`, if it is published.
    pub(crate) fn fetch(&self, index: u64) -> Option<Descriptor> {
        let words = self.words(index);
        let valid =
            (words[7] & Descriptor::PHASE != 0) == self.geometry.phase(index) && words[7] & Completion::ANSWERED == 0;
        valid.then(|| Descriptor::decode(&words).expect("a sound descriptor"))
    }

    /// Publishes the next completion, as its two words without phase.
    pub(crate) fn publish(&mut self, [result, control]: [u64; 2]) {
        let offset = self.geometry.completion(self.completed);
        let phase = if self.geometry.phase(self.completed) { Descriptor::PHASE } else { 0 };
        self.memory.write(offset, result);
        self.memory.publish(offset + Completion::CONTROL, control & !Descriptor::PHASE | phase);
        self.completed += 1;
    }

    pub(crate) fn complete(&mut self, token: u32, status: u8, answer: Answer) {
        self.publish(Completion { token, status, answer }.encode(false));
    }

    pub(crate) fn counts(&mut self, token: u32, status: u8, consumed: u32, produced: u32) {
        self.complete(token, status, Answer::Counts { consumed, produced });
    }

    /// Answers submission number `index` in its own line.
    pub(crate) fn answer(&self, index: u64, token: u32, consumed: u32, produced: u32) {
        let phase = self.geometry.phase(index);
        let [result, control] =
            Completion { token, status: 0, answer: Answer::Counts { consumed, produced } }.encode(phase);
        let offset = self.geometry.submission(index);
        self.memory.write(offset + Descriptor::ANSWER, result);
        self.memory.publish(offset + Descriptor::CONTROL, control | Completion::ANSWERED);
    }

    pub(crate) fn state(&self, state: State) {
        self.memory.publish(Geometry::STATE, state.encode());
    }

    pub(crate) fn need_wakeup(&self, wanted: bool) {
        self.memory.word(Geometry::NEED_WAKEUP).store(u64::from(wanted), Ordering::SeqCst);
    }
}

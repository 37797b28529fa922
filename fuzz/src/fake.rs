//! A Warp driver without a device: its transport is scripted, and the target writes what a device would have written.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    AddressMode, Batch, Cells, Completer, DeviceError, Done, Driver, Job, OpenError, OpenQueue, Outcome, QueueRequest,
    Quiet, Region, RegionKind, RingMemory, Submitter, Token, Transport, TransportError, Wake,
};
use uaccel_warp_abi::{Completion, Descriptor, Features, Geometry, Limits, State, VERSION, ident, user_page};

/// Memory as a transport hands it out.
#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

fn pages(len: usize) -> Arc<[Page]> {
    (0..len.div_ceil(4096)).map(|_| Page([const { AtomicU64::new(0) }; 512])).collect()
}

/// The transport. Starting the queue brings the state word to what the script says.
#[derive(Debug)]
pub struct Fake {
    registers: Region,
    state: u64,
    memory: Mutex<Option<RingMemory>>,
}

impl Fake {
    /// A device with these registers, whose state word is `state` after the start. Identification and sets are those of a Warp engine.
    #[must_use]
    pub fn new(features: Features, limits: Limits, state: u64) -> Arc<Self> {
        let page = pages(user_page::SIZE);
        let base = NonNull::from(&page[0]).cast();
        // SAFETY: a page of atomics, kept by the keeper, and only accessed through this region.
        let registers = unsafe { Region::new(RegionKind::User, base, user_page::SIZE, Arc::new(page)) };
        registers.write(user_page::IDENT, ident(VERSION));
        registers.write(user_page::FEATURES, features.bits());
        registers.write(user_page::LIMITS, limits.encode());
        registers.write(user_page::OPERATIONS, u64::MAX);
        for word in [0, 8] {
            registers.write(user_page::FORWARD + word, u64::MAX);
            registers.write(user_page::INVERSE + word, u64::MAX);
        }
        Arc::new(Self { registers, state, memory: Mutex::default() })
    }

    /// Writes a register, as the device would.
    pub fn register(&self, offset: usize, value: u64) {
        self.registers.write(offset, value);
    }

    fn memory(&self) -> Option<RingMemory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Transport for Fake {
    fn regions(&self) -> &[Region] {
        std::slice::from_ref(&self.registers)
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        let page = pages(len);
        let host = NonNull::from(&page[0]).cast();
        // SAFETY: zeroed atomics, at least that many bytes, kept by the keeper.
        let memory = unsafe { RingMemory::new(host, 0x7000_0000, len, Arc::new(page)) };
        *self.memory.lock().unwrap_or_else(PoisonError::into_inner) = Some(memory.clone());
        Ok(memory)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        if let ((user_page::ENABLE, 1), Some(memory)) = ((offset, value), self.memory()) {
            memory.publish(Geometry::STATE, self.state);
        }
    }

    fn sleep(&self, _: Option<Instant>) -> Result<Wake, TransportError> {
        // Time does not pass here: whoever sleeps waits for something that was not scripted.
        Err(TransportError::Gone)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, _: Duration) -> Result<Quiet, TransportError> {
        Ok(Quiet::Proven)
    }

    fn reset(&self, _: Duration) -> Result<(), TransportError> {
        Ok(())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

/// A queue over a [`Fake`].
pub struct Queue {
    /// How its memory is divided.
    pub geometry: Geometry,
    /// The memory it shares with the device.
    pub memory: RingMemory,
    /// Its table.
    pub cells: Arc<Cells>,
    /// The half that takes jobs.
    pub submitter: Box<dyn Submitter>,
    completer: Box<dyn Completer>,
    /// Jobs in flight, by slot.
    flying: Vec<bool>,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("geometry", &self.geometry).field("cells", &self.cells).finish_non_exhaustive()
    }
}

impl Queue {
    /// Opens a queue.
    ///
    /// # Errors
    /// What the driver says.
    pub fn open(fake: &Arc<Fake>, depth: usize) -> Result<Self, OpenError> {
        let cells = Arc::new(Cells::new(depth));
        let transport: Arc<dyn Transport> = Arc::<Fake>::clone(fake);
        let OpenQueue { submitter, completer, .. } =
            WarpDriver.open(transport, Arc::clone(&cells), &QueueRequest::new(depth))?;
        let geometry = Geometry::from_register(fake.registers.read(user_page::GEOMETRY)).expect("the driver's own");
        let memory = fake.memory().expect("a queue that opened has ring memory");
        Ok(Self { geometry, memory, cells, submitter, completer, flying: vec![false; depth] })
    }

    /// Slots without a job in flight.
    #[must_use]
    pub fn free(&self) -> Vec<u32> {
        (0..).zip(&self.flying).filter(|(_, flying)| !**flying).map(|(slot, _)| slot).collect()
    }

    /// Submits a job in each of these slots, and returns the tokens of those that were accepted.
    ///
    /// # Panics
    /// If one of them is not free.
    pub fn submit(&mut self, slots: &[u32], mut build: impl FnMut(&mut Job)) -> Vec<Token> {
        let tokens: Vec<Token> = slots
            .iter()
            .map(|slot| {
                assert!(!self.flying[*slot as usize], "slot {slot} is in flight");
                // SAFETY: the slot is not in flight, and nobody else uses this table.
                unsafe {
                    self.cells.build(*slot as usize, |job| {
                        build(job);
                        job.token
                    })
                }
            })
            .collect();
        // SAFETY: built above, free, and each slot is named once by every caller: they are taken from `free`.
        let batch = unsafe { Batch::new(&self.cells, slots) };
        // SAFETY: behind this transport there is no device, so no address of a job is ever accessed.
        let accepted = unsafe { self.submitter.submit(&batch) }.expect("a submit has no reason to fail");
        assert!(accepted <= slots.len());
        slots[..accepted].iter().for_each(|slot| self.flying[*slot as usize] = true);
        tokens[..accepted].to_vec()
    }

    /// Polls, and checks what must hold of every answer: its job was in flight, and is no more; its lengths are the job's.
    ///
    /// # Errors
    /// What the driver says. The answers before it count.
    ///
    /// # Panics
    /// If an answer is not as it must be.
    pub fn poll(&mut self, room: usize) -> (Vec<(Token, Outcome)>, Result<(), DeviceError>) {
        let mut places = vec![0; room];
        // SAFETY: the only completer of this table.
        let mut done = unsafe { Done::new(&self.cells, &mut places) };
        let result = self.completer.poll(&mut done);
        let answers = done.slots().iter().copied().map(|slot| {
            assert!(std::mem::take(&mut self.flying[slot as usize]), "slot {slot} was answered and not in flight");
            // SAFETY: just answered, and not built again before the references are gone.
            let (job, outcome) = unsafe { self.cells.answer(slot as usize) };
            assert!(!self.cells.is_live(job.token), "{:?} is answered and in flight", job.token);
            check(job, outcome);
            (job.token, *outcome)
        });
        (answers.collect(), result)
    }

    /// Demands a signal.
    pub fn arm(&mut self) {
        self.completer.arm();
    }

    /// The words of submission number `index`.
    #[must_use]
    pub fn line(&self, index: u64) -> [u64; 8] {
        let at = self.geometry.submission(index);
        std::array::from_fn(|word| self.memory.observe(at + 8 * word))
    }

    /// Submission number `index`, if the driver has published it.
    ///
    /// # Panics
    /// If what was published is no descriptor.
    #[must_use]
    pub fn fetch(&self, index: u64) -> Option<u32> {
        let control = self.line(index)[7];
        let valid =
            (control & Descriptor::PHASE != 0) == self.geometry.phase(index) && control & Completion::ANSWERED == 0;
        valid.then(|| Descriptor::token_of(control))
    }

    /// Writes the state word.
    pub fn state(&self, state: State) {
        self.memory.publish(Geometry::STATE, state.encode());
    }
}

/// What must hold of the answer to a job.
fn check(job: &Job, outcome: &Outcome) {
    use uaccel_queue::{Operation, Status};

    if outcome.status == Status::OutputTooSmall {
        // `produced` is then what would be needed.
        return;
    }
    let (source, destination) = match job.operation {
        Operation::Nop => (0, 0),
        Operation::Compare => (job.source_len, job.source_len),
        Operation::Crc32 | Operation::Crc32c => (job.source_len, 0),
        Operation::Fill => (0, job.destination_len),
        _ => (job.source_len, job.destination_len),
    };
    assert!(
        outcome.consumed <= source as u64 && outcome.produced <= destination as u64,
        "{outcome:?} is more than {job:?} had"
    );
    assert_eq!(outcome.fault.is_some(), outcome.status == Status::Fault, "{outcome:?}");
}

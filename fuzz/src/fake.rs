//! A Warp driver without a device: its transport is scripted, and the target writes what a device would have written.

use std::sync::Arc;

use uaccel_conformance::ScriptedTransport;
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    Batch, Cells, Completer, DeviceError, Done, Driver, Job, OpenError, OpenQueue, Outcome, QueueRequest, RingMemory,
    Submitter, Token, Transport,
};
use uaccel_warp_abi::{Completion, Descriptor, Features, Geometry, Limits, State, VERSION, ident, user_page};

/// A transport whose registers are those of a Warp engine with these features and limits. Starting the queue brings the state word to
/// `state`.
#[must_use]
pub fn fake(features: Features, limits: Limits, state: u64) -> Arc<ScriptedTransport> {
    let fake = ScriptedTransport::new(move |fake, offset, value| {
        if let ((user_page::ENABLE, 1), Some(memory)) = ((offset, value), fake.memory()) {
            memory.publish(Geometry::STATE, state);
        }
    });
    let registers = fake.registers();
    registers.write(user_page::IDENT, ident(VERSION));
    registers.write(user_page::FEATURES, features.bits());
    registers.write(user_page::LIMITS, limits.encode());
    registers.write(user_page::OPERATIONS, u64::MAX);
    for word in [0, 8] {
        registers.write(user_page::FORWARD + word, u64::MAX);
        registers.write(user_page::INVERSE + word, u64::MAX);
    }
    Arc::new(fake.without_time())
}

/// A queue over a [`fake`].
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
    pub fn open(fake: &Arc<ScriptedTransport>, depth: usize) -> Result<Self, OpenError> {
        let cells = Arc::new(Cells::new(depth));
        let transport: Arc<dyn Transport> = Arc::<ScriptedTransport>::clone(fake);
        let OpenQueue { submitter, completer, .. } =
            WarpDriver.open(transport, Arc::clone(&cells), &QueueRequest::new(depth))?;
        let geometry = Geometry::from_register(fake.registers().read(user_page::GEOMETRY)).expect("the driver's own");
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
        let result = self.completer.poll(&mut done).map_err(|error| *error);
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

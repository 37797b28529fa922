//! A Warp engine whose device is the test, and a queue over it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uaccel_conformance::ScriptedTransport;
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    Batch, Cells, Completer, DeviceError, Done, Driver, Job, OpenError, OpenQueue, Outcome, QueueRequest, RingMemory,
    Submitter, Token, Transport,
};
use uaccel_warp_abi::{Answer, Completion, Descriptor, Features, Geometry, Limits, State, VERSION, ident, user_page};

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

/// A transport whose registers are those of a Warp engine, which starts as its nature says.
pub(crate) fn fake(nature: Nature) -> Arc<ScriptedTransport> {
    let fake = ScriptedTransport::new(move |fake, offset, value| {
        if let ((user_page::ENABLE, 1), Some(memory)) = ((offset, value), fake.memory()) {
            memory.publish(Geometry::STATE, nature.state.encode());
        }
    });
    let registers = fake.registers();
    registers.write(user_page::IDENT, nature.ident);
    registers.write(user_page::FEATURES, nature.features.bits());
    registers.write(user_page::LIMITS, nature.limits.encode());
    registers.write(user_page::OPERATIONS, u64::MAX);
    for word in [0, 8] {
        registers.write(user_page::FORWARD + word, u64::MAX);
        registers.write(user_page::INVERSE + word, u64::MAX);
    }
    Arc::new(fake)
}

/// A queue over a [`fake`]; the test is runtime on one side and device on the other.
pub(crate) struct Queue {
    pub(crate) fake: Arc<ScriptedTransport>,
    pub(crate) geometry: Geometry,
    pub(crate) memory: RingMemory,
    pub(crate) cells: Arc<Cells>,
    pub(crate) submitter: Box<dyn Submitter>,
    pub(crate) completer: Box<dyn Completer>,
    /// Completions the device has published, in ring mode.
    completed: u64,
}

pub(crate) fn open(nature: Nature, depth: usize) -> Result<(Arc<ScriptedTransport>, Arc<Cells>, OpenQueue), OpenError> {
    let fake = fake(nature);
    let cells = Arc::new(Cells::new(depth));
    let transport: Arc<dyn Transport> = Arc::<ScriptedTransport>::clone(&fake);
    let opened = WarpDriver.open(transport, Arc::clone(&cells), &QueueRequest::new(depth))?;
    Ok((fake, cells, opened))
}

impl Queue {
    pub(crate) fn new(depth: usize) -> Self {
        Self::with(Nature::default(), depth)
    }

    pub(crate) fn with(nature: Nature, depth: usize) -> Self {
        let (fake, cells, opened) = open(nature, depth).expect("the driver opens a queue");
        let geometry = Geometry::from_register(fake.registers().read(user_page::GEOMETRY)).expect("a geometry");
        let memory = fake.memory().expect("the driver asked for ring memory");
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
        result.map(|()| answers).map_err(|error| *error)
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

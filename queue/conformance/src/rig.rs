//! A queue under test, and the buffers of its jobs.

use std::alloc::{Layout, alloc, dealloc};
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uaccel_queue::{
    Algorithm, Batch, Capabilities, Cells, Completer, DeviceError, Direction, Done, Family, Job, OpenQueue, Operation,
    Outcome, QueueRequest, Quiet, SessionId, SessionSpec, Submitter, Token, Transport, stream::STATE_ALIGN,
};

use crate::Backend;
use crate::request::{Reply, Request};

/// What surrounds a destination, and fills it before the job.
const CANARY: u8 = 0xa5;

/// Bytes on either side of a destination.
const MARGIN: usize = 64;

/// A queue under test, with the memory of its jobs.
///
/// It owns every buffer a job names, and frees it when the job is answered, or when the device has been stopped and is
/// quiet. A test that panics while jobs are in flight frees nothing under the device's hands.
pub(crate) struct Rig {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) cells: Arc<Cells>,
    pub(crate) granted: Capabilities,
    pub(crate) submitter: Box<dyn Submitter>,
    pub(crate) completer: Box<dyn Completer>,
    patience: Duration,
    free: Vec<u32>,
    flights: Vec<Option<Flight>>,
    next_session: u16,
    /// States of streams, each with a margin that nobody may touch.
    states: Vec<Buffer>,
    /// Polls in a row that found nothing.
    idle: u32,
}

/// The state of a stream, in memory of the rig.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State {
    number: usize,
    start: *mut u8,
    len: usize,
}

/// The buffers of a job in flight.
#[derive(Debug)]
struct Flight {
    token: Token,
    buffers: Option<Buffers>,
}

#[derive(Debug)]
struct Buffers {
    source: Buffer,
    aux: Buffer,
    destination: Buffer,
    room: usize,
}

/// Plain memory, reached through its pointer only.
#[derive(Debug)]
struct Buffer {
    start: *mut u8,
    layout: Layout,
}

impl Buffer {
    fn new(bytes: &[u8]) -> Self {
        Self::aligned(bytes, 1)
    }

    fn aligned(bytes: &[u8], align: usize) -> Self {
        let layout = Layout::from_size_align(bytes.len().max(1), align).expect("a buffer that fits into memory");
        // SAFETY: not of size 0.
        let start = unsafe { alloc(layout) };
        assert!(!start.is_null(), "memory");
        // SAFETY: fresh memory of at least that length.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len()) };
        Self { start, layout }
    }

    fn read(&self, at: usize, len: usize) -> Vec<u8> {
        assert!(at + len <= self.layout.size(), "inside the buffer");
        let mut bytes = vec![0; len];
        // SAFETY: inside the buffer; no job that uses it is in flight.
        unsafe { ptr::copy_nonoverlapping(self.start.add(at), bytes.as_mut_ptr(), len) };
        bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and no job in flight names it: see `Rig`.
        unsafe { dealloc(self.start, self.layout) };
    }
}

// SAFETY: the pointers are to plain memory that goes with the value.
unsafe impl Send for Rig {}

impl Rig {
    /// Opens a queue of the back end's usual depth.
    pub(crate) fn new(backend: &dyn Backend) -> Self {
        Self::with_depth(backend, backend.depth())
    }

    pub(crate) fn with_depth(backend: &dyn Backend, depth: usize) -> Self {
        let transport = backend.bus().open(&backend.device()).expect("the bus has the device");
        Self::over(backend, transport, depth)
    }

    /// Opens a queue over a transport that is fresh or was reset.
    pub(crate) fn over(backend: &dyn Backend, transport: Arc<dyn Transport>, depth: usize) -> Self {
        let cells = Arc::new(Cells::new(depth));
        let (driver, mut request) = (backend.driver(), QueueRequest::new(depth));
        // As the runtime does: with what the device was advertised with, where it is listed.
        if let Some(info) = backend.bus().devices().iter().find(|info| info.name == backend.device()) {
            request = request.with_algorithms(driver.advertised(info).algorithms);
        }
        let opened = driver.open(Arc::clone(&transport), Arc::clone(&cells), &request);
        let OpenQueue { granted, submitter, completer } = opened.expect("the driver opens a queue");
        Self {
            transport,
            cells,
            granted,
            submitter,
            completer,
            patience: backend.patience(),
            // Slots are taken from the end: the lowest first.
            free: (0..u32::try_from(depth).expect("a depth")).rev().collect(),
            flights: (0..depth).map(|_| None).collect(),
            next_session: 0,
            states: Vec::new(),
            idle: 0,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.patience
    }

    pub(crate) fn offers(&self, operation: Operation) -> bool {
        self.granted.operations.contains(operation)
    }

    /// Algorithms of a family that are granted in both directions, or in the one there is.
    pub(crate) fn algorithms(&self, family: Family) -> Vec<Algorithm> {
        let directions: &[Direction] = match family {
            Family::Digest => &[Direction::Forward],
            _ => &[Direction::Forward, Direction::Inverse],
        };
        let granted =
            |algorithm: &Algorithm| directions.iter().all(|d| self.granted.algorithms.contains(*algorithm, *d));
        Algorithm::ALL.into_iter().filter(|algorithm| algorithm.family() == family).filter(granted).collect()
    }

    /// Opens a session under a number that was not in use in this rig.
    pub(crate) fn session(&mut self, spec: &SessionSpec) -> SessionId {
        let id = SessionId(self.next_session % self.granted.sessions.max(1));
        self.next_session += 1;
        if self.next_session > self.granted.sessions {
            self.submitter.close_session(id);
        }
        self.submitter.open_session(id, spec).unwrap_or_else(|error| panic!("{spec:?}: {error}"));
        id
    }

    /// Memory for the state of a stream, filled with something.
    pub(crate) fn state(&mut self, filling: u8) -> State {
        let mut bytes = vec![CANARY; self.granted.stream_state + 2 * MARGIN];
        bytes[MARGIN..MARGIN + self.granted.stream_state].fill(filling);
        const { assert!(MARGIN.is_multiple_of(STATE_ALIGN)) };
        let buffer = Buffer::aligned(&bytes, STATE_ALIGN);
        let start = buffer.start.wrapping_add(MARGIN);
        self.states.push(buffer);
        State { number: self.states.len() - 1, start, len: self.granted.stream_state }
    }

    /// What stands in a state that no job in flight names. What is around it must be as it was.
    pub(crate) fn read_state(&self, state: State) -> Vec<u8> {
        let all = self.states[state.number].read(0, state.len + 2 * MARGIN);
        let (before, rest) = all.split_at(MARGIN);
        let (bytes, behind) = rest.split_at(state.len);
        assert!(before.iter().chain(behind).all(|byte| *byte == CANARY), "bytes outside of the state were written");
        bytes.to_vec()
    }

    /// Puts back what stood in a state that no job in flight names.
    pub(crate) fn write_state(&mut self, state: State, bytes: &[u8]) {
        assert_eq!(bytes.len(), state.len);
        // SAFETY: so many bytes at `start`, which is in a buffer of the rig; no job that uses it is in flight.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), state.start, state.len) };
    }

    /// How many jobs are in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.flights.iter().flatten().count()
    }

    /// Submits as many as are accepted, from the first on, and returns their tokens.
    pub(crate) fn submit(&mut self, requests: &[Request]) -> Vec<Token> {
        let mut slots = Vec::new();
        for request in requests {
            let Some(slot) = self.free.pop() else { break };
            let buffers = Buffers::new(request);
            // SAFETY: the slot was free.
            let token = unsafe {
                self.cells.build(slot as usize, |job| {
                    buffers.fill(job, request);
                    job.token
                })
            };
            self.flights[slot as usize] = Some(Flight { token, buffers: Some(buffers) });
            slots.push(slot);
        }
        self.launch(&slots)
    }

    /// Submits one job that `build` makes of addresses which outlive the rig.
    pub(crate) fn submit_raw(&mut self, build: impl FnOnce(&mut Job)) -> Token {
        let slot = self.free.pop().expect("a free slot");
        // SAFETY: the slot was free.
        let token = unsafe {
            self.cells.build(slot as usize, |job| {
                build(job);
                job.token
            })
        };
        self.flights[slot as usize] = Some(Flight { token, buffers: None });
        let deadline = self.deadline();
        // What is not accepted is offered again: back-pressure may be for reasons of the device's own.
        loop {
            let slots = [slot];
            // SAFETY: as in `launch`.
            let batch = unsafe { Batch::new(&self.cells, &slots) };
            // SAFETY: as in `launch`.
            match unsafe { self.submitter.submit(&batch) }.expect("the queue works") {
                0 => assert!(Instant::now() < deadline, "the device does not take a single job"),
                accepted => {
                    assert_eq!(accepted, 1, "no more than were offered");
                    return token;
                }
            }
            std::thread::yield_now();
        }
    }

    fn launch(&mut self, slots: &[u32]) -> Vec<Token> {
        // SAFETY: the slots were free, were built, and are all different.
        let batch = unsafe { Batch::new(&self.cells, slots) };
        // SAFETY: the buffers are owned by the flights, which nobody touches until the answer.
        let accepted = unsafe { self.submitter.submit(&batch) }.expect("the queue works");
        assert!(accepted <= slots.len(), "accepted {accepted} of {}", slots.len());
        for slot in slots[accepted..].iter().rev() {
            let flight = self.flights[*slot as usize].take().expect("built above");
            assert!(!self.cells.is_live(flight.token), "a job that was not accepted is not in flight");
            self.free.push(*slot);
        }
        let tokens =
            slots[..accepted].iter().map(|slot| self.flights[*slot as usize].as_ref().expect("in flight").token);
        tokens.collect()
    }

    /// Polls once, with room for `room` answers.
    pub(crate) fn try_poll(&mut self, room: usize) -> Result<Vec<(Token, Reply)>, DeviceError> {
        let mut places = vec![0; room];
        // SAFETY: the rig has the only completer.
        let mut done = unsafe { Done::new(&self.cells, &mut places) };
        let result = self.completer.poll(&mut done);
        let mut replies = Vec::new();
        for slot in done.slots().iter().copied() {
            let flight = self.flights[slot as usize].take().expect("only jobs in flight are answered");
            assert!(!self.cells.is_live(flight.token), "an answered job is not in flight");
            // SAFETY: just answered.
            let outcome = unsafe { self.cells.outcome(slot as usize) };
            let room = flight.buffers.as_ref().map(Buffers::check).unwrap_or_default();
            self.free.push(slot);
            replies.push((flight.token, Reply { outcome, room }));
        }
        self.idle = if replies.is_empty() { self.idle.saturating_add(1) } else { 0 };
        result.map(|()| replies).map_err(|error| *error)
    }

    /// Lets others work between two polls. A device that is slow is not asked all the time: it may be the same processor that emulates it, and time may pass for
    /// it only when nothing else runs.
    pub(crate) fn rest(&self) {
        /// Polls in a row that found nothing, before the first sleep.
        const BUSY: u32 = 2000;
        match self.idle.checked_sub(BUSY) {
            None => std::thread::yield_now(),
            Some(long) => std::thread::sleep(Duration::from_millis(1 << (long / 4).min(5))),
        }
    }

    pub(crate) fn poll(&mut self) -> Vec<(Token, Reply)> {
        let depth = self.cells.depth();
        self.try_poll(depth).expect("the queue works")
    }

    /// Polls until the job under `token` is answered. Others that are answered meanwhile are dropped.
    pub(crate) fn wait(&mut self, token: Token) -> Reply {
        let deadline = self.deadline();
        loop {
            if let Some((_, reply)) = self.poll().into_iter().find(|(found, _)| *found == token) {
                return reply;
            }
            assert!(Instant::now() < deadline, "{token:?} was never answered");
            self.rest();
        }
    }

    /// Polls until nothing is in flight.
    pub(crate) fn wait_all(&mut self) -> Vec<(Token, Reply)> {
        let deadline = self.deadline();
        let mut replies = Vec::new();
        while self.in_flight() > 0 {
            replies.append(&mut self.poll());
            assert!(Instant::now() < deadline, "{} jobs were never answered", self.in_flight());
            self.rest();
        }
        replies
    }

    /// Runs jobs, in as few batches as the queue takes, and returns the replies in the order of the requests.
    pub(crate) fn run_all(&mut self, requests: &[Request]) -> Vec<Reply> {
        let deadline = self.deadline() + self.patience;
        let mut tokens = Vec::new();
        let mut replies: Vec<Option<Reply>> = requests.iter().map(|_| None).collect();
        let mut waiting = Vec::new();
        while tokens.len() < requests.len() || !waiting.is_empty() {
            for token in self.submit(&requests[tokens.len()..]) {
                waiting.push((token, tokens.len()));
                tokens.push(token);
            }
            for (token, reply) in self.poll() {
                let at = waiting.iter().position(|(waiting, _)| *waiting == token).expect("a job of these");
                replies[waiting.swap_remove(at).1] = Some(reply);
            }
            assert!(Instant::now() < deadline, "{} of {} answered", tokens.len() - waiting.len(), requests.len());
            self.rest();
        }
        replies.into_iter().map(|reply| reply.expect("all answered")).collect()
    }

    /// Runs a job by way of the queue, and where jobs can be done at once, in that way as well: both must end alike.
    pub(crate) fn run(&mut self, request: Request) -> Reply {
        let now = self.granted.immediate.then(|| self.perform(&request));
        let reply = self.run_all(&[request]).remove(0);
        if let Some(now) = now {
            assert_eq!(now.outcome, reply.outcome, "done at once, and by way of the queue");
            assert!(now.room == reply.room, "done at once, a job writes the same");
        }
        reply
    }

    /// Does a job at once.
    pub(crate) fn perform(&mut self, request: &Request) -> Reply {
        let buffers = Buffers::new(request);
        let mut job = Job::nop(Token::first(0));
        buffers.fill(&mut job, request);
        // SAFETY: the buffers live until the call returns, and nobody else has them.
        let outcome = unsafe { self.submitter.perform(&job) };
        let outcome = outcome.expect("a queue that was granted `immediate` does a job at once");
        Reply { outcome, room: buffers.check() }
    }

    /// Stops the device and takes back the jobs in flight.
    pub(crate) fn stop(&mut self) -> Quiet {
        let quiet = self.transport.stop(self.patience).unwrap_or(Quiet::Unproven);
        match quiet {
            Quiet::Proven => {}
            // The device may still write: the buffers are never freed.
            Quiet::Unproven => {
                std::mem::forget((std::mem::take(&mut self.flights), std::mem::take(&mut self.states)));
            }
        }
        quiet
    }

    /// Gives up the jobs in flight and frees their buffers. Only after a proven stop.
    pub(crate) fn release(&mut self) {
        self.flights.iter_mut().for_each(|flight| *flight = None);
    }

    /// The content of the destinations of all jobs in flight. Only after a stop.
    pub(crate) fn rooms(&self) -> Vec<Vec<u8>> {
        self.flights.iter().flatten().filter_map(|flight| flight.buffers.as_ref()).map(Buffers::check).collect()
    }
}

impl Buffers {
    /// What a request reads, and room for what it writes, with a margin that nobody may touch.
    fn new(request: &Request) -> Self {
        let mut destination = vec![CANARY; request.room + 2 * MARGIN];
        destination[MARGIN..MARGIN + request.room].fill(!CANARY);
        if request.in_place {
            destination[MARGIN..MARGIN + request.source.len()].copy_from_slice(&request.source);
        }
        Self {
            source: Buffer::new(&request.source),
            aux: Buffer::new(&request.aux),
            destination: Buffer::new(&destination),
            room: request.room,
        }
    }

    /// The request as a job on these buffers.
    fn fill(&self, job: &mut Job, request: &Request) {
        job.operation = request.operation;
        job.session = request.session;
        job.flags = request.flags;
        job.source = if request.in_place { self.destination.start.wrapping_add(MARGIN) } else { self.source.start };
        job.source_len = request.source.len();
        (job.aux, job.aux_len) = match request.state {
            Some(state) => (state.start.cast_const(), state.len),
            None => (self.aux.start.cast_const(), request.aux.len()),
        };
        job.destination = self.destination.start.wrapping_add(MARGIN);
        job.destination_len = request.room;
        job.immediate = request.immediate;
    }

    /// The room; what is around it must be as it was.
    fn check(&self) -> Vec<u8> {
        let all = self.destination.read(0, self.room + 2 * MARGIN);
        let (before, rest) = all.split_at(MARGIN);
        let (room, behind) = rest.split_at(self.room);
        assert!(
            before.iter().chain(behind).all(|byte| *byte == CANARY),
            "bytes outside of the destination were written"
        );
        room.to_vec()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.in_flight() > 0 {
            self.stop();
        }
    }
}

/// The outcome, for devices that have an effect at all.
pub(crate) fn checked(rig: &Rig, outcome: &Outcome) -> bool {
    assert!(rig.granted.effective || outcome.status == uaccel_queue::Status::Ok, "{outcome:?}");
    rig.granted.effective
}

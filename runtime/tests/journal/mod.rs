//! A device with streams that does its jobs in the call, by a library that no driver is made of, and fails where it is told to.
//!
//! Its streams are journals: a stream's state names what was asked of it so far, and a job that comes with the state of an earlier one goes on from there. The
//! rest of the state is filled with a sign of that, so that a state which was put back in part only is found out.
#![allow(dead_code, reason = "every test uses another part")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use uaccel_conformance::ScriptedTransport;
use uaccel_queue::{
    AddressMode, Algorithm, Batch, Bus, Capabilities, Cells, Completer, DeviceError, DeviceInfo, DeviceMemory,
    Direction, Done, Driver, Job, JobFlags, OpenError, OpenQueue, Operation, OperationSet, Outcome, QueueRequest,
    SessionError, SessionId, SessionSpec, Status, Submitter, Token, Transport, TransportError, stream,
};

/// The name of the device.
pub(crate) const JOURNAL: &str = "journal";
/// Bytes of a state: no power of two.
pub(crate) const STATE: usize = 1000;
/// What a job may read or write.
pub(crate) const LIMIT: usize = 10_000;

/// What goes wrong with a job of a stream, which the device does all the same.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mishap {
    /// The device fails before it has told of it.
    Failure,
    /// It never tells of it.
    Silence,
    /// It tells of something else.
    Lie(Outcome),
    /// It fails, and cannot be opened so often.
    Absence(usize),
}

/// What one job of a stream was asked, as far as the device used it.
#[derive(Clone, Debug)]
struct Asked {
    before: Option<u64>,
    algorithm: Algorithm,
    operation: Operation,
    source: Vec<u8>,
    room: usize,
    last: bool,
}

/// What a test sees of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) flags: JobFlags,
    pub(crate) source_len: usize,
    pub(crate) destination_len: usize,
}

#[derive(Default)]
struct Inner {
    asked: Vec<Asked>,
    engines: HashMap<u64, Engine>,
    mishaps: BTreeMap<usize, Mishap>,
    jobs: usize,
    away: usize,
    seen: Vec<Seen>,
}

/// The device, which is its own bus and driver.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Inner>>, Reach);

/// How the device reaches memory; if that is not said, in every way.
type Reach = Option<(AddressMode, Option<Arc<dyn DeviceMemory>>)>;

impl Journal {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that reaches memory in this way, where somebody is told of it if there is somebody.
    pub(crate) fn reaching(mode: AddressMode, memory: Option<Arc<dyn DeviceMemory>>) -> Self {
        Self(Arc::default(), Some((mode, memory)))
    }

    /// Lets something go wrong with the job of a stream that has this number, counted from now on, from 0.
    pub(crate) fn plan(&self, number: usize, mishap: Mishap) {
        let mut inner = self.inner();
        let at = inner.jobs + number;
        inner.mishaps.insert(at, mishap);
    }

    /// From now on it can be opened.
    pub(crate) fn is_back(&self) {
        self.inner().away = 0;
    }

    /// The jobs of streams since the last call.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.inner().seen)
    }

    fn capabilities(depth: usize) -> Capabilities {
        let mut granted = Capabilities::new(depth, LIMIT as u64);
        granted.operations =
            [Operation::Nop, Operation::Compress, Operation::Decompress].into_iter().collect::<OperationSet>();
        for algorithm in [Algorithm::Deflate, Algorithm::Zlib] {
            for direction in [Direction::Forward, Direction::Inverse] {
                granted.algorithms = granted.algorithms.with(algorithm, direction);
            }
        }
        granted.streams = granted.algorithms;
        // One that has none.
        granted.algorithms = granted.algorithms.with(Algorithm::Gzip, Direction::Inverse);
        (granted.stream_state, granted.sessions) = (STATE, 16);
        granted
    }
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Journal").finish_non_exhaustive()
    }
}

impl Bus for Journal {
    fn name(&self) -> &str {
        JOURNAL
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mut info = DeviceInfo::new(JOURNAL, "journal_v1");
        info.simulated = true;
        vec![info]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        if device != JOURNAL {
            return Err(TransportError::NoSuchDevice { bus: JOURNAL.into(), device: device.into() });
        }
        let transport = ScriptedTransport::new(|_, _, _| {});
        Ok(Arc::new(match &self.1 {
            Some((mode, memory)) => transport.reaching(*mode, memory.clone()),
            None => transport,
        }))
    }
}

impl Driver for Journal {
    fn name(&self) -> &str {
        JOURNAL
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == "journal_v1"
    }

    fn advertised(&self, _: &DeviceInfo) -> Capabilities {
        Self::capabilities(uaccel_queue::MAX_DEPTH)
    }

    fn open(&self, _: Arc<dyn Transport>, _: Arc<Cells>, request: &QueueRequest) -> Result<OpenQueue, OpenError> {
        if request.depth == 0 || request.depth > uaccel_queue::MAX_DEPTH {
            return Err(OpenError::Depth { depth: request.depth, limit: uaccel_queue::MAX_DEPTH });
        }
        let mut inner = self.inner();
        if inner.away > 0 {
            inner.away -= 1;
            return Err(OpenError::NotReady);
        }
        let answers = Arc::new(Mutex::new(Answers::default()));
        Ok(OpenQueue {
            granted: Self::capabilities(request.depth),
            submitter: Box::new(Taker { device: self.clone(), answers: answers.clone(), sessions: HashMap::new() }),
            completer: Box::new(Teller(answers)),
        })
    }
}

#[derive(Default)]
struct Answers {
    ready: VecDeque<(Token, Outcome)>,
    failed: bool,
}

struct Taker {
    device: Journal,
    answers: Arc<Mutex<Answers>>,
    sessions: HashMap<u16, (Algorithm, Operation)>,
}

struct Teller(Arc<Mutex<Answers>>);

// SAFETY: each job is launched, and done before this returns.
unsafe impl Submitter for Taker {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        for index in 0..batch.len() {
            let token = batch.launch(index);
            let job = batch.job(index);
            let session = self.sessions.get(&job.session.0).copied();
            let answers = &mut *self.answers.lock().unwrap();
            match session {
                None if job.operation == Operation::Nop => answers.ready.push_back((token, Outcome::ok(0, 0))),
                Some((algorithm, operation)) if operation == job.operation => {
                    // SAFETY: as the caller promises; and the device has no other thread.
                    unsafe { self.device.inner().run(job, algorithm, answers) };
                }
                _ => answers.ready.push_back((token, Outcome::failed(Status::BadSession))),
            }
        }
        Ok(batch.len())
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        if !Journal::capabilities(1).offers(spec) {
            return Err(SessionError::Unsupported { algorithm: spec.algorithm(), direction: spec.direction() });
        }
        if id.0 >= Journal::capabilities(1).sessions {
            return Err(SessionError::OutOfRange(id));
        }
        self.sessions.insert(id.0, (spec.algorithm(), spec.operation()));
        Ok(())
    }

    fn close_session(&mut self, id: SessionId) {
        self.sessions.remove(&id.0);
    }
}

// SAFETY: a job was done before its answer was noted.
unsafe impl Completer for Teller {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        let answers = &mut *self.0.lock().unwrap();
        while done.room() > 0
            && let Some((token, outcome)) = answers.ready.pop_front()
        {
            done.complete(token, &outcome)?;
        }
        if answers.failed { Err(DeviceError::Stopped(3).into()) } else { Ok(()) }
    }

    fn arm(&mut self) {}
}

impl Inner {
    /// # Safety
    /// The memory that the job names is readable and writable, and nobody else's.
    unsafe fn run(&mut self, job: &Job, algorithm: Algorithm, answers: &mut Answers) {
        // SAFETY: the caller's promise.
        let (source, room) =
            unsafe { (bytes(job.source, job.source_len), bytes_mut(job.destination, job.destination_len)) };
        if !job.flags.contains(JobFlags::STREAM) {
            let mut engine = Engine::new(algorithm, job.operation);
            let mut outcome = engine.step(source, room, true);
            if outcome.status == Status::More {
                outcome = Outcome::failed(Status::OutputTooSmall);
            }
            answers.ready.push_back((job.token, outcome));
            return;
        }
        let (flags, source_len, destination_len) = (job.flags, job.source_len, job.destination_len);
        self.seen.push(Seen { flags, source_len, destination_len });
        let mishap = self.mishaps.remove(&self.jobs);
        self.jobs += 1;
        // SAFETY: as above; a state is both read and written.
        let state = unsafe { bytes_mut(job.aux.cast_mut(), job.aux_len) };
        let outcome = self.stream(job, algorithm, source, room, state);
        match mishap {
            None => answers.ready.push_back((job.token, outcome)),
            Some(Mishap::Lie(lie)) => answers.ready.push_back((job.token, lie)),
            Some(Mishap::Silence) => {}
            Some(Mishap::Failure) => answers.failed = true,
            Some(Mishap::Absence(times)) => (answers.failed, self.away) = (true, times),
        }
    }

    fn stream(&mut self, job: &Job, algorithm: Algorithm, source: &[u8], room: &mut [u8], state: &mut [u8]) -> Outcome {
        let operation = job.operation;
        if job.flags.intersects(JobFlags::SCATTER | JobFlags::CHAINED)
            || room.len() < stream::ROOM
            || state.len() != STATE
            || !job.aux.addr().is_multiple_of(stream::STATE_ALIGN)
        {
            return Outcome::failed(Status::InvalidJob);
        }
        let before = if job.flags.contains(JobFlags::FIRST) {
            None
        } else {
            let Some(before) = read(state).filter(|before| *before < self.asked.len() as u64) else {
                return Outcome::failed(Status::InvalidJob);
            };
            Some(before)
        };
        let mut engine = self.engine(before, algorithm, operation);
        let last = job.flags.contains(JobFlags::LAST);
        let outcome = engine.step(source, room, last);
        // As a device would that does not know yet how it will end.
        let serial = self.asked.len() as u64;
        self.asked.push(Asked { before, algorithm, operation, source: source.to_vec(), room: room.len(), last });
        self.engines.insert(serial, engine);
        write(state, serial);
        outcome
    }

    /// The engine as it was after the job that has this number.
    fn engine(&mut self, after: Option<u64>, algorithm: Algorithm, operation: Operation) -> Engine {
        let Some(after) = after else { return Engine::new(algorithm, operation) };
        if let Some(engine) = self.engines.remove(&after) {
            return engine;
        }
        let Asked { before, algorithm, operation, source, room, last } =
            self.asked[usize::try_from(after).unwrap()].clone();
        let mut engine = self.engine(before, algorithm, operation);
        engine.step(&source, &mut vec![0; room], last);
        engine
    }
}

/// A sign at the beginning, and one that follows from it at every other place.
fn write(state: &mut [u8], serial: u64) {
    for (at, word) in state.chunks_mut(8).enumerate() {
        let bytes = (serial + 7 * at as u64).to_le_bytes();
        word.copy_from_slice(&bytes[..word.len()]);
    }
}

fn read(state: &[u8]) -> Option<u64> {
    let serial = u64::from_le_bytes(*state.first_chunk()?);
    let mut expected = vec![0; state.len()];
    write(&mut expected, serial);
    (expected == state).then_some(serial)
}

enum Engine {
    Compress(Compress),
    Decompress(Decompress),
}

impl Engine {
    fn new(algorithm: Algorithm, operation: Operation) -> Self {
        let header = algorithm == Algorithm::Zlib;
        match operation {
            Operation::Compress => Self::Compress(Compress::new(Compression::new(6), header)),
            _ => Self::Decompress(Decompress::new(header)),
        }
    }

    /// Goes on as far as it can.
    fn step(&mut self, source: &[u8], room: &mut [u8], last: bool) -> Outcome {
        let (mut consumed, mut produced) = (0, 0);
        loop {
            let (rest, left) = (&source[consumed..], &mut room[produced..]);
            let (used, made, status) = match self {
                Self::Compress(engine) => {
                    let before = (engine.total_in(), engine.total_out());
                    let flush = if last { FlushCompress::Finish } else { FlushCompress::None };
                    let status = engine.compress(rest, left, flush).unwrap();
                    (engine.total_in() - before.0, engine.total_out() - before.1, status)
                }
                Self::Decompress(engine) => {
                    let before = (engine.total_in(), engine.total_out());
                    match engine.decompress(rest, left, FlushDecompress::None) {
                        Ok(status) => (engine.total_in() - before.0, engine.total_out() - before.1, status),
                        Err(_) => return Outcome::failed(Status::Corrupt),
                    }
                }
            };
            consumed += usize::try_from(used).unwrap();
            produced += usize::try_from(made).unwrap();
            if status == flate2::Status::StreamEnd {
                return Outcome::ok(consumed as u64, produced as u64);
            }
            if used == 0 && made == 0 {
                break;
            }
        }
        let cut_short = matches!(self, Self::Decompress(_)) && last && produced < room.len();
        let status = if cut_short { Status::Truncated } else { Status::More };
        Outcome { status, ..Outcome::ok(consumed as u64, produced as u64) }
    }
}

/// # Safety
/// `len` readable bytes that nobody writes.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> &'a [u8] {
    // SAFETY: the caller's promise.
    if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(start, len) } }
}

/// # Safety
/// `len` writable bytes that are nobody else's.
unsafe fn bytes_mut<'a>(start: *mut u8, len: usize) -> &'a mut [u8] {
    // SAFETY: the caller's promise.
    if len == 0 { &mut [] } else { unsafe { std::slice::from_raw_parts_mut(start, len) } }
}

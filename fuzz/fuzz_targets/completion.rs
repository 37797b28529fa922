//! A device that says anything, before the Warp driver: completions of every kind, answers in lines, state words, registers. The driver
//! never panics, never answers a job that is not in flight, never twice, and never with more bytes than the job had. While the
//! device is honest, every job is answered.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use uaccel_fuzz::fake::{Queue, fake};
use uaccel_queue::{Algorithm, Direction, Job, JobFlags, Operation, SessionId, SessionSpec, Token};
use uaccel_warp_abi::{Completion, Descriptor, Features, Geometry, Limits, Mode, State, user_page};

#[derive(Debug, Arbitrary)]
struct Input {
    opening: Opening,
    depth: u8,
    steps: Vec<Action>,
}

#[derive(Debug)]
struct Opening {
    features: u64,
    limits: u64,
    state: u64,
    ident: Option<u64>,
}

impl<'a> Arbitrary<'a> for Opening {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        if u.ratio(1, 20)? {
            let state = if u.arbitrary()? { State::Ready.encode() } else { u.arbitrary()? };
            return Ok(Self { features: u.arbitrary()?, limits: u.arbitrary()?, state, ident: u.arbitrary()? });
        }
        let limits = Limits { entries: 64, sessions: 8, max_transfer: 1 << 16 };
        let features = if u.arbitrary()? { Features::MAILBOX.bits() } else { 0 };
        Ok(Self { features, limits: limits.encode(), state: State::Ready.encode(), ident: None })
    }
}

#[derive(Debug, Arbitrary)]
enum Action {
    Submit(u8, Request),
    Poll(u8),
    Arm,
    Open(u8, u8),
    Close(u8),
    Cancel(u8),
    /// The device reads what is there.
    Fetch(u8),
    /// The device answers one of what it has read, as a device should.
    Answer(u8),
    /// It answers one with what it likes.
    Alter(u8, u64, Control),
    /// It publishes a completion of nothing in particular.
    Invent(u64, Control),
    /// It writes an answer into a line.
    InLine(u8, u64, Control),
    State(Told),
    Wakeup(u64),
    /// It writes anywhere.
    Scribble(u16, u64),
}

#[derive(Debug, Arbitrary)]
struct Request {
    operation: u8,
    source_len: u16,
    destination_len: u16,
    huge: bool,
    flags: u8,
    session: u8,
}

/// A control word, with what is likely to matter set more often than not.
#[derive(Debug)]
struct Control(u64);

impl<'a> Arbitrary<'a> for Control {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        if u.ratio(1, 6)? {
            return Ok(Self(u.arbitrary()?));
        }
        // Slot and generation of tokens that may well be in flight, or are those of commands.
        let token = u.int_in_range(0..=15_u64)? | u.int_in_range(0..=4_u64)? << 12;
        let status = u.int_in_range(0..=14_u64)? << 32;
        let flags = u64::from(*u.choose(&[0_u8, 0, 0, 1, 2, 3, 0x80, 0x81, 0x82, 0xff])?) << 40;
        Ok(Self(token | status | flags))
    }
}

#[derive(Debug, Arbitrary)]
enum Told {
    Off,
    Ready,
    Stopped,
    Failed(u32),
    Anything(u64),
}

/// A device and its user in one.
struct World {
    queue: Queue,
    /// What the device has read and not answered: number and token.
    running: Vec<(u64, u32)>,
    fetched: u64,
    /// Completions published, in ring mode.
    completed: u64,
    /// Sessions the user has open.
    open: [bool; 8],
    /// Jobs that were accepted and not answered.
    waiting: Vec<Token>,
    honest: bool,
    over: bool,
}

impl World {
    fn step(&mut self, action: Action) {
        match action {
            Action::Submit(count, request) => self.submit(usize::from(count % 12), &request),
            Action::Poll(room) => self.poll(usize::from(room % 40)),
            Action::Arm => self.queue.arm(),
            Action::Open(id, kind) => self.open_session(id % 8, kind),
            Action::Close(id) => {
                let id = id % 8;
                if std::mem::take(&mut self.open[usize::from(id)]) {
                    self.queue.submitter.close_session(SessionId(id.into()));
                }
            }
            Action::Cancel(pick) => {
                let token = self.waiting.get(usize::from(pick)).copied();
                let _ = self.queue.submitter.cancel(token.unwrap_or(Token::from_raw(u32::from(pick))));
            }
            Action::Fetch(count) => self.fetch(count.into()),
            Action::Answer(pick) => self.answer(pick.into()),
            Action::Alter(pick, result, Control(control)) => {
                if let Some((index, token)) = self.pick(pick.into()) {
                    self.honest = false;
                    self.publish(index, result, control & !u64::from(u32::MAX) | u64::from(token));
                }
            }
            Action::Invent(result, Control(control)) => {
                self.honest = false;
                self.publish(self.fetched, result, control);
            }
            Action::InLine(line, result, Control(control)) => {
                self.honest = false;
                let at = self.queue.geometry.submission(line.into());
                self.queue.memory.write(at + Descriptor::ANSWER, result);
                self.queue.memory.publish(at + Descriptor::CONTROL, control);
            }
            Action::State(told) => {
                let word = match told {
                    Told::Off => State::Off.encode(),
                    Told::Ready => State::Ready.encode(),
                    Told::Stopped => State::Stopped.encode(),
                    Told::Failed(reason) => State::Failed(reason).encode(),
                    Told::Anything(word) => word,
                };
                self.honest &= State::decode(word) == State::Ready;
                self.queue.memory.publish(Geometry::STATE, word);
            }
            Action::Wakeup(word) => self.queue.memory.write(Geometry::NEED_WAKEUP, word),
            Action::Scribble(offset, value) => {
                self.honest = false;
                self.queue.memory.write((usize::from(offset) % self.queue.geometry.size()) & !7, value);
            }
        }
    }

    fn submit(&mut self, count: usize, request: &Request) {
        let mut slots = self.queue.free();
        slots.truncate(count);
        let operation = Operation::ALL[usize::from(request.operation) % Operation::ALL.len()];
        let len = |len: u16| if request.huge { usize::from(len) << 40 } else { len.into() };
        let tokens = self.queue.submit(&slots, |job: &mut Job| {
            job.operation = operation;
            job.flags = JobFlags::from_bits_truncate(request.flags);
            job.session = SessionId(u16::from(request.session % 10));
            job.source = std::ptr::without_provenance(0x1000);
            job.destination = std::ptr::without_provenance_mut(0x9000);
            job.aux = std::ptr::without_provenance(0x5000);
            (job.source_len, job.aux_len) = (len(request.source_len), len(request.source_len));
            job.destination_len =
                if operation == Operation::Copy { job.source_len } else { len(request.destination_len) };
        });
        self.waiting.extend(tokens);
    }

    fn poll(&mut self, room: usize) {
        if self.over {
            return;
        }
        let (answers, result) = self.queue.poll(room);
        for (token, _) in answers {
            let at = self.waiting.iter().position(|waiting| *waiting == token);
            let at = at.unwrap_or_else(|| panic!("{token:?} was answered, and nobody waits for it"));
            self.waiting.swap_remove(at);
        }
        if let Err(error) = result {
            assert!(!self.honest, "an honest device: {error}");
            // The queue is finished: the runtime polls no more.
            self.over = true;
        }
    }

    fn open_session(&mut self, id: u8, kind: u8) {
        if self.open[usize::from(id)] {
            return;
        }
        let algorithm = Algorithm::ALL[usize::from(kind) % Algorithm::ALL.len()];
        let len = algorithm.key_len().unwrap_or(usize::from(kind) * 2);
        // No byte twice in a short one: XTS takes no key twice.
        let key: Vec<u8> = (0..len).map(|at| kind.wrapping_add(at as u8)).collect();
        let spec = match algorithm.family() {
            uaccel_queue::Family::Compression => SessionSpec::compression(algorithm, Direction::Forward, None),
            uaccel_queue::Family::Aead | uaccel_queue::Family::Cipher => {
                SessionSpec::keyed(algorithm, Direction::Inverse, &key)
            }
            _ => SessionSpec::digest(algorithm, &key),
        };
        let spec = spec.expect("a session that can be");
        self.open[usize::from(id)] = self.queue.submitter.open_session(SessionId(id.into()), &spec).is_ok();
    }

    fn fetch(&mut self, count: usize) {
        for _ in 0..count {
            let Some(token) = self.queue.fetch(self.fetched) else { break };
            self.running.push((self.fetched, token));
            self.fetched += 1;
        }
    }

    fn pick(&mut self, pick: usize) -> Option<(u64, u32)> {
        (!self.running.is_empty()).then(|| self.running.remove(pick % self.running.len()))
    }

    /// Answers one as a device should: a job it cannot say how it ended has failed.
    fn answer(&mut self, pick: usize) {
        if let Some((index, token)) = self.pick(pick) {
            self.publish(index, 0, u64::from(token) | (uaccel_queue::Status::DeviceError as u64) << 32);
        }
    }

    fn publish(&mut self, index: u64, result: u64, control: u64) {
        let geometry = self.queue.geometry;
        let (at, number, flag) = match geometry.mode() {
            Mode::Ring => (geometry.completion(self.completed), self.completed, 0),
            Mode::Mailbox => (geometry.submission(index) + Descriptor::ANSWER, index, Completion::ANSWERED),
        };
        self.completed += 1;
        let phase = if geometry.phase(number) { Descriptor::PHASE } else { 0 };
        self.queue.memory.write(at, result);
        self.queue.memory.publish(at + Completion::CONTROL, control & !Descriptor::PHASE | phase | flag);
    }
}

fuzz_target!(|input: Input| {
    let Opening { features, limits, state, ident } = input.opening;
    let fake = fake(Features::from_bits_retain(features), Limits::decode(limits), state);
    if let Some(ident) = ident {
        fake.registers().write(user_page::IDENT, ident);
    }
    let Ok(queue) = Queue::open(&fake, usize::from(input.depth % 16) + 1) else { return };
    let mut world = World {
        queue,
        running: Vec::new(),
        fetched: 0,
        completed: 0,
        open: [false; 8],
        waiting: Vec::new(),
        honest: true,
        over: false,
    };
    for action in input.steps {
        world.step(action);
    }
    // An honest device answers all there is, commands included, and they make way for what waits behind.
    for _ in 0..200 {
        if !world.honest || world.waiting.is_empty() {
            break;
        }
        world.queue.submit(&[], |_| {});
        world.fetch(64);
        while !world.running.is_empty() {
            world.answer(0);
        }
        world.poll(64);
    }
    if world.honest {
        assert!(world.waiting.is_empty(), "never answered: {:?}", world.waiting);
        assert_eq!(world.queue.cells.in_flight().count(), 0);
    }
});

//! Descriptors and session entries that nobody vouches for, through the engine's model: every descriptor is answered exactly once, or the
//! engine gives the queue up. Jobs write to their destinations only.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use uaccel_fuzz::engine::{BASE, DATA, DATA_AT, Engine, Memory, RING};
use uaccel_queue::{Algorithm, Operation, Status};
use uaccel_sim::{Budget, Control, Span, WarpConfig};
use uaccel_warp_abi::{
    Answer, Command, Completion, Descriptor, DescriptorFlags, Geometry, Mode, SessionEntry, user_page,
};

#[derive(Debug, Arbitrary)]
struct Input {
    log2_entries: u8,
    mailbox: bool,
    sessions: u8,
    max_transfer: u16,
    /// Pages that are not there; most inputs have none.
    holes: Option<u64>,
    waits: Option<u64>,
    steps: Vec<Action>,
}

#[derive(Debug, Arbitrary)]
enum Action {
    Submit(Line),
    Entry(u8, Session),
    Data(u16, Vec<u8>),
    Fetch(u8, u16),
    Work(u8),
    Flush,
    Poll,
    /// The pages that jobs wait for are there.
    Settle,
    /// The user writes where it should not.
    Scribble(u16, u64),
}

/// A line of the submission ring, without its phase.
#[derive(Debug)]
struct Line([u64; 8]);

impl<'a> Arbitrary<'a> for Line {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        if u.ratio(1, 12)? {
            return Ok(Self(u.arbitrary()?));
        }
        let mut descriptor = Descriptor { session: u.int_in_range(0..=8)?, ..Default::default() };
        if u.ratio(1, 4)? {
            descriptor.opcode = *u.choose(&Command::ALL)? as u8;
            descriptor.operand[0] = u.int_in_range(0..=63)?;
            return Ok(Self(descriptor.encode(false)));
        }
        let operation = *u.choose(&Operation::ALL)?;
        descriptor.opcode = operation as u8;
        descriptor.flags = DescriptorFlags::from_bits_truncate(u.int_in_range(0..=3)?);
        descriptor.operand = u.arbitrary()?;
        (descriptor.source, descriptor.source_len) = place(u)?;
        (descriptor.destination, descriptor.destination_len) = place(u)?;
        (descriptor.aux, descriptor.aux_len) = place(u)?;
        if u.ratio(7, 8)? {
            match operation {
                Operation::Copy => descriptor.destination_len = descriptor.source_len,
                Operation::Compare => descriptor.aux_len = descriptor.source_len,
                Operation::Encrypt | Operation::Decrypt if u.arbitrary()? => descriptor.source_len &= !15,
                _ => {}
            }
        }
        Ok(Self(descriptor.encode(false)))
    }
}

/// A range, in the data as a rule.
fn place(u: &mut Unstructured<'_>) -> arbitrary::Result<(u64, u32)> {
    Ok(match u.int_in_range(0..=15_u8)? {
        0 => (u.arbitrary()?, u.arbitrary()?),
        1 => (BASE + u64::from(u.arbitrary::<u16>()?), u32::from(u.arbitrary::<u16>()?)),
        2 => (u64::MAX - u64::from(u.arbitrary::<u8>()?), u32::from(u.arbitrary::<u8>()?)),
        3..=6 => (DATA_AT + u.int_in_range(0..=DATA as u64)?, u.int_in_range(0..=0x4000)?),
        _ => (DATA_AT + u.int_in_range(0..=DATA as u64 - 600)?, u.int_in_range(0..=600)?),
    })
}

/// A session entry.
#[derive(Debug)]
struct Session([u64; SessionEntry::WORDS]);

impl<'a> Arbitrary<'a> for Session {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        if u.ratio(1, 8)? {
            return Ok(Self(u.arbitrary()?));
        }
        let algorithm = *u.choose(&Algorithm::ALL)?;
        let len = match algorithm.key_len() {
            Some(len) if u.ratio(15, 16)? => len,
            _ => u.int_in_range(0..=SessionEntry::MAX_KEY)?,
        };
        let mut key = [0; SessionEntry::MAX_KEY];
        let byte: u8 = u.arbitrary()?;
        key[..len].fill(byte);
        if u.ratio(15, 16)? {
            // XTS takes no key twice.
            key[0] ^= 1;
        }
        let levels = algorithm.levels().map_or(0..=255, |levels| levels.min..=levels.max);
        let entry = SessionEntry {
            algorithm: algorithm as u16,
            direction: u.int_in_range(0..=1)?,
            level: u.int_in_range(levels)?,
            key_len: len as u16,
            key,
        };
        Ok(Self(entry.encode()))
    }
}

/// The user of the queue, who counts.
struct User {
    engine: Engine,
    geometry: Geometry,
    tail: u64,
    head: u64,
    /// Lines that wait for an answer: number, and what stood there.
    waiting: Vec<(u64, [u64; 8])>,
    /// Whether the rings were overwritten, so that nothing is promised any more.
    wild: bool,
}

impl User {
    fn submit(&mut self, Line(mut words): Line) {
        if self.waiting.len() >= self.geometry.entries() {
            return;
        }
        let index = self.tail;
        if self.geometry.mode() == Mode::Mailbox {
            let entries = self.geometry.entries() as u64;
            if self.waiting.iter().any(|(waiting, _)| waiting % entries == index % entries) {
                return;
            }
            // With this bit it would be an answer already.
            words[7] &= !Completion::ANSWERED;
        }
        let phase = if self.geometry.phase(index) { Descriptor::PHASE } else { 0 };
        // Tokens that do not repeat, so that it is known which line an answer is for; small ones, so that cancels meet them.
        words[7] = words[7] & !(Descriptor::PHASE | u64::from(u32::MAX)) | phase | index & 0xffff;
        for (word, at) in words.into_iter().zip((self.geometry.submission(index)..).step_by(8)) {
            self.engine.memory.store(at, word);
        }
        self.waiting.push((index, words));
        self.tail += 1;
        self.allow();
    }

    /// Says where jobs may write: to the destinations of those that are not answered.
    fn allow(&self) {
        let spans = self.waiting.iter().map(|(_, words)| Span::new(words[1], (words[2] >> 32) as usize)).collect();
        *self.engine.memory.writable.borrow_mut() = (!self.wild).then_some(spans);
    }

    fn poll(&mut self) {
        self.wild |= self.engine.memory.rings_written.get();
        match self.geometry.mode() {
            Mode::Ring => loop {
                let at = self.geometry.completion(self.head);
                let control = self.engine.memory.load(at + Completion::CONTROL);
                if (control & Descriptor::PHASE != 0) != self.geometry.phase(self.head) || self.wild {
                    break;
                }
                let completion = Completion::decode(self.engine.memory.load(at), control);
                let found = self.waiting.iter().position(|(_, words)| fits(words, &completion));
                let at = found.unwrap_or_else(|| panic!("{completion:x?} answers nothing of {:x?}", self.waiting));
                self.waiting.remove(at);
                self.head += 1;
            },
            Mode::Mailbox => {
                let mut waiting = std::mem::take(&mut self.waiting);
                waiting.retain(|(index, words)| {
                    let at = self.geometry.submission(*index);
                    let control = self.engine.memory.load(at + Descriptor::CONTROL);
                    let answered = control & Completion::ANSWERED != 0
                        && (control & Descriptor::PHASE != 0) == self.geometry.phase(*index);
                    if answered && !self.wild {
                        let completion = Completion::decode(self.engine.memory.load(at + Descriptor::ANSWER), control);
                        assert!(fits(words, &completion), "{completion:x?} is no answer to {words:x?}");
                    }
                    !answered
                });
                self.waiting = waiting;
            }
        }
        self.allow();
    }

    fn step(&mut self, action: Action) {
        match action {
            Action::Submit(line) => self.submit(line),
            Action::Entry(id, Session(words)) => {
                if u16::from(id) < self.geometry.sessions() {
                    for (word, at) in words.into_iter().zip((self.geometry.session(u16::from(id))..).step_by(8)) {
                        self.engine.memory.store(at, word);
                    }
                }
            }
            Action::Data(offset, bytes) => self.engine.memory.fill(usize::from(offset) % DATA, &bytes),
            Action::Fetch(jobs, cost) => {
                self.engine.fetch(Budget::new(usize::from(jobs), u64::from(cost)));
            }
            Action::Work(pick) => self.engine.work(usize::from(pick)),
            Action::Flush => {
                self.engine.flush();
            }
            Action::Poll => self.poll(),
            Action::Settle => self.engine.memory.settle(),
            Action::Scribble(offset, value) => {
                self.wild = true;
                self.allow();
                self.engine.memory.store((usize::from(offset) % RING) & !7, value);
            }
        }
    }
}

/// Whether a completion can be the answer to a line.
fn fits(words: &[u64; 8], completion: &Completion) -> bool {
    if completion.token != Descriptor::token_of(words[7]) {
        return false;
    }
    let status = Status::from_raw(completion.status).unwrap_or_else(|| panic!("{completion:?} has no status"));
    let Ok(descriptor) = Descriptor::decode(words) else { return status == Status::InvalidJob };
    let checksum = [Operation::Crc32 as u8, Operation::Crc32c as u8].contains(&descriptor.opcode);
    let most = match Operation::from_raw(descriptor.opcode) {
        Some(Operation::Compare) => descriptor.source_len,
        _ => descriptor.destination_len,
    };
    match (status, completion.answer) {
        (Status::Ok, Answer::Counts { consumed, produced }) => {
            consumed <= descriptor.source_len && (checksum || produced <= most)
        }
        (Status::Fault, Answer::Counts { .. }) => false,
        (Status::Fault, _) => true,
        (_, Answer::Counts { .. }) => true,
        _ => false,
    }
}

fuzz_target!(|input: Input| {
    let mode = if input.mailbox { Mode::Mailbox } else { Mode::Ring };
    let geometry = Geometry::new(1 + input.log2_entries % 6, u16::from(input.sessions % 9), mode).expect("small");
    assert!(geometry.size() <= RING);
    let config = WarpConfig { max_transfer: u32::from(input.max_transfer).max(1), ..WarpConfig::default() };
    let memory = Memory::new(input.holes.unwrap_or(0), input.waits.unwrap_or(0));
    let mut engine = Engine::new(config, memory);
    engine.page.store(user_page::RING_BASE, BASE);
    engine.page.store(user_page::GEOMETRY, geometry.register());
    assert_eq!(engine.control(user_page::ENABLE, 1), Control::Started);

    let mut user = User { engine, geometry, tail: 0, head: 0, waiting: Vec::new(), wild: false };
    user.allow();
    for action in input.steps {
        user.step(action);
    }
    // Everything that can end, ends.
    user.engine.memory.settle();
    for _ in 0..4 * geometry.entries() {
        if user.waiting.is_empty() || user.wild || user.engine.failed {
            return;
        }
        user.engine.fetch(Budget::unlimited());
        for _ in 0..user.engine.running.len() {
            user.engine.work(0);
        }
        assert!(user.engine.flush() || user.engine.failed, "no page is missing any more");
        user.poll();
    }
    assert!(user.wild || user.engine.failed || user.waiting.is_empty(), "never answered: {:x?}", user.waiting);
});

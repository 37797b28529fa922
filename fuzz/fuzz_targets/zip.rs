//! Entries, lists, streams and doorbells in any order to the model of HiSilicon's ZIP engine: every entry is answered once and in order, with an answer that can be,
//! and nothing is written but what a job may write.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use uaccel_fuzz::engine::{BASE, DATA, DATA_AT, Engine, Memory, SPACE};
use uaccel_hisi_abi::zip::{
    Buffers, Entry, Flow, KINDS, ListEntry, ListHead, MAX_TRANSFER, Request, Results, Status, stream,
};
use uaccel_hisi_abi::{Doorbell, DoorbellCommand, Dus, QueueCompletion, StopWords};
use uaccel_sim::{Budget, HisiZip, HisiZipConfig, Opening, Span};

const QUEUE: u16 = 7;
const SUBMISSIONS: u16 = 16;
const COMPLETIONS: u16 = 12;

#[derive(Debug, Arbitrary)]
struct Input {
    compresses: bool,
    holes: u64,
    waits: u64,
    steps: Vec<Action>,
}

#[derive(Debug, Arbitrary)]
enum Action {
    Submit(Made),
    /// Any words.
    Words([u64; Entry::WORDS]),
    List(Address, u8, Vec<(Address, u16)>, Address),
    Text(Address, Vec<u8>),
    Fetch(u8),
    Work(u8),
    Flush,
    Signal,
    Take(bool),
    /// Any doorbell but those that say what was taken.
    Knock(u64),
    Settle,
    Reset,
}

/// An address that is most often one of the data.
#[derive(Clone, Copy, Debug)]
struct Address(u64);

impl<'a> Arbitrary<'a> for Address {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self(match u.int_in_range(0..=7_u8)? {
            0 => u.arbitrary()?,
            1 => u64::MAX - u64::from(u.arbitrary::<u8>()?),
            2 => DATA_AT + u.int_in_range(0..=DATA as u64)?,
            _ => DATA_AT + 64 * u.int_in_range(0..=DATA as u64 / 64)?,
        }))
    }
}

/// An entry that is most often a good one.
#[derive(Debug)]
struct Made(Entry);

impl<'a> Arbitrary<'a> for Made {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let requests = [Request::Deflate, Request::Zlib, Request::Gzip, Request::Lz4, Request::Lz77Zstd];
        let len = |u: &mut Unstructured<'a>| -> arbitrary::Result<u32> {
            Ok(match u.int_in_range(0..=9_u8)? {
                0 => MAX_TRANSFER + 1,
                1 => u.int_in_range(0..=0x1_0000)?,
                _ => u.int_in_range(0..=600)?,
            })
        };
        let mut entry =
            Entry::whole(*u.choose(&requests)?, Address::arbitrary(u)?.0, len(u)?, Address::arbitrary(u)?.0, len(u)?);
        if u.ratio(1, 4)? {
            entry.buffers =
                Buffers::Listed { source_skip: u.int_in_range(0..=99)?, destination_skip: u.int_in_range(0..=99)? };
        }
        if u.ratio(1, 3)? {
            entry.flow = Flow { finish: u.arbitrary()?, stateful: true, new_stream: u.ratio(1, 3)? };
            // Where a buffer may be that is used again and again.
            entry.context = if u.ratio(1, 8)? { Address::arbitrary(u)?.0 } else { DATA_AT };
            entry.context_words = u.arbitrary()?;
            (entry.running_len, entry.checksum) = (u.arbitrary()?, u.arbitrary()?);
        }
        entry.tag = u.arbitrary()?;
        Ok(Self(entry))
    }
}

/// What the user knows of the queue.
struct User {
    dus: Dus,
    /// Entries that were submitted and are not taken, and how many were taken.
    open: Vec<[u64; Entry::WORDS]>,
    taken: u64,
}

impl User {
    fn submit(&mut self, engine: &mut Engine<HisiZip>, words: [u64; Entry::WORDS]) {
        if self.open.len() + 1 >= usize::from(SUBMISSIONS) {
            return;
        }
        let count = self.taken + self.open.len() as u64;
        let place = |count: u64| u16::try_from(count % u64::from(SUBMISSIONS)).expect("a place");
        let at = self.dus.submission(place(count));
        words.iter().zip((at..).step_by(8)).for_each(|(word, at)| engine.memory.store(at, *word));
        self.open.push(words);
        self.allow(engine, &words);
        ring(engine, DoorbellCommand::Submission, place(count + 1), 0);
    }

    /// What the engine may write from now on: lists may say anything, so with one of them it is all of the data.
    fn allow(&self, engine: &Engine<HisiZip>, words: &[u64; Entry::WORDS]) {
        let mut writable = engine.memory.writable.borrow_mut();
        let spans = writable.get_or_insert_with(Vec::new);
        if let Ok(entry) = Entry::decode(words) {
            match entry.buffers {
                Buffers::Flat => spans.push(Span::new(entry.destination, entry.destination_len as usize)),
                Buffers::Listed { .. } => spans.push(Span::new(BASE, usize::MAX / 2)),
            }
            if entry.flow.stateful {
                spans.push(Span::new(entry.context, stream::LEN));
            }
        }
    }

    fn take(&mut self, engine: &mut Engine<HisiZip>, arm: bool) {
        let place = |count: u64| u16::try_from(count % u64::from(COMPLETIONS)).expect("a place");
        let at = self.dus.completion(place(self.taken)) + QueueCompletion::CONTROL;
        let completion = QueueCompletion::decode(engine.memory.load(at));
        let phase = (self.taken / u64::from(COMPLETIONS)).is_multiple_of(2);
        if completion.phase == phase {
            let expected = u16::try_from(self.taken % u64::from(SUBMISSIONS)).expect("a place");
            // Jobs that write into the rings can make them say anything.
            if !engine.memory.rings_written.get() {
                assert_eq!(completion, QueueCompletion { entry: expected, queue: QUEUE, phase });
                assert!(!self.open.is_empty(), "an answer to nothing");
                let words = self.open[0];
                let at = self.dus.submission(expected);
                let results = Results::decode([engine.memory.load(at), engine.memory.load(at + 8)]);
                check(&words, results);
                for word in (2..Entry::WORDS).filter(|word| ![7, 14, 15].contains(word)) {
                    assert_eq!(engine.memory.load(at + 8 * word), words[word], "word {word} is the host's");
                }
            }
            if !self.open.is_empty() {
                self.open.remove(0);
            }
            self.taken += 1;
        }
        ring(engine, DoorbellCommand::Completion, place(self.taken), u16::from(arm));
    }
}

fn ring(engine: &mut Engine<HisiZip>, command: DoorbellCommand, index: u16, priority: u16) {
    engine.ring(Doorbell::OFFSET, Doorbell { queue: QUEUE, command, index, priority }.encode());
}

/// Whether an answer can be.
fn check(words: &[u64; Entry::WORDS], results: Results) {
    let status = Status::from_raw(results.ended.status).expect("a known status");
    match Entry::decode(words) {
        Err(_) => assert_eq!(status, Status::Malformed),
        Ok(entry) => {
            let good = matches!(status, Status::Ok | Status::Grown | Status::StreamEnd);
            assert!(results.consumed <= entry.source_len && results.produced <= entry.destination_len);
            assert!(good || (results.consumed, results.produced) == (0, 0));
        }
    }
}

fuzz_target!(|input: Input| {
    let config = HisiZipConfig { submissions: SUBMISSIONS, completions: COMPLETIONS, ..HisiZipConfig::default() };
    let model = HisiZip::new(config).expect("a possible engine");
    let opening = Opening { queue: QUEUE, kind: KINDS[usize::from(!input.compresses)], ..Opening::shared(SPACE) };
    let mut engine = Engine::of(model, opening, Memory::new(input.holes, input.waits));
    for (number, at) in (0..DATA).step_by(2048).enumerate() {
        engine.memory.fill(at + 1024, format!("text {number}, ").repeat(40).as_bytes());
    }
    let mut user = User { dus: config.dus(), open: Vec::new(), taken: 0 };
    for action in input.steps {
        match action {
            Action::Submit(Made(entry)) => user.submit(&mut engine, entry.encode()),
            Action::Words(words) => user.submit(&mut engine, words),
            Action::List(Address(at), entries, pieces, Address(next)) => {
                let head = ListHead { next, chain: 0, entries: entries.into(), room: 255 };
                let pieces =
                    pieces.iter().map(|(Address(address), len)| ListEntry { address: *address, len: (*len).into() });
                let bytes: Vec<u8> = head.encode().into_iter().chain(pieces.flat_map(|piece| piece.encode())).collect();
                engine.memory.fill(usize::try_from(at.saturating_sub(DATA_AT)).unwrap_or(usize::MAX), &bytes);
            }
            Action::Text(Address(at), bytes) => {
                engine.memory.fill(usize::try_from(at.saturating_sub(DATA_AT)).unwrap_or(usize::MAX), &bytes);
            }
            Action::Fetch(jobs) => {
                engine.fetch(Budget::new(jobs.into(), 1_000_000));
                assert!(!engine.failed, "the rings can be read");
                assert!(engine.running.len() < usize::from(COMPLETIONS), "there is room for every answer");
            }
            Action::Work(pick) => engine.work(pick.into()),
            Action::Flush => {
                engine.flush();
            }
            Action::Signal => {
                engine.signal();
                assert!(!engine.signal(), "what was signalled is signalled once");
            }
            Action::Take(arm) => user.take(&mut engine, arm),
            Action::Knock(value) => {
                // One that claims that more was taken, or submitted, is the user's own loss.
                if Doorbell::decode(value).is_none_or(|rung| rung.queue != QUEUE) {
                    engine.ring(Doorbell::OFFSET, value);
                }
            }
            Action::Settle => engine.memory.settle(),
            Action::Reset => {
                engine.reset();
                (0..user.dus.size(4096)).step_by(8).for_each(|at| engine.memory.store(at, 0));
                user = User { dus: user.dus, open: Vec::new(), taken: 0 };
            }
        }
    }
    // With all pages there, and all answers taken, every entry is answered.
    engine.memory.settle();
    for _ in 0..=2 * user.open.len() {
        engine.fetch(Budget::unlimited());
        while !engine.running.is_empty() {
            engine.work(0);
        }
        assert!(engine.flush());
        (0..COMPLETIONS).for_each(|_| user.take(&mut engine, false));
    }
    if !engine.memory.rings_written.get() {
        assert!(user.open.is_empty(), "{} entries without an answer", user.open.len());
        let stop = StopWords::decode(engine.memory.load(user.dus.size(4096) - StopWords::FROM_END));
        assert_eq!(stop, StopWords::default());
    }
});

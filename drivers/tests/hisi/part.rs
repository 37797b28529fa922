//! A hardware queue, and the way to it. It answers when the test says so, or works by itself.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uaccel_hisi_abi::zip::{Carried, Ended, Entry, Results, Status};
use uaccel_hisi_abi::{Description, Doorbell, DoorbellCommand, Dus, QueueCompletion, StopWords};
use uaccel_queue::{AddressMode, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};

use crate::{engine, stream_engine};

const PAGE: usize = 4096;

#[repr(C, align(4096))]
struct Page([AtomicU64; PAGE / 8]);

/// What the kernel and the device are like.
#[derive(Clone, Debug)]
pub(crate) struct Nature {
    /// As the kernel describes it.
    pub(crate) description: Vec<u8>,
    /// As it is.
    pub(crate) dus: Dus,
    pub(crate) number: u16,
    pub(crate) kind: u16,
    /// Bytes of ring memory.
    pub(crate) memory: usize,
    /// Bytes of registers.
    pub(crate) registers: usize,
    /// Whether it works by itself.
    pub(crate) works: bool,
}

impl Nature {
    /// A sound one with rings of so many places. Submissions and completions may differ.
    pub(crate) fn new(kind: u16, submissions: u16, completions: u16) -> Self {
        let dus = Dus { entry: Entry::SIZE as u32, submissions, completions };
        let number = 0x2a + kind;
        Self {
            description: Description { dus, queue: number, kind }.encode().to_vec(),
            dus,
            number,
            kind,
            memory: dus.size(PAGE),
            registers: Doorbell::REGION,
            works: false,
        }
    }
}

pub(crate) struct Part {
    nature: Nature,
    regions: Vec<Region>,
    state: Mutex<State>,
}

struct State {
    memory: RingMemory,
    /// Doorbells since somebody asked.
    doorbells: Vec<Doorbell>,
    /// The next entry to be fetched, the end of what was submitted, the next completion, its phase, and the end of what was taken.
    head: u16,
    tail: u16,
    completion: u16,
    phase: bool,
    taken: u16,
    stopped: bool,
    /// The kernel's own place in the completion ring, and the phase it expects there.
    kernel: (u16, bool),
}

impl State {
    fn new(nature: &Nature) -> Self {
        let pages: Arc<[Page]> =
            (0..nature.memory.div_ceil(PAGE)).map(|_| Page([const { AtomicU64::new(0) }; PAGE / 8])).collect();
        let host = NonNull::from(&*pages).cast();
        // SAFETY: zeroed atomics of at least that length, kept by the keeper.
        let memory = unsafe { RingMemory::new(host, 0xffff_0000_0000_0000, nature.memory, Arc::new(pages)) };
        let doorbells = Vec::new();
        Self {
            memory,
            doorbells,
            head: 0,
            tail: 0,
            completion: 0,
            phase: true,
            taken: 0,
            stopped: false,
            kernel: (0, true),
        }
    }
}

impl Part {
    pub(crate) fn new(nature: Nature) -> Self {
        let mut regions = Vec::new();
        if nature.registers > 0 {
            regions.push(Region::copied(RegionKind::User, &vec![0; nature.registers]));
        }
        if !nature.description.is_empty() {
            regions.push(Region::copied(RegionKind::Description, &nature.description));
        }
        Self { regions, state: Mutex::new(State::new(&nature)), nature }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The doorbells since the last call.
    pub(crate) fn doorbells(&self) -> Vec<Doorbell> {
        std::mem::take(&mut self.state().doorbells)
    }

    /// The words of an entry.
    pub(crate) fn words(&self, place: u16) -> [u64; Entry::WORDS] {
        let state = self.state();
        std::array::from_fn(|word| state.memory.read(self.nature.dus.submission(place) + 8 * word))
    }

    /// An entry.
    pub(crate) fn entry(&self, place: u16) -> Entry {
        Entry::decode(&self.words(place)).expect("a sound entry")
    }

    /// Overwrites a word of an entry.
    pub(crate) fn write(&self, place: u16, word: usize, value: u64) {
        self.state().memory.write(self.nature.dus.submission(place) + 8 * word, value);
    }

    /// What the next answer carries on in the stream of its entry.
    pub(crate) fn carry(&self, carried: Carried) {
        let (place, room) = {
            let state = self.state();
            (state.head, state.memory.read(self.nature.dus.submission(state.head) + 8 * 7) as u32)
        };
        carried.encode(room).into_iter().for_each(|(word, value)| self.write(place, word, value));
    }

    /// How many entries were submitted and not answered.
    pub(crate) fn waiting(&self) -> usize {
        let (state, places) = (self.state(), self.nature.dus.submissions);
        usize::from((state.tail + places - state.head) % places)
    }

    /// Answers the next entry.
    pub(crate) fn answer(&self, results: Results) {
        let mut state = self.state();
        self.complete(&mut state, results);
    }

    /// Answers the next entry, whose end is this.
    pub(crate) fn end(&self, status: Status, last_block: bool, consumed: u32, produced: u32) {
        self.answer(Results { consumed, produced, ended: Ended::new(status, last_block) });
    }

    fn complete(&self, state: &mut State, results: Results) {
        assert_ne!(state.head, state.tail, "something to answer");
        for (word, value) in results.encode().into_iter().enumerate() {
            state.memory.write(self.nature.dus.submission(state.head) + 8 * word, value);
        }
        let next = (state.completion + 1) % self.nature.dus.completions;
        assert_ne!(next, state.taken, "room for a completion");
        let completion = QueueCompletion { entry: state.head, queue: self.nature.number, phase: state.phase };
        self.publish(state, completion);
        state.head = (state.head + 1) % self.nature.dus.submissions;
    }

    /// Publishes any completion at all.
    pub(crate) fn claim(&self, completion: impl FnOnce(u16, bool) -> QueueCompletion) {
        let mut state = self.state();
        let completion = completion(state.head, state.phase);
        self.publish(&mut state, completion);
    }

    fn publish(&self, state: &mut State, completion: QueueCompletion) {
        let at = self.nature.dus.completion(state.completion);
        let [first, control] = completion.encode();
        state.memory.write(at, first);
        state.memory.publish(at + QueueCompletion::CONTROL, control);
        state.completion = (state.completion + 1) % self.nature.dus.completions;
        state.phase ^= state.completion == 0;
    }

    /// Goes on to the next entry, as if this one had been answered.
    pub(crate) fn skip(&self) {
        let mut state = self.state();
        state.head = (state.head + 1) % self.nature.dus.submissions;
    }

    /// Whether the kernel would show a signal to who polls now, as `hisi_qm_is_q_updated` in `qm.c` decides it.
    pub(crate) fn shows(&self) -> bool {
        self.kernel_finds(&self.state())
    }

    fn kernel_finds(&self, state: &State) -> bool {
        let (place, phase) = state.kernel;
        let control = state.memory.observe(self.nature.dus.completion(place) + QueueCompletion::CONTROL);
        QueueCompletion::decode(control).phase == phase
    }

    /// The kernel is polled: it goes on to the first completion that it does not find new.
    pub(crate) fn look(&self) {
        let mut state = self.state();
        while self.kernel_finds(&state) {
            let (place, phase) = state.kernel;
            let next = (place + 1) % self.nature.dus.completions;
            state.kernel = (next, phase ^ (next == 0));
        }
    }

    /// Sets the stop words as the kernel does.
    pub(crate) fn set_stop(&self, words: StopWords) {
        let state = self.state();
        state.memory.publish(self.nature.memory - StopWords::FROM_END, words.encode());
    }

    /// As after the last close of the node.
    pub(crate) fn halt(&self) {
        self.state().stopped = true;
    }

    /// As new.
    pub(crate) fn renew(&self) {
        *self.state() = State::new(&self.nature);
    }

    /// The new tail of the ring, or what was taken of it.
    fn ring(&self, doorbell: Doorbell) {
        let Nature { dus, number, works, .. } = self.nature;
        let mut state = self.state();
        assert_eq!(doorbell.queue, number, "the queue's own doorbell");
        state.doorbells.push(doorbell);
        if state.stopped {
            return;
        }
        match doorbell.command {
            DoorbellCommand::Submission => {
                assert!(doorbell.index < dus.submissions, "a place of the ring");
                assert_ne!(doorbell.index, state.head, "one place stays empty");
                state.tail = doorbell.index;
            }
            DoorbellCommand::Completion => {
                assert!(doorbell.index < dus.completions, "a place of the ring");
                state.taken = doorbell.index;
            }
            command => panic!("{command:?} is the kernel's"),
        }
        while works && state.head != state.tail {
            let words = std::array::from_fn(|word| state.memory.read(dus.submission(state.head) + 8 * word));
            let entry = Entry::decode(&words).expect("a sound entry");
            let results = if entry.flow.stateful {
                let (results, carried) = stream_engine::work(self.nature.kind, &entry);
                for (word, value) in carried.encode(entry.destination_len) {
                    state.memory.write(dus.submission(state.head) + 8 * word, value);
                }
                results
            } else {
                engine::work(self.nature.kind, &entry)
            };
            self.complete(&mut state, results);
        }
    }
}

impl Transport for Part {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, _len: usize) -> Result<RingMemory, TransportError> {
        Ok(self.state().memory.clone())
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        assert_eq!(offset, Doorbell::OFFSET, "where doorbells are");
        self.ring(Doorbell::decode(value).expect("a doorbell"));
    }

    fn sleep(&self, _until: Option<Instant>) -> Result<Wake, TransportError> {
        panic!("a driver does not sleep on a part")
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        panic!("a driver does not wait for a part")
    }

    fn clear_wake(&self) {}

    fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
        panic!("a driver does not stop a part")
    }

    fn reset(&self, _within: Duration) -> Result<(), TransportError> {
        panic!("a driver does not reset a part")
    }

    fn is_alive(&self) -> bool {
        panic!("a driver does not ask a part")
    }

    fn address_mode(&self) -> AddressMode {
        panic!("a driver does not ask a part")
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("nature", &self.nature).finish_non_exhaustive()
    }
}

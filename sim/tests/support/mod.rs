//! A Warp driver by hand: just enough to put descriptors into a ring and to read completions out of it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, Instant};

use uaccel_queue::{Algorithm, Bus, Direction, Operation, RegionKind, RingMemory, Status, Transport};
use uaccel_sim::{DeviceModel, Plan, Simulator, ThreadHost, ThreadHostConfig, Warp, WarpConfig};
use uaccel_warp_abi::{
    Answer, Command, Completion, Descriptor, DescriptorFlags, Geometry, Mode, SessionEntry, State, user_page,
};

/// Long enough for anything but a hang.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Long enough for something unwanted to happen, most of the time.
pub const MOMENT: Duration = Duration::from_millis(60);

pub fn device(plan: Plan) -> Arc<ThreadHost<Warp>> {
    device_with(WarpConfig::default(), ThreadHostConfig::default(), plan)
}

pub fn device_with(config: WarpConfig, host: ThreadHostConfig, plan: Plan) -> Arc<ThreadHost<Warp>> {
    Simulator::warp(config, host, plan).expect("the configuration is possible")
}

pub fn open<M: DeviceModel>(device: &ThreadHost<M>) -> Arc<dyn Transport> {
    device.open(&device.devices()[0].name).expect("a queue is free")
}

/// One queue, driven by hand.
pub struct Hand {
    pub transport: Arc<dyn Transport>,
    pub ring: RingMemory,
    pub geometry: Geometry,
    pub tail: u64,
    pub head: u64,
    /// Lines of a mailbox queue that wait for an answer.
    open: Vec<u64>,
    arm: u64,
}

impl Hand {
    pub fn new(device: &ThreadHost<Warp>, mode: Mode) -> Self {
        Self::with(open(device), Geometry::new(6, 16, mode).unwrap())
    }

    pub fn with(transport: Arc<dyn Transport>, geometry: Geometry) -> Self {
        let hand = Self::idle(transport, geometry);
        hand.enable(hand.ring.device_address(0), geometry.register());
        hand
    }

    /// A queue that is not started.
    pub fn idle(transport: Arc<dyn Transport>, geometry: Geometry) -> Self {
        let ring = transport.ring_memory(geometry.size()).unwrap();
        Self { transport, ring, geometry, tail: 0, head: 0, open: Vec::new(), arm: 0 }
    }

    pub fn enable(&self, base: u64, geometry: u64) {
        let page = self.transport.region(RegionKind::User).unwrap();
        page.write(user_page::RING_BASE, base);
        page.write(user_page::GEOMETRY, geometry);
        self.transport.ring_doorbell(user_page::ENABLE, 1);
    }

    pub fn state(&self) -> State {
        State::decode(self.ring.observe(Geometry::STATE))
    }

    /// Writes the descriptor into its line and publishes it, without a look at need-wake-up.
    pub fn publish_words(&mut self, words: [u64; 8]) {
        let line = self.geometry.submission(self.tail);
        for (index, word) in words[..7].iter().enumerate() {
            self.ring.write(line + index * 8, *word);
        }
        self.ring.publish(line + Descriptor::CONTROL, words[7]);
        if self.geometry.mode() == Mode::Mailbox {
            self.open.push(self.tail);
        }
        self.tail += 1;
    }

    pub fn publish(&mut self, descriptor: &Descriptor) {
        self.publish_words(descriptor.encode(self.geometry.phase(self.tail)));
    }

    /// The doorbell, if the device asks for it.
    pub fn ring_if_wanted(&self) -> bool {
        // Pairs with the device's fence between setting need-wake-up and its last look.
        fence(Ordering::SeqCst);
        let wanted = self.ring.read(Geometry::NEED_WAKEUP) != 0;
        if wanted {
            self.transport.ring_doorbell(user_page::SUBMIT, self.tail);
        }
        wanted
    }

    pub fn submit(&mut self, descriptor: &Descriptor) {
        self.publish(descriptor);
        self.ring_if_wanted();
    }

    pub fn submit_words(&mut self, words: [u64; 8]) {
        self.publish_words(words);
        self.ring_if_wanted();
    }

    /// The next completion, if there is one.
    pub fn poll(&mut self) -> Option<Completion> {
        match self.geometry.mode() {
            Mode::Ring => {
                let at = self.geometry.completion(self.head);
                let control = self.ring.observe(at + Completion::CONTROL);
                if (control & Descriptor::PHASE != 0) != self.geometry.phase(self.head) {
                    return None;
                }
                self.head += 1;
                Some(Completion::decode(self.ring.read(at), control))
            }
            Mode::Mailbox => {
                let answered = |line: &u64| {
                    let at = self.geometry.submission(*line);
                    let control = self.ring.observe(at + Descriptor::CONTROL);
                    (control & Completion::ANSWERED != 0)
                        .then(|| Completion::decode(self.ring.read(at + Descriptor::ANSWER), control))
                };
                let (at, completion) =
                    self.open.iter().enumerate().find_map(|(at, line)| Some((at, answered(line)?)))?;
                self.open.remove(at);
                Some(completion)
            }
        }
    }

    /// The next completion.
    pub fn wait(&mut self) -> Completion {
        let begun = Instant::now();
        loop {
            if let Some(completion) = self.poll() {
                return completion;
            }
            assert!(begun.elapsed() < PATIENCE, "no completion; state {:?}", self.state());
            std::thread::yield_now();
        }
    }

    /// Nothing comes.
    pub fn expect_silence(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < MOMENT {
            assert_eq!(self.poll(), None);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// One job, to its end.
    pub fn run(&mut self, descriptor: &Descriptor) -> Completion {
        self.submit(descriptor);
        let completion = self.wait();
        assert_eq!(completion.token, descriptor.token);
        completion
    }

    pub fn write_entry(&self, id: u16, entry: &SessionEntry) {
        let at = self.geometry.session(id);
        for (index, word) in entry.encode().into_iter().enumerate() {
            self.ring.write(at + index * 8, word);
        }
    }

    /// Opens a session and says how that ended.
    pub fn open_session(&mut self, id: u16, algorithm: Algorithm, direction: Direction, level: u8, key: &[u8]) -> u8 {
        let mut entry = SessionEntry {
            algorithm: algorithm as u16,
            direction: direction as u8,
            level,
            key_len: u16::try_from(key.len()).unwrap(),
            key: [0; SessionEntry::MAX_KEY],
        };
        entry.key[..key.len()].copy_from_slice(key);
        self.write_entry(id, &entry);
        self.command(Command::OpenSession, id, 0)
    }

    pub fn command(&mut self, command: Command, session: u16, operand: u32) -> u8 {
        self.run(&self.command_descriptor(command, session, operand)).status
    }

    /// A management command under a token that no job has.
    pub fn command_descriptor(&self, command: Command, session: u16, operand: u32) -> Descriptor {
        let mut descriptor =
            Descriptor { token: u32::from(session), opcode: command as u8, session, ..Descriptor::default() };
        descriptor.operand[..4].copy_from_slice(&operand.to_le_bytes());
        descriptor
    }

    /// Arms the wake-up.
    pub fn arm(&mut self) {
        self.arm += 1;
        self.transport.region(RegionKind::User).unwrap().write(user_page::ARM, self.arm);
        // Pairs with the device's fence between publishing completions and reading what is armed.
        fence(Ordering::SeqCst);
    }
}

pub fn job(token: u32, operation: Operation) -> Descriptor {
    Descriptor { token: 0x1000 | token, opcode: operation as u8, ..Descriptor::default() }
}

pub fn copy(token: u32, source: &[u8], destination: &mut [u8]) -> Descriptor {
    over(job(token, Operation::Copy), source, destination)
}

/// The descriptor with source and destination, copied and not used in place.
pub fn over(descriptor: Descriptor, source: &[u8], destination: &mut [u8]) -> Descriptor {
    Descriptor {
        source: source.as_ptr().expose_provenance() as u64,
        source_len: u32::try_from(source.len()).unwrap(),
        destination: destination.as_mut_ptr().expose_provenance() as u64,
        destination_len: u32::try_from(destination.len()).unwrap(),
        ..descriptor
    }
}

pub fn with_aux(descriptor: Descriptor, aux: &[u8]) -> Descriptor {
    Descriptor {
        aux: aux.as_ptr().expose_provenance() as u64,
        aux_len: u32::try_from(aux.len()).unwrap(),
        ..descriptor
    }
}

pub fn vouched(mut descriptor: Descriptor) -> Descriptor {
    descriptor.flags |= DescriptorFlags::VOUCHED;
    descriptor
}

pub fn ok(token: u32, consumed: usize, produced: usize) -> Completion {
    Completion {
        token: 0x1000 | token,
        status: Status::Ok as u8,
        answer: Answer::Counts {
            consumed: u32::try_from(consumed).unwrap(),
            produced: u32::try_from(produced).unwrap(),
        },
    }
}

pub fn failed(token: u32, status: Status) -> Completion {
    Completion { status: status as u8, ..ok(token, 0, 0) }
}

/// Bytes that are not all alike.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|index| u8::try_from((index * 7 + index / 251) % 256).unwrap()).collect()
}

//! A virtio-crypto device that does its work when its doorbell is rung, and the way to it.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use uaccel_queue::{
    AddressMode, Algorithm, Direction, Quiet, Region, RegionKind, RingMemory, SessionSpec, Status, Transport,
    TransportError, Wake,
};
use uaccel_units::{Input, Scratch, Unit};

use crate::configuration;

/// Where the structures are in the region.
pub(crate) const ISR: usize = 0x1000;
pub(crate) const DEVICE: usize = 0x2000;
pub(crate) const NOTIFY: usize = 0x3000;
const LEN: usize = 0x4000;

/// Offsets in the common structure: `linux/virtio_pci.h`.
const FEATURES: usize = 0x04;
const NUM_QUEUES: usize = 0x12;
pub(crate) const DEVICE_STATUS: usize = 0x14;
const QUEUE_SIZE: usize = 0x18;
const DESCRIPTORS: usize = 0x20;
const AVAILABLE: usize = 0x28;
const USED: usize = 0x30;

/// Driver ready, and in need of a reset: `linux/virtio_config.h`.
pub(crate) const DRIVER_OK: u8 = 4;
pub(crate) const NEEDS_RESET: u8 = 64;

/// The numbers of the queues.
pub(crate) const DATA: u16 = 0;
pub(crate) const CONTROL: u16 = 1;

/// Addresses of ring memory as the device knows it: nothing like the host's.
const RINGS: u64 = 0xffff_0000_0000_0000;
const APART: u64 = 1 << 32;

/// What the device says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nature {
    /// Both halves of the features: registers do nothing here, so they cannot differ. Bits 0 and 1 of the high half are version 1 and access to the platform.
    pub(crate) features: u32,
    pub(crate) status: u32,
    pub(crate) data_queues: u32,
    pub(crate) queues: u16,
    pub(crate) services: u32,
    pub(crate) ciphers: u32,
    pub(crate) key: u32,
    pub(crate) max_size: u64,
    pub(crate) descriptors: u16,
}

impl Default for Nature {
    fn default() -> Self {
        // CBC and CTR.
        let ciphers = 1 << 3 | 1 << 4;
        Self {
            features: 3,
            status: 1,
            data_queues: 1,
            queues: 2,
            services: 1,
            ciphers,
            key: 64,
            max_size: u64::MAX >> 1,
            descriptors: 1024,
        }
    }
}

/// What the device is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) queue: u16,
    pub(crate) head: u16,
    /// What it may read.
    pub(crate) readable: Vec<u8>,
    /// Where it may write: address and length of each piece.
    pub(crate) writable: Vec<(u64, u32)>,
}

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) head: u32,
    /// As it claims.
    pub(crate) written: u32,
    /// What it writes, from the first byte that it may write on.
    pub(crate) bytes: Vec<u8>,
}

/// What becomes of an answer; without one there is none.
type Lie = dyn FnMut(&Request, Answer) -> Option<Answer> + Send;

pub(crate) struct Device {
    regions: [Region; 2],
    state: Mutex<State>,
    /// How often it has signalled.
    pub(crate) signals: AtomicU64,
}

#[derive(Default)]
struct State {
    memories: Vec<RingMemory>,
    /// By queue: how far the available ring was read, and the used ring written.
    rings: [(u16, u16); 2],
    sessions: Vec<Option<Unit>>,
    lie: Option<Box<Lie>>,
    asked: Vec<Request>,
    doorbells: Vec<(usize, u16)>,
}

impl Device {
    pub(crate) fn new(nature: Nature) -> Arc<Self> {
        Self::with(nature, &configuration::sound())
    }

    pub(crate) fn with(nature: Nature, configuration: &[u8]) -> Arc<Self> {
        let registers = Region::copied(RegionKind::User, &[0; LEN]);
        registers.write32(FEATURES, nature.features);
        registers.write16(NUM_QUEUES, nature.queues);
        registers.write16(QUEUE_SIZE, nature.descriptors);
        let words = [nature.status, nature.data_queues, nature.services, nature.ciphers];
        for (at, word) in words.into_iter().enumerate() {
            registers.write32(DEVICE + 4 * at, word);
        }
        registers.write32(DEVICE + 36, nature.key);
        registers.write(DEVICE + 48, nature.max_size);
        let configuration = Region::copied(RegionKind::Configuration, configuration);
        Arc::new(Self { regions: [registers, configuration], state: Mutex::default(), signals: AtomicU64::new(0) })
    }

    pub(crate) fn registers(&self) -> &Region {
        &self.regions[0]
    }

    /// Has the answers of a queue go through a test first.
    pub(crate) fn lie(&self, queue: u16, mut lie: impl FnMut(Answer) -> Option<Answer> + Send + 'static) {
        self.state().lie =
            Some(Box::new(move |request, answer| if request.queue == queue { lie(answer) } else { Some(answer) }));
    }

    /// What it was asked since the last call.
    pub(crate) fn asked(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().asked)
    }

    /// The doorbells since the last call: where and what.
    pub(crate) fn doorbells(&self) -> Vec<(usize, u16)> {
        std::mem::take(&mut self.state().doorbells)
    }

    /// How many sessions are open on it.
    pub(crate) fn sessions(&self) -> usize {
        self.state().sessions.iter().flatten().count()
    }

    /// The ring memory of a queue; the control queue's was asked for first.
    pub(crate) fn memory(&self, queue: u16) -> RingMemory {
        self.state().memories[usize::from(1 - queue)].clone()
    }

    /// Asks for doorbells, or for none.
    pub(crate) fn want_doorbells(&self, want: bool) {
        let used = self.addresses(DATA).2;
        self.state().put16(used, u16::from(!want));
    }

    /// Puts an element into the used ring of the data queue and moves its index, whatever that means.
    pub(crate) fn push(&self, element: (u32, u32), steps: u16) {
        let (_, _, used) = self.addresses(DATA);
        let size = self.size(DATA);
        let mut state = self.state();
        let index = state.rings[usize::from(DATA)].1;
        let place = used + 4 + 8 * u64::from(index % size);
        state.write(place, &element.0.to_le_bytes());
        state.write(place + 4, &element.1.to_le_bytes());
        let next = index.wrapping_add(steps);
        state.rings[usize::from(DATA)].1 = next;
        state.put16(used + 2, next);
    }

    /// Writes the status of a job in flight.
    pub(crate) fn set_status(&self, request: &Request, status: u8) {
        let (address, len) = *request.writable.last().expect("a place for the status");
        assert_eq!(len, 1, "the status is a byte");
        self.state().write(address, &[status]);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn size(&self, queue: u16) -> u16 {
        if queue == DATA { self.registers().read16(QUEUE_SIZE) } else { 4 }
    }

    /// Where descriptors, available ring and used ring are. Registers have no banks here: they hold those of the data queue, which was set up last; the others are where they are
    /// in the same order from the start of their own memory.
    fn addresses(&self, queue: u16) -> (u64, u64, u64) {
        let parts = |start: u64, size: u64| {
            (start, start + 16 * size, start + 16 * size + (4 + 2 * size).next_multiple_of(8) + 4)
        };
        if queue == CONTROL {
            return parts(RINGS, 4);
        }
        let read = |offset| self.registers().read(offset);
        let found = (read(DESCRIPTORS), read(AVAILABLE), read(USED));
        assert_eq!(found, parts(RINGS + APART, self.size(DATA).into()), "both queues are laid out alike");
        found
    }

    /// Works through what is available.
    fn work(&self, queue: u16) {
        let (descriptors, available, used) = self.addresses(queue);
        let size = self.size(queue);
        let mut state = self.state();
        let number = usize::from(queue);
        while state.get16(available + 2) != state.rings[number].0 {
            let entry = u64::from(state.rings[number].0 % size);
            let head = state.get16(available + 4 + 2 * entry);
            state.rings[number].0 = state.rings[number].0.wrapping_add(1);
            let request = state.request(queue, descriptors, head, size);
            let answer = state.answer(&request);
            state.asked.push(request.clone());
            let mut lie = state.lie.take();
            let answer = match &mut lie {
                Some(lie) => lie(&request, answer),
                None => Some(answer),
            };
            state.lie = lie;
            let Some(answer) = answer else { continue };
            state.scatter(&request, &answer.bytes);
            let place = used + 4 + 8 * u64::from(state.rings[number].1 % size);
            state.write(place, &answer.head.to_le_bytes());
            state.write(place + 4, &answer.written.to_le_bytes());
            state.rings[number].1 = state.rings[number].1.wrapping_add(1);
            let index = state.rings[number].1;
            state.put16(used + 2, index);
            if state.get16(available) & 1 == 0 {
                self.signals.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl State {
    /// The host's pointer to what the device knows under an address.
    fn pointer(&self, address: u64) -> *mut u8 {
        match address.checked_sub(RINGS) {
            Some(offset) => {
                let memory = &self.memories[(offset / APART) as usize];
                memory.buffer((offset % APART) as usize).as_ptr()
            }
            None => ptr::with_exposed_provenance_mut(address as usize),
        }
    }

    fn read(&self, address: u64, len: usize) -> Vec<u8> {
        // SAFETY: ring memory, or a job's, which is vouched for until it is answered; nobody writes it meanwhile.
        unsafe { std::slice::from_raw_parts(self.pointer(address), len) }.to_vec()
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        // SAFETY: as in `read`.
        unsafe { ptr::copy(bytes.as_ptr(), self.pointer(address), bytes.len()) };
    }

    fn get16(&self, address: u64) -> u16 {
        u16::from_le_bytes(self.read(address, 2).try_into().expect("two bytes"))
    }

    fn put16(&self, address: u64, value: u16) {
        self.write(address, &value.to_le_bytes());
    }

    /// The chain that begins at `head`.
    fn request(&self, queue: u16, descriptors: u64, head: u16, size: u16) -> Request {
        let mut request = Request { queue, head, readable: Vec::new(), writable: Vec::new() };
        let mut at = head;
        for _ in 0..size {
            let descriptor = self.read(descriptors + 16 * u64::from(at), 16);
            let field = |from: usize, to: usize| {
                descriptor[from..to].iter().rev().fold(0_u64, |value, byte| value << 8 | u64::from(*byte))
            };
            let (address, len, flags, next) = (field(0, 8), field(8, 12) as u32, field(12, 14), field(14, 16));
            assert_ne!(len, 0, "a piece without bytes (QEMU gives up)");
            if flags & 2 != 0 {
                request.writable.push((address, len));
            } else {
                assert!(request.writable.is_empty(), "what is read comes first (2.7.4.2)");
                request.readable.extend(self.read(address, len as usize));
            }
            if flags & 1 == 0 {
                return request;
            }
            at = next as u16;
        }
        panic!("a chain in a circle")
    }

    /// Writes into the pieces that may be written.
    fn scatter(&self, request: &Request, mut bytes: &[u8]) {
        for (address, len) in &request.writable {
            let (piece, rest) = bytes.split_at(bytes.len().min(*len as usize));
            self.write(*address, piece);
            bytes = rest;
        }
    }

    /// What an honest device does.
    fn answer(&mut self, request: &Request) -> Answer {
        let word = |at: usize| u32::from_le_bytes(request.readable[at..at + 4].try_into().expect("four bytes"));
        let number = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
        let bytes = match (request.queue, word(0)) {
            (CONTROL, 2) => {
                let unit = Self::unit(word(16), word(24), &request.readable[72..]);
                let free = self.sessions.iter().position(Option::is_none);
                let place = free.unwrap_or(self.sessions.len());
                if place == self.sessions.len() {
                    self.sessions.push(None);
                }
                self.sessions[place] = Some(unit);
                // Numbers are the device's own business.
                [&(place as u64 + 1000).to_le_bytes()[..], &[0; 8]].concat()
            }
            (CONTROL, 3) => {
                let session = &mut self.sessions[(number(16) - 1000) as usize];
                assert!(session.take().is_some(), "a session that is not open (QEMU gives up)");
                vec![0]
            }
            (DATA, 0 | 1) => {
                let (len, source) = (word(28) as usize, &request.readable[88..]);
                assert_eq!((word(24), word(32) as usize, source.len(), word(64)), (16, len, len, 1));
                let unit = self.sessions.get((number(8) - 1000) as usize).and_then(Option::as_ref);
                let mut made = vec![0; len];
                let status = unit.map_or(4, |unit| {
                    let immediate = request.readable[72..88].try_into().expect("an IV");
                    let input = Input { source, aux: &[], immediate };
                    u8::from(unit.run(&mut Scratch::default(), &input, &mut made).status != Status::Ok)
                });
                made.push(status);
                made
            }
            other => panic!("no such request: {other:?}"),
        };
        let room: u32 = request.writable.iter().map(|(_, len)| len).sum();
        assert_eq!(room as usize, bytes.len(), "room for the answer");
        Answer { head: request.head.into(), written: room, bytes }
    }

    fn unit(cipher: u32, op: u32, key: &[u8]) -> Unit {
        let algorithm = match (cipher, key.len()) {
            (3, 16) => Algorithm::Aes128Cbc,
            (3, 32) => Algorithm::Aes256Cbc,
            (4, 16) => Algorithm::Aes128Ctr,
            (4, 32) => Algorithm::Aes256Ctr,
            other => panic!("no such cipher: {other:?}"),
        };
        let direction = if op == 1 { Direction::Forward } else { Direction::Inverse };
        let spec = SessionSpec::keyed(algorithm, direction, key).expect("a key");
        Unit::new(&spec).expect("a unit")
    }
}

impl Transport for Device {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        let words: Arc<[AtomicU64]> = (0..len.div_ceil(8)).map(|_| AtomicU64::new(0)).collect();
        let mut state = self.state();
        let device = RINGS + APART * state.memories.len() as u64;
        // SAFETY: zeroed words that the keeper keeps. This device is in the same thread as whoever rings its doorbell.
        let memory = unsafe { RingMemory::new(NonNull::from(&*words).cast(), device, len, Arc::new(words)) };
        state.memories.push(memory.clone());
        Ok(memory)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        panic!("a doorbell of 64 bits at {offset:#x}: {value}")
    }

    fn ring_doorbell16(&self, offset: usize, value: u16) {
        self.state().doorbells.push((offset, value));
        assert_eq!(offset, NOTIFY, "doorbells share a place, since their offsets are the same here");
        if self.registers().read8(DEVICE_STATUS) & DRIVER_OK != 0 {
            self.work(value);
        }
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        std::thread::sleep(left);
        Ok(Wake::TimedOut)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
        self.registers().write8(DEVICE_STATUS, 0);
        Ok(Quiet::Proven)
    }

    fn reset(&self, _within: Duration) -> Result<(), TransportError> {
        self.registers().write8(DEVICE_STATUS, 0);
        self.registers().write16(QUEUE_SIZE, Nature::default().descriptors);
        // Sessions stay, as QEMU's do.
        let mut state = self.state();
        state.memories.clear();
        state.rings = Default::default();
        Ok(())
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::IdentityPinned
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("regions", &self.regions).finish_non_exhaustive()
    }
}

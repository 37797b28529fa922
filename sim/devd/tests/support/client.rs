//! A client that speaks the protocol by hand.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use uaccel_devd_protocol::{Channel, HelloFlags, Priority, Refusal, Reply, Request, VERSION};
use uaccel_queue::{AddressMode, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};
use uaccel_warp_abi::{Geometry, Mode, user_page};

use super::hand::{Hand, PATIENCE};

/// A page with a canary, at a place the kernel chose.
pub struct Gate {
    page: MmapRaw,
    pub canary: [u64; 2],
}

impl Gate {
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let page = MmapRaw::from(MmapOptions::new().len(4096).map_anon().expect("a page"));
        let canary = [0x5eed_0000_0000_0000 | u64::from(std::process::id()) << 16 | number, !number];
        for (index, word) in canary.iter().enumerate() {
            // SAFETY: two words at the start of a page that nobody else knows yet.
            unsafe { page.as_mut_ptr().cast::<u64>().add(index).write(*word) };
        }
        Self { page, canary }
    }

    pub fn address(&self) -> u64 {
        self.page.as_ptr().expose_provenance() as u64
    }
}

/// One connection.
pub struct Client {
    pub channel: Channel,
    pub gate: Gate,
    serial: AtomicU64,
    /// One request at a time.
    turn: Mutex<()>,
}

impl Client {
    pub fn connect(socket: &Path) -> Self {
        let channel = Channel::connect(socket, PATIENCE).expect("a server that listens");
        Self { channel, gate: Gate::new(), serial: AtomicU64::new(0), turn: Mutex::new(()) }
    }

    /// A client whose address space is bound.
    pub fn bound(socket: &Path) -> Arc<Self> {
        let client = Self::connect(socket);
        match client.hello() {
            Reply::Welcome { .. } => Arc::new(client),
            other => panic!("not welcome: {other:?}"),
        }
    }

    pub fn hello(&self) -> Reply {
        self.hello_with(Priority::Normal)
    }

    pub fn hello_with(&self, priority: Priority) -> Reply {
        let (mem, maps) = own_memory();
        self.ask_with(&self.introduction(priority), &[mem.as_fd(), maps.as_fd()]).0
    }

    pub fn introduction(&self, priority: Priority) -> Request {
        Request::Hello {
            version: VERSION,
            flags: HelloFlags::empty(),
            priority,
            gate: self.gate.address(),
            canary: self.gate.canary,
        }
    }

    pub fn ask(&self, request: &Request) -> Reply {
        self.ask_with(request, &[]).0
    }

    pub fn ask_with(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> (Reply, Vec<OwnedFd>) {
        self.try_ask(request, descriptors).expect("an answer")
    }

    /// Asks, and waits for the answer to this request; `None` if the server hangs up first.
    pub fn try_ask(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Option<(Reply, Vec<OwnedFd>)> {
        let _turn = self.turn.lock().unwrap();
        let serial = self.say(request, descriptors)?;
        loop {
            let (answered, reply, descriptors) = self.hear()?;
            if answered == serial {
                return Some((reply, descriptors));
            }
        }
    }

    /// Sends a request and waits for nothing.
    pub fn say(&self, request: &Request, descriptors: &[BorrowedFd<'_>]) -> Option<u32> {
        let serial = u32::try_from(self.serial.fetch_add(1, Ordering::Relaxed) + 1).unwrap();
        self.channel.send(&request.encode(serial), descriptors, PATIENCE).ok()?;
        Some(serial)
    }

    /// The next answer; `None` if the server hangs up first.
    pub fn hear(&self) -> Option<(u32, Reply, Vec<OwnedFd>)> {
        use uaccel_devd_protocol::ChannelError;

        let packet = match self.channel.receive(PATIENCE) {
            Ok(packet) => packet,
            Err(ChannelError::HungUp) => return None,
            Err(error) => panic!("neither an answer nor a hang-up: {error}"),
        };
        let (serial, reply) = Reply::decode(&packet.bytes, packet.descriptors.len()).expect("a proper answer");
        Some((serial, reply, packet.descriptors))
    }

    /// Opens a queue of the first device.
    pub fn open(self: &Arc<Self>) -> Arc<Queue> {
        let (reply, descriptors) = self.ask_with(&Request::Open { index: 0 }, &[]);
        let Reply::Opened { queue } = reply else { panic!("no queue: {reply:?}") };
        let [page, signal, bell] = <[OwnedFd; 3]>::try_from(descriptors).expect("three descriptors");
        Arc::new(Queue::new(self.clone(), queue, &page, signal, bell))
    }

    /// Opens a queue and starts it.
    pub fn hand(self: &Arc<Self>) -> Hand {
        Hand::with(self.open(), Geometry::new(6, 16, Mode::Ring).unwrap())
    }
}

/// What a client passes of itself.
pub fn own_memory() -> (File, File) {
    let mem = OpenOptions::new().read(true).write(true).open("/proc/self/mem").expect("one's own memory");
    (mem, File::open("/proc/self/maps").expect("one's own mappings"))
}

pub fn refusal(reply: &Reply) -> Option<Refusal> {
    match reply {
        Reply::Refused { refusal, .. } => Some(*refusal),
        _ => None,
    }
}

/// A queue of a client.
pub struct Queue {
    pub client: Arc<Client>,
    pub number: u32,
    regions: [Region; 1],
    signal: OwnedFd,
    bell: OwnedFd,
}

impl Queue {
    fn new(client: Arc<Client>, number: u32, page: &OwnedFd, signal: OwnedFd, bell: OwnedFd) -> Self {
        let page = Arc::new(MmapOptions::new().len(4096).map_raw(page).expect("the user page"));
        let base = NonNull::new(page.as_mut_ptr()).unwrap();
        // SAFETY: a whole page, mapped as long as the keeper lives; both sides access it in words.
        let region = unsafe { Region::new(RegionKind::User, base, 4096, page) };
        Self { client, number, regions: [region], signal, bell }
    }
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Transport for Queue {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        let request = Request::Ring { queue: self.number, len: len as u64 };
        let (reply, descriptors) = self.client.ask_with(&request, &[]);
        let Reply::Ring { address, len, .. } = reply else { return Err(TransportError::Refused(format!("{reply:?}"))) };
        let len = usize::try_from(len).unwrap();
        let map = Arc::new(MmapOptions::new().len(len).map_raw(&descriptors[0]).expect("ring memory"));
        let host = NonNull::new(map.as_mut_ptr()).unwrap();
        // SAFETY: fresh and zeroed, mapped as long as the keeper lives, and accessed atomically by both sides.
        Ok(unsafe { RingMemory::new(host, address, len, map) })
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        if offset == user_page::SUBMIT {
            nix::unistd::write(&self.bell, &1_u64.to_ne_bytes()).expect("a bell");
            return;
        }
        let request = Request::Control { queue: self.number, offset: offset as u64, value };
        assert_eq!(self.client.ask(&request), Reply::Done);
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        let left = until.map_or(PATIENCE, |until| until.saturating_duration_since(Instant::now()));
        let mut events = [PollFd::new(self.signal.as_fd(), PollFlags::POLLIN)];
        match poll(&mut events, PollTimeout::try_from(left).unwrap()) {
            Ok(0) => Ok(Wake::TimedOut),
            Ok(_) => {
                nix::unistd::read(&self.signal, &mut [0; 64]).expect("a signal");
                Ok(Wake::Signalled)
            }
            Err(errno) => panic!("poll: {errno}"),
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signal.as_fd())
    }

    fn clear_wake(&self) {}

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        let within = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        match self.client.ask(&Request::Stop { queue: self.number, within }) {
            Reply::Stopped { quiet: true } => Ok(Quiet::Proven),
            Reply::Stopped { quiet: false } => Ok(Quiet::Unproven),
            other => Err(TransportError::Refused(format!("{other:?}"))),
        }
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        let within = u64::try_from(within.as_nanos()).unwrap_or(u64::MAX);
        match self.client.ask(&Request::Reset { queue: self.number, within }) {
            Reply::Done => Ok(()),
            other => Err(TransportError::Refused(format!("{other:?}"))),
        }
    }

    fn is_alive(&self) -> bool {
        !self.client.channel.has_hung_up().unwrap_or(true)
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

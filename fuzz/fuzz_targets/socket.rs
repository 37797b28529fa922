//! What `uaccel-devd` makes of messages that nobody vouches for: every request is answered or ends the connection, what a connection had comes back when it ends, and a client
//! beside it is served all the while.
#![no_main]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use memmap2::{MmapOptions, MmapRaw};
use nix::sys::memfd::{MFdFlags, memfd_create};
use uaccel_devd::{Daemon, DaemonConfig};
use uaccel_devd_protocol::{Channel, ChannelError, HelloFlags, Priority, Reply, Request, VERSION};

/// Long enough that only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(20);
const PAGE: usize = 4096;

#[derive(Debug, Arbitrary)]
struct Input {
    bytes: Vec<u8>,
    steps: Vec<Step>,
}

#[derive(Debug, Arbitrary)]
enum Step {
    /// A new connection in the place of the old one.
    Connect,
    /// A greeting that is right.
    Greet,
    /// One that is not: version, flags, priority, gate, canary, which descriptors.
    Misgreet(Odd, u32, u8, Odd, u64, [Passed; 2]),
    Device(u8),
    Open(u8),
    Ring(Queue, Odd),
    Control(Queue, Odd, Odd),
    Enable(Queue, bool),
    Stop(Queue, u16),
    Reset(Queue, u16),
    Close(Queue),
    Window(Odd, Odd, Passed),
    Unwindow(Odd),
    Status,
    /// Any bytes, with so many descriptors.
    Bytes(Vec<u8>, [Passed; 3], u8),
    /// A right request, one byte of which is another.
    Flip(u8, u8),
    /// A register of the last queue, past the daemon.
    Register(u16, Odd),
    /// The bell of the last queue.
    Ding,
}

/// One of the connection's queues, or none at all.
#[derive(Debug, Arbitrary)]
enum Queue {
    Known(u8),
    Any(u32),
}

/// A number at the edge of something, more often than not.
#[derive(Debug)]
struct Odd(u64);

impl<'a> Arbitrary<'a> for Odd {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let small = u64::from(u.arbitrary::<u16>()?);
        Ok(Self(match u.int_in_range(0..=5_u8)? {
            0 => u64::MAX - small,
            1 => 1_u64 << (small % 64),
            2 => small << 12,
            3 => u.arbitrary()?,
            _ => small,
        }))
    }
}

/// A descriptor that is passed.
#[derive(Debug, Arbitrary)]
enum Passed {
    Memory,
    Maps,
    Null,
    Exe,
    /// A file in memory of so many pages, sealed or not.
    File(u8, bool),
}

impl Passed {
    fn open(&self) -> OwnedFd {
        let file = |file: std::io::Result<File>| OwnedFd::from(file.expect("a file that every process has"));
        match self {
            Self::Memory => file(OpenOptions::new().read(true).write(true).open("/proc/self/mem")),
            Self::Maps => file(File::open("/proc/self/maps")),
            Self::Null => file(File::open("/dev/null")),
            Self::Exe => file(File::open("/proc/self/exe")),
            Self::File(pages, sealed) => {
                let file = memfd_create(c"fuzz", MFdFlags::MFD_ALLOW_SEALING).expect("a file in memory");
                nix::unistd::ftruncate(&file, i64::from(*pages % 16) * PAGE as i64).expect("its length");
                if *sealed {
                    let seals = nix::fcntl::SealFlag::F_SEAL_SHRINK | nix::fcntl::SealFlag::F_SEAL_GROW;
                    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_ADD_SEALS(seals)).expect("seals");
                }
                file
            }
        }
    }
}

/// The daemon, and a client that has to be served whatever happens.
struct World {
    daemon: Daemon,
    bystander: Channel,
    gate: MmapRaw,
}

const CANARY: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let folder = std::env::temp_dir().join(format!("uaccel-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut config = DaemonConfig::new(folder.join("devd.sock"));
        config.workers = Some(1);
        let daemon = Daemon::start(config).expect("a daemon");
        let gate = MmapRaw::from(MmapOptions::new().len(PAGE).map_anon().expect("a page"));
        for (index, word) in CANARY.into_iter().enumerate() {
            // SAFETY: two words at the start of a page that nobody else knows yet.
            unsafe { gate.as_mut_ptr().cast::<u64>().add(index).write(word) };
        }
        let bystander = Channel::connect(daemon.socket(), PATIENCE).expect("a connection");
        let world = World { daemon, bystander, gate };
        let mut greeting = Connection::over(&world, None);
        assert!(matches!(
            greeting.ask_over(&world.bystander, &world.hello(), &world.credentials()),
            Some(Reply::Welcome { .. })
        ));
        world
    })
}

impl World {
    fn hello(&self) -> Request {
        Request::Hello {
            version: VERSION,
            flags: HelloFlags::empty(),
            priority: Priority::Normal,
            gate: self.gate.as_ptr().expose_provenance() as u64,
            canary: CANARY,
        }
    }

    fn credentials(&self) -> Vec<OwnedFd> {
        vec![Passed::Memory.open(), Passed::Maps.open()]
    }
}

/// A connection of this run; `None` once the daemon has hung up.
struct Connection<'w> {
    world: &'w World,
    channel: Option<Channel>,
    serial: u32,
    queues: Vec<u32>,
    page: Option<MmapRaw>,
    bell: Option<OwnedFd>,
}

impl<'w> Connection<'w> {
    fn over(world: &'w World, channel: Option<Channel>) -> Self {
        Self { world, channel, serial: 0, queues: Vec::new(), page: None, bell: None }
    }

    fn new(world: &'w World) -> Self {
        let channel = Channel::connect(world.daemon.socket(), PATIENCE).expect("the daemon lets somebody in");
        Self::over(world, Some(channel))
    }

    fn queue(&self, queue: &Queue) -> u32 {
        match queue {
            Queue::Known(pick) if !self.queues.is_empty() => self.queues[usize::from(*pick) % self.queues.len()],
            Queue::Known(pick) => u32::from(*pick),
            Queue::Any(number) => *number,
        }
    }

    /// A request that is right in form is answered, or the connection ends.
    fn ask(&mut self, request: &Request, descriptors: &[OwnedFd]) {
        let Some(channel) = self.channel.take() else { return };
        if self.ask_over(&channel, request, descriptors).is_some() {
            self.channel = Some(channel);
        }
    }

    fn ask_over(&mut self, channel: &Channel, request: &Request, descriptors: &[OwnedFd]) -> Option<Reply> {
        self.serial = self.serial.wrapping_add(1);
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        match channel.send(&request.encode(self.serial), &borrowed, PATIENCE) {
            Ok(()) => {}
            Err(ChannelError::HungUp) => return None,
            Err(error) => panic!("{request:?} cannot be sent: {error}"),
        }
        let packet = match channel.receive(PATIENCE) {
            Ok(packet) => packet,
            Err(ChannelError::HungUp) => return None,
            Err(error) => panic!("{request:?} is neither answered nor does the connection end: {error}"),
        };
        let (serial, reply) = Reply::decode(&packet.bytes, packet.descriptors.len()).expect("a proper answer");
        assert_eq!(serial, self.serial, "{request:?} is answered by {reply:?}");
        if let Reply::Opened { queue } = reply {
            let [page, _signal, bell] = <[OwnedFd; 3]>::try_from(packet.descriptors).expect("three descriptors");
            self.queues.push(queue);
            self.page = MmapOptions::new().len(PAGE).map_raw(&page).ok();
            self.bell = Some(bell);
        }
        Some(reply)
    }

    /// Bytes that are no request, or one by accident: if they are none, the connection ends.
    fn say(&mut self, bytes: &[u8], descriptors: &[OwnedFd]) {
        let Some(channel) = self.channel.take() else { return };
        let borrowed: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        if bytes.is_empty() || channel.send(bytes, &borrowed, PATIENCE).is_err() {
            return;
        }
        let proper = Request::decode(bytes, descriptors.len()).is_ok();
        match channel.receive(PATIENCE) {
            Ok(packet) => {
                let (_, reply) = Reply::decode(&packet.bytes, packet.descriptors.len()).expect("a proper answer");
                if proper {
                    self.channel = Some(channel);
                } else {
                    assert!(matches!(reply, Reply::Refused { .. }), "{bytes:?} is answered by {reply:?}");
                    assert!(matches!(channel.receive(PATIENCE), Err(ChannelError::HungUp)), "and ends the connection");
                }
            }
            Err(ChannelError::HungUp) => {}
            Err(error) => panic!("{bytes:?} is neither answered nor does the connection end: {error}"),
        }
    }

    fn take(&mut self, step: &Step) {
        let world = self.world;
        match step {
            Step::Connect => *self = Self::new(world),
            Step::Greet => self.ask(&world.hello(), &world.credentials()),
            Step::Misgreet(version, flags, priority, gate, canary, passed) => {
                let hello = Request::Hello {
                    version: if version.0 % 2 == 0 { VERSION } else { version.0 as u32 },
                    flags: HelloFlags::from_bits_truncate((*flags).into()),
                    priority: [Priority::Low, Priority::Normal, Priority::High][usize::from(priority % 3)],
                    gate: gate.0,
                    canary: [*canary, CANARY[1]],
                };
                self.ask(&hello, &passed.iter().map(Passed::open).collect::<Vec<_>>());
            }
            Step::Device(index) => self.ask(&Request::Device { index: (*index).into() }, &[]),
            Step::Open(index) => self.ask(&Request::Open { index: u32::from(*index) % 3 }, &[]),
            Step::Ring(queue, len) => self.ask(&Request::Ring { queue: self.queue(queue), len: len.0 }, &[]),
            Step::Control(queue, offset, value) => {
                self.ask(&Request::Control { queue: self.queue(queue), offset: offset.0, value: value.0 }, &[]);
            }
            Step::Enable(queue, on) => {
                let offset = uaccel_warp_abi::user_page::ENABLE as u64;
                self.ask(&Request::Control { queue: self.queue(queue), offset, value: (*on).into() }, &[]);
            }
            Step::Stop(queue, within) => {
                self.ask(&Request::Stop { queue: self.queue(queue), within: u64::from(*within) * 1000 }, &[]);
            }
            Step::Reset(queue, within) => {
                self.ask(&Request::Reset { queue: self.queue(queue), within: u64::from(*within) * 1000 }, &[]);
            }
            Step::Close(queue) => self.ask(&Request::Close { queue: self.queue(queue) }, &[]),
            Step::Window(address, len, passed) => {
                self.ask(&Request::Window { address: address.0, len: len.0 }, &[passed.open()]);
            }
            Step::Unwindow(id) => self.ask(&Request::Unwindow { id: id.0 }, &[]),
            Step::Status => self.ask(&Request::Status, &[]),
            Step::Bytes(bytes, passed, count) => {
                let passed: Vec<_> = passed.iter().take(usize::from(count % 4)).map(Passed::open).collect();
                self.say(&bytes[..bytes.len().min(600)], &passed);
            }
            Step::Flip(at, value) => {
                let mut bytes = Request::Device { index: 0 }.encode(7);
                bytes[usize::from(*at) % 64] ^= value;
                self.say(&bytes, &[]);
            }
            Step::Register(offset, value) => {
                if let Some(page) = &self.page {
                    let offset = usize::from(*offset) % (PAGE / 8);
                    // SAFETY: an aligned word of the page, which the daemon accesses by atomics as well.
                    unsafe { std::sync::atomic::AtomicU64::from_ptr(page.as_mut_ptr().cast::<u64>().add(offset)) }
                        .store(value.0, std::sync::atomic::Ordering::Release);
                }
            }
            Step::Ding => {
                if let Some(bell) = &self.bell {
                    // It fails if the bell is too full to count on.
                    let _ = nix::unistd::write(bell, &1_u64.to_ne_bytes());
                }
            }
        }
    }
}

fuzz_target!(|input: Input| {
    // Decoding makes something of any bytes, or nothing; what it makes is what was there.
    for descriptors in 0..4 {
        if let Ok((serial, request)) = Request::decode(&input.bytes, descriptors) {
            assert_eq!(request.encode(serial)[..], input.bytes[..], "{request:?}");
        }
        let _ = Reply::decode(&input.bytes, descriptors);
    }
    let world = world();
    let mut connection = Connection::new(world);
    for step in input.steps.iter().take(64) {
        connection.take(step);
    }
    drop(connection);
    let mut bystander = Connection::over(world, None);
    let told = bystander.ask_over(&world.bystander, &Request::Device { index: 0 }, &[]);
    assert!(matches!(told, Some(Reply::Device { .. })), "the bystander is told {told:?}");
    // What the connection had comes back.
    let begun = Instant::now();
    loop {
        let status = world.daemon.status();
        let open: usize = status.devices.iter().map(|device| device.queues_open).sum();
        if status.clients.len() == 1 && open == 0 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{} clients and {open} queues are left", status.clients.len());
        std::thread::sleep(Duration::from_micros(200));
    }
});

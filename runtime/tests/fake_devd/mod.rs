//! A daemon that the test holds in its hand: it says what a `uaccel-devd` says, or whatever the test wants instead. It does no jobs.
#![allow(dead_code, reason = "every test uses another part")]

use std::ffi::CStr;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Write, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with};
use uaccel_devd_protocol::{Channel, ChannelError, Reply, Request, VERSION, WelcomeFlags};
use uaccel_queue::{Operation, RingMemory};
use uaccel_warp_abi::{Limits, State, ident, user_page};

/// What the daemon does with a request.
pub(crate) enum Act {
    /// What a daemon does.
    Answer,
    /// This, with as many descriptors as it takes, or none.
    Say(Reply),
    /// These bytes, with as many descriptors of nothing.
    Raw(Vec<u8>, usize),
    /// What a daemon does, but with this in the place of the first descriptor.
    Swap(OwnedFd),
    /// Nothing, for now.
    Silence,
    /// It closes the connection.
    HangUp,
}

/// Decides what to do with a request.
type Script = Box<dyn FnMut(&Client, u32, &Request) -> Act + Send>;

/// A daemon of the test.
pub(crate) struct FakeDevd {
    pub(crate) socket: PathBuf,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    script: Mutex<Script>,
    /// Every request, with the number of the connection it came over.
    heard: Mutex<Vec<(usize, Request)>>,
    clients: Mutex<Vec<Arc<Client>>>,
    gone: AtomicBool,
    next_queue: AtomicUsize,
}

/// A client of the daemon, as long as it is connected.
pub(crate) struct Client {
    number: usize,
    /// Who made the connection, by the kernel.
    pub(crate) pid: u32,
    channel: Mutex<Option<Arc<Channel>>>,
    /// `/proc/self/mem` of the client, which it passed.
    pub(crate) memory: Mutex<Option<File>>,
    pub(crate) queues: Mutex<Vec<FakeQueue>>,
    /// Windows that the client registered: id and file.
    pub(crate) windows: Mutex<Vec<(u64, File)>>,
}

/// The daemon's side of a queue.
pub(crate) struct FakeQueue {
    pub(crate) number: u32,
    pub(crate) page: RingMemory,
    pub(crate) rings: Vec<(u64, RingMemory)>,
    pub(crate) signal: PipeWriter,
    pub(crate) bell: EventFd,
}

impl FakeDevd {
    /// A daemon that does what a daemon does, but for jobs.
    pub(crate) fn new() -> Self {
        Self::with(|_, _, _| Act::Answer)
    }

    /// A daemon that does what the test says.
    pub(crate) fn with(script: impl FnMut(&Client, u32, &Request) -> Act + Send + 'static) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let socket = std::env::temp_dir().join(format!("uaccel-fake-devd-{}-{number}", std::process::id()));
        Self::at(socket, script)
    }

    pub(crate) fn at(socket: PathBuf, script: impl FnMut(&Client, u32, &Request) -> Act + Send + 'static) -> Self {
        let _ = std::fs::remove_file(&socket);
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        bind(&listener, &SocketAddrUnix::new(&socket).unwrap()).unwrap();
        listen(&listener, 16).unwrap();
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            heard: Mutex::default(),
            clients: Mutex::default(),
            gone: AtomicBool::new(false),
            next_queue: AtomicUsize::new(1),
        });
        let acceptor = std::thread::spawn({
            let shared = shared.clone();
            move || shared.accept(&listener)
        });
        Self { socket, shared, acceptor: Some(acceptor) }
    }

    /// What the daemon was asked, in order.
    pub(crate) fn heard(&self) -> Vec<Request> {
        lock(&self.shared.heard).iter().map(|(_, request)| *request).collect()
    }

    /// How many connections have said Hello.
    pub(crate) fn hellos(&self) -> usize {
        self.heard().iter().filter(|request| matches!(request, Request::Hello { .. })).count()
    }

    /// The last client that said Hello.
    pub(crate) fn client(&self) -> Arc<Client> {
        let clients = lock(&self.shared.clients);
        clients.iter().rfind(|client| lock(&client.memory).is_some()).expect("somebody said Hello").clone()
    }

    /// Hangs up on everybody.
    pub(crate) fn hang_up(&self) {
        lock(&self.shared.clients).iter().for_each(|client| client.hang_up());
    }
}

impl Drop for FakeDevd {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Relaxed);
        self.hang_up();
        // A last one, so that the acceptor looks.
        let _ = Channel::connect(&self.socket, Duration::from_secs(1));
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &OwnedFd) {
        for number in 0.. {
            let Ok(socket) = accept_with(listener, SocketFlags::CLOEXEC) else { return };
            if self.gone.load(Ordering::Relaxed) {
                return;
            }
            let channel = Channel::new(socket).unwrap();
            let pid = channel.peer().unwrap().pid.as_raw_nonzero().get().unsigned_abs();
            let client = Arc::new(Client {
                number,
                pid,
                channel: Mutex::new(Some(Arc::new(channel))),
                memory: Mutex::default(),
                queues: Mutex::default(),
                windows: Mutex::default(),
            });
            lock(&self.clients).push(client.clone());
            let shared = self.clone();
            std::thread::spawn(move || shared.serve(&client));
        }
    }

    fn serve(&self, client: &Client) {
        loop {
            let packet = match client.with_channel(|channel| channel.receive(Duration::from_millis(2))) {
                Some(Ok(packet)) => packet,
                Some(Err(ChannelError::TimedOut(_))) => continue,
                _ => return client.hang_up(),
            };
            let (serial, request) = Request::decode(&packet.bytes, packet.descriptors.len()).expect("a good client");
            lock(&self.heard).push((client.number, request));
            let act = (lock(&self.script))(client, serial, &request);
            self.act(client, act, serial, &request, packet.descriptors);
        }
    }

    fn act(&self, client: &Client, act: Act, serial: u32, request: &Request, received: Vec<OwnedFd>) {
        match act {
            Act::Answer => {
                let (reply, descriptors) = self.answer(client, request, received);
                client.say(serial, &reply, &borrowed(&descriptors));
            }
            Act::Swap(first) => {
                let (reply, mut descriptors) = self.answer(client, request, received);
                descriptors[0] = first;
                client.say(serial, &reply, &borrowed(&descriptors));
            }
            Act::Say(reply) => {
                let nothing: Vec<_> = (0..reply.descriptors()).map(|_| nothing()).collect();
                client.say(serial, &reply, &borrowed(&nothing));
            }
            Act::Raw(bytes, count) => {
                let nothing: Vec<_> = (0..count).map(|_| nothing()).collect();
                client.with_channel(|channel| channel.send(&bytes, &borrowed(&nothing), Duration::from_secs(1)));
            }
            Act::Silence => {}
            Act::HangUp => client.hang_up(),
        }
    }

    /// What a daemon says, and the descriptors with it.
    fn answer(&self, client: &Client, request: &Request, mut received: Vec<OwnedFd>) -> (Reply, Vec<OwnedFd>) {
        let mut descriptors = Vec::new();
        let reply = match *request {
            Request::Hello { .. } => {
                *lock(&client.memory) = Some(File::from(received.swap_remove(0)));
                Reply::Welcome {
                    version: VERSION,
                    flags: WelcomeFlags::empty(),
                    pasid: 7,
                    queues: 4,
                    windows: 4,
                    window_bytes: 1 << 20,
                }
            }
            Request::Device { index } => Reply::Device {
                count: 2,
                queues: 4,
                free: 4,
                name: ["first", "second"][index as usize].to_owned(),
                interface: uaccel_warp_abi::INTERFACE.to_owned(),
            },
            Request::Open { .. } => {
                let number = self.next_queue.fetch_add(1, Ordering::Relaxed) as u32;
                let (file, page) = memory(c"page", 4096, 0);
                furnish(&page);
                let (signal, writer): (PipeReader, PipeWriter) = pipe().unwrap();
                let bell = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK).unwrap();
                let ring = bell.as_fd().try_clone_to_owned().unwrap();
                descriptors = vec![file, signal.into(), ring];
                lock(&client.queues).push(FakeQueue { number, page, rings: Vec::new(), signal: writer, bell });
                Reply::Opened { queue: number }
            }
            Request::Ring { queue, len } => {
                let len = len.next_multiple_of(4096);
                let address = 1 << 63 | u64::from(queue) << 32;
                let (file, ring) = memory(c"ring", len, address);
                descriptors.push(file);
                client.on(queue, |queue| queue.rings.push((address, ring)));
                Reply::Ring { queue, address, len }
            }
            Request::Control { queue, offset, value } => {
                if offset == user_page::ENABLE as u64 && value == 1 {
                    client.on(queue, |queue| {
                        if let Some((_, ring)) = queue.rings.last() {
                            ring.publish(0, State::Ready.encode());
                        }
                    });
                }
                Reply::Done
            }
            Request::Stop { .. } => Reply::Stopped { quiet: true },
            Request::Window { address, .. } => {
                lock(&client.windows).push((address, File::from(received.swap_remove(0))));
                Reply::Window { id: address }
            }
            Request::Unwindow { id } => {
                lock(&client.windows).retain(|(window, _)| *window != id);
                Reply::Done
            }
            Request::Close { queue } => {
                lock(&client.queues).retain(|open| open.number != queue);
                Reply::Done
            }
            _ => Reply::Done,
        };
        (reply, descriptors)
    }
}

impl Client {
    /// Sends a reply, now or late.
    pub(crate) fn say(&self, serial: u32, reply: &Reply, descriptors: &[BorrowedFd<'_>]) {
        self.with_channel(|channel| channel.send(&reply.encode(serial), descriptors, Duration::from_secs(1)));
    }

    pub(crate) fn hang_up(&self) {
        lock(&self.queues).clear();
        *lock(&self.channel) = None;
    }

    /// What the client has at `address`, as the descriptor that it passed shows it.
    pub(crate) fn read(&self, address: u64, bytes: &mut [u8]) {
        lock(&self.memory).as_ref().expect("a descriptor").read_exact_at(bytes, address).expect("memory of the client");
    }

    /// Does something with an open queue.
    pub(crate) fn on<T>(&self, number: u32, f: impl FnOnce(&mut FakeQueue) -> T) -> T {
        let mut queues = lock(&self.queues);
        f(queues.iter_mut().find(|queue| queue.number == number).expect("an open queue"))
    }

    /// Does something with the only queue.
    pub(crate) fn on_queue<T>(&self, f: impl FnOnce(&mut FakeQueue) -> T) -> T {
        f(lock(&self.queues).last_mut().expect("an open queue"))
    }

    fn with_channel<T>(&self, f: impl FnOnce(&Channel) -> T) -> Option<T> {
        // Not locked meanwhile: others may want to hang up.
        let channel = lock(&self.channel).clone()?;
        Some(f(&channel))
    }
}

impl FakeQueue {
    /// Sends a signal.
    pub(crate) fn signal(&mut self) {
        self.signal.write_all(&[1]).expect("the client reads");
    }

    /// How often the doorbell was rung since the last look.
    pub(crate) fn rung(&self) -> u64 {
        self.bell.read().unwrap_or(0)
    }
}

/// Waits for what another thread does.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "still not so: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A memory file with or without seals.
pub(crate) fn file(name: &CStr, len: u64, seals: SealFlag) -> OwnedFd {
    let file = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING).unwrap();
    ftruncate(&file, i64::try_from(len).unwrap()).unwrap();
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals)).unwrap();
    file
}

/// Something that is neither memory nor a pipe.
pub(crate) fn nothing() -> OwnedFd {
    File::open("/dev/null").unwrap().into()
}

fn memory(name: &CStr, len: u64, address: u64) -> (OwnedFd, RingMemory) {
    let file = file(name, len, SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW);
    let len = usize::try_from(len).unwrap();
    let map: Arc<MmapRaw> = Arc::new(MmapOptions::new().len(len).map_raw(&file).unwrap());
    let start = std::ptr::NonNull::new(map.as_mut_ptr()).unwrap();
    // SAFETY: zeroed pages that stay mapped while the keeper lives, accessed atomically or, by the client, as words.
    (file, unsafe { RingMemory::new(start, address, len, map) })
}

/// The registers of an engine that can be opened.
fn furnish(page: &RingMemory) {
    page.write(user_page::IDENT, ident(uaccel_warp_abi::VERSION));
    page.write(user_page::LIMITS, Limits { entries: 1024, sessions: 4, max_transfer: 1 << 20 }.encode());
    page.write(user_page::OPERATIONS, Operation::ALL.iter().map(|operation| 1u64 << *operation as u8).sum());
}

fn borrowed(descriptors: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    descriptors.iter().map(AsFd::as_fd).collect()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place where there is no daemon.
pub(crate) fn nowhere() -> PathBuf {
    Path::new("/nonexistent/uaccel/devd.sock").to_owned()
}

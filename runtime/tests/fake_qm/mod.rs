//! A kernel with a HiSilicon device that does not exist: hardware queues of two kinds, of which one copies and the other fills, behind the queue manager's real rings.
#![allow(dead_code, reason = "every test uses another part")]

pub(crate) mod driver;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use uaccel_hisi_abi as abi;
use uaccel_hisi_abi::{Doorbell, DoorbellCommand, Dus, QueueCompletion, StopWords};
use uaccel_queue::{Region, RegionKind, RingMemory};
use uaccel_runtime::uacce::{Description, Layout, Node, Nodes, QueueKind, UacceBus};

use crate::fake_uacce::{Kernel, Tree};

/// The name of the device.
pub(crate) const DEVICE: &str = "hisi_zip-0";

/// The rings of its queues: small, so that they go round.
pub(crate) const RINGS: Dus = Dus { entry: 128, submissions: 8, completions: 8 };

/// What an entry asks for, by the kind of its queue.
pub(crate) mod entry {
    /// Words of an entry: the job's token, source or pattern, destination, length, and the answer.
    pub(crate) const TOKEN: usize = 0;
    pub(crate) const SOURCE: usize = 1;
    pub(crate) const DESTINATION: usize = 2;
    pub(crate) const LEN: usize = 3;
    pub(crate) const ANSWER: usize = 4;
    /// What an answered entry says.
    pub(crate) const DONE: u64 = 0xd0e;
}

/// Which queue copies, and which fills.
pub(crate) const COPIES: u16 = 0;
pub(crate) const FILLS: u16 = 1;

/// The device, and the kernel's driver.
#[derive(Debug)]
pub(crate) struct FakeQm {
    kernel: Kernel,
    page: usize,
    state: Mutex<State>,
    removed: AtomicBool,
    /// Whether entries are left alone.
    held: AtomicBool,
    /// What every call was, in order.
    pub(crate) calls: Mutex<Vec<Call>>,
}

/// What is guarded by the kernel's lock.
#[derive(Debug, Default)]
struct State {
    /// Who has which hardware queue.
    queues: Vec<Option<Arc<Hardware>>>,
    next: usize,
    /// What opening fails with when so many are taken.
    refuses: Option<(usize, Errno)>,
    /// Whether the queue manager is stopped.
    stopped: bool,
    /// Whether it tells the rings' depth.
    is_mute: bool,
}

/// What was asked of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open(u16),
    Choose(u16, u16),
    Start(u16),
    Put(u16),
    Close(u16),
}

/// A hardware queue that somebody has.
#[derive(Debug)]
struct Hardware {
    number: u16,
    ring: Mutex<Ring>,
    memory: RingMemory,
    signal: Arc<EventFd>,
}

#[derive(Debug, Default)]
struct Ring {
    kind: u16,
    started: bool,
    /// Entries known of, and done, since the beginning.
    tail: u64,
    head: u64,
    /// Completions taken.
    taken: u64,
    armed: bool,
}

impl FakeQm {
    pub(crate) fn new(kernel: Kernel, queues: usize) -> Arc<Self> {
        let state = State { queues: vec![None; queues], ..State::default() };
        Arc::new(Self {
            kernel,
            page: 4096,
            state: Mutex::new(state),
            removed: AtomicBool::new(false),
            held: AtomicBool::new(false),
            calls: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("whole")
    }

    fn note(&self, call: Call) {
        self.calls.lock().expect("whole").push(call);
    }

    /// How many hardware queues nobody has.
    pub(crate) fn free(&self) -> usize {
        self.state().queues.iter().filter(|queue| queue.is_none()).count()
    }

    /// How many entries are not done.
    pub(crate) fn pending(&self) -> u64 {
        let pending = |queue: &Arc<Hardware>| {
            let ring = queue.ring.lock().expect("whole");
            ring.tail - ring.head
        };
        self.state().queues.iter().flatten().map(pending).sum()
    }

    /// From now on opening fails when so many hardware queues are taken.
    pub(crate) fn refuse(&self, most: usize, errno: Errno) {
        self.state().refuses = Some((most, errno));
    }

    pub(crate) fn allow(&self) {
        self.state().refuses = None;
    }

    /// An old kernel: it knows nothing of `UACCE_CMD_QM_SET_QP_INFO`.
    pub(crate) fn be_mute(&self) {
        self.state().is_mute = true;
    }

    /// Entries are left alone until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        let queues: Vec<_> = self.state().queues.iter().flatten().cloned().collect();
        queues.iter().for_each(|queue| self.work(queue));
    }

    /// The device is pulled out.
    pub(crate) fn remove(&self) {
        self.removed.store(true, Ordering::SeqCst);
        for queue in self.state().queues.iter().flatten() {
            queue.ring.lock().expect("whole").started = false;
        }
    }

    /// The kernel begins a reset of the device: all queues are stopped, and none is given.
    pub(crate) fn begin_reset(&self) {
        let mut state = self.state();
        state.stopped = true;
        for queue in state.queues.iter().flatten() {
            let stop =
                |words: StopWords| queue.memory.publish(queue.memory.len() - StopWords::FROM_END, words.encode());
            stop(StopWords { transmit: true, receive: false });
            queue.ring.lock().expect("whole").started = false;
            stop(StopWords { transmit: true, receive: true });
        }
    }

    /// The reset is over. Queues of processes stay stopped.
    pub(crate) fn end_reset(&self) {
        self.state().stopped = false;
    }

    fn take(&self, memory: &RingMemory, signal: &Arc<EventFd>) -> io::Result<Arc<Hardware>> {
        if self.removed.load(Ordering::SeqCst) {
            return Err(Errno::ENXIO.into());
        }
        let mut state = self.state();
        if let Some((most, errno)) = state.refuses
            && state.queues.iter().flatten().count() >= most
        {
            return Err(errno.into());
        }
        if state.stopped {
            return Err(Errno::EPERM.into());
        }
        // The one after the last one that was given.
        let places = state.queues.len();
        let free = (0..places).map(|at| (state.next + at) % places).find(|at| state.queues[*at].is_none());
        let at = free.ok_or(Errno::EBUSY)?;
        state.next = at + 1;
        // What its last user left in the submission ring is still there; completions and stop words are zeroed.
        (0..RINGS.submissions * 16).for_each(|word| memory.write(usize::from(word) * 8, 0x5555));
        (RINGS.completion(0)..memory.len()).step_by(8).for_each(|at| memory.write(at, 0));
        let number = u16::try_from(at).expect("few");
        let (ring, memory, signal) = (Mutex::default(), memory.clone(), signal.clone());
        let queue = Arc::new(Hardware { number, ring, memory, signal });
        state.queues[at] = Some(queue.clone());
        drop(state);
        self.note(Call::Open(number));
        Ok(queue)
    }

    fn give_back(&self, queue: &Hardware) {
        queue.ring.lock().expect("whole").started = false;
        self.note(Call::Close(queue.number));
        self.state().queues[usize::from(queue.number)] = None;
    }

    /// Does what a queue has to do.
    fn work(&self, queue: &Hardware) {
        let mut ring = queue.ring.lock().expect("whole");
        while ring.started && ring.head != ring.tail && !self.held.load(Ordering::SeqCst) {
            let place = place(ring.head);
            let at = |word: usize| RINGS.submission(place) + 8 * word;
            let word = |word| queue.memory.read(at(word));
            let len = usize::try_from(word(entry::LEN)).expect("a length");
            let destination = std::ptr::with_exposed_provenance_mut::<u8>(
                usize::try_from(word(entry::DESTINATION)).expect("an address"),
            );
            let source = word(entry::SOURCE);
            for byte in 0..len {
                let value = match ring.kind {
                    // SAFETY: the job's source, which stays while the job is in flight.
                    COPIES => unsafe {
                        std::ptr::with_exposed_provenance::<u8>(usize::try_from(source).expect("an address"))
                            .add(byte)
                            .read_volatile()
                    },
                    _ => source.to_le_bytes()[byte % 8],
                };
                // SAFETY: the job's destination, which stays while the job is in flight.
                unsafe { destination.add(byte).write_volatile(value) };
            }
            queue.memory.write(at(entry::ANSWER), entry::DONE);
            let [_, control] = QueueCompletion { entry: place, queue: queue.number, phase: phase(ring.head) }.encode();
            queue.memory.publish(RINGS.completion(place) + QueueCompletion::CONTROL, control);
            ring.head += 1;
            if std::mem::take(&mut ring.armed) {
                queue.signal.write(1).expect("room");
            }
        }
    }

    fn doorbell(&self, queue: &Hardware, doorbell: Doorbell) {
        assert_eq!(doorbell.queue, queue.number, "a queue's page is for that queue");
        {
            let mut ring = queue.ring.lock().expect("whole");
            if !ring.started {
                return;
            }
            let forward =
                |from: u64| from + u64::from((doorbell.index + RINGS.submissions - place(from)) % RINGS.submissions);
            match doorbell.command {
                DoorbellCommand::Submission => ring.tail = forward(ring.tail),
                DoorbellCommand::Completion => {
                    ring.taken = forward(ring.taken);
                    ring.armed = doorbell.priority == Doorbell::ARM;
                    if ring.armed && ring.head != ring.taken {
                        ring.armed = false;
                        queue.signal.write(1).expect("room");
                    }
                }
                other => panic!("{other:?} is the kernel's"),
            }
        }
        self.work(queue);
    }
}

pub(crate) fn place(index: u64) -> u16 {
    u16::try_from(index % u64::from(RINGS.submissions)).expect("a place")
}

pub(crate) fn phase(index: u64) -> bool {
    (index / u64::from(RINGS.submissions)).is_multiple_of(2)
}

/// Opens the nodes of such a device.
#[derive(Clone)]
pub(crate) struct QmNodes(pub(crate) Arc<FakeQm>);

impl fmt::Debug for QmNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QmNodes")
    }
}

impl Nodes for QmNodes {
    fn open(&self, _: &Path, layout: Layout) -> io::Result<Box<dyn Node>> {
        assert_eq!(layout.dus, RINGS.size(self.0.page));
        let memory = shared(layout.dus);
        let signal = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let queue = self.0.take(&memory, &signal)?;
        let registers = Region::copied(RegionKind::User, &vec![0; layout.mmio]);
        // The same memory, for whoever knows it as registers.
        let region = Region::copied(RegionKind::Shared, &[0; 8]);
        Ok(Box::new(QmNode {
            device: self.0.clone(),
            queue: Mutex::new(Some(queue)),
            regions: vec![registers, region],
            memory,
            signal,
            is_queue: AtomicBool::new(true),
        }))
    }
}

fn shared(len: usize) -> RingMemory {
    let words: Arc<[AtomicU64]> = (0..len / 8).map(|_| AtomicU64::new(0)).collect();
    let host = NonNull::from(&words[0]).cast();
    // SAFETY: zeroed atomics, kept by the keeper.
    unsafe { RingMemory::new(host, 0, len, Arc::new(words)) }
}

struct QmNode {
    device: Arc<FakeQm>,
    queue: Mutex<Option<Arc<Hardware>>>,
    regions: Vec<Region>,
    memory: RingMemory,
    signal: Arc<EventFd>,
    /// Whether calls still reach the queue; not after a stop under an old kernel.
    is_queue: AtomicBool,
}

impl fmt::Debug for QmNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QmNode")
    }
}

impl QmNode {
    /// The queue, as far as calls reach it.
    fn queue(&self) -> io::Result<Arc<Hardware>> {
        let gone = self.device.removed.load(Ordering::SeqCst) || !self.is_queue.load(Ordering::SeqCst);
        let queue = self.queue.lock().expect("whole").clone();
        queue.filter(|_| !gone).ok_or_else(|| Errno::ENXIO.into())
    }
}

impl Node for QmNode {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn store(&self, _: &Region, offset: usize, value: u64) {
        assert_eq!(offset, Doorbell::OFFSET);
        if let Ok(queue) = self.queue() {
            self.device.doorbell(&queue, Doorbell::decode(value).expect("a doorbell"));
        }
    }

    fn shared_memory(&self) -> Option<RingMemory> {
        Some(self.memory.clone())
    }

    fn ring_memory(&self, _: usize) -> io::Result<RingMemory> {
        panic!("rings are in the shared memory");
    }

    fn choose(&self, kind: QueueKind) -> io::Result<Description> {
        let queue = self.queue()?;
        let mut ring = queue.ring.lock().expect("whole");
        assert!(!ring.started, "it has no effect on a queue that was started");
        ring.kind = kind.number;
        self.device.note(Call::Choose(queue.number, kind.number));
        let dus = if self.device.state().is_mute {
            Dus { entry: kind.entry, submissions: Dus::DEPTH, completions: Dus::DEPTH }
        } else {
            RINGS
        };
        Ok(abi::Description { dus, queue: queue.number, kind: kind.number }.encode())
    }

    fn start(&self) -> io::Result<()> {
        let queue = self.queue()?;
        if self.device.state().stopped {
            return Err(Errno::EPERM.into());
        }
        let mut ring = queue.ring.lock().expect("whole");
        if ring.started {
            return Err(Errno::EINVAL.into());
        }
        let written = (0..RINGS.rings()).step_by(8).any(|at| self.memory.read(at) != 0);
        assert!(!written, "rings are zeroed before the device has them");
        ring.started = true;
        // As the kernel's driver has it.
        ring.armed = true;
        self.device.note(Call::Start(queue.number));
        Ok(())
    }

    fn put(&self) -> io::Result<()> {
        let queue = self.queue()?;
        queue.ring.lock().expect("whole").started = false;
        self.device.note(Call::Put(queue.number));
        if self.device.kernel == Kernel::Old {
            self.is_queue.store(false, Ordering::SeqCst);
            self.device.give_back(&queue);
            *self.queue.lock().expect("whole") = None;
        }
        Ok(())
    }

    fn give_back(&self) -> io::Result<()> {
        if let Some(queue) = self.queue.lock().expect("whole").take() {
            self.device.give_back(&queue);
        }
        Ok(())
    }

    fn reopen(&self) -> io::Result<()> {
        self.give_back()?;
        let queue = self.device.take(&self.memory, &self.signal)?;
        *self.queue.lock().expect("whole") = Some(queue);
        self.is_queue.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn is_present(&self) -> bool {
        self.queue().is_ok()
    }

    fn wait(&self, within: Duration) -> io::Result<bool> {
        let timeout = PollTimeout::try_from(within.as_millis()).unwrap_or(PollTimeout::MAX);
        poll(&mut [PollFd::new(self.signal.as_fd(), PollFlags::POLLIN)], timeout)?;
        Ok(self.signal.read().is_ok())
    }

    fn wake_fd(&self) -> BorrowedFd<'_> {
        self.signal.as_fd()
    }
}

impl Drop for QmNode {
    fn drop(&mut self) {
        let _ = self.give_back();
    }
}

/// Such a device on a machine of its own.
#[derive(Debug)]
pub(crate) struct QmMachine {
    pub(crate) tree: Tree,
    pub(crate) device: Arc<FakeQm>,
}

impl QmMachine {
    pub(crate) fn new(kernel: Kernel, queues: usize) -> Self {
        let device = FakeQm::new(kernel, queues);
        let tree = Tree::new().with_device(DEVICE);
        tree.set(DEVICE, "api", "hisi_qm_v3\n");
        tree.set(DEVICE, "algorithms", "zlib\ngzip\ndeflate\n");
        tree.set(DEVICE, "region_mmio_size", "65536\n");
        tree.set(DEVICE, "region_dus_size", &format!("{}\n", RINGS.size(device.page)));
        Self { tree, device }
    }

    pub(crate) fn bus(&self) -> Arc<UacceBus> {
        Arc::new(UacceBus::at(self.tree.path()).with_nodes(Arc::new(QmNodes(self.device.clone()))))
    }
}

//! Users of a pool: each with a queue of its own and memory that counts, delays or blocks what reaches for it.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use memmap2::{MmapOptions, MmapRaw};
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;
use uaccel_queue::{AddressMode, Quiet, Region, RegionKind, RingMemory, Transport, TransportError, Wake};
use uaccel_sim::pool::{Account, Backing, JobMemory, Pool, PoolConfig, Queue, RingBlock, Rings};
use uaccel_sim::{AddressSpace, Plan, ReadPart, UserPage, Warp, WarpConfig, WritePart};
use uaccel_warp_abi::{Geometry, Mode};

use crate::support::Hand;

pub(crate) type TestPool = Pool<Warp, TestBacking>;

/// A pool with one worker.
pub(crate) fn pool(config: PoolConfig) -> TestPool {
    let model = Warp::new(WarpConfig::default()).expect("a good configuration");
    Pool::new(model, PoolConfig { workers: Some(1), ..config }, Plan::default()).expect("threads start")
}

/// In which order users' memory was read, and the time that takes.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) clock: Arc<AtomicU64>,
    reads: Mutex<Vec<char>>,
}

impl Diary {
    /// How many reads of `other` there were before the `count`th of `name`.
    pub(crate) fn before(&self, count: usize, name: char, other: char) -> usize {
        let reads = self.reads.lock().expect("unpoisoned");
        let end = reads.iter().enumerate().filter(|(_, read)| **read == name).nth(count - 1).expect("so many").0;
        reads[..end].iter().filter(|read| **read == other).count()
    }

    pub(crate) fn clear(&self) {
        self.reads.lock().expect("unpoisoned").clear();
    }
}

/// What happens to accesses of one user's memory.
#[derive(Debug, Default)]
pub(crate) struct Behaviour {
    /// Reads of single ranges, and of many at once; the same for writes.
    pub(crate) reads: AtomicUsize,
    pub(crate) many_reads: AtomicUsize,
    pub(crate) writes: AtomicUsize,
    pub(crate) many_writes: AtomicUsize,
    /// Single ranges that were vouched for, among those.
    pub(crate) vouched: AtomicUsize,
    /// What tells time and order of reads, and by which name.
    diary: Option<(Arc<Diary>, char)>,
    /// Whether reads block.
    blocked: Mutex<bool>,
    bell: Condvar,
    /// Threads inside a read.
    pub(crate) inside: AtomicUsize,
    pub(crate) given_up: AtomicBool,
}

impl Behaviour {
    /// Each read takes half a millisecond by the diary's clock, and is noted there.
    pub(crate) fn slow(diary: &Arc<Diary>, name: char) -> Self {
        Self { diary: Some((diary.clone(), name)), ..Self::default() }
    }

    pub(crate) fn block(&self, blocked: bool) {
        *self.blocked.lock().expect("unpoisoned") = blocked;
        self.bell.notify_all();
    }

    fn pass(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
        if let Some((diary, name)) = &self.diary {
            diary.clock.fetch_add(500_000, Ordering::SeqCst);
            diary.reads.lock().expect("unpoisoned").push(*name);
        }
        let mut blocked = self.blocked.lock().expect("unpoisoned");
        while *blocked {
            blocked = self.bell.wait(blocked).expect("unpoisoned");
        }
        drop(blocked);
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Memory of this process, with a behaviour.
#[derive(Clone, Debug)]
pub(crate) struct TestMemory(Arc<Behaviour>);

impl JobMemory for TestMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        self.0.pass();
        let remote = RemoteIoVec { base: usize::try_from(address).ok()?, len: into.len() };
        process_vm_readv(Pid::this(), &mut [IoSliceMut::new(into)], &[remote]).ok().filter(|count| *count != 0)
    }

    fn write(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.0.writes.fetch_add(1, Ordering::SeqCst);
        let remote = RemoteIoVec { base: usize::try_from(address).ok()?, len: from.len() };
        process_vm_writev(Pid::this(), &[IoSlice::new(from)], &[remote]).ok().filter(|count| *count != 0)
    }

    fn read_vouched(&self, address: u64, into: &mut [u8]) -> Option<usize> {
        self.0.vouched.fetch_add(1, Ordering::SeqCst);
        self.read(address, into)
    }

    fn write_vouched(&self, address: u64, from: &[u8]) -> Option<usize> {
        self.0.vouched.fetch_add(1, Ordering::SeqCst);
        self.write(address, from)
    }

    fn read_many(&self, parts: &mut [ReadPart<'_>]) -> usize {
        self.0.many_reads.fetch_add(1, Ordering::SeqCst);
        let whole = |part: &mut ReadPart<'_>| {
            let remote = RemoteIoVec { base: usize::try_from(part.address).ok()?, len: part.bytes.len() };
            let count = process_vm_readv(Pid::this(), &mut [IoSliceMut::new(part.bytes)], &[remote]).ok()?;
            (count == part.bytes.len()).then_some(())
        };
        parts.iter_mut().map_while(whole).count()
    }

    fn write_many(&self, parts: &[WritePart<'_>]) -> usize {
        self.0.many_writes.fetch_add(1, Ordering::SeqCst);
        let whole = |part: &WritePart<'_>| {
            let remote = RemoteIoVec { base: usize::try_from(part.address).ok()?, len: part.bytes.len() };
            let count = process_vm_writev(Pid::this(), &[IoSlice::new(part.bytes)], &[remote]).ok()?;
            (count == part.bytes.len()).then_some(())
        };
        parts.iter().map_while(whole).count()
    }
}

/// What a user's queue stands on.
#[derive(Debug)]
pub(crate) struct TestBacking {
    page: Arc<UserPage>,
    rings: Mutex<Rings>,
    behaviour: Arc<Behaviour>,
}

impl Backing for TestBacking {
    type Memory = TestMemory;

    fn page(&self) -> &UserPage {
        &self.page
    }

    fn rings(&self) -> Rings {
        self.rings.lock().expect("unpoisoned").clone()
    }

    fn forget_rings(&self) {
        self.rings.lock().expect("unpoisoned").clear();
    }

    fn memory(&self) -> TestMemory {
        TestMemory(self.behaviour.clone())
    }

    fn signal(&self) {}

    fn clear_signal(&self) -> bool {
        false
    }

    fn give_up(&self) {
        self.behaviour.given_up.store(true, Ordering::SeqCst);
    }
}

/// One user, with one queue of 64 entries.
pub(crate) struct User {
    pub(crate) hand: Hand,
    pub(crate) behaviour: Arc<Behaviour>,
    pub(crate) account: Arc<Account>,
}

impl User {
    pub(crate) fn new(pool: &TestPool, number: u32, weight: u32, behaviour: Behaviour) -> Self {
        let (behaviour, account) = (Arc::new(behaviour), Arc::new(Account::new(weight)));
        let backing = TestBacking { page: Arc::default(), rings: Mutex::default(), behaviour: behaviour.clone() };
        let queue = pool.open(backing, account.clone(), AddressSpace(number), 0).expect("a queue is free");
        let transport = Arc::new(UserTransport::new(pool.clone(), queue));
        let hand = Hand::with(transport, Geometry::new(6, 16, Mode::Ring).expect("possible"));
        Self { hand, behaviour, account }
    }
}

/// The way to one queue of the pool.
#[derive(Debug)]
struct UserTransport {
    pool: TestPool,
    queue: Arc<Queue<Warp, TestBacking>>,
    regions: [Region; 1],
}

impl UserTransport {
    fn new(pool: TestPool, queue: Arc<Queue<Warp, TestBacking>>) -> Self {
        let page = queue.backing().page.clone();
        // SAFETY: the page lives as long as the keeper, and is accessed in atomic or volatile words only.
        let region = unsafe { Region::new(RegionKind::User, NonNull::from(&*page).cast(), UserPage::SIZE, page) };
        Self { pool, queue, regions: [region] }
    }
}

impl Transport for UserTransport {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        let map = MmapRaw::from(MmapOptions::new().len(len.next_multiple_of(4096)).map_anon().expect("memory"));
        let block = Arc::new(RingBlock::new(map, 1 << 63));
        self.queue.backing().rings.lock().expect("unpoisoned").push(block.clone());
        let host = NonNull::new(block.start()).expect("mapped");
        // SAFETY: mapped, zeroed, as long as said, while the keeper lives; accessed atomically by all.
        Ok(unsafe { RingMemory::new(host, block.address(), block.len(), block.clone()) })
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        self.pool.doorbell(&self.queue, offset, value);
    }

    fn sleep(&self, _: Option<Instant>) -> Result<Wake, TransportError> {
        Err(TransportError::Refused("nobody sleeps here".to_owned()))
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        Ok(self.pool.stop(&self.queue, within))
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.pool.reset(&self.queue, within)
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

impl Drop for UserTransport {
    fn drop(&mut self) {
        if self.pool.close(&self.queue, Duration::from_secs(10)) == Quiet::Unproven {
            self.pool.abandon(&self.queue);
        }
    }
}

//! What jobs have covered of memory goes before their owners have it back, however a job ends.

mod altered_warp;
mod device;

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use altered_warp::AlteredWarp;
use device::DEADLINE;
use uaccel_drivers::warp::WarpDriver;
use uaccel_queue::{
    AddressMode, Batch, Bus, Cells, DeviceError, DeviceInfo, DeviceMemory, Done, Driver, FaultKind, JobFlags,
    OpenQueue, Operation, QueueRequest, Quiet, Region, RingMemory, Segment, SessionError, SessionId, SessionSpec,
    Status, Submitter, Transport, TransportError, Uncovered, Wake,
};
use uaccel_runtime::{Algorithm, Builder, Error, Fallback, OwnedWork, Pieces, Reaching, Runtime, Work};
use uaccel_sim::{Mishap, Plan, PlanHandle, Simulator, ThreadHost, ThreadHostConfig, Warp, WarpConfig, When};

/// How often each range is covered.
#[derive(Debug, Default)]
struct Covered(Mutex<BTreeMap<(usize, usize), usize>>);

/// A length that is never covered.
const UNCOVERED: usize = 77;

impl Covered {
    fn ranges(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }
}

impl DeviceMemory for Covered {
    fn cover(&self, start: usize, len: usize, _: FaultKind) -> Result<(), Uncovered> {
        if len == UNCOVERED {
            return Err(Uncovered::Unregistered(start as u64));
        }
        *self.0.lock().unwrap().entry((start, len)).or_default() += 1;
        Ok(())
    }

    fn release(&self, start: usize, len: usize) {
        let mut covered = self.0.lock().unwrap();
        let users = covered.get_mut(&(start, len)).expect("it was covered");
        *users = users.checked_sub(1).expect("it is released as often as it was covered");
    }
}

/// What a test sees of the bus.
#[derive(Debug, Default)]
struct Seen {
    memory: Arc<Covered>,
    /// Ranges that were covered at each reset.
    at_resets: Mutex<Vec<usize>>,
    /// Signals that did not come from the device.
    signals: AtomicUsize,
    /// Whether submissions fail, before the device sees anything.
    fails: AtomicBool,
}

/// The simulator's bus, whose devices are said to reach memory only where it is covered.
#[derive(Debug)]
struct Told(Arc<ThreadHost<Warp>>, Arc<Seen>);

#[derive(Debug)]
struct ToldTransport(Arc<dyn Transport>, Arc<Seen>);

impl Bus for Told {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.0.devices()
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(ToldTransport(self.0.open(device)?, self.1.clone())))
    }
}

impl Transport for ToldTransport {
    fn regions(&self) -> &[Region] {
        self.0.regions()
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.0.ring_memory(len)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        self.0.ring_doorbell(offset, value);
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        self.0.sleep(until)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.wake_fd()
    }

    fn clear_wake(&self) {
        self.0.clear_wake();
    }

    fn signal(&self) {
        self.1.signals.fetch_add(1, Ordering::Relaxed);
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        self.0.stop(within)
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.1.at_resets.lock().unwrap().push(self.1.memory.ranges());
        self.0.reset(within)
    }

    fn is_alive(&self) -> bool {
        self.0.is_alive()
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::IdentityPinned
    }

    fn memory(&self) -> Option<Arc<dyn DeviceMemory>> {
        Some(self.1.memory.clone())
    }
}

/// The Warp driver, whose submissions fail when told to.
fn failing(seen: &Arc<Seen>) -> AlteredWarp {
    let seen = seen.clone();
    AlteredWarp::new("warp that fails", move |queue| OpenQueue {
        submitter: Box::new(FailingSubmitter(queue.submitter, seen.clone())),
        ..queue
    })
}

struct FailingSubmitter(Box<dyn Submitter>, Arc<Seen>);

// SAFETY: the Warp driver's, or nothing.
unsafe impl Submitter for FailingSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        if self.1.fails.load(Ordering::SeqCst) {
            return Err(DeviceError::Gone.into());
        }
        // SAFETY: the caller's promise.
        unsafe { self.0.submit(batch) }
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        self.0.open_session(id, spec)
    }

    fn close_session(&mut self, id: SessionId) {
        self.0.close_session(id);
    }
}

/// The most bytes that [`listing`] says a job may have.
const LITTLE: usize = 1000;

/// The Warp driver of a device that takes lists, and little in one job, as far as the driver goes.
fn listing() -> AlteredWarp {
    AlteredWarp::new("warp with lists", |mut queue| {
        (queue.granted.scatter, queue.granted.pieces) = (true, 100);
        queue.granted.max_transfer = LITTLE as u64;
        queue
    })
}

fn bench() -> (Builder, PlanHandle, Arc<Seen>) {
    let threads = ThreadHostConfig { device: "warp0".to_owned(), ..ThreadHostConfig::default() };
    let host = Simulator::warp(WarpConfig::default(), threads, Plan::default()).unwrap();
    let (plan, seen) = (host.plan(), Arc::new(Seen::default()));
    let builder = Runtime::builder().bus(Arc::new(Told(host, seen.clone()))).driver(Arc::new(failing(&seen)));
    (builder.device("warp0").queues(1).fallback(Fallback::Never).deadline(DEADLINE), plan, seen)
}

#[test]
fn nothing_is_covered_any_more_when_jobs_that_were_taken_back_end() {
    let (builder, plan, seen) = bench();
    let runtime = builder.build().unwrap();
    runtime.run(Work::copy(&[1; 100], &mut [0; 100])).unwrap();
    assert_eq!(seen.memory.ranges(), 0);
    plan.set(Plan::default().with(When::Nth(1), Mishap::LostCompletion));
    let job = runtime.submit(OwnedWork::copy(vec![1; 100], vec![0; 100])).unwrap();
    let finished = job.wait();
    assert!(matches!(finished.result, Err(Error::Deadline(_))), "{:?}", finished.result);
    // Others have seen their jobs end by then, too.
    assert_eq!(*seen.at_resets.lock().unwrap(), [0]);
    assert_eq!(seen.memory.ranges(), 0);
}

#[test]
fn nothing_is_covered_of_a_job_that_the_device_never_saw() {
    let (builder, _plan, seen) = bench();
    let runtime = builder.build().unwrap();
    runtime.run(Work::nop()).unwrap();
    seen.fails.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        // It comes back at once.
        assert!(runtime.submit(OwnedWork::copy(vec![1; 100], vec![0; 100])).is_err());
        assert_eq!(seen.memory.ranges(), 0);
    }
}

#[test]
fn a_job_that_never_came_to_the_device_wakes_who_sleeps_and_nobody_else() {
    let seen = Arc::new(Seen::default());
    let engine = Simulator::warp(WarpConfig::default(), ThreadHostConfig::default(), Plan::default()).unwrap();
    let bus = Told(engine, seen.clone());
    let transport = bus.open(&bus.devices()[0].name).unwrap();
    let cells = Arc::new(Cells::new(1));
    let queue = Reaching(WarpDriver).open(transport, cells.clone(), &QueueRequest::new(1)).unwrap();
    let OpenQueue { mut submitter, mut completer, .. } = queue;
    let bytes = [0; UNCOVERED];
    let mut places = [0];
    // Nobody sleeps at first; then somebody does.
    for sleeps in [false, true] {
        let mut poll = |arms: bool| {
            // SAFETY: the only completer of this table.
            let mut done = unsafe { Done::new(&cells, &mut places) };
            if arms {
                completer.arm();
            }
            completer.poll(&mut done).unwrap();
            done.slots().len()
        };
        assert_eq!(poll(sleeps), 0);
        // SAFETY: the slot is free: it was answered, or never used.
        unsafe {
            cells.build(0, |job| {
                (job.operation, job.flags) = (Operation::Crc32c, JobFlags::VOUCHED);
                (job.source, job.source_len) = (bytes.as_ptr(), UNCOVERED);
            });
        }
        // SAFETY: one slot, just built, not in flight.
        let batch = unsafe { Batch::new(&cells, &[0]) };
        // SAFETY: the bytes outlive the queue.
        assert_eq!(unsafe { submitter.submit(&batch) }.unwrap(), 1);
        assert_eq!(seen.signals.load(Ordering::Relaxed), usize::from(sleeps));
        assert_eq!(poll(false), 1);
        // SAFETY: just answered.
        assert_eq!(unsafe { cells.outcome(0) }.status, Status::Fault);
    }
}

#[test]
fn lists_are_not_granted_where_what_they_name_would_not_be_covered() {
    let seen = Arc::new(Seen::default());
    let engine = Simulator::warp(WarpConfig::default(), ThreadHostConfig::default(), Plan::default()).unwrap();
    let bus = Told(engine, seen.clone());
    let transport = bus.open(&bus.devices()[0].name).unwrap();
    let cells = Arc::new(Cells::new(1));
    let OpenQueue { granted, mut submitter, mut completer } =
        Reaching(listing()).open(transport, cells.clone(), &QueueRequest::new(1)).unwrap();
    assert_eq!((granted.scatter, granted.pieces), (false, 0));
    // A job that has one all the same never gets there.
    let bytes = [0_u8; 8];
    let list = [Segment { address: bytes.as_ptr().expose_provenance() as u64, len: 8 }];
    // SAFETY: the slot was never used.
    unsafe {
        cells.build(0, |job| {
            (job.operation, job.flags) = (Operation::Crc32c, JobFlags::VOUCHED | JobFlags::SCATTER);
            (job.source, job.source_len) = (list.as_ptr().cast(), 1);
        });
    }
    // SAFETY: one slot, just built, not in flight.
    let batch = unsafe { Batch::new(&cells, &[0]) };
    // SAFETY: list and bytes outlive the queue.
    assert_eq!(unsafe { submitter.submit(&batch) }.unwrap(), 1);
    let mut places = [0];
    // SAFETY: the only completer of this table.
    let mut done = unsafe { Done::new(&cells, &mut places) };
    completer.poll(&mut done).unwrap();
    assert_eq!(done.slots(), [0]);
    // SAFETY: just answered.
    assert_eq!(unsafe { cells.outcome(0) }.status, Status::InvalidJob);
    assert_eq!(seen.memory.ranges(), 0);
}

#[test]
fn the_state_of_a_stream_is_covered_though_it_is_longer_than_what_a_job_may_move() {
    let seen = Arc::new(Seen::default());
    let engine = Simulator::warp(WarpConfig::default(), ThreadHostConfig::default(), Plan::default()).unwrap();
    let bus = Told(engine, seen.clone());
    let transport = bus.open(&bus.devices()[0].name).unwrap();
    let cells = Arc::new(Cells::new(1));
    let OpenQueue { mut submitter, mut completer, .. } =
        Reaching(listing()).open(transport, cells.clone(), &QueueRequest::new(1)).unwrap();
    let (text, mut room, mut state) = ([0_u8; 8], [0_u8; 300], [0_u8; LITTLE + 1]);
    // SAFETY: the slot was never used.
    unsafe {
        cells.build(0, |job| {
            (job.operation, job.flags) = (Operation::Compress, JobFlags::VOUCHED | JobFlags::STREAM | JobFlags::FIRST);
            (job.source, job.source_len) = (text.as_ptr(), text.len());
            (job.destination, job.destination_len) = (room.as_mut_ptr(), room.len());
            (job.aux, job.aux_len) = (state.as_mut_ptr(), state.len());
        });
    }
    // SAFETY: one slot, just built, not in flight.
    let batch = unsafe { Batch::new(&cells, &[0]) };
    // SAFETY: all of it outlives the queue.
    assert_eq!(unsafe { submitter.submit(&batch) }.unwrap(), 1);
    assert_eq!(seen.memory.ranges(), 3);
    let begun = Instant::now();
    let mut places = [0];
    loop {
        // SAFETY: the only completer of this table.
        let mut done = unsafe { Done::new(&cells, &mut places) };
        completer.poll(&mut done).unwrap();
        if done.slots() == [0] {
            break;
        }
        assert!(begun.elapsed() < device::PATIENCE, "it is answered");
        std::thread::yield_now();
    }
    // The engine has no streams, and says so.
    // SAFETY: just answered.
    assert_eq!(unsafe { cells.outcome(0) }.status, Status::InvalidJob);
    assert_eq!(seen.memory.ranges(), 0);
}

#[test]
fn pieces_are_gathered_and_covered_as_one() {
    let (builder, _plan, seen) = bench();
    let runtime = builder.driver(Arc::new(listing())).build().unwrap();
    let session = runtime.session(SessionSpec::digest(Algorithm::Sha256, &[]).unwrap()).unwrap();
    let (mut made, mut whole) = ([0; 32], [0; 32]);
    let mut pieces = Pieces::new([&b"to be, "[..], b"or not to be"], [&mut made[..]]);
    runtime.run(Work::session_in_pieces(&session, &mut pieces)).unwrap();
    runtime.run(Work::session(&session, b"to be, or not to be", &mut whole)).unwrap();
    assert_eq!(made, whole);
    assert_eq!((runtime.counters().gathered, runtime.counters().gathered_bytes), (1, 19));
    assert_eq!(seen.memory.ranges(), 0);
}

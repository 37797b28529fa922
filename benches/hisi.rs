//! What HiSilicon's driver costs per job, beside what UADK's was measured to cost: on one CPU, over rings and doorbells in ordinary memory, with a device that
//! does no work. Time that the device takes is not counted, except where a job is run to its end.
//!
//! The figures of UADK (2.10) are those of its unmodified queue and ZIP driver over the same device, compiled with `gcc -O2`, on a processor of AMD's on which this program
//! says what stands beside them. On another machine they are of another machine: a ratio of figures from two machines means nothing.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the measurement itself")]

use std::fmt;
use std::hint::black_box;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use uaccel::{Algorithm, Direction, Runtime, SessionSpec, Work};
use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Ended, Entry, Results, Status};
use uaccel_hisi_abi::{API_V3, Description, Doorbell, DoorbellCommand, Dus, QueueCompletion};
use uaccel_queue::{
    AddressMode, Batch, Bus, Cells, Completer, DeviceInfo, Done, Driver, JobFlags, OpenQueue, Operation, QueueRequest,
    Quiet, Region, RegionKind, RingMemory, SessionId, Submitter, Transport, TransportError, Wake,
};

/// Jobs that are timed in one piece.
const JOBS: usize = 512;
const DEVICE: &str = "rings-in-memory";
const TEXT: [u8; 64] = [7; 64];
const ROOM: usize = 128;

/// What UADK's ZIP driver was measured to cost on an AMD EPYC, what its queue alone with entries that are made already, and what this program said there in turn with it; nanoseconds.
const THERE: [(&str, &str); 5] = [
    ("submit, 1 job a call", "33  (11)   16"),
    ("submit, 32 jobs a call", "-   (1.7)   9"),
    ("poll, 1 answer a call", "31  (12)   19"),
    ("poll, 32 answers a call", "-   (11)    8"),
    ("poll, nothing there", "18  (7)     9"),
];

#[repr(C, align(4096))]
struct Page([AtomicU64; 512]);

/// A hardware queue whose device answers when it is told to, or at once.
struct Part {
    regions: [Region; 2],
    memory: RingMemory,
    dus: Dus,
    number: u16,
    at_once: bool,
    /// Whether there is a fence before each doorbell, as before those of a device on some processors.
    fences: bool,
    /// Entries answered, and the tail that the doorbell said.
    state: Mutex<(u64, u16)>,
}

impl Part {
    fn new(kind: u16, at_once: bool, fences: bool) -> Self {
        let dus = Dus { entry: Entry::SIZE as u32, submissions: Dus::DEPTH, completions: Dus::DEPTH };
        let number = kind;
        let description = Description { dus, queue: number, kind }.encode();
        let len = dus.size(4096);
        let pages: Arc<[Page]> = (0..len / 4096).map(|_| Page([const { AtomicU64::new(0) }; 512])).collect();
        // SAFETY: zeroed atomics, kept by the keeper.
        let memory = unsafe { RingMemory::new(NonNull::from(&*pages).cast(), 0, len, Arc::new(pages)) };
        let regions = [
            Region::copied(RegionKind::User, &[0; Doorbell::OFFSET + 8]),
            Region::copied(RegionKind::Description, &description),
        ];
        Self { regions, memory, dus, number, at_once, fences, state: Mutex::new((0, 0)) }
    }

    /// Answers what was submitted.
    fn answer(&self, tail: Option<u16>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (answered, last) = &mut *state;
        *last = tail.unwrap_or(*last);
        let places = u64::from(self.dus.submissions);
        while *answered % places != u64::from(*last) {
            let place = (*answered % places) as u16;
            let entry = self.dus.submission(place);
            let consumed = self.memory.read(entry + 16) as u32;
            let results = Results { consumed, produced: 20, ended: Ended::new(Status::Ok, false) }.encode();
            self.memory.write(entry, results[0]);
            self.memory.write(entry + 8, results[1]);
            let phase = (*answered / places).is_multiple_of(2);
            let [_, control] = QueueCompletion { entry: place, queue: self.number, phase }.encode();
            self.memory.publish(self.dus.completion(place) + QueueCompletion::CONTROL, control);
            *answered += 1;
        }
    }

    /// The tail that was said last.
    fn tail(&self) -> u16 {
        Doorbell::decode(self.regions[0].read(Doorbell::OFFSET)).map_or(0, |doorbell| doorbell.index)
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("dus", &self.dus).finish_non_exhaustive()
    }
}

/// What neither a part nor the whole of this device is asked.
macro_rules! nothing_to_wait_for {
    () => {
        fn sleep(&self, _until: Option<Instant>) -> Result<Wake, TransportError> {
            Ok(Wake::TimedOut)
        }

        fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
            None
        }

        fn clear_wake(&self) {}

        fn stop(&self, _within: Duration) -> Result<Quiet, TransportError> {
            Ok(Quiet::Proven)
        }

        fn reset(&self, _within: Duration) -> Result<(), TransportError> {
            Err(TransportError::Gone)
        }

        fn is_alive(&self) -> bool {
            true
        }

        fn address_mode(&self) -> AddressMode {
            AddressMode::Shared
        }
    };
}

impl Transport for Part {
    fn regions(&self) -> &[Region] {
        &self.regions
    }

    fn ring_memory(&self, _len: usize) -> Result<RingMemory, TransportError> {
        Ok(self.memory.clone())
    }

    #[inline]
    fn ring_doorbell(&self, offset: usize, value: u64) {
        fence(if self.fences { Ordering::SeqCst } else { Ordering::Release });
        self.regions[0].write(offset, value);
        if self.at_once
            && let Some(Doorbell { command: DoorbellCommand::Submission, index, .. }) = Doorbell::decode(value)
        {
            self.answer(Some(index));
        }
    }

    nothing_to_wait_for!();
}

#[derive(Debug)]
struct Whole {
    parts: [Arc<dyn Transport>; 2],
}

impl Transport for Whole {
    fn regions(&self) -> &[Region] {
        &[]
    }

    fn ring_memory(&self, _len: usize) -> Result<RingMemory, TransportError> {
        Err(TransportError::Gone)
    }

    fn ring_doorbell(&self, _offset: usize, _value: u64) {}

    nothing_to_wait_for!();

    fn parts(&self) -> &[Arc<dyn Transport>] {
        &self.parts
    }
}

#[derive(Debug)]
struct Rings;

impl Bus for Rings {
    fn name(&self) -> &str {
        DEVICE
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mut info = DeviceInfo::new(DEVICE, API_V3);
        info.algorithms = vec!["deflate".to_owned()];
        info.simulated = true;
        vec![info]
    }

    fn open(&self, _device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let parts = [COMPRESS, DECOMPRESS].map(|kind| Arc::new(Part::new(kind, true, true)) as Arc<dyn Transport>);
        Ok(Arc::new(Whole { parts }))
    }
}

/// A queue over rings in memory, and jobs for it.
struct Queue {
    compress: Arc<Part>,
    cells: Arc<Cells>,
    submitter: Box<dyn Submitter>,
    completer: Box<dyn Completer>,
    /// What is written. The device does not.
    rooms: Vec<[u8; ROOM]>,
}

/// Nanoseconds per job.
#[derive(Default)]
struct Cost {
    build: f64,
    submit: f64,
    poll: f64,
}

impl Queue {
    fn new(algorithm: Algorithm, fences: bool) -> Self {
        let [compress, decompress] = [COMPRESS, DECOMPRESS].map(|kind| Arc::new(Part::new(kind, false, fences)));
        let transport = Arc::new(Whole { parts: [compress.clone(), decompress] });
        let cells = Arc::new(Cells::new(JOBS));
        let opened = HisiZipDriver.open(transport, cells.clone(), &QueueRequest::new(JOBS));
        let OpenQueue { mut submitter, completer, .. } = opened.expect("the driver opens a queue");
        let spec = SessionSpec::compression(algorithm, Direction::Forward, None).expect("the default level");
        submitter.open_session(SessionId(0), &spec).expect("offered");
        Self { compress, cells, submitter, completer, rooms: vec![[0; ROOM]; JOBS] }
    }

    /// All jobs once, so many with each call.
    fn round(&mut self, burst: usize) -> Cost {
        let slots: Vec<u32> = (0..JOBS as u32).collect();
        let began = Instant::now();
        for (slot, room) in slots.iter().zip(&mut self.rooms) {
            // SAFETY: all slots are free.
            unsafe {
                self.cells.build(*slot as usize, |job| {
                    (job.operation, job.session, job.flags) = (Operation::Compress, SessionId(0), JobFlags::VOUCHED);
                    (job.source, job.source_len) = (TEXT.as_ptr(), TEXT.len());
                    (job.destination, job.destination_len) = (room.as_mut_ptr(), ROOM);
                });
            }
        }
        let built = Instant::now();
        for slots in black_box(&slots).chunks(burst) {
            // SAFETY: built and not in flight; source and rooms live as long as the queue.
            let accepted = unsafe { self.submitter.submit(&Batch::new(&self.cells, slots)) };
            assert_eq!(accepted.expect("the queue works"), slots.len());
        }
        let submitted = Instant::now();
        self.compress.answer(Some(self.compress.tail()));
        let answered = Instant::now();
        let mut places = [0; 32];
        for _ in 0..JOBS / burst {
            // SAFETY: the only completer.
            let mut done = unsafe { Done::new(&self.cells, &mut places[..burst]) };
            self.completer.poll(&mut done).expect("the queue works");
            assert_eq!(black_box(done.slots()).len(), burst);
        }
        let polled = Instant::now();
        let each = |time: Duration| time.as_secs_f64() * 1e9 / JOBS as f64;
        Cost { build: each(built - began), submit: each(submitted - built), poll: each(polled - answered) }
    }

    /// Polls that find nothing.
    fn empty(&mut self) -> f64 {
        let mut places = [0; 32];
        let began = Instant::now();
        for _ in 0..JOBS {
            // SAFETY: the only completer.
            let mut done = unsafe { Done::new(&self.cells, black_box(&mut places)) };
            self.completer.poll(&mut done).expect("the queue works");
            assert_eq!(done.slots().len(), 0);
        }
        began.elapsed().as_secs_f64() * 1e9 / JOBS as f64
    }
}

/// The middle one of several repetitions, and the lowest.
fn middle(rounds: usize, mut measure: impl FnMut() -> f64) -> (f64, f64) {
    let mut all: Vec<f64> = (0..rounds).map(|_| measure()).collect();
    all.sort_by(f64::total_cmp);
    (all[rounds / 2], all[0])
}

fn print(name: &str, (middle, lowest): (f64, f64)) {
    let there = THERE.iter().find(|(row, _)| *row == name).map_or("", |(_, figures)| figures);
    println!("{name:<44} {middle:>8.1} {lowest:>8.1}   {there}");
}

fn main() {
    // As a test it only has to run.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 2001 } else { 3 };
    println!("{:<44} {:>8} {:>8}   elsewhere: UADK (its queue), this", "ns", "middle", "lowest");
    for fences in [true, false] {
        println!("{} fence before a doorbell", if fences { "a full" } else { "no" });
        for (algorithm, of) in [(Algorithm::Deflate, ""), (Algorithm::Zlib, " (with a header)")] {
            let mut queue = Queue::new(algorithm, fences);
            for burst in [1, 32] {
                let (one, jobs) = if burst == 1 { ("answer", "job") } else { ("answers", "jobs") };
                print(&format!("submit, {burst} {jobs} a call{of}"), middle(rounds, || queue.round(burst).submit));
                print(&format!("poll, {burst} {one} a call{of}"), middle(rounds, || queue.round(burst).poll));
            }
            if of.is_empty() {
                print("building a job in its slot", middle(rounds, || queue.round(32).build));
                print("poll, nothing there", middle(rounds, || queue.empty()));
            }
        }
    }
    let bus = Arc::new(Rings);
    let runtime = Runtime::builder().bus(bus).device(DEVICE).build().expect("the device opens");
    let spec = SessionSpec::compression(Algorithm::Deflate, Direction::Forward, None).expect("the default level");
    let session = runtime.session(spec).expect("offered");
    let mut lease = runtime.lease().expect("a queue is free");
    let mut room = [0; ROOM];
    println!("through the runtime, with a device that answers within the doorbell");
    print(
        "a job from call to return",
        middle(rounds, || {
            let began = Instant::now();
            for _ in 0..JOBS {
                lease.run(Work::session(&session, &TEXT, &mut room)).expect("compresses");
            }
            began.elapsed().as_secs_f64() * 1e9 / JOBS as f64
        }),
    );
}

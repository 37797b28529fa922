//! What a device grants is what it does: the first job on a queue of hardware shows it.

use std::collections::VecDeque;
use std::io::Read;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use nix::libc;
use uaccel_conformance::ScriptedTransport;
use uaccel_queue::{
    AddressMode, Algorithm, Batch, Bus, Capabilities, Cells, Completer, DeviceError, DeviceInfo, Direction, Done,
    Driver, Fault, FaultHandling, FaultKind, OpenError, OpenQueue, Operation, Outcome, QueueRequest, Quiet, Region,
    RingMemory, SessionError, SessionId, SessionSpec, Status, Submitter, Token, Transport, TransportError, Wake,
};
use uaccel_runtime::{Error, Fallback, Runtime, Work};

/// How the device of a test behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Habit {
    /// Missing pages are brought in.
    Resolves,
    /// Missing pages end the job.
    Reports,
    /// It writes, but to other memory.
    Elsewhere,
    /// It has no time.
    Silent,
    /// Every job is an error.
    Fails,
}

/// A device on this thread that can do `trade` and says that it resolves faults, if `boasts`.
#[derive(Clone, Copy, Debug)]
struct Device {
    trade: Operation,
    habit: Habit,
    boasts: bool,
}

impl Bus for Device {
    fn name(&self) -> &str {
        "test"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        vec![DeviceInfo::new("filler", "filler_v1")]
    }

    fn open(&self, _: &str) -> Result<Arc<dyn Transport>, TransportError> {
        Ok(Arc::new(ScriptedTransport::new(|_, _, _| {})))
    }
}

/// The device on a bus whose transports do not stop, and remember whether they are still there.
#[derive(Debug)]
struct Unstoppable(Device, Mutex<Weak<Endless>>);

#[derive(Debug)]
struct Endless(ScriptedTransport);

impl Bus for Unstoppable {
    fn name(&self) -> &str {
        Bus::name(&self.0)
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.0.devices()
    }

    fn open(&self, _: &str) -> Result<Arc<dyn Transport>, TransportError> {
        let transport = Arc::new(Endless(ScriptedTransport::new(|_, _, _| {})));
        *self.1.lock().unwrap() = Arc::downgrade(&transport);
        Ok(transport)
    }
}

impl Transport for Endless {
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
        None
    }

    fn clear_wake(&self) {}

    fn stop(&self, _: Duration) -> Result<Quiet, TransportError> {
        Ok(Quiet::Unproven)
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        self.0.reset(within)
    }

    fn is_alive(&self) -> bool {
        true
    }

    fn address_mode(&self) -> AddressMode {
        AddressMode::Shared
    }
}

type Answers = Arc<Mutex<VecDeque<(Token, Outcome)>>>;

impl Driver for Device {
    fn name(&self) -> &str {
        "filler"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == "filler_v1"
    }

    fn advertised(&self, _: &DeviceInfo) -> Capabilities {
        let mut offers = Capabilities::new(16, 1 << 20);
        offers.operations = [Operation::Nop, self.trade].into_iter().collect();
        offers.algorithms = [(Algorithm::Deflate, Direction::Inverse)].into_iter().collect();
        offers.sessions = 4;
        offers.faults = if self.boasts { FaultHandling::Resolved } else { FaultHandling::Reported };
        offers
    }

    fn open(&self, _: Arc<dyn Transport>, _: Arc<Cells>, request: &QueueRequest) -> Result<OpenQueue, OpenError> {
        let answers = Answers::default();
        let mut granted = self.advertised(&self.devices()[0]);
        granted.depth = request.depth;
        Ok(OpenQueue {
            granted,
            submitter: Box::new(Half(*self, answers.clone(), false)),
            completer: Box::new(Half(*self, answers, false)),
        })
    }
}

/// The device, the answers that are there, and whether a session is open.
struct Half(Device, Answers, bool);

// SAFETY: jobs of the batch only, launched first, each counted.
unsafe impl Submitter for Half {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        for index in 0..batch.len() {
            let job = batch.job(index);
            let token = batch.launch(index);
            let outcome = match self.0.habit {
                Habit::Silent => continue,
                Habit::Fails => Outcome::failed(Status::DeviceError),
                _ if job.operation == Operation::Nop => Outcome::ok(0, 0),
                Habit::Elsewhere => Outcome::ok(0, job.destination_len as u64),
                Habit::Reports if !is_there(job.destination) => {
                    Outcome::faulted(Fault { address: job.destination.addr() as u64, kind: FaultKind::Write })
                }
                Habit::Resolves | Habit::Reports => {
                    assert_eq!(job.operation, self.0.trade);
                    for at in 0..job.destination_len {
                        let byte = match job.operation {
                            Operation::Fill => job.immediate[at % 8],
                            // SAFETY: the submitter's contract: memory that may be read until the job is answered.
                            Operation::Copy => unsafe { job.source.add(at).read() },
                            // What is stored follows a header of five bytes.
                            // SAFETY: as above.
                            _ => unsafe { job.source.add(5 + at).read() },
                        };
                        // SAFETY: as above: memory that may be written until the job is answered.
                        unsafe { job.destination.add(at).write(byte) }
                    }
                    if job.operation == Operation::Decompress {
                        assert!(self.2, "the session is open");
                        // SAFETY: as above.
                        let stream = unsafe { std::slice::from_raw_parts(job.source, job.source_len) };
                        let mut text = Vec::new();
                        flate2::bufread::DeflateDecoder::new(stream).read_to_end(&mut text).expect("a stream");
                        assert_eq!(text.len(), job.destination_len);
                    }
                    Outcome::ok(job.source_len as u64, job.destination_len as u64)
                }
            };
            self.1.lock().unwrap().push_back((token, outcome));
        }
        Ok(batch.len())
    }

    fn open_session(&mut self, _: SessionId, _: &SessionSpec) -> Result<(), SessionError> {
        assert!(!std::mem::replace(&mut self.2, true), "one session at a time");
        Ok(())
    }

    fn close_session(&mut self, _: SessionId) {
        self.2 = false;
    }
}

// SAFETY: jobs are done when they are in the list.
unsafe impl Completer for Half {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        let mut answers = self.1.lock().unwrap();
        while done.room() > 0 {
            let Some((token, outcome)) = answers.pop_front() else { break };
            done.complete(token, &outcome)?;
        }
        Ok(())
    }

    fn arm(&mut self) {}
}

/// Whether a page is in memory: what a device sees that may not ask for it.
fn is_there(address: *mut u8) -> bool {
    let mut resident = 0u8;
    let page = address.map_addr(|address| address & !4095);
    // SAFETY: asks about one page, and writes one byte.
    unsafe { libc::mincore(page.cast(), 1, &raw mut resident) == 0 && resident & 1 != 0 }
}

fn open(habit: Habit, boasts: bool) -> Result<Runtime, Error> {
    open_one(Device { trade: Operation::Fill, habit, boasts })
}

fn open_one(device: Device) -> Result<Runtime, Error> {
    let device = Arc::new(device);
    Runtime::builder().bus(device.clone()).driver(device).device("filler").fallback(Fallback::Never).build()
}

#[test]
fn missing_pages_that_are_brought_in_are_granted_whatever_was_said() {
    for boasts in [false, true] {
        let runtime = open(Habit::Resolves, boasts).unwrap();
        assert_eq!(runtime.granted().faults, FaultHandling::Resolved);
        runtime.run(Work::nop()).unwrap();
    }
}

#[test]
fn missing_pages_that_are_reported_are_granted_as_reported_whatever_was_said() {
    for boasts in [false, true] {
        let runtime = open(Habit::Reports, boasts).unwrap();
        assert_eq!(runtime.granted().faults, FaultHandling::Reported);
        runtime.run(Work::nop()).unwrap();
    }
}

#[test]
fn whatever_writes_memory_is_put_to_the_proof() {
    for trade in [Operation::Fill, Operation::Copy, Operation::Decompress] {
        for (habit, granted) in [(Habit::Resolves, FaultHandling::Resolved), (Habit::Reports, FaultHandling::Reported)]
        {
            let runtime = open_one(Device { trade, habit, boasts: true }).unwrap();
            assert_eq!(runtime.granted().faults, granted, "{trade} {habit:?}");
            runtime.run(Work::nop()).unwrap();
        }
        assert!(open_one(Device { trade, habit: Habit::Elsewhere, boasts: true }).is_err(), "{trade}");
    }
}

#[test]
fn a_device_that_writes_elsewhere_is_refused() {
    let error = open(Habit::Elsewhere, true).unwrap_err();
    assert!(
        matches!(&error, Error::Open { source, .. } if source.to_string().contains("wrote somewhere else")),
        "{error:?}"
    );
}

#[test]
fn a_device_that_fails_its_first_job_or_does_not_answer_it_is_refused() {
    for (habit, what) in [(Habit::Fails, "answered with an error"), (Habit::Silent, "not answered")] {
        let error = open(habit, true).unwrap_err();
        assert!(matches!(&error, Error::Open { source, .. } if source.to_string().contains(what)), "{error:?}");
    }
}

#[test]
fn what_a_device_that_does_not_stop_may_still_use_is_kept() {
    let device = Device { trade: Operation::Fill, habit: Habit::Silent, boasts: true };
    let bus = Arc::new(Unstoppable(device, Mutex::default()));
    let builder = Runtime::builder().bus(bus.clone()).driver(Arc::new(device)).device("filler");
    let error = builder.fallback(Fallback::Never).build().unwrap_err();
    assert!(matches!(&error, Error::Open { source, .. } if source.to_string().contains("not answered")), "{error:?}");
    assert!(bus.1.lock().unwrap().upgrade().is_some(), "the transport, and with it the rings, is gone");
}

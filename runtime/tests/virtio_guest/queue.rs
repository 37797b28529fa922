//! The device's queue without a runtime: signals, stops, and memory that the device was not given.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use uaccel_drivers::virtio_crypto::VirtioCryptoDriver;
use uaccel_queue::{
    Algorithm, Batch, Bus, Cells, Completer, DeviceError, Direction, Done, Driver, OpenQueue, Operation, Outcome,
    QueueRequest, Quiet, SessionId, SessionSpec, Submitter, Transport,
};
use uaccel_runtime::Reaching;
use uaccel_runtime::vfio::VfioBus;

use crate::bench::{PATIENCE, device};
use crate::guest::jobs::noise;

const DEPTH: usize = 16;
const LEN: usize = 1 << 18;

struct Queue {
    transport: Arc<dyn Transport>,
    cells: Arc<Cells>,
    submitter: Box<dyn Submitter>,
    completer: Box<dyn Completer>,
    /// By slot: what is read, and what is written. Last, so that the device has let go of them.
    texts: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Queue {
    fn open(driver: &dyn Driver) -> Self {
        let transport = VfioBus::new().open(device()).expect("the device is free");
        Self::over(driver, transport)
    }

    /// With a session that encrypts, number 0.
    fn over(driver: &dyn Driver, transport: Arc<dyn Transport>) -> Self {
        let cells = Arc::new(Cells::new(DEPTH));
        let opened = driver.open(transport.clone(), cells.clone(), &QueueRequest::new(DEPTH));
        let OpenQueue { granted, mut submitter, completer } = opened.expect("the driver opens a queue");
        assert!(granted.wakes && granted.max_transfer >= LEN as u64, "{granted:?}");
        let spec = SessionSpec::keyed(Algorithm::Aes128Cbc, Direction::Forward, &[1; 16]).expect("a key");
        submitter.open_session(SessionId(0), &spec).expect("it is offered");
        let texts = (0..DEPTH as u64).map(|slot| (noise(slot, LEN), vec![0; LEN])).collect();
        Self { transport, cells, submitter, completer, texts }
    }

    /// Brings a stopped queue back, as new.
    fn reset(self, driver: &dyn Driver) -> Self {
        let transport = self.transport.clone();
        // It stops what it has in flight, which must not be the new queue's.
        drop(self);
        transport.reset(PATIENCE).expect("the device comes back");
        Self::over(driver, transport)
    }

    fn send(&mut self, slots: &[u32]) {
        for slot in slots {
            let (source, destination) = &mut self.texts[*slot as usize];
            // SAFETY: the tests use each slot for one job at a time.
            unsafe {
                self.cells.build(*slot as usize, |job| {
                    (job.operation, job.session) = (Operation::Encrypt, SessionId(0));
                    (job.source, job.source_len) = (source.as_ptr(), LEN);
                    (job.destination, job.destination_len) = (destination.as_mut_ptr(), LEN);
                    job.immediate = [0; 16];
                });
            }
        }
        // SAFETY: built, and not in flight; the texts live until the device is quiet, and nobody has them meanwhile.
        let accepted = unsafe { self.submitter.submit(&Batch::new(&self.cells, slots)) };
        assert_eq!(accepted.expect("the queue works"), slots.len());
    }

    fn poll(&mut self) -> Result<Vec<Outcome>, Box<DeviceError>> {
        let mut places = [0; DEPTH];
        // SAFETY: the only completer.
        let mut done = unsafe { Done::new(&self.cells, &mut places) };
        self.completer.poll(&mut done)?;
        // SAFETY: just answered.
        Ok(done.slots().iter().map(|slot| unsafe { self.cells.outcome(*slot as usize) }).collect())
    }

    /// Waits for a signal, and for nothing else.
    fn is_woken(&self) -> bool {
        let descriptor = self.transport.wake_fd().expect("it wakes");
        let mut descriptors = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(PATIENCE).expect("a minute");
        poll(&mut descriptors, timeout).expect("a descriptor") == 1
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.cells.in_flight().next().is_some() && !matches!(self.transport.stop(PATIENCE), Ok(Quiet::Proven)) {
            std::mem::forget(std::mem::take(&mut self.texts));
        }
    }
}

#[test]
fn every_wait_ends_with_a_signal() {
    let mut queue = Queue::open(&Reaching(VirtioCryptoDriver));
    for round in 0..50 {
        queue.transport.clear_wake();
        queue.completer.arm();
        assert_eq!(queue.poll().unwrap(), [], "nothing is in flight");
        queue.send(&[round % DEPTH as u32]);
        let woken = queue.is_woken();
        assert!(woken, "round {round}: {:?}", queue.poll());
        assert_eq!(queue.poll().unwrap(), [Outcome::ok(LEN as u64, LEN as u64)]);
    }
}

#[test]
fn after_a_stop_nothing_is_written_and_the_queue_comes_back() {
    let driver = Reaching(VirtioCryptoDriver);
    let mut queue = Queue::open(&driver);
    let slots: Vec<_> = (0..DEPTH as u32).collect();
    for _ in 0..5 {
        queue.send(&slots);
        assert_eq!(queue.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
        // What was answered before may still be fetched.
        let _ = queue.poll();
        let before: Vec<_> = queue.texts.iter().map(|texts| texts.1.clone()).collect();
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(queue.poll().map_or(0, |late| late.len()), 0, "answers after the stop");
        assert!(queue.texts.iter().zip(&before).all(|(texts, before)| texts.1 == *before), "written after the stop");
        queue = queue.reset(&driver);
        queue.send(&[3]);
        let until = Instant::now() + PATIENCE;
        let answers = loop {
            let answers = queue.poll().unwrap();
            if !answers.is_empty() {
                break answers;
            }
            assert!(Instant::now() < until, "no answer after the reset");
        };
        assert_eq!(answers, [Outcome::ok(LEN as u64, LEN as u64)]);
    }
}

/// The driver alone, without what makes a job's memory reachable: the device is behind the IOMMU, meets memory that was not mapped for it, and gives up. The kernel's log says so.
#[test]
fn memory_that_was_not_mapped_is_beyond_the_device() {
    let mut queue = Queue::open(&VirtioCryptoDriver);
    queue.transport.clear_wake();
    queue.completer.arm();
    queue.send(&[0]);
    assert!(queue.is_woken(), "it signals that it needs a reset");
    queue.completer.arm();
    match queue.poll().map_err(|error| *error) {
        // DEVICE_NEEDS_RESET, section 2.1.
        Err(DeviceError::Stopped(status)) => assert_ne!(status & 64, 0),
        other => panic!("{other:?}"),
    }
    assert!(queue.texts[0].1.iter().all(|byte| *byte == 0), "nothing was written");
    assert_eq!(queue.transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    queue = queue.reset(&Reaching(VirtioCryptoDriver));
    queue.transport.clear_wake();
    queue.completer.arm();
    queue.send(&[0]);
    assert!(queue.is_woken());
    assert_eq!(queue.poll().unwrap(), [Outcome::ok(LEN as u64, LEN as u64)]);
}

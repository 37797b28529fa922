//! Devices that go away and come back: queues come back with them, as often as it happens.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use device::{DEADLINE, PATIENCE, eventually, simulated};
use uaccel_queue::{AddressMode, Quiet, Region, RingMemory, Transport, TransportError, Wake};
use uaccel_runtime::{
    Algorithm, Builder, Bus, DeviceInfo, Direction, Error, Fallback, OwnedWork, Runtime, Session, SessionSpec, Work,
};
use uaccel_sim::{Mishap, Plan, Simulator, ThreadHost, ThreadHostConfig, Warp, WarpConfig, When};

/// Far more often than there are places for queues.
const OFTEN: u8 = 200;

/// A bus whose only device comes and goes.
#[derive(Debug, Default)]
struct Station {
    here: Mutex<Option<Arc<ThreadHost<Warp>>>>,
    asked: AtomicUsize,
}

impl Station {
    fn new() -> Arc<Self> {
        let station = Arc::new(Self::default());
        station.arrive();
        station
    }

    /// Another device of the same name is there.
    fn arrive(&self) {
        let threads = ThreadHostConfig { device: "warp0".to_owned(), workers: Some(1), pin: None };
        let host = Simulator::warp(WarpConfig::default(), threads, Plan::default()).expect("the engine starts");
        *self.here.lock().unwrap_or_else(PoisonError::into_inner) = Some(host);
    }

    /// The device is gone, for good.
    fn leave(&self) {
        let host = self.here.lock().unwrap_or_else(PoisonError::into_inner).take();
        host.expect("it was there").unplug();
    }

    /// A runtime on it, with few places for queues.
    fn builder(self: &Arc<Self>) -> Builder {
        Runtime::builder().bus(self.clone()).device("warp0").fallback(Fallback::Never).queues(1).deadline(PATIENCE)
    }
}

impl Bus for Station {
    fn name(&self) -> &str {
        "station"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        let mut info = DeviceInfo::new("warp0", uaccel_warp_abi::INTERFACE);
        info.simulated = true;
        vec![info]
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let host = self.here.lock().unwrap_or_else(PoisonError::into_inner).clone();
        host.ok_or(TransportError::Gone)?.open(device)
    }
}

/// Whether a copy through the runtime succeeds; if not, it is the device's fault, and nothing is written.
fn copies(byte: u8, run: impl FnOnce(Work<'_>) -> Result<(), Error>) -> bool {
    let source = [byte; 3000];
    let mut destination = [!byte; 3000];
    match run(Work::copy(&source, &mut destination)) {
        Ok(()) => {
            assert_eq!(source, destination);
            true
        }
        Err(error) => {
            assert!(error.is_device_failure(), "{error}");
            assert_eq!(destination, [!byte; 3000]);
            false
        }
    }
}

#[test]
fn queues_come_back_with_their_device_hundreds_of_times() {
    let station = Station::new();
    let runtime = station.builder().build().unwrap();
    for round in 0..OFTEN {
        eventually("the device is used again", || copies(round, |work| runtime.run(work).map(drop)));
        station.leave();
        assert!(!copies(round, |work| runtime.run(work).map(drop)), "there is no device");
        station.arrive();
    }
}

#[test]
fn a_lease_comes_back_with_its_device_hundreds_of_times() {
    let station = Station::new();
    let runtime = station.builder().build().unwrap();
    let mut lease = runtime.lease().unwrap();
    for round in 0..OFTEN {
        eventually("the device is used again", || copies(round, |work| lease.run(work).map(drop)));
        station.leave();
        assert!(!copies(round, |work| lease.run(work).map(drop)), "there is no device");
        station.arrive();
    }
    assert_eq!(lease.granted().unwrap().depth, runtime.granted().depth);
}

#[test]
fn jobs_in_flight_end_with_one_error_and_their_buffers_when_the_device_goes() {
    let station = Station::new();
    let runtime = station.builder().depth(16).build().unwrap();
    for round in 0..OFTEN / 4 {
        let plan = station.here.lock().unwrap().as_ref().expect("it is there").plan();
        plan.hold();
        let mut jobs = Vec::new();
        eventually("jobs are taken", || {
            jobs.extend(runtime.submit(OwnedWork::copy(vec![round; 500], vec![!round; 500])).ok());
            jobs.len() == 16
        });
        station.leave();
        for job in jobs {
            let finished = job.wait();
            let error = finished.result.expect_err("it was not done");
            assert!(error.is_device_failure(), "{error}");
            assert_eq!(finished.buffers, Some((vec![round; 500], vec![!round; 500], ())));
        }
        station.arrive();
    }
}

#[test]
fn while_a_device_is_away_the_cpu_takes_its_place_and_the_device_is_seldom_asked_for() {
    const JOBS: usize = 3000;
    let station = Station::new();
    let runtime = station.builder().fallback(Fallback::OnError).build().unwrap();
    station.leave();
    station.asked.store(0, Ordering::Relaxed);
    for round in 0..JOBS {
        assert!(copies(round as u8, |work| runtime.run(work).map(drop)));
    }
    let asked = station.asked.load(Ordering::Relaxed);
    assert!((1..JOBS / 2).contains(&asked), "asked {asked} times during {JOBS} jobs");
    assert_eq!(runtime.counters().fallbacks as usize, JOBS);
    station.arrive();
    eventually("the device is used again", || {
        let before = runtime.counters().fallbacks;
        assert!(copies(1, |work| runtime.run(work).map(drop)));
        runtime.counters().fallbacks == before
    });
}

#[test]
fn a_queue_that_the_device_did_not_let_go_of_comes_back_when_it_does() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.queues(1).deadline(DEADLINE).build().unwrap();
    // More often than there are places for queues.
    for round in 0..6u8 {
        // Begun, never answered, and the engine does not stop either.
        plan.set(Plan { deaf: true, ..Plan::default().with(When::Nth(1), Mishap::LostCompletion) });
        let mut lost = None;
        eventually("a job is taken", || {
            lost = runtime.submit(OwnedWork::copy(vec![round; 500], vec![0; 500])).ok();
            lost.is_some()
        });
        let finished = lost.take().expect("taken").wait();
        assert!(matches!(finished.result, Err(Error::Lost { .. })), "{:?}", finished.result);
        plan.set(Plan::default());
        eventually("the queue is used again", || copies(round, |work| runtime.run(work).map(drop)));
    }
    assert_eq!(runtime.counters().lost, 6);
}

/// A device with one queue, which cannot be reset: it has to be given back before there is another one.
#[derive(Debug)]
struct OneQueue {
    host: Arc<ThreadHost<Warp>>,
    taken: Arc<AtomicBool>,
}

/// The way to that queue.
#[derive(Debug)]
struct OnlyQueue {
    inner: Arc<dyn Transport>,
    taken: Arc<AtomicBool>,
}

impl Bus for OneQueue {
    fn name(&self) -> &str {
        "one"
    }

    fn devices(&self) -> Vec<DeviceInfo> {
        self.host.devices()
    }

    fn open(&self, device: &str) -> Result<Arc<dyn Transport>, TransportError> {
        if self.taken.swap(true, Ordering::SeqCst) {
            return Err(TransportError::Busy(device.to_owned()));
        }
        Ok(Arc::new(OnlyQueue { inner: self.host.open(device)?, taken: self.taken.clone() }))
    }
}

impl Transport for OnlyQueue {
    fn regions(&self) -> &[Region] {
        self.inner.regions()
    }

    fn ring_memory(&self, len: usize) -> Result<RingMemory, TransportError> {
        self.inner.ring_memory(len)
    }

    fn ring_doorbell(&self, offset: usize, value: u64) {
        self.inner.ring_doorbell(offset, value);
    }

    fn sleep(&self, until: Option<Instant>) -> Result<Wake, TransportError> {
        self.inner.sleep(until)
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.wake_fd()
    }

    fn clear_wake(&self) {
        self.inner.clear_wake();
    }

    fn stop(&self, within: Duration) -> Result<Quiet, TransportError> {
        self.inner.stop(within)
    }

    fn reset(&self, within: Duration) -> Result<(), TransportError> {
        Err(TransportError::TimedOut { step: "reset", within })
    }

    fn is_alive(&self) -> bool {
        self.inner.is_alive()
    }

    fn address_mode(&self) -> AddressMode {
        self.inner.address_mode()
    }
}

impl Drop for OnlyQueue {
    fn drop(&mut self) {
        self.taken.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_queue_that_cannot_be_reset_is_given_back_before_another_one_is_asked_for() {
    let threads = ThreadHostConfig { device: "warp0".to_owned(), workers: Some(1), pin: None };
    let host = Simulator::warp(WarpConfig::default(), threads, Plan::default()).expect("the engine starts");
    let plan = host.plan();
    let bus = Arc::new(OneQueue { host, taken: Arc::default() });
    let builder = Runtime::builder().bus(bus).device("warp0").fallback(Fallback::Never);
    let runtime = builder.queues(1).deadline(DEADLINE).build().unwrap();
    for round in 0..3 {
        // Begun, so that it cannot be cancelled, and never answered.
        plan.set(Plan::default().with(When::Nth(1), Mishap::LostCompletion));
        assert!(matches!(runtime.run(Work::nop()), Err(Error::Deadline(_))));
        plan.set(Plan::default());
        assert!(copies(round, |work| runtime.run(work).map(drop)), "there is another queue at once");
    }
    assert_eq!(runtime.counters().resets, 3);
}

/// Sessions that compute AES-CTR, each under a key of its own.
fn ciphers(runtime: &Runtime, count: u8) -> Vec<Session> {
    let spec = |n| SessionSpec::keyed(Algorithm::Aes128Ctr, Direction::Forward, &[n; 16]).unwrap();
    (0..count).map(|n| runtime.session(spec(n)).unwrap()).collect()
}

fn encrypt<'a>(session: &'a Session, text: &'a [u8], room: &'a mut [u8]) -> Work<'a> {
    Work::session(session, text, room).with_iv([7; 16])
}

#[test]
fn jobs_that_wait_to_be_submitted_when_a_queue_is_taken_back_are_done_afterwards_under_their_own_sessions() {
    // One more than the queue has numbers for: the first and the last want the same one.
    const NUMBERS: u8 = 64;
    let (builder, plan) = simulated(WarpConfig { sessions: NUMBERS.into(), ..WarpConfig::default() });
    let runtime = builder.build().unwrap();
    assert_eq!(runtime.granted().sessions, NUMBERS.into());
    let sessions = ciphers(&runtime, NUMBERS + 1);
    let texts: Vec<_> = (0..=NUMBERS).map(|n| vec![n; 64]).collect();
    let expected: Vec<_> = sessions
        .iter()
        .zip(&texts)
        .map(|(session, text)| {
            let mut made = vec![0; 64];
            runtime.run(encrypt(session, text, &mut made)).unwrap();
            made
        })
        .collect();
    let (mut first, mut others) = (vec![0; 64], vec![vec![0; 64]; usize::from(NUMBERS) - 1]);
    let mut stalled = vec![0; 64];
    // The first job begins, so that it cannot be cancelled, and is never answered.
    plan.set(Plan::default().with(When::Nth(1), Mishap::LostCompletion));
    let mut lease = runtime.lease().unwrap();
    let good = lease.scope(|scope| {
        scope.push(Work::copy(&texts[0], &mut stalled)).unwrap();
        assert_eq!(scope.submit().unwrap(), 1);
        let last = usize::from(NUMBERS);
        scope.push(encrypt(&sessions[last], &texts[last], &mut first)).unwrap();
        assert_eq!(scope.wait(|answer| assert!(matches!(answer.outcome(), Err(Error::Deadline(_))))), 1);
        for ((session, text), room) in sessions.iter().zip(&texts).zip(&mut others) {
            scope.push(encrypt(session, text, room)).unwrap();
        }
        let mut good = 0;
        scope.finish(|answer| good += u8::from(answer.is_ok())).unwrap();
        good
    });
    assert_eq!((good.unwrap(), runtime.counters().resets), (NUMBERS, 1));
    assert_eq!(first, expected[usize::from(NUMBERS)], "under its own session");
    assert_eq!(others, expected[..others.len()]);
}

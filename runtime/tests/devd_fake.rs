//! The client's side of a `uaccel-devd`, against a daemon that errs in every way there is.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod fake_devd;

use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fake_devd::{Act, FakeDevd, eventually, file, lock, nothing, nowhere};
use nix::fcntl::SealFlag;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use uaccel_devd_protocol::{Channel, HelloFlags, Priority, Refusal, Reply, Request, VERSION, WelcomeFlags};
use uaccel_queue::{Quiet, RegionKind, Transport, TransportError, Wake};
use uaccel_runtime::devd::{DEVD, DevdBus};
use uaccel_runtime::{Builder, Bus, Error, Fallback, OwnedWork, Runtime, Verdict, Work};
use uaccel_warp_abi::user_page;

/// As long as a test waits for what must come.
const SOON: Duration = Duration::from_secs(1);
/// Long enough for what must not come.
const GRACE: Duration = Duration::from_millis(50);

fn bus(devd: &FakeDevd) -> DevdBus {
    DevdBus::at(&devd.socket)
}

fn open(devd: &FakeDevd) -> Arc<dyn Transport> {
    bus(devd).open("devd:first").expect("a queue")
}

fn builder(devd: &FakeDevd) -> Builder {
    Runtime::builder().devd(&devd.socket).device(DEVD).fallback(Fallback::Never)
}

fn refused(refusal: Refusal, text: &str) -> Reply {
    Reply::Refused { refusal, text: text.to_owned() }
}

/// What an error says, with everything behind it.
fn whole(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {}", whole(cause)))
}

#[test]
fn page_rings_doorbell_and_signal_are_shared_with_the_daemon() {
    let devd = FakeDevd::new();
    let transport = open(&devd);
    let client = devd.client();
    let memory = transport.ring_memory(10_000).expect("ring memory");
    assert!(memory.len() >= 10_000 && memory.device_address(8) == (1 << 63 | 1 << 32) + 8);
    memory.publish(64, 7);
    assert_eq!(client.on_queue(|queue| queue.rings[0].1.observe(64)), 7);

    // A register that nobody has to notice is a plain store.
    let asked = devd.heard().len();
    let registers = transport.region(RegionKind::User).expect("registers").clone();
    registers.write(user_page::ARM, 5);
    assert_eq!(client.on_queue(|queue| queue.page.read(user_page::ARM)), 5);
    // The doorbell for jobs is rung without the socket.
    transport.ring_doorbell(user_page::SUBMIT, 3);
    assert_eq!(client.on_queue(|queue| (queue.rung(), queue.page.read(user_page::SUBMIT))), (1, 3));
    assert_eq!(devd.heard().len(), asked);
    // Every other one goes over it.
    transport.ring_doorbell(user_page::ENABLE, 1);
    assert_eq!(devd.heard().last(), Some(&Request::Control { queue: 1, offset: 0x50, value: 1 }));

    assert_eq!(transport.sleep(Some(Instant::now())).expect("no error"), Wake::TimedOut);
    for _ in 0..3 {
        client.on_queue(fake_devd::FakeQueue::signal);
    }
    assert_eq!(transport.sleep(Some(Instant::now() + SOON * 60)).expect("no error"), Wake::Signalled);
    assert_eq!(transport.sleep(Some(Instant::now())).expect("no error"), Wake::TimedOut, "signals were taken");
    client.on_queue(fake_devd::FakeQueue::signal);
    transport.clear_wake();
    assert_eq!(transport.sleep(Some(Instant::now())).expect("no error"), Wake::TimedOut);

    assert!(transport.is_alive());
    assert_eq!(transport.stop(SOON).expect("asked"), Quiet::Proven);
    transport.reset(SOON).expect("reset");
    drop(transport);
    let last: Vec<_> = devd.heard().into_iter().rev().take(3).collect();
    assert!(matches!(last[..], [Request::Close { queue: 1 }, Request::Reset { .. }, Request::Stop { .. }]), "{last:?}");
}

#[test]
fn the_daemon_gets_this_process_memory_and_a_gate_that_it_can_find() {
    let devd = FakeDevd::new();
    let bus = DevdBus::at(&devd.socket).with_priority(Priority::High);
    let _transport = bus.open("devd:second").expect("a queue");
    let heard = devd.heard();
    let Some(Request::Hello { version: VERSION, priority: Priority::High, gate, canary, flags }) = heard.first() else {
        panic!("{heard:?}")
    };
    let mut found = [0; 16];
    devd.client().read(*gate, &mut found);
    assert_eq!(found, *[canary[0].to_le_bytes(), canary[1].to_le_bytes()].concat());
    let here = u64::from(HelloFlags::FENCED.bits() == flags.bits());
    let mut bytes = [0; 8];
    devd.client().read((&raw const here).expose_provenance() as u64, &mut bytes);
    assert_eq!(bytes, here.to_ne_bytes());
    assert!(heard.contains(&Request::Open { index: 1 }), "by its name: {heard:?}");
}

#[test]
fn without_a_daemon_the_report_says_where_one_was_looked_for_and_how_to_start_it() {
    let builder = Runtime::builder().devd(nowhere()).device(DEVD).fallback(Fallback::Never);
    let report = builder.report();
    let entry = report.entries().iter().find(|entry| entry.bus == DEVD).expect("it was asked for");
    let Verdict::Unusable { reason, cure: Some(cure) } = &entry.verdict else { panic!("{report}") };
    assert!(reason.contains("/nonexistent/uaccel/devd.sock"), "{reason}");
    assert!(cure.contains("uaccel-devd --socket /nonexistent/uaccel/devd.sock"), "{cure}");
    let Err(Error::NoDevice(report)) = builder.build() else { panic!("there is no device") };
    assert!(report.to_string().contains("device 'devd' cannot be used"), "{report}");
    let error = DevdBus::at(nowhere()).open(DEVD).expect_err("nobody is there");
    assert!(error.to_string().contains("start one"), "{error}");
}

#[test]
fn devices_are_named_after_the_daemons_and_the_bus_stands_for_the_first() {
    let devd = FakeDevd::new();
    let named = |name: &str| Runtime::builder().devd(&devd.socket).device(name).fallback(Fallback::Never);
    for (name, device) in [("devd", "devd:first"), ("devd:first", "devd:first"), ("devd:second", "devd:second")] {
        assert_eq!(named(name).build().expect("it opens").device(), device);
    }
    let Err(Error::NoDevice(report)) = named("devd:third").build() else { panic!("there are two") };
    assert!(report.to_string().contains("there is no device 'devd:third'"), "{report}");
    assert!(matches!(bus(&devd).open("devd:third"), Err(TransportError::NoSuchDevice { .. })));
    assert!(matches!(bus(&devd).open("first"), Err(TransportError::NoSuchDevice { .. })));
    // Simulated devices are only used by name, and the daemon only if it is asked for.
    let report = Runtime::builder().devd(&devd.socket).report();
    assert!(report.chosen().is_some_and(|entry| entry.bus != DEVD), "{report}");
    let report = Runtime::builder().device("software").report();
    assert!(std::env::var_os("UACCEL_DEVD").is_some() || report.entries().iter().all(|entry| entry.bus != DEVD));
}

#[test]
fn another_version_is_an_error_that_says_so_whichever_side_notices() {
    let other = Reply::Welcome {
        version: VERSION + 1,
        flags: WelcomeFlags::empty(),
        pasid: 1,
        queues: 1,
        windows: 0,
        window_bytes: 0,
    };
    for reply in [other, refused(Refusal::Version, "2, and the client 1")] {
        let devd = FakeDevd::with(move |_, _, request| match request {
            Request::Hello { .. } => Act::Say(reply.clone()),
            _ => Act::Answer,
        });
        let error = bus(&devd).open("devd:first").expect_err("another version").to_string();
        assert!(error.contains("version") && error.contains('2') && error.contains("of the same version"), "{error}");
    }
}

#[test]
fn what_the_daemon_refuses_is_told_in_its_words() {
    for (refusal, text) in [(Refusal::NotPermitted, "yama says no"), (Refusal::Limit, "4 queues are enough")] {
        let devd = FakeDevd::with(move |_, _, request| match request {
            Request::Open { .. } => Act::Say(refused(refusal, text)),
            _ => Act::Answer,
        });
        // Where it may be free again, it is waited for.
        let error = builder(&devd).deadline(Duration::from_millis(50)).build().expect_err("refused");
        assert!(whole(&error).contains(text), "{}", whole(&error));
    }
    let devd = FakeDevd::with(|_, _, request| match request {
        Request::Open { .. } => Act::Say(refused(Refusal::Busy, "all are in use")),
        _ => Act::Answer,
    });
    assert!(matches!(bus(&devd).open("devd:first"), Err(TransportError::Busy(_))), "that others may give some back");
}

/// Everything that is asked of a daemon, in order; says what came of it.
fn everything(bus: &DevdBus) -> Vec<Result<(), String>> {
    let mut results = Vec::new();
    let text = |error: TransportError| whole(&error);
    match bus.open("devd:first") {
        Ok(transport) => {
            results.push(transport.ring_memory(4096).map(drop).map_err(text));
            transport.ring_doorbell(user_page::ENABLE, 1);
            results.push(transport.stop(GRACE).map(drop).map_err(text));
            results.push(transport.reset(GRACE).map_err(text));
        }
        Err(error) => results.push(Err(text(error))),
    }
    results.push(bus.shared_memory(100).map(drop).map_err(text));
    results
}

/// What is asked, by the order of its first time.
fn kinds() -> Vec<u8> {
    let devd = FakeDevd::new();
    everything(&bus(&devd)).into_iter().for_each(|result| result.expect("a good daemon"));
    let mut kinds: Vec<_> = devd.heard().iter().map(|request| request.encode(0)[0]).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "all but Status");
    kinds
}

#[test]
fn a_daemon_that_hangs_up_at_any_request_is_survived_and_the_next_one_is_used() {
    for kind in kinds() {
        let once = AtomicBool::new(false);
        let devd = FakeDevd::with(move |_, _, request| {
            let now = request.encode(0)[0] == kind && !once.swap(true, Ordering::Relaxed);
            if now { Act::HangUp } else { Act::Answer }
        });
        let bus = bus(&devd);
        everything(&bus);
        for result in everything(&bus) {
            result.unwrap_or_else(|error| panic!("after a hang-up at {kind}: {error}"));
        }
    }
}

#[test]
fn a_daemon_that_talks_nonsense_at_any_request_is_survived() {
    for kind in kinds() {
        let good = Reply::Done.encode(0);
        let nonsense: [(Vec<u8>, usize); 6] = [
            (Vec::new(), 0),
            (good[..63].to_vec(), 0),
            (vec![0xff; 64], 0),
            (vec![0xff; 512], 3),
            (good.clone(), 3),
            ([good.as_slice(), b"text"].concat(), 0),
        ];
        for (bytes, descriptors) in nonsense {
            let devd = FakeDevd::with(move |_, serial, request| {
                if request.encode(0)[0] != kind {
                    return Act::Answer;
                }
                let mut bytes = bytes.clone();
                if let Some(place) = bytes.get_mut(8..12) {
                    place.copy_from_slice(&serial.to_le_bytes());
                }
                Act::Raw(bytes, descriptors)
            });
            // What comes of it is told by other tests: here it is that something does.
            everything(&bus(&devd));
        }
    }
}

#[test]
fn an_answer_to_another_question_is_not_taken_for_this_one() {
    // As a daemon that was slow: an answer of before, then the right one.
    let devd = FakeDevd::with(|client, serial, request| {
        if let Request::Stop { .. } = request {
            client.say(serial.wrapping_sub(1), &Reply::Stopped { quiet: true }, &[]);
            return Act::Say(Reply::Stopped { quiet: false });
        }
        Act::Answer
    });
    assert_eq!(open(&devd).stop(SOON).expect("asked"), Quiet::Unproven);
    // An answer of another kind proves nothing.
    let devd = FakeDevd::with(|_, _, request| match request {
        Request::Stop { .. } => Act::Say(Reply::Done),
        _ => Act::Answer,
    });
    assert!(open(&devd).stop(SOON).is_err());
}

/// A file that is no memory to be mapped: what is wrong with it, how it is made, and what is said of it.
type BadFile = (&'static str, fn() -> OwnedFd, &'static str);

#[test]
fn memory_that_could_vanish_or_is_too_short_is_not_mapped() {
    const SIZE_FIXED: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW);
    let bad: [BadFile; 5] = [
        ("can shrink", || file(c"bad", 8192, SealFlag::F_SEAL_GROW), "sealed against shrinking"),
        ("is short", || file(c"bad", 4095, SIZE_FIXED), "4095 bytes"),
        ("is empty", || file(c"bad", 0, SIZE_FIXED), "0 bytes"),
        ("is no memory", nothing, "sealed against shrinking"),
        ("is a socket", || Channel::pair().expect("a pair").0.into(), "sealed against shrinking"),
    ];
    for (what, make, expected) in bad {
        let devd = FakeDevd::with(move |_, _, request| match request {
            Request::Open { .. } => Act::Swap(make()),
            _ => Act::Answer,
        });
        let error = bus(&devd).open("devd:first").expect_err(what).to_string();
        assert!(error.contains("user page") && error.contains(expected), "{what}: {error}");
        eventually("the queue is given back", || matches!(devd.heard().last(), Some(Request::Close { .. })));

        let devd = FakeDevd::with(move |_, _, request| match request {
            Request::Ring { .. } => Act::Swap(make()),
            _ => Act::Answer,
        });
        let error = open(&devd).ring_memory(4096).expect_err(what).to_string();
        assert!(error.contains("ring memory") && error.contains(expected), "{what}: {error}");
    }
}

#[test]
fn ring_memory_of_impossible_sizes_is_refused() {
    for (address, len) in [(0, 4095), (u64::MAX, 8192), (1 << 63, u64::MAX), (0, 0)] {
        let devd = FakeDevd::with(move |_, _, request| match *request {
            Request::Ring { queue, .. } => Act::Say(Reply::Ring { queue, address, len }),
            _ => Act::Answer,
        });
        assert!(matches!(open(&devd).ring_memory(4096), Err(TransportError::Refused(_))), "{len} at {address:#x}");
    }
    // Of another queue.
    let devd = FakeDevd::with(|_, _, request| match request {
        Request::Ring { .. } => Act::Say(Reply::Ring { queue: 99, address: 0, len: 4096 }),
        _ => Act::Answer,
    });
    assert!(open(&devd).ring_memory(4096).is_err());
}

#[test]
fn only_an_answer_or_a_hang_up_proves_that_a_queue_is_quiet() {
    let silent = Arc::new(AtomicBool::new(true));
    let devd = FakeDevd::with({
        let silent = silent.clone();
        move |_, _, request| match request {
            Request::Stop { .. } if silent.load(Ordering::Relaxed) => Act::Silence,
            _ => Act::Answer,
        }
    });
    let transport = open(&devd);
    assert_eq!(transport.stop(GRACE).expect("asked"), Quiet::Unproven);
    assert_eq!(transport.stop(GRACE).expect("asked"), Quiet::Unproven);
    silent.store(false, Ordering::Relaxed);
    assert_eq!(transport.stop(GRACE).expect("asked"), Quiet::Proven);
    silent.store(true, Ordering::Relaxed);
    assert_eq!(transport.stop(GRACE).expect("asked"), Quiet::Unproven, "what was said before is said of before");
    devd.hang_up();
    assert_eq!(transport.stop(GRACE).expect("known"), Quiet::Proven);
    assert!(!transport.is_alive());
    assert!(matches!(transport.sleep(Some(Instant::now() + SOON * 60)), Err(TransportError::Gone)));
    assert!(matches!(transport.reset(GRACE), Err(TransportError::Gone)));
    assert!(matches!(transport.ring_memory(4096), Err(TransportError::Gone)));
}

#[test]
fn a_hang_up_wakes_who_sleeps() {
    let devd = FakeDevd::new();
    let transport = open(&devd);
    let sleeper = std::thread::spawn({
        let transport = transport.clone();
        move || transport.sleep(None)
    });
    std::thread::sleep(GRACE);
    assert!(!sleeper.is_finished());
    devd.hang_up();
    assert!(matches!(sleeper.join().expect("no panic"), Err(TransportError::Gone)));
}

#[test]
fn a_queue_that_came_too_late_is_given_back() {
    let late = Arc::new(std::sync::Mutex::new(None));
    let devd = FakeDevd::with({
        let late = late.clone();
        move |_, serial, request| match request {
            Request::Open { .. } if lock(&late).is_none() => {
                *lock(&late) = Some(serial);
                Act::Silence
            }
            _ => Act::Answer,
        }
    });
    let bus = bus(&devd);
    assert!(matches!(bus.open("devd:first"), Err(TransportError::TimedOut { .. })));
    let serial = lock(&late).expect("it was asked");
    let descriptors = [nothing(), nothing(), nothing()];
    let descriptors = [0, 1, 2].map(|at| std::os::fd::AsFd::as_fd(&descriptors[at]));
    devd.client().say(serial, &Reply::Opened { queue: 77 }, &descriptors);
    let _second = bus.open("devd:first").expect("a queue");
    let _third = bus.open("devd:first").expect("another");
    assert!(devd.heard().contains(&Request::Close { queue: 77 }), "{:?}", devd.heard());
    assert_eq!(devd.hellos(), 1, "over the same connection");
}

/// A daemon that neither does jobs nor stops, until it is told to.
fn stubborn() -> (FakeDevd, Arc<AtomicBool>) {
    let yields = Arc::new(AtomicBool::new(false));
    let devd = FakeDevd::with({
        let yields = yields.clone();
        move |_, _, request| match request {
            Request::Stop { .. } if !yields.load(Ordering::Relaxed) => Act::Silence,
            _ => Act::Answer,
        }
    });
    (devd, yields)
}

/// A call that has lent memory to a stubborn daemon: it stays until `release`, and then says that its time was over.
fn parked_call(devd: FakeDevd, release: impl FnOnce(FakeDevd) -> FakeDevd) {
    let runtime = builder(&devd).deadline(GRACE).build().expect("it opens");
    let caller = std::thread::spawn({
        let runtime = runtime.clone();
        move || {
            let source = [1; 4096];
            let mut destination = [2; 4096];
            (runtime.run(Work::copy(&source, &mut destination)).map(drop), destination)
        }
    });
    eventually("it asks again and again", || {
        devd.heard().iter().filter(|request| matches!(request, Request::Stop { .. })).count() >= 2
    });
    assert!(!caller.is_finished(), "the call returned while the daemon could still write");
    let _devd = release(devd);
    let (result, destination) = caller.join().expect("no panic");
    assert!(matches!(result, Err(Error::Deadline(_))), "{result:?}");
    assert_eq!(destination, [2; 4096]);
}

#[test]
fn a_call_that_lent_memory_returns_when_the_daemon_answers_at_last() {
    let (devd, yields) = stubborn();
    parked_call(devd, |devd| {
        yields.store(true, Ordering::Relaxed);
        devd
    });
}

#[test]
fn a_call_that_lent_memory_returns_when_the_daemon_hangs_up() {
    let (devd, _) = stubborn();
    parked_call(devd, |devd| {
        devd.hang_up();
        devd
    });
}

#[test]
fn a_job_that_is_lost_is_not_taken_for_one_that_was_lent() {
    let (devd, yields) = stubborn();
    let runtime = builder(&devd).queues(1).deadline(GRACE).build().expect("it opens");
    let caller = std::thread::spawn(move || {
        let mut lease = runtime.lease().expect("a queue");
        let owned = lease.submit(OwnedWork::copy(vec![1; 100], vec![0; 100])).expect("taken");
        let (source, mut destination) = ([1; 100], [2; 100]);
        let mut answers = Vec::new();
        let finished = lease.scope(|scope| {
            scope.copy(&source, &mut destination).expect("there is room");
            scope.finish(|answer| answers.push(answer.outcome().map(drop)))
        });
        finished.expect("the queue was there").expect("all were answered");
        let lost = owned.wait();
        assert!(matches!(lost.result, Err(Error::Lost { .. })) && lost.buffers.is_none(), "{lost:?}");
        (answers, destination)
    });
    eventually("the daemon was asked to stop", || {
        devd.heard().iter().filter(|request| matches!(request, Request::Stop { .. })).count() >= 2
    });
    yields.store(true, Ordering::Relaxed);
    let (answers, destination) = caller.join().expect("no panic");
    assert!(matches!(answers[..], [Err(Error::Deadline(_))]), "one job was lent: {answers:?}");
    assert_eq!(destination, [2; 100]);
}

#[test]
fn owned_jobs_on_a_daemon_that_hangs_up_end_with_their_buffers() {
    let devd = FakeDevd::new();
    let runtime = builder(&devd).deadline(SOON * 60).build().expect("it opens");
    let jobs: Vec<_> =
        (0..8).map(|n| runtime.submit(OwnedWork::copy(vec![n; 100], vec![0; 100])).expect("taken")).collect();
    devd.hang_up();
    for (n, job) in (0..).zip(jobs) {
        let finished = job.wait();
        let error = finished.result.expect_err("not done");
        assert!(matches!(&error, Error::DeviceFailed { cause, .. } if cause.contains("gone")), "{error}");
        assert_eq!(finished.buffers, Some((vec![n; 100], vec![0; 100], ())));
    }
}

#[test]
fn a_future_of_a_daemon_that_hangs_up_is_woken() {
    struct Woken(AtomicBool);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let devd = FakeDevd::new();
    let runtime = builder(&devd).deadline(SOON * 60).build().expect("it opens");
    let mut job = std::pin::pin!(runtime.submit(OwnedWork::copy(vec![1; 100], vec![0; 100])).expect("taken"));
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = std::task::Waker::from(woken.clone());
    assert!(job.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
    devd.hang_up();
    eventually("the future is woken", || woken.0.load(Ordering::SeqCst));
}

#[test]
fn a_daemon_that_is_back_is_used_again_by_the_same_runtime() {
    let devd = FakeDevd::new();
    let socket = devd.socket.clone();
    let runtime = builder(&devd).queues(1).deadline(GRACE).build().expect("it opens");
    drop(devd);
    // Nothing was in flight, so it is the next call that finds out, or the one after that.
    eventually("it is found out", || runtime.run(Work::nop()).is_err_and(|error| whole(&error).contains("start one")));
    let back = FakeDevd::at(socket, |_, _, _| Act::Answer);
    // This one does no jobs either: it is asked for a queue, and its time passes.
    eventually("it is asked for a queue", || {
        assert!(runtime.run(Work::nop()).is_err());
        back.hellos() == 1 && back.heard().iter().any(|request| matches!(request, Request::Stop { .. }))
    });
}

#[test]
fn windows_are_shared_with_the_daemon_and_with_the_next_one_and_given_back() {
    let devd = FakeDevd::new();
    let runtime = builder(&devd).deadline(GRACE).build().expect("it opens");
    let mut buffer = runtime.shared_buffer(10_000);
    assert!(buffer.is_registered() && buffer.len() == 10_000 && buffer.iter().all(|byte| *byte == 0));
    let address = buffer.as_ptr().expose_provenance() as u64;
    assert!(devd.heard().contains(&Request::Window { address, len: 12_288 }), "{:?}", devd.heard());
    buffer[9_999] = 42;
    let seen = |devd: &FakeDevd| {
        let client = devd.client();
        let windows = lock(&client.windows);
        let [(id, file)] = &windows[..] else { panic!("{} windows", windows.len()) };
        let mut byte = [0];
        file.read_exact_at(&mut byte, 9_999).expect("the window");
        file.write_all_at(&[7], 0).expect("the window");
        (*id, byte[0])
    };
    assert_eq!(seen(&devd), (address, 42));
    assert_eq!(buffer[0], 7, "what the daemon writes is here");

    devd.hang_up();
    eventually("another connection is made", || {
        let _ = runtime.run(Work::nop());
        devd.hellos() == 2
    });
    eventually("the window is registered again", || lock(&devd.client().windows).len() == 1);
    assert_eq!(seen(&devd).1, 42);
    drop(buffer);
    assert_eq!(devd.heard().last(), Some(&Request::Unwindow { id: address }));

    let plain = runtime.shared_buffer(0);
    assert!(plain.is_empty() && !plain.is_registered());
}

#[test]
fn a_daemon_without_windows_gives_ordinary_memory() {
    let devd = FakeDevd::with(|_, _, request| match request {
        Request::Window { .. } => Act::Say(refused(Refusal::Limit, "no more windows")),
        _ => Act::Answer,
    });
    let runtime = builder(&devd).build().expect("it opens");
    let mut buffer = runtime.shared_buffer(1000);
    assert!(!buffer.is_registered());
    buffer.fill(3);
    assert_eq!(buffer[..], [3; 1000]);
    drop(buffer);
    let software = Runtime::builder().device("software").build().expect("always there");
    let (mut from, mut to) = (software.shared_buffer(1000), software.shared_buffer(1000));
    assert!(!from.is_registered());
    from.fill(5);
    software.run(Work::copy(&from, &mut to)).expect("borrowed");
    assert_eq!(from[..], to[..]);
    to.fill(0);
    let finished = software.submit(OwnedWork::copy(from, to)).expect("taken").wait();
    assert_eq!(finished.into_output().expect("owned").1[..], [5; 1000]);
    // Where nothing can be registered, what is shared is what it was.
    for runtime in [&runtime, &software] {
        let bytes = vec![6; 1000].into_boxed_slice();
        let start = bytes.as_ptr();
        let shared = runtime.share(bytes);
        assert!(!shared.is_registered() && shared[..] == [6; 1000]);
        let bytes = shared.into_boxed_slice();
        assert_eq!(bytes.as_ptr(), start);
    }
}

/// Runs `child` in a child process; it says whether all is well.
fn in_child(child: impl FnOnce() -> bool) {
    // SAFETY: the child runs code that takes no lock another thread of the parent holds now: the daemon's threads wait, and the test's is this one.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let well = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
            // SAFETY: ends the process at once, without running what belongs to the parent.
            unsafe { libc::_exit(i32::from(!well)) }
        }
        ForkResult::Parent { child } => assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0)),
    }
}

#[test]
fn a_child_has_none_of_its_parents_queues_and_makes_a_connection_of_its_own() {
    let devd = FakeDevd::new();
    let bus = bus(&devd);
    let transport = bus.open("devd:first").expect("a queue");
    let mut window = Some(bus.shared_memory(4096).expect("a window"));
    let before = devd.heard().len();
    in_child(|| {
        let refused = !transport.is_alive()
            && transport.stop(GRACE).is_err()
            && transport.reset(GRACE).is_err()
            && transport.ring_memory(4096).is_err()
            && transport.sleep(Some(Instant::now())).is_err();
        transport.ring_doorbell(user_page::SUBMIT, 9);
        let own = bus.open("devd:first").is_ok_and(|own| own.is_alive() && own.stop(GRACE).is_ok());
        // Both are the parent's: nothing is said of them.
        drop((transport.clone(), window.take()));
        refused && own
    });
    assert_eq!(transport.stop(GRACE).expect("unharmed"), Quiet::Proven);
    let heard = devd.heard();
    let since = &heard[before..];
    assert!(matches!(since.first(), Some(Request::Hello { .. })), "{since:?}");
    assert_eq!(devd.hellos(), 2);
    assert!(!since.iter().any(|request| matches!(request, Request::Unwindow { .. } | Request::Close { queue: 1 })));
    assert_ne!(devd.client().pid, std::process::id(), "the last one was the child's");
}

#[test]
fn a_shared_buffer_is_its_own_processes_alone() {
    let devd = FakeDevd::new();
    let runtime = builder(&devd).build().expect("it opens");
    let mut buffer = runtime.shared_buffer(4096);
    assert!(buffer.is_registered());
    buffer[0] = 1;
    in_child(|| {
        // The usual one takes locks that another thread may have held.
        std::panic::set_hook(Box::new(|_| {}));
        std::panic::catch_unwind(|| buffer[0]).is_err() && !runtime.shared_buffer(10).is_registered()
    });
    assert_eq!(buffer[0], 1);
}

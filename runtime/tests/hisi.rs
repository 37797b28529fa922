//! HiSilicon's ZIP engine, as a model on threads, under the runtime: own pointers, many threads, a device that loses, doubles and delays answers, and one that
//! fails under load.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;
mod flate;

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use device::{DEADLINE, PATIENCE, eventually};
use flate::{pack, text, unpack};
use uaccel_runtime::{
    Algorithm, Builder, Direction, Error, Fallback, HISI_ZIP_SIMULATOR, OwnedWork, RawWork, Runtime, Session,
    SessionSpec, SimulatorBus, Work,
};
use uaccel_sim::{HisiZip, HisiZipConfig, Mishap, Plan, Rule, ThreadHost, ThreadHostConfig, Timing, When};

const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

/// A runtime on an engine of its own, which never falls back, and that engine.
fn zip(config: HisiZipConfig) -> (Builder, Arc<ThreadHost<HisiZip>>) {
    let threads = ThreadHostConfig { workers: Some(2), ..ThreadHostConfig::default() };
    let bus = SimulatorBus::hisi_zip(config, threads, Plan::default());
    let engine = bus.engine().expect("the engine starts");
    let builder = Runtime::builder().bus(Arc::new(bus)).device(HISI_ZIP_SIMULATOR).fallback(Fallback::Never);
    (builder.deadline(PATIENCE), engine)
}

fn session(runtime: &Runtime, algorithm: Algorithm, direction: Direction) -> Session {
    runtime.session(SessionSpec::compression(algorithm, direction, None).unwrap()).unwrap()
}

/// Compresses through the runtime, and says with what length.
fn compress(runtime: &Runtime, session: &Session, text: &[u8]) -> Result<Vec<u8>, Error> {
    let mut stream = vec![0xaa; text.len() + text.len() / 8 + 64];
    let outcome = runtime.run(Work::session(session, text, &mut stream))?;
    assert_eq!(outcome.consumed as usize, text.len());
    stream.truncate(outcome.produced as usize);
    Ok(stream)
}

#[test]
fn the_model_is_there_when_it_is_named_and_only_then() {
    let runtime = Runtime::builder().device(HISI_ZIP_SIMULATOR).build().unwrap();
    assert_eq!(runtime.device(), HISI_ZIP_SIMULATOR);
    assert!(runtime.granted().algorithms.contains(Algorithm::Gzip, Direction::Inverse));
    // Something else was chosen where nothing was named; which, depends on the machine.
    if std::env::var_os(uaccel_runtime::DEVICE_VARIABLE).is_none() {
        assert_ne!(Runtime::builder().build().unwrap().device(), HISI_ZIP_SIMULATOR);
    }
}

#[test]
fn every_format_goes_both_ways_on_memory_of_every_kind() {
    static CONSTANT: [u8; 5000] = [7; 5000];
    let (builder, _engine) = zip(HisiZipConfig::default());
    let runtime = builder.build().unwrap();
    let stack = [3_u8; 3000];
    let heap = text(300_000);
    for algorithm in FORMATS {
        let forward = session(&runtime, algorithm, Direction::Forward);
        let inverse = session(&runtime, algorithm, Direction::Inverse);
        for text in [&CONSTANT[..], &stack, &heap, b""] {
            let stream = compress(&runtime, &forward, text).unwrap();
            assert!(unpack(algorithm, &stream) == text, "{algorithm:?}");
            let theirs = pack(algorithm, text);
            let mut back = vec![1; text.len()];
            let outcome = runtime.run(Work::session(&inverse, &theirs, &mut back)).unwrap();
            assert_eq!((outcome.consumed as usize, outcome.produced as usize), (theirs.len(), text.len()));
            assert!(back == text, "{algorithm:?}");
        }
    }
    let counters = runtime.counters();
    assert_eq!((counters.fallbacks, counters.resets, counters.failures), (0, 0, 0));
}

#[test]
fn bad_streams_and_small_rooms_have_errors_of_their_own() {
    let (builder, _engine) = zip(HisiZipConfig::default());
    let runtime = builder.build().unwrap();
    let text = text(10_000);
    for algorithm in FORMATS {
        let inverse = session(&runtime, algorithm, Direction::Inverse);
        let stream = pack(algorithm, &text);
        let mut back = vec![0; text.len()];
        let mut run = |source: &[u8], room| runtime.run(Work::session(&inverse, source, &mut back[..room]));
        assert!(matches!(run(&stream, 9999), Err(Error::OutputTooSmall { .. })), "{algorithm:?}");
        assert!(matches!(run(&stream[..stream.len() - 1], 10_000), Err(Error::Truncated(_))), "{algorithm:?}");
        let mut bad = stream.clone();
        let at = if algorithm == Algorithm::Deflate { 1 } else { stream.len() - 1 };
        bad[at] = !bad[at];
        assert!(matches!(run(&bad, 10_000), Err(Error::Corrupt(_) | Error::OutputTooSmall { .. })), "{algorithm:?}");
        assert_eq!(run(&stream, 10_000).unwrap().produced, 10_000);
    }
    assert_eq!(runtime.counters().resets, 0);
}

#[test]
fn a_bad_pointer_ends_its_job_and_nothing_else() {
    let (builder, _engine) = zip(HisiZipConfig::default());
    let runtime = builder.queues(1).build().unwrap();
    let forward = session(&runtime, Algorithm::Zlib, Direction::Forward);
    let inverse = session(&runtime, Algorithm::Gzip, Direction::Inverse);
    let text = text(5000);
    let (stream, mut room) = (pack(Algorithm::Gzip, &text), vec![0_u8; 6000]);
    let constant: &'static [u8; 32] = b"nothing may be written over this";
    let nowhere = 16 as *mut u8;
    for (session, source) in [(&forward, &text), (&inverse, &stream)] {
        let mut good = RawWork::new(session.operation());
        good.session = Some(session);
        (good.source, good.source_len) = (source.as_ptr(), source.len());
        (good.destination, good.destination_len) = (room.as_mut_ptr(), room.len());
        let mut bad = [good; 3];
        bad[0].source = nowhere;
        bad[1].destination = nowhere;
        bad[2].destination = constant.as_ptr().cast_mut();
        for bad in bad {
            // SAFETY: the engine reports bad pointers, and the tests touch nothing meanwhile.
            let result = unsafe { runtime.run_raw(&bad) };
            // With an address where the driver itself met it, at a header.
            assert!(matches!(result, Err(Error::BadMemory { .. } | Error::BadPointer { .. })), "{bad:?}: {result:?}");
        }
        // SAFETY: all of it is there, and nobody touches it.
        unsafe { runtime.run_raw(&good) }.unwrap();
    }
    assert_eq!(constant, b"nothing may be written over this");
    assert_eq!(runtime.counters().resets, 0);
}

#[test]
fn many_threads_on_many_queues_get_what_is_theirs() {
    let (builder, _engine) = zip(HisiZipConfig::default());
    let runtime = builder.queues(3).depth(8).build().unwrap();
    let text = text(40_000);
    std::thread::scope(|scope| {
        for thread in 0..6_usize {
            let (runtime, text) = (&runtime, &text);
            scope.spawn(move || {
                for round in 0..30 {
                    let algorithm = FORMATS[(thread + round) % 3];
                    let mine = &text[thread * 1000..][..1 + round * 977 % 30_000];
                    let forward = session(runtime, algorithm, Direction::Forward);
                    let inverse = session(runtime, algorithm, Direction::Inverse);
                    let stream = compress(runtime, &forward, mine).unwrap();
                    let mut back = vec![0; mine.len()];
                    runtime.run(Work::session(&inverse, &stream, &mut back)).unwrap();
                    assert!(back == mine);
                }
            });
        }
    });
    assert_eq!((runtime.counters().jobs, runtime.counters().resets), (360, 0));
}

#[test]
fn one_batch_goes_both_ways() {
    let (builder, _engine) = zip(HisiZipConfig::default());
    let runtime = builder.depth(64).build().unwrap();
    let forward = session(&runtime, Algorithm::Zlib, Direction::Forward);
    let inverse = session(&runtime, Algorithm::Zlib, Direction::Inverse);
    let text = text(3000);
    let stream = pack(Algorithm::Zlib, &text);
    let mut rooms = vec![vec![0; 4000]; 60];
    let mut lease = runtime.lease().unwrap();
    lease
        .scope(|scope| {
            for (at, room) in rooms.iter_mut().enumerate() {
                let (session, source) = if at % 3 == 0 { (&inverse, &stream) } else { (&forward, &text) };
                scope.push(Work::session(session, source, room)).unwrap();
            }
            let mut good = 0;
            scope.submit().unwrap();
            scope.finish(|answer| good += u32::from(answer.is_ok())).unwrap();
            assert_eq!(good, 60);
        })
        .unwrap();
    for (at, room) in rooms.iter().enumerate() {
        if at % 3 == 0 {
            assert!(room[..3000] == text);
        } else {
            let mut back = vec![0; 3000];
            flate2::read::ZlibDecoder::new(&room[..]).read_exact(&mut back).unwrap();
            assert!(back == text);
        }
    }
}

#[test]
fn who_waits_for_a_slow_engine_sleeps() {
    let (builder, engine) = zip(HisiZipConfig::default());
    let runtime = builder.build().unwrap();
    let forward = session(&runtime, Algorithm::Gzip, Direction::Forward);
    compress(&runtime, &forward, b"warm").unwrap();
    engine.plan().set(Plan::timed(Timing::fixed(Duration::from_millis(20))));
    let signals = engine.stats().total.signals;
    // A waiter that gets no processor for so long finds the answer there, and need not sleep.
    eventually("a sleeper is signalled", || {
        compress(&runtime, &forward, b"slow").unwrap();
        engine.stats().total.signals > signals
    });
}

/// What the third of ten jobs meets must not hurt the others.
fn survives(mishap: Mishap) {
    let (builder, engine) = zip(HisiZipConfig::default());
    let runtime = builder.queues(1).build().unwrap();
    let forward = session(&runtime, Algorithm::Zlib, Direction::Forward);
    engine.plan().set(Plan::default().with(When::Nth(3), mishap));
    let mut failed = 0;
    for round in 0..10_u8 {
        let text = [round; 1000];
        match compress(&runtime, &forward, &text) {
            Ok(stream) => assert_eq!(unpack(Algorithm::Zlib, &stream), text, "round {round}"),
            Err(Error::DeviceFailed { device, cause }) => {
                assert_eq!(&*device, HISI_ZIP_SIMULATOR);
                assert!(!cause.is_empty());
                failed += 1;
            }
            Err(other) => panic!("round {round}: {other:?}"),
        }
    }
    // A doubled completion comes after the job was answered, so it hits the next job, or nobody.
    let expected = if mishap == Mishap::DuplicatedCompletion { 0..=1 } else { 1..=1 };
    assert!(expected.contains(&failed), "{failed} jobs failed");
}

#[test]
fn answers_that_cannot_be_are_errors_of_one_job() {
    survives(Mishap::WrongToken);
    survives(Mishap::ImpossibleLengths);
    survives(Mishap::UnknownStatus);
    survives(Mishap::DuplicatedCompletion);
}

#[test]
fn a_device_that_fails_is_reset() {
    survives(Mishap::DeviceFailure(7));
}

#[test]
fn a_lost_answer_is_found_at_the_deadline_and_the_queue_comes_back() {
    let (builder, engine) = zip(HisiZipConfig::default());
    let runtime = builder.queues(1).deadline(DEADLINE).build().unwrap();
    let forward = session(&runtime, Algorithm::Gzip, Direction::Forward);
    engine.plan().set(Plan::default().with(When::Nth(1), Mishap::LostCompletion));
    assert!(matches!(compress(&runtime, &forward, b"lost"), Err(Error::Deadline(_))));
    let stream = compress(&runtime, &forward, b"found").unwrap();
    assert_eq!(unpack(Algorithm::Gzip, &stream), b"found");
    assert_eq!((runtime.counters().resets, runtime.counters().lost), (1, 0));
}

#[test]
fn a_device_that_does_not_stop_keeps_the_buffers_and_is_used_again_when_it_does() {
    let (builder, engine) = zip(HisiZipConfig::default());
    let runtime = builder.queues(1).deadline(DEADLINE).build().unwrap();
    let forward = session(&runtime, Algorithm::Gzip, Direction::Forward);
    engine.plan().set(Plan { deaf: true, ..Plan::default().with(When::Nth(1), Mishap::LostCompletion) });
    let job = runtime.submit(OwnedWork::session(&forward, vec![1; 500], vec![0; 600])).unwrap();
    assert!(matches!(job.wait().result, Err(Error::Lost { .. })));
    engine.plan().set(Plan::default());
    eventually("the queue is used again", || compress(&runtime, &forward, b"again").is_ok());
    assert_eq!(runtime.counters().lost, 1);
}

#[test]
fn futures_on_a_device_that_fails_all_end_and_give_their_buffers_back() {
    let (builder, engine) = zip(HisiZipConfig::default());
    let runtime = builder.queues(1).build().unwrap();
    let forward = session(&runtime, Algorithm::Zlib, Direction::Forward);
    engine.plan().hold();
    let work = |n: u8| OwnedWork::session(&forward, vec![n; 500], vec![0; 600]);
    let jobs: Vec<_> = (0..20).map(|n| runtime.submit(work(n)).unwrap()).collect();
    engine.plan().set(Plan::default().with(When::Nth(5), Mishap::DeviceFailure(1)));
    for (n, job) in jobs.into_iter().enumerate() {
        let finished = job.wait();
        let (source, _, ()) = finished.buffers.expect("the device was proven quiet");
        assert_eq!(source, vec![n as u8; 500]);
        assert!(matches!(finished.result, Ok(_) | Err(Error::DeviceFailed { .. })), "{:?}", finished.result);
    }
    let (_, stream) = runtime.submit(work(9)).unwrap().wait().into_output().unwrap();
    assert_eq!(unpack(Algorithm::Zlib, &stream), vec![9; 500]);
}

#[test]
fn resets_under_load_lose_nothing_and_do_nothing_twice() {
    let (builder, engine) = zip(HisiZipConfig::default());
    let runtime = builder.queues(3).fallback(Fallback::OnError).build().unwrap();
    let text = text(60_000);
    let over = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4_usize)
            .map(|thread| {
                let (runtime, text, over) = (&runtime, &text, &over);
                scope.spawn(move || {
                    let forward = session(runtime, Algorithm::Gzip, Direction::Forward);
                    let inverse = session(runtime, Algorithm::Gzip, Direction::Inverse);
                    let mut done = 0_u64;
                    while !over.load(Ordering::Relaxed) || done < 20 {
                        let mine = &text[thread * 999..][..1 + done as usize * 1013 % 20_000];
                        let stream = compress(runtime, &forward, mine).unwrap();
                        assert!(unpack(Algorithm::Gzip, &stream) == mine);
                        let mut back = vec![0; mine.len()];
                        runtime.run(Work::session(&inverse, &stream, &mut back)).unwrap();
                        assert!(back == mine);
                        done += 1;
                    }
                    done
                })
            })
            .collect();
        let begun = Instant::now();
        // The device fails as a whole, and by itself in the middle of its work.
        let rule = Rule { when: When::Every(37), what: Mishap::DeviceFailure(3) };
        engine.plan().set(Plan { rules: vec![rule], ..Plan::default() });
        while runtime.counters().resets < 60 && begun.elapsed() < PATIENCE {
            engine.fail(1);
            std::thread::sleep(Duration::from_millis(7));
        }
        engine.plan().set(Plan::default());
        over.store(true, Ordering::Relaxed);
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u64>()
    });
    let counters = runtime.counters();
    assert!(counters.resets >= 60, "{counters:?}");
    assert!(done >= 80 && counters.lost == 0, "{counters:?}");
    // Afterwards it is the device that works.
    let before = runtime.counters().fallbacks;
    let forward = session(&runtime, Algorithm::Gzip, Direction::Forward);
    eventually("the device is used again", || {
        let before = runtime.counters().fallbacks;
        compress(&runtime, &forward, b"again").is_ok() && runtime.counters().fallbacks == before
    });
    assert!(runtime.counters().fallbacks >= before);
}

//! Who owns the state of a stream while a job is in flight, on HiSilicon's engine as a model: what the engine does late, does not do, or does twice.

mod device;

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use device::{DEADLINE, PATIENCE};
use uaccel_runtime::{
    Algorithm, Builder, Direction, Error, Fallback, HISI_ZIP_SIMULATOR, Runtime, SessionSpec, SimulatorBus, Stream,
};
use uaccel_sim::{HisiZip, HisiZipConfig, Mishap, Plan, ThreadHost, ThreadHostConfig, When};

/// Long enough for the engine to do what it must not do.
const GRACE: Duration = Duration::from_millis(50);
/// A deadline for tests that let it pass once, and not for jobs that go well on a busy machine.
const LENIENT: Duration = Duration::from_secs(1);

fn zip() -> (Builder, Arc<ThreadHost<HisiZip>>) {
    let threads = ThreadHostConfig { workers: Some(2), ..ThreadHostConfig::default() };
    let bus = SimulatorBus::hisi_zip(HisiZipConfig::default(), threads, Plan::default());
    let engine = bus.engine().expect("the engine starts");
    let builder = Runtime::builder().bus(Arc::new(bus)).device(HISI_ZIP_SIMULATOR).queues(1);
    (builder.deadline(DEADLINE), engine)
}

fn text() -> Vec<u8> {
    (0_u32..).flat_map(|n| format!("{n}: {}\n", n.wrapping_mul(48_271) % 1009).into_bytes()).take(50_000).collect()
}

fn stream(runtime: &Runtime, direction: Direction) -> Stream {
    runtime.stream(SessionSpec::compression(Algorithm::Gzip, direction, None).unwrap()).unwrap()
}

/// The next piece of at most 4000 bytes; whether that was the end.
fn step(stream: &mut Stream, rest: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, Error> {
    let mut room = [0; 5000];
    let piece = &rest[..rest.len().min(4000)];
    let step = stream.run(piece, &mut room, piece.len() == rest.len())?;
    out.extend_from_slice(&room[..step.produced]);
    *rest = &rest[step.consumed..];
    Ok(step.ended)
}

fn unpack(packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    text
}

#[test]
fn a_call_on_a_stalled_engine_ends_at_its_deadline_and_the_stream_stands_where_it_stood() {
    let (builder, engine) = zip();
    let runtime = builder.fallback(Fallback::Never).deadline(LENIENT).build().unwrap();
    let (text, mut packed) = (text(), Vec::new());
    let mut rest = &text[..];
    let mut stream = stream(&runtime, Direction::Forward);
    for _ in 0..3 {
        step(&mut stream, &mut rest, &mut packed).unwrap();
    }
    engine.plan().hold();
    let error = step(&mut stream, &mut rest, &mut packed).unwrap_err();
    assert!(matches!(error, Error::Deadline(LENIENT)), "{error:?}");
    engine.plan().release();
    // What the engine still had to do it must not do now, with the state.
    std::thread::sleep(GRACE);
    while !step(&mut stream, &mut rest, &mut packed).unwrap() {}
    assert!(unpack(&packed) == text);
    assert_eq!((runtime.counters().deadlines, runtime.counters().repeats), (1, 0));
}

#[test]
fn a_call_stays_while_the_engine_does_not_let_go_of_the_state() {
    let (builder, engine) = zip();
    let runtime = builder.fallback(Fallback::Never).build().unwrap();
    let mut stream = stream(&runtime, Direction::Forward);
    engine.plan().set(Plan { deaf: true, ..Plan::default().with(When::Nth(1), Mishap::LostCompletion) });
    let caller = std::thread::spawn(move || {
        // It is dropped where it returns.
        stream.run(b"text", &mut [0; 300], true)
    });
    std::thread::sleep(DEADLINE * 5);
    assert!(!caller.is_finished(), "the call returned while the engine could still write to the state");
    engine.plan().set(Plan::default());
    let result = caller.join().unwrap();
    assert!(matches!(result, Err(Error::Deadline(_))), "{result:?}");
}

#[test]
fn whatever_becomes_of_an_answer_in_the_middle_the_text_comes_out_right() {
    for mishap in [
        Mishap::LostCompletion,
        Mishap::DuplicatedCompletion,
        Mishap::WrongToken,
        Mishap::ImpossibleLengths,
        Mishap::UnknownStatus,
        Mishap::DeviceFailure(7),
    ] {
        for number in [1, 2, 7] {
            let (builder, engine) = zip();
            let deadline = if mishap == Mishap::LostCompletion { LENIENT } else { PATIENCE };
            let runtime = builder.deadline(deadline).build().unwrap();
            let (text, mut packed) = (text(), Vec::new());
            let mut forward = stream(&runtime, Direction::Forward);
            engine.plan().set(Plan::default().with(When::Nth(number), mishap));
            let mut rest = &text[..];
            while !step(&mut forward, &mut rest, &mut packed).unwrap() {}
            assert!(unpack(&packed) == text, "{mishap:?} at {number}");
            let (mut inverse, mut back) = (stream(&runtime, Direction::Inverse), Vec::new());
            engine.plan().set(Plan::default().with(When::Nth(number), mishap));
            let mut rest = &packed[..];
            while !step(&mut inverse, &mut rest, &mut back).unwrap() {}
            assert!(back == text, "{mishap:?} at {number}");
            let counters = runtime.counters();
            assert_eq!((counters.fallbacks, counters.lost), (0, 0), "{mishap:?}: {counters:?}");
            // The second answer comes when the job has its own, or with it.
            let twice = mishap == Mishap::DuplicatedCompletion;
            let expected = if twice { 0..=2 } else { 2..=2 };
            assert!(expected.contains(&counters.repeats), "{mishap:?}: {counters:?}");
        }
    }
}

#[test]
fn streams_under_load_survive_an_engine_that_fails_as_a_whole() {
    let (builder, engine) = zip();
    let runtime = builder.queues(2).deadline(PATIENCE).build().unwrap();
    let text = text();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..8 {
                        let (mut forward, mut packed) = (stream(&runtime, Direction::Forward), Vec::new());
                        let mut rest = &text[..];
                        let mut ended = false;
                        while !ended {
                            match step(&mut forward, &mut rest, &mut packed) {
                                Ok(end) => ended = end,
                                // It failed again the second time.
                                Err(Error::DeviceFailed { .. }) => {}
                                Err(error) => panic!("{error:?}"),
                            }
                        }
                        assert!(unpack(&packed) == text);
                    }
                })
            })
            .collect();
        // Ever more seldom, so that a slow machine gets on in between.
        let mut pause = Duration::from_millis(5);
        while workers.iter().any(|worker| !worker.is_finished()) {
            engine.fail(1);
            std::thread::sleep(pause);
            pause += pause / 50;
        }
    });
    let counters = runtime.counters();
    assert!(counters.repeats > 0 && counters.fallbacks == 0 && counters.lost == 0, "{counters:?}");
}

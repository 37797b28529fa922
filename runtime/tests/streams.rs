//! Streams: a text in many jobs, over a device that fails, lies or goes away in the middle of it.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod flate;
mod journal;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate::{pack, text, unpack};
use journal::{JOURNAL, Journal, LIMIT, Mishap, STATE};
use uaccel_queue::{AddressMode, DeviceMemory, FaultKind, JobFlags, Uncovered};
use uaccel_runtime::{
    Algorithm, Builder, Direction, Error, Fallback, Operation, Outcome, Runtime, SessionSpec, Status, Step, Stream,
};

const FORMATS: [Algorithm; 2] = [Algorithm::Deflate, Algorithm::Zlib];

fn device() -> (Builder, Journal) {
    over(Journal::default())
}

fn over(device: Journal) -> (Builder, Journal) {
    let builder = Runtime::builder().bus(Arc::new(device.clone())).driver(Arc::new(device.clone())).device(JOURNAL);
    (builder.queues(1).deadline(Duration::from_secs(60)), device)
}

fn spec(algorithm: Algorithm, direction: Direction) -> SessionSpec {
    SessionSpec::compression(algorithm, direction, None).unwrap()
}

/// Takes the next step with at most so many bytes of what is left.
fn step(stream: &mut Stream, rest: &mut &[u8], most: usize, room: usize, out: &mut Vec<u8>) -> Result<Step, Error> {
    let piece = &rest[..rest.len().min(most)];
    let mut destination = vec![0; room];
    let step = stream.run(piece, &mut destination, piece.len() == rest.len())?;
    out.extend_from_slice(&destination[..step.produced]);
    *rest = &rest[step.consumed..];
    Ok(step)
}

/// All of `source`, in pieces of at most so many bytes.
fn through(stream: &mut Stream, source: &[u8], most: usize, room: usize) -> Result<Vec<u8>, Error> {
    let (mut rest, mut out) = (source, Vec::new());
    while !step(stream, &mut rest, most, room, &mut out)?.ended {}
    assert!(rest.is_empty(), "{} bytes were left", rest.len());
    Ok(out)
}

#[test]
fn a_text_goes_through_in_pieces_of_any_size() {
    let (builder, device) = device();
    let runtime = builder.build().unwrap();
    let text = text(60_000);
    for algorithm in FORMATS {
        for (most, room) in [(usize::MAX, 100_000), (1, 300), (777, 256), (5000, 20_000)] {
            let text = if most == 1 { &text[..500] } else { &text[..] };
            let mut stream = runtime.stream(spec(algorithm, Direction::Forward)).unwrap();
            let packed = through(&mut stream, text, most, room).unwrap();
            assert!(unpack(algorithm, &packed) == text, "{algorithm}, {most} bytes at a time");
            let mut stream = runtime.stream(spec(algorithm, Direction::Inverse)).unwrap();
            assert!(through(&mut stream, &pack(algorithm, text), most, room).unwrap() == text, "{algorithm}, {most}");
        }
    }
    let counters = runtime.counters();
    assert_eq!((counters.failures, counters.fallbacks, counters.repeats, counters.resets), (0, 0, 0, 0));
    assert_eq!(counters.jobs, device.seen().len() as u64, "all of it was done by the device");
}

#[test]
fn a_device_without_streams_says_so_and_the_cpu_does_not_take_its_place() {
    let (builder, _) = device();
    let journal = builder.build().unwrap();
    let software = Runtime::builder().device("software").build().unwrap();
    for (runtime, algorithm) in [(software, Algorithm::Zlib), (journal, Algorithm::Gzip)] {
        let error = runtime.stream(spec(algorithm, Direction::Inverse)).unwrap_err();
        assert!(matches!(error, Error::UnsupportedStream { operation: Operation::Decompress, .. }), "{error:?}");
        assert!(error.is_device_failure() && error.to_string().contains(runtime.device()), "{error}");
    }
}

#[test]
fn sessions_whose_window_is_too_small_for_the_device_are_not_for_it() {
    let (builder, _) = device();
    let runtime = builder.fallback(Fallback::Never).build().unwrap();
    let narrow = || spec(Algorithm::Zlib, Direction::Forward).with_window(4096).unwrap();
    for error in [runtime.stream(narrow()).unwrap_err(), runtime.session(narrow()).unwrap_err()] {
        assert!(matches!(error, Error::UnsupportedWindow { window: 4096, .. }), "{error:?}");
        assert!(error.is_device_failure());
    }
    let widest = spec(Algorithm::Zlib, Direction::Forward).with_window(1 << 15).unwrap();
    assert!(runtime.stream(widest).is_ok());
}

#[test]
fn too_little_room_is_told_before_anything_is_submitted() {
    let (builder, device) = device();
    let runtime = builder.build().unwrap();
    let mut stream = runtime.stream(spec(Algorithm::Zlib, Direction::Forward)).unwrap();
    for len in [0, Stream::ROOM - 1] {
        let error = stream.run(b"text", &mut vec![0; len], true).unwrap_err();
        let Error::OutputTooSmall { needed, room, .. } = error else { panic!("{error:?}") };
        assert_eq!((needed, room), (Some(Stream::ROOM as u64), len as u64));
    }
    assert_eq!((device.seen().len(), runtime.counters().jobs), (0, 0));
    assert!(stream.run(b"text", &mut [0; Stream::ROOM], true).unwrap().ended, "nothing has happened to it");
}

#[test]
fn of_a_long_source_as_much_is_offered_as_the_device_takes_and_not_called_the_last() {
    let (builder, device) = device();
    let runtime = builder.build().unwrap();
    let text = text(LIMIT + 1);
    let mut stream = runtime.stream(spec(Algorithm::Deflate, Direction::Forward)).unwrap();
    let mut room = vec![0; 2 * LIMIT];
    let first = stream.run(&text, &mut room, true).unwrap();
    let rest = stream.run(&text[first.consumed..], &mut room[first.produced..], true).unwrap();
    assert!(!first.ended && rest.ended && first.consumed == LIMIT && rest.consumed == 1);
    assert!(unpack(Algorithm::Deflate, &room[..first.produced + rest.produced]) == text);
    let seen = device.seen();
    assert_eq!((seen[0].source_len, seen[0].destination_len), (LIMIT, LIMIT));
    let common = JobFlags::VOUCHED | JobFlags::STREAM;
    assert_eq!((seen[0].flags, seen[1].flags), (common | JobFlags::FIRST, common | JobFlags::LAST));
}

/// A text through a stream whose job of this number meets a mishap; how many jobs there were.
fn with_mishap(builder: Builder, device: &Journal, direction: Direction, number: usize, mishap: Mishap) -> usize {
    let runtime = builder.build().unwrap();
    let text = text(40_000);
    let mut stream = runtime.stream(spec(Algorithm::Zlib, direction)).unwrap();
    device.plan(number, mishap);
    match direction {
        Direction::Forward => {
            let packed = through(&mut stream, &text, 6000, 4096).unwrap();
            assert!(unpack(Algorithm::Zlib, &packed) == text);
        }
        Direction::Inverse => {
            assert!(through(&mut stream, &pack(Algorithm::Zlib, &text), 3000, 4096).unwrap() == text);
        }
    }
    let counters = runtime.counters();
    assert_eq!((counters.repeats, counters.resets, counters.fallbacks, counters.lost), (1, 1, 0, 0), "{counters:?}");
    device.seen().len()
}

#[test]
fn a_device_that_fails_in_the_middle_of_a_stream_costs_a_repeated_job_and_nothing_else() {
    for direction in [Direction::Forward, Direction::Inverse] {
        for number in 0..6 {
            let (builder, device) = device();
            let jobs = with_mishap(builder, &device, direction, number, Mishap::Failure);
            assert!(jobs > number + 1, "{jobs} jobs");
        }
    }
}

#[test]
fn so_does_one_that_does_not_answer() {
    for direction in [Direction::Forward, Direction::Inverse] {
        let (builder, device) = device();
        with_mishap(builder.deadline(Duration::from_millis(50)), &device, direction, 2, Mishap::Silence);
    }
}

#[test]
fn a_device_that_is_away_for_a_while_is_waited_for() {
    let (builder, device) = device();
    let runtime = builder.build().unwrap();
    let text = text(40_000);
    let mut stream = runtime.stream(spec(Algorithm::Zlib, Direction::Forward)).unwrap();
    device.plan(3, Mishap::Absence(5));
    let packed = through(&mut stream, &text, 6000, 4096).unwrap();
    assert!(unpack(Algorithm::Zlib, &packed) == text);
    assert_eq!(runtime.counters().repeats, 1);
}

#[test]
fn but_not_by_a_stream_that_has_not_begun() {
    let (builder, device) = device();
    let runtime = builder.build().unwrap();
    let mut stream = runtime.stream(spec(Algorithm::Zlib, Direction::Forward)).unwrap();
    device.plan(0, Mishap::Absence(50));
    let error = stream.run(b"text", &mut [0; 300], true).unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error:?}");
    device.is_back();
    let begun = std::time::Instant::now();
    while let Err(error) = stream.run(b"text", &mut [0; 300], true) {
        assert!(error.is_device_failure() && begun.elapsed() < Duration::from_secs(60), "{error:?}");
    }
}

#[test]
fn a_device_that_does_not_come_back_is_told_of_and_the_stream_stands_where_it_stood() {
    let (builder, device) = device();
    let runtime = builder.deadline(Duration::from_millis(50)).build().unwrap();
    let text = text(40_000);
    let mut stream = runtime.stream(spec(Algorithm::Zlib, Direction::Forward)).unwrap();
    let (mut rest, mut packed) = (&text[..], Vec::new());
    for _ in 0..3 {
        step(&mut stream, &mut rest, 6000, 4096, &mut packed).unwrap();
    }
    device.plan(0, Mishap::Absence(100_000));
    let error = step(&mut stream, &mut rest, 6000, 4096, &mut packed).unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error:?}");
    let error = step(&mut stream, &mut rest, 6000, 4096, &mut packed).unwrap_err();
    assert!(error.is_device_failure(), "{error:?}");
    device.is_back();
    let begun = std::time::Instant::now();
    while let Err(error) = step(&mut stream, &mut rest, 6000, 4096, &mut packed) {
        assert!(error.is_device_failure() && begun.elapsed() < Duration::from_secs(60), "{error:?}");
    }
    while !step(&mut stream, &mut rest, 6000, 4096, &mut packed).unwrap().ended {}
    assert!(unpack(Algorithm::Zlib, &packed) == text);
}

#[test]
fn who_never_falls_back_repeats_the_call_and_gets_the_same_stream() {
    for direction in [Direction::Forward, Direction::Inverse] {
        for mishap in [Mishap::Failure, Mishap::Lie(Outcome::failed(Status::DeviceError))] {
            let (builder, device) = device();
            let runtime = builder.fallback(Fallback::Never).build().unwrap();
            let text = text(40_000);
            let forward = direction == Direction::Forward;
            let source = if forward { text.clone() } else { pack(Algorithm::Zlib, &text) };
            let mut stream = runtime.stream(spec(Algorithm::Zlib, direction)).unwrap();
            for number in [0, 2, 3] {
                device.plan(number + usize::from(number > 0), mishap);
            }
            let (mut rest, mut out, mut failed) = (&source[..], Vec::new(), 0);
            loop {
                match step(&mut stream, &mut rest, 3000, 4096, &mut out) {
                    Ok(step) if step.ended => break,
                    Ok(_) => {}
                    Err(error) => {
                        assert!(matches!(error, Error::DeviceFailed { .. }), "{error:?}");
                        failed += 1;
                    }
                }
            }
            assert_eq!((failed, runtime.counters().repeats, runtime.counters().fallbacks), (3, 0, 0));
            assert!(if forward { unpack(Algorithm::Zlib, &out) == text } else { out == text }, "{direction:?}");
        }
    }
}

#[test]
fn a_stream_that_has_ended_ends_once_and_can_be_started_again() {
    let (builder, _) = device();
    let runtime = builder.build().unwrap();
    let mut stream = runtime.stream(spec(Algorithm::Zlib, Direction::Forward)).unwrap();
    for text in [text(3000), text(0), text(20_000)] {
        let packed = through(&mut stream, &text, 3000, 4096).unwrap();
        assert!(unpack(Algorithm::Zlib, &packed) == text);
        for _ in 0..2 {
            let error = stream.run(b"more", &mut [0; 300], true).unwrap_err();
            assert!(matches!(error, Error::InvalidInput { .. }), "{error:?}");
        }
        stream.restart();
    }
}

#[test]
fn broken_streams_stay_broken_until_they_are_started_again() {
    let (builder, device) = device();
    let runtime = builder.build().unwrap();
    let (text, mut room) = (text(3000), vec![0; 5000]);
    let good = pack(Algorithm::Zlib, &text);
    let mut corrupt = good.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    let mut stream = runtime.stream(spec(Algorithm::Zlib, Direction::Inverse)).unwrap();
    for (bad, truncated) in [(&corrupt[..], false), (&good[..good.len() - 1], true)] {
        let jobs = device.seen().len();
        for source in [bad, &good] {
            let error = stream.run(source, &mut room, true).unwrap_err();
            assert_eq!(matches!(error, Error::Truncated(Operation::Decompress)), truncated, "{jobs}: {error:?}");
            assert_eq!(matches!(error, Error::Corrupt(Operation::Decompress)), !truncated, "{jobs}: {error:?}");
        }
        assert_eq!(device.seen().len(), 1, "the second time nobody was asked");
        stream.restart();
        let step = stream.run(&good, &mut room, true).unwrap();
        assert!(step.ended && room[..step.produced] == text);
        stream.restart();
        device.seen();
    }
    // What is behind the end is not used, and a source that is cut is no error while more may come.
    let behind = [&good[..], b"behind"].concat();
    assert!(!stream.run(&behind[..10], &mut room, false).unwrap().ended);
    assert_eq!(stream.run(&behind[10..], &mut room, true).unwrap().consumed, good.len() - 10);
}

#[test]
fn a_device_that_gets_nowhere_or_ends_too_early_is_not_believed() {
    let stands = Outcome { status: Status::More, ..Outcome::ok(0, 0) };
    let (builder, device) = device();
    let runtime = builder.build().unwrap();
    let (text, mut room) = (text(3000), vec![0; 5000]);
    let packed = pack(Algorithm::Zlib, &text);
    let (forward, inverse) = (Direction::Forward, Direction::Inverse);
    for (direction, source, last, lie) in [
        (forward, &text[..], true, stands),
        (forward, &text[..], false, stands),
        (forward, &text[..], false, Outcome::ok(2900, 10)),
        (forward, &text[..], true, Outcome::ok(2899, 10)),
        (inverse, &packed[..], true, stands),
    ] {
        let mut stream = runtime.stream(spec(Algorithm::Zlib, direction)).unwrap();
        // In the middle of the stream, where the state matters.
        let first = stream.run(&source[..100], &mut room, false).unwrap();
        let mut out = room[..first.produced].to_vec();
        device.plan(0, Mishap::Lie(lie));
        let error = stream.run(&source[first.consumed..], &mut room, last).unwrap_err();
        assert!(matches!(error, Error::DeviceFailed { .. }), "{direction:?} {lie:?}: {error:?}");
        let mut rest = &source[first.consumed..];
        while !step(&mut stream, &mut rest, 10_000, 5000, &mut out).unwrap().ended {}
        assert!(if direction == forward { unpack(Algorithm::Zlib, &out) == text } else { out == text });
    }
    // A decompressor may want more than it was given.
    let mut stream = runtime.stream(spec(Algorithm::Zlib, inverse)).unwrap();
    device.plan(0, Mishap::Lie(stands));
    assert_eq!(stream.run(&packed, &mut room, false).unwrap(), Step { consumed: 0, produced: 0, ended: false });
}

#[test]
fn streams_of_many_threads_share_the_queues_and_move_between_them() {
    let (builder, device) = device();
    let runtime = builder.queues(3).build().unwrap();
    let text = text(30_000);
    for number in [5, 9, 30, 40] {
        device.plan(number, Mishap::Failure);
    }
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (runtime, text) = (&runtime, &text);
            scope.spawn(move || {
                let mut streams: Vec<_> = (0..3)
                    .map(|at| {
                        let algorithm = FORMATS[(thread + at) % 2];
                        let stream = runtime.stream(spec(algorithm, Direction::Forward)).unwrap();
                        (algorithm, stream, &text[at * 1000..], Vec::new(), false)
                    })
                    .collect();
                // One after the other, in turn.
                while streams.iter().any(|(.., ended)| !ended) {
                    for (_, stream, rest, packed, ended) in &mut streams {
                        if !*ended {
                            *ended = step(stream, rest, 3000 + thread, 4096, packed).unwrap().ended;
                        }
                    }
                }
                for (at, (algorithm, _, _, packed, _)) in streams.iter().enumerate() {
                    assert!(unpack(*algorithm, packed) == text[at * 1000..]);
                }
            });
        }
    });
    assert_eq!(runtime.counters().fallbacks, 0);
    assert!(runtime.counters().repeats >= 1);
}

/// What was covered and released, as it came.
#[derive(Debug, Default)]
struct Told(Mutex<Vec<(usize, Option<FaultKind>)>>);

impl DeviceMemory for Told {
    fn cover(&self, _: usize, len: usize, access: FaultKind) -> Result<(), Uncovered> {
        self.0.lock().unwrap().push((len, Some(access)));
        Ok(())
    }

    fn release(&self, _: usize, len: usize) {
        self.0.lock().unwrap().push((len, None));
    }
}

#[test]
fn a_device_that_reaches_only_what_it_is_told_of_may_write_the_state_while_a_job_lasts() {
    let told = Arc::new(Told::default());
    let (builder, device) = over(Journal::reaching(AddressMode::IdentityPinned, Some(told.clone())));
    let runtime = builder.build().unwrap();
    let mut stream = runtime.stream(spec(Algorithm::Zlib, Direction::Forward)).unwrap();
    let of_states = |told: &Told| {
        let all = std::mem::take(&mut *told.0.lock().unwrap());
        all.into_iter().filter_map(|(len, access)| (len == STATE).then_some(access)).collect::<Vec<_>>()
    };
    stream.run(b"text", &mut [0; 300], false).unwrap();
    assert_eq!(of_states(&told), [Some(FaultKind::Write), None]);
    device.plan(0, Mishap::Failure);
    assert!(stream.run(b"text", &mut [0; 300], true).unwrap().ended);
    assert_eq!(of_states(&told), [Some(FaultKind::Write), None, Some(FaultKind::Write), None]);
}

#[test]
fn a_device_whose_data_is_carried_to_it_has_no_streams() {
    let (builder, _) = over(Journal::reaching(AddressMode::Bounced, None));
    let runtime = builder.build().unwrap();
    assert!(runtime.granted().algorithms.contains(Algorithm::Zlib, Direction::Forward));
    let error = runtime.stream(spec(Algorithm::Zlib, Direction::Forward)).unwrap_err();
    assert!(matches!(error, Error::UnsupportedStream { .. }), "{error:?}");
}

//! Streams and windows in the contract: what the table takes of a device's answers, and what a device offers.

use uaccel_queue::{
    Algorithm, Batch, Capabilities, Cells, DeviceError, Direction, Done, JobFlags, Operation, Outcome, SessionSpec,
    SpecError, Status, Token,
};

/// Launches a job with these flags and 100 bytes each way, which no device ever sees.
fn launch(cells: &Cells, slot: u32, flags: JobFlags) -> Token {
    // SAFETY: each test uses a slot once.
    let token = unsafe {
        cells.build(slot as usize, |job| {
            (job.operation, job.flags) = (Operation::Compress, flags);
            (job.source_len, job.destination_len) = (100, 100);
            job.token
        })
    };
    let slots = [slot];
    // SAFETY: just built.
    let batch = unsafe { Batch::new(cells, &slots) };
    assert_eq!(batch.launch(0), token);
    token
}

fn more() -> Outcome {
    Outcome { status: Status::More, ..Outcome::ok(40, 30) }
}

#[test]
fn more_of_a_job_of_a_stream_is_an_answer() {
    let cells = Cells::new(2);
    let token = launch(&cells, 0, JobFlags::STREAM | JobFlags::FIRST);
    let mut places = [0; 2];
    // SAFETY: the only completer.
    let mut done = unsafe { Done::new(&cells, &mut places) };
    done.complete(token, &more()).expect("it is one of a stream");
    assert_eq!((done.slots(), cells.in_flight().count()), (&[0][..], 0));
    // SAFETY: just answered.
    assert_eq!(unsafe { cells.outcome(0) }, more());
}

#[test]
fn more_of_a_job_that_is_none_of_a_stream_is_malformed_and_the_job_stays_in_flight() {
    let cells = Cells::new(2);
    // The other two flags alone make no stream.
    for (slot, flags) in [JobFlags::VOUCHED, JobFlags::FIRST | JobFlags::LAST].into_iter().enumerate() {
        let token = launch(&cells, u32::try_from(slot).expect("a slot"), flags);
        let mut places = [0; 2];
        // SAFETY: the only completer at a time.
        let mut done = unsafe { Done::new(&cells, &mut places) };
        let refused = done.complete(token, &more());
        assert!(matches!(refused, Err(DeviceError::Malformed { token: named, .. }) if named == token), "{refused:?}");
        assert!(done.slots().is_empty() && cells.is_live(token));
        done.complete(token, &Outcome::ok(100, 30)).expect("it can still be answered");
    }
}

#[test]
fn more_than_was_offered_is_an_overrun_in_a_stream_as_well() {
    let cells = Cells::new(1);
    let token = launch(&cells, 0, JobFlags::STREAM);
    let mut places = [0; 1];
    // SAFETY: the only completer.
    let mut done = unsafe { Done::new(&cells, &mut places) };
    for (consumed, produced) in [(101, 0), (0, 101)] {
        let outcome = Outcome { status: Status::More, ..Outcome::ok(consumed, produced) };
        assert!(matches!(done.complete(token, &outcome), Err(DeviceError::Overrun { .. })));
        assert!(cells.is_live(token));
    }
}

#[test]
fn every_status_has_its_number_back() {
    assert_eq!((Status::More as u8, Status::from_raw(13), Status::from_raw(14)), (13, Some(Status::More), None));
}

fn compression(algorithm: Algorithm, direction: Direction) -> SessionSpec {
    SessionSpec::compression(algorithm, direction, None).expect("the default level")
}

#[test]
fn windows_are_those_of_the_format_and_of_compressors() {
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| algorithm.windows().is_some()) {
        let spec = compression(algorithm, Direction::Forward);
        assert_eq!(spec.window(), None);
        for window in [512, 513, 4096, 1 << 15] {
            assert_eq!(spec.clone().with_window(window).expect("a window").window(), Some(window));
        }
        for window in [0, 511, (1 << 15) + 1, u32::MAX] {
            let refused = spec.clone().with_window(window).unwrap_err();
            assert_eq!(refused, SpecError::Window { algorithm, window });
            assert!(refused.to_string().contains("512 to 32768"), "{refused}");
        }
        let inverse = compression(algorithm, Direction::Inverse);
        assert!(inverse.with_window(4096).is_err(), "a stream says itself how far it reaches");
    }
    let refused = compression(Algorithm::Lz4Block, Direction::Forward).with_window(4096).unwrap_err();
    assert!(refused.to_string().contains("none"), "{refused}");
}

#[test]
fn sessions_with_a_smaller_window_than_a_device_has_are_not_offered() {
    let mut granted = Capabilities::new(8, 1 << 20);
    let spec = compression(Algorithm::Zlib, Direction::Forward);
    assert!(!granted.offers(&spec), "no algorithm was granted");
    granted.algorithms = granted.algorithms.with(Algorithm::Zlib, Direction::Forward);
    assert!(granted.offers(&spec) && !granted.offers(&compression(Algorithm::Zlib, Direction::Inverse)));
    let with = |window| spec.clone().with_window(window).expect("a window");
    assert!(granted.offers(&with(1 << 15)) && !granted.offers(&with((1 << 15) - 1)), "unless it says so");
    granted.smallest_window = 4096;
    assert!(granted.offers(&with(4096)) && !granted.offers(&with(4095)));
    assert!(granted.streams.iter().next().is_none(), "nor has it streams");
}

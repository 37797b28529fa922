//! What the table of jobs takes of a device's answers: no more than a job offered, and one by one or in a row the same.

use uaccel_queue::{Batch, Cells, DeviceError, Done, Job, JobFlags, Operation, Outcome, Segment, Status, Token};

const SOURCE: u64 = 100;
const DESTINATION: u64 = 60;

/// Launches a job that no device ever sees.
fn launch(cells: &Cells, slot: u32, operation: Operation, build: impl FnOnce(&mut Job)) -> Token {
    // SAFETY: no slot is in flight when a test builds it.
    let token = unsafe {
        cells.build(slot as usize, |job| {
            job.operation = operation;
            (job.source_len, job.destination_len) = (100, 60);
            build(job);
            job.token
        })
    };
    let slots = [slot];
    // SAFETY: just built.
    let batch = unsafe { Batch::new(cells, &slots) };
    assert_eq!(batch.launch(0), token);
    token
}

/// The most that an outcome of each operation may count.
fn most(operation: Operation) -> (u64, u64) {
    match operation {
        Operation::Nop => (0, 0),
        Operation::Compare => (SOURCE, SOURCE),
        Operation::Crc32 | Operation::Crc32c => (SOURCE, 0),
        Operation::Fill => (0, DESTINATION),
        _ => (SOURCE, DESTINATION),
    }
}

#[test]
fn no_operation_may_use_more_than_its_job_offers() {
    let cells = Cells::new(1);
    for operation in Operation::ALL {
        let (consumed, produced) = most(operation);
        for status in [Status::Ok, Status::Partial, Status::Corrupt] {
            let token = launch(&cells, 0, operation, |_| {});
            let mut places = [0];
            // SAFETY: the only completer at a time.
            let mut done = unsafe { Done::new(&cells, &mut places) };
            for (consumed, produced) in [(consumed + 1, produced), (consumed, produced + 1), (u64::MAX, u64::MAX)] {
                let refused = done.complete(token, &Outcome { status, ..Outcome::ok(consumed, produced) });
                let overrun = DeviceError::Overrun { token, consumed, produced };
                assert_eq!(refused.map_err(|error| error.to_string()), Err(overrun.to_string()), "{operation}");
                assert!(cells.is_live(token));
            }
            done.complete(token, &Outcome { status, ..Outcome::ok(consumed, produced) }).expect("all that was offered");
        }
    }
}

#[test]
fn the_room_that_would_be_needed_is_no_overrun() {
    let cells = Cells::new(1);
    let token = launch(&cells, 0, Operation::Compress, |_| {});
    let mut places = [0];
    // SAFETY: the only completer.
    let mut done = unsafe { Done::new(&cells, &mut places) };
    let needed = Outcome { produced: 1 << 40, ..Outcome::failed(Status::OutputTooSmall) };
    done.complete(token, &needed).expect("a number, not bytes");
    // SAFETY: just answered.
    assert_eq!(unsafe { cells.outcome(0) }, needed);
}

/// Completes these answers in a row, and gives back the one that was not.
fn row(done: &mut Done<'_>, answers: &[(Token, Option<Outcome>)]) -> (Option<Token>, usize) {
    let mut asked = 0;
    let next = || {
        let answer = answers.get(asked).copied()?;
        asked += 1;
        Some(answer)
    };
    let other = done.complete_plain(next, |outcome, _| outcome);
    (other.map(|(token, _)| token), asked)
}

#[test]
fn answers_in_a_row_are_taken_up_to_the_first_that_is_not_plain() {
    let cells = Cells::new(4);
    let tokens: Vec<_> = (0..4).map(|slot| launch(&cells, slot, Operation::Copy, |_| {})).collect();
    let good = Some(Outcome::ok(SOURCE, DESTINATION));
    let unknown = tokens[3].next();
    let more = Some(Outcome { status: Status::More, ..Outcome::ok(1, 1) });
    for odd in [(tokens[1], None), (tokens[1], Some(Outcome::ok(SOURCE + 1, 0))), (tokens[1], more), (unknown, good)] {
        let token = launch_again(&cells, tokens[0]);
        let mut places = [0; 4];
        // SAFETY: the only completer at a time.
        let mut done = unsafe { Done::new(&cells, &mut places) };
        let answers = [(token, good), odd, (tokens[2], good)];
        assert_eq!(row(&mut done, &answers), (Some(odd.0), 2), "{odd:?}");
        assert_eq!(done.slots(), [0]);
        assert!(cells.is_live(tokens[1]) && cells.is_live(tokens[2]), "neither it nor what is behind it was taken");
    }
}

/// Launches the job in this token's slot once more, if it is not in flight.
fn launch_again(cells: &Cells, token: Token) -> Token {
    if cells.is_live(token) {
        return token;
    }
    launch(cells, u32::try_from(token.slot()).expect("a slot"), Operation::Copy, |_| {})
}

#[test]
fn a_row_ends_where_there_is_no_room_without_asking_for_more() {
    let cells = Cells::new(3);
    let tokens: Vec<_> = (0..3).map(|slot| launch(&cells, slot, Operation::Nop, |_| {})).collect();
    let answers: Vec<_> = tokens.iter().map(|token| (*token, Some(Outcome::ok(0, 0)))).collect();
    let mut places = [0; 2];
    // SAFETY: the only completer at a time.
    let mut done = unsafe { Done::new(&cells, &mut places) };
    assert_eq!(row(&mut done, &answers), (None, 2));
    assert_eq!((done.slots(), done.room()), (&[0, 1][..], 0));
    assert_eq!(row(&mut done, &answers[2..]), (None, 0));
    assert!(cells.is_live(tokens[2]));
}

#[test]
fn the_same_answer_does_not_end_a_job_twice() {
    let cells = Cells::new(2);
    let token = launch(&cells, 0, Operation::Copy, |_| {});
    let answer = (token, Some(Outcome::ok(1, 1)));
    let mut places = [0; 2];
    // SAFETY: the only completer.
    let mut done = unsafe { Done::new(&cells, &mut places) };
    assert_eq!(row(&mut done, &[answer, answer]), (Some(token), 2));
    assert_eq!(done.slots(), [0]);
}

#[test]
fn a_job_in_pieces_is_none_for_the_row_and_is_bounded_by_all_its_pieces() {
    let cells = Cells::new(1);
    let source = [Segment { address: 0, len: 7 }, Segment { address: 0, len: 0 }, Segment { address: 0, len: 5 }];
    let token = launch(&cells, 0, Operation::Compress, |job| {
        job.flags |= JobFlags::SCATTER;
        (job.source, job.source_len) = (source.as_ptr().cast(), source.len());
        (job.destination, job.destination_len) = (source.as_ptr().cast_mut().cast(), 1);
    });
    let mut places = [0];
    // SAFETY: the only completer.
    let mut done = unsafe { Done::new(&cells, &mut places) };
    // Within the numbers of pieces, and yet not to be taken for a number of bytes.
    assert_eq!(row(&mut done, &[(token, Some(Outcome::ok(3, 1)))]), (Some(token), 1));
    assert!(matches!(done.complete(token, &Outcome::ok(13, 0)), Err(DeviceError::Overrun { .. })));
    assert!(matches!(done.complete(token, &Outcome::ok(12, 8)), Err(DeviceError::Overrun { .. })));
    done.complete(token, &Outcome::ok(12, 7)).expect("the sums of the pieces");
}

//! Cancelling, stopping, resetting, leaving.

use std::time::{Duration, Instant};

use uaccel_queue::{Cancel, Operation, Quiet, Status};

use crate::Backend;
use crate::request::Request;
use crate::rig::Rig;
use crate::text::noise;

/// Work that takes a while.
fn heavy(rig: &Rig, number: u64) -> Request {
    let len = usize::try_from(rig.granted.max_transfer.min(1 << 20)).expect("a length");
    match rig.offers(Operation::Copy) {
        true => Request::copy(&noise(number, len)),
        false => Request::new(Operation::Nop),
    }
}

/// A job that is to be cancelled completes once, either way.
pub fn canceled_jobs_complete(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for round in 0..20 {
        let requests: Vec<_> = (0..8).map(|number| heavy(&rig, round * 8 + number)).collect();
        let tokens = rig.submit(&requests);
        let mut asked = false;
        for token in tokens.iter().rev().step_by(2) {
            asked |= rig.submitter.cancel(*token) == Cancel::Requested;
        }
        let replies = rig.wait_all();
        assert_eq!(replies.len(), tokens.len());
        for (token, reply) in replies {
            let at = tokens.iter().position(|submitted| *submitted == token).expect("a job of these");
            match reply.outcome.status {
                Status::Ok if rig.granted.effective && requests[at].operation == Operation::Copy => {
                    assert!(reply.output() == requests[at].source);
                }
                Status::Ok => {}
                Status::Canceled => assert!(asked, "nobody asked"),
                other => panic!("{other:?}"),
            }
        }
        // A token of the past names nothing.
        if let Some(token) = tokens.first() {
            rig.submitter.cancel(*token);
        }
        assert!(rig.poll().is_empty());
    }
    rig.run(heavy(&rig, 0)).expect(Status::Ok);
}

/// After a proven stop nothing is written, and what was not answered before is not answered later.
pub fn stop_is_quiet(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let requests: Vec<_> = (0..rig.granted.depth as u64).map(|number| heavy(&rig, number)).collect();
    rig.submit(&requests);
    let began = Instant::now();
    if rig.stop() == Quiet::Unproven {
        return;
    }
    assert!(began.elapsed() < backend.patience() + Duration::from_secs(5), "a stop of {:?}", began.elapsed());
    // Answers from before the stop may still be fetched. An error is the other way to say that it is over.
    let _ = rig.try_poll(requests.len());
    let before = rig.rooms();
    std::thread::sleep(Duration::from_millis(50));
    let late = rig.try_poll(requests.len()).map_or(0, |replies| replies.len());
    assert_eq!(late, 0, "answers after the stop");
    assert!(rig.rooms() == before, "memory was written after the stop");
    rig.release();
}

/// A queue that was stopped and reset can be opened again, and is as new.
pub fn reset_starts_afresh(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for round in 0..5 {
        let requests: Vec<_> = (0..rig.granted.depth as u64).map(|number| heavy(&rig, number)).collect();
        rig.submit(&requests);
        if rig.stop() == Quiet::Unproven {
            return;
        }
        rig.release();
        let transport = std::sync::Arc::clone(&rig.transport);
        transport.reset(backend.patience()).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(transport.is_alive());
        drop(rig);
        rig = Rig::over(backend, transport, backend.depth());
        for _ in 0..100 {
            assert!(rig.poll().is_empty(), "a new queue has no answers");
        }
        let request = heavy(&rig, 99);
        let reply = rig.run(request.clone());
        reply.expect(Status::Ok);
        if rig.granted.effective && request.operation == Operation::Copy {
            assert!(reply.output() == request.source);
        }
    }
}

/// Halves that are dropped with jobs in flight leave nothing behind that harms.
pub fn dropped_halves_do_no_harm(backend: &dyn Backend) {
    for round in 0..10 {
        let mut rig = Rig::new(backend);
        let requests: Vec<_> = (0..8).map(|number| heavy(&rig, round * 8 + number)).collect();
        rig.submit(&requests);
        // The rig stops the device before it frees the buffers.
        drop(rig);
    }
    let mut rig = Rig::new(backend);
    rig.run(Request::new(Operation::Nop)).expect(Status::Ok);
}

//! Batches, back-pressure, order, and how often an answer comes.

use std::collections::HashSet;
use std::time::Instant;

use uaccel_queue::{Operation, Order, Status, TransportError};

use crate::Backend;
use crate::request::Request;
use crate::rig::{Rig, checked};
use crate::text::noise;

/// An operation that every useful back end has, with a result that tells jobs apart.
fn job(rig: &Rig, number: u64) -> Request {
    let source = noise(number, 16 + usize::try_from(number % 48).expect("a small number"));
    if rig.offers(Operation::Copy) { Request::copy(&source) } else { Request::new(Operation::Nop) }
}

fn check(rig: &Rig, request: &Request, reply: &crate::request::Reply) {
    reply.expect(Status::Ok);
    if checked(rig, &reply.outcome) && request.operation == Operation::Copy {
        assert_eq!(reply.output(), request.source);
    }
}

/// Batches of every size up to the depth come back right.
pub fn full_batches(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    for size in 0..=rig.granted.depth as u64 {
        let requests: Vec<_> = (0..size).map(|number| job(&rig, size * 1000 + number)).collect();
        let replies = rig.run_all(&requests);
        for (request, reply) in requests.iter().zip(&replies) {
            check(&rig, request, reply);
        }
    }
}

/// A queue takes all of its depth if given time, and goes on after it was full.
pub fn full_queue_recovers(backend: &dyn Backend) {
    for depth in [1, 2, 7, backend.depth()] {
        let mut rig = Rig::with_depth(backend, depth);
        for round in 0..5_u64 {
            let requests: Vec<_> = (0..depth as u64).map(|number| job(&rig, round * 100 + number)).collect();
            let deadline = rig.deadline();
            let mut accepted = 0;
            // Nothing is polled meanwhile.
            while accepted < depth {
                accepted += rig.submit(&requests[accepted..]).len();
                assert!(Instant::now() < deadline, "the queue took {accepted} of its {depth} jobs");
            }
            assert_eq!(rig.submit(&[job(&rig, 0)]).len(), 0, "there is no free slot");
            assert_eq!(rig.wait_all().len(), depth);
        }
    }
}

/// Thousands of jobs: rings and generations wrap, tokens are never twice in flight.
pub fn thousands_of_jobs(backend: &dyn Backend) {
    for depth in [1, 3, backend.depth()] {
        let mut rig = Rig::with_depth(backend, depth);
        let total = if depth == 1 { backend.endurance() / 4 } else { backend.endurance() };
        let mut seen = HashSet::new();
        let mut waiting = Vec::new();
        let deadline = rig.deadline() + rig.deadline().duration_since(Instant::now());
        let (mut submitted, mut answered) = (0_u64, 0_u64);
        while answered < total {
            let burst = (submitted % 7 + 1).min(total - submitted);
            let requests: Vec<_> = (submitted..submitted + burst).map(|number| job(&rig, number)).collect();
            for (request, token) in requests.iter().zip(rig.submit(&requests)) {
                assert!(seen.insert(token), "{token:?} names two jobs");
                waiting.push((token, request.clone()));
                submitted += 1;
            }
            for (token, reply) in rig.poll() {
                let at = waiting.iter().position(|(waiting, _)| *waiting == token).expect("a job in flight");
                check(&rig, &waiting.swap_remove(at).1, &reply);
                answered += 1;
            }
            assert!(Instant::now() < deadline, "{answered} of {total} answered");
            rig.rest();
        }
    }
}

/// When all is answered, nothing comes any more.
pub fn answers_come_once(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let requests: Vec<_> = (0..rig.granted.depth as u64).map(|number| job(&rig, number)).collect();
    rig.run_all(&requests);
    for _ in 0..1000 {
        assert!(rig.poll().is_empty(), "nothing is in flight");
    }
    assert_eq!(rig.cells.in_flight().count(), 0);
}

/// Answers that do not fit into one poll come with the next.
pub fn answers_wait_for_room(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    let requests: Vec<_> = (0..rig.granted.depth as u64).map(|number| job(&rig, number)).collect();
    let deadline = rig.deadline();
    let mut accepted = 0;
    while accepted < requests.len() {
        accepted += rig.submit(&requests[accepted..]).len();
        assert!(Instant::now() < deadline, "accepted {accepted}");
    }
    let mut answers = 0;
    while rig.in_flight() > 0 {
        assert!(rig.try_poll(0).expect("the queue works").is_empty());
        answers += rig.try_poll(1 + answers % 3).expect("the queue works").len();
        assert!(Instant::now() < deadline, "{answers} of {accepted} answered");
    }
    assert_eq!(answers, accepted);
}

/// A queue that promises order keeps it, though jobs differ in length.
pub fn order_is_kept_if_granted(backend: &dyn Backend) {
    let mut rig = Rig::new(backend);
    if rig.granted.order != Order::Submission || !rig.offers(Operation::Crc32c) {
        return;
    }
    let (mut sent, mut received) = (Vec::new(), Vec::new());
    let deadline = rig.deadline();
    while received.len() < 2000 {
        let len = if sent.len() % 5 == 0 { 30_000 } else { 10 };
        if sent.len() < 2000 {
            sent.append(&mut rig.submit(&vec![Request::new(Operation::Crc32c).source(&vec![1; len]); 3]));
        }
        received.extend(rig.poll().into_iter().map(|(token, _)| token));
        assert!(Instant::now() < deadline, "{} of {} answered", received.len(), sent.len());
        if sent.len() >= 2000 && rig.in_flight() == 0 {
            break;
        }
    }
    assert_eq!(sent, received);
}

/// Queues of one device do not get each other's answers.
pub fn queues_are_apart(backend: &dyn Backend) {
    let mut rigs = vec![Rig::with_depth(backend, 4)];
    let (bus, device) = (backend.bus(), backend.device());
    while rigs.len() < 3 {
        match bus.open(&device) {
            Ok(transport) => rigs.push(Rig::over(backend, transport, 4)),
            // There are devices of one queue, and of two.
            Err(TransportError::Busy(_)) => break,
            Err(error) => panic!("the device gives another queue, or is busy: {error}"),
        }
    }
    for round in 0..100_u64 {
        let mut expected = Vec::new();
        for (at, rig) in rigs.iter_mut().enumerate() {
            let request = job(rig, round * 10 + at as u64);
            let deadline = rig.deadline();
            let token = loop {
                if let Some(token) = rig.submit(std::slice::from_ref(&request)).pop() {
                    break token;
                }
                assert!(Instant::now() < deadline, "queue {at} takes no job");
            };
            expected.push((token, request));
        }
        for (rig, (token, request)) in rigs.iter_mut().zip(expected) {
            let reply = rig.wait(token);
            check(rig, &request, &reply);
        }
    }
}

//! A daemon that is stopped past a deadline, and continued: what was lent is not given back before it is quiet, and nothing is written afterwards.

use std::sync::mpsc;
use std::thread;

use uaccel_runtime::{Error, OwnedWork, Work};

use crate::bench::{DEADLINE, GRACE, PATIENCE, eventually};
use crate::server::Server;

#[test]
fn a_borrowed_call_does_not_return_before_the_daemon_lets_go() {
    let mut server = Server::start();
    let runtime = server.builder().deadline(DEADLINE).queues(1).build().expect("a runtime");
    runtime.run(Work::nop()).expect("a queue");
    server.hold();
    let (sender, returned) = mpsc::channel();
    thread::scope(|scope| {
        let runtime = &runtime;
        scope.spawn(move || {
            let source = vec![0xAA; 64 << 10];
            let mut room = vec![0x55; 64 << 10];
            let result = runtime.run(Work::copy(&source, &mut room));
            // From here on the memory is ours again.
            room.fill(0x33);
            sender.send((result, room)).expect("somebody who listens");
        });
        // Stopped before the call can take its job back.
        server.pause();
        // Taking back takes the deadline and several more steps; then all that is left is to stay.
        thread::sleep(20 * DEADLINE);
        assert!(returned.try_recv().is_err(), "the call returned while the daemon could still write");
        server.resume();
        let (result, room) = returned.recv_timeout(PATIENCE).expect("the call returns when the daemon has let go");
        assert!(matches!(result, Err(Error::Deadline(_) | Error::DeviceFailed { .. })), "{result:?}");
        server.release();
        thread::sleep(GRACE);
        assert!(room.iter().all(|byte| *byte == 0x33), "the daemon wrote after the call had returned");
    });
    eventually("the runtime works again", || runtime.run(Work::nop()).is_ok());
}

#[test]
fn owned_buffers_are_lost_and_stay_where_they_are() {
    let mut server = Server::start();
    let runtime = server.builder().deadline(DEADLINE).queues(1).build().expect("a runtime");
    runtime.run(Work::nop()).expect("a queue");
    server.hold();
    let job = runtime.submit(OwnedWork::copy(vec![0xAA; 64 << 10], vec![0x55; 64 << 10])).expect("submitted");
    server.pause();
    let finished = job.wait();
    assert!(matches!(finished.result, Err(Error::Lost { .. })), "{:?}", finished.result);
    assert!(finished.buffers.is_none(), "the daemon may still write there");
    assert_eq!(runtime.counters().lost, 1);
    server.resume();
    server.release();
    // What was lost is leaked, not freed: what the allocator gives out now is other memory.
    let fresh: Vec<_> = (0..64).map(|_| vec![0x33_u8; 64 << 10]).collect();
    thread::sleep(GRACE);
    assert!(fresh.iter().flatten().all(|byte| *byte == 0x33), "the daemon wrote into memory that is somebody else's");
    eventually("the runtime works again", || runtime.run(Work::nop()).is_ok());
}

#[test]
fn a_daemon_that_is_killed_while_it_is_stopped_lets_a_borrowed_call_go() {
    let mut server = Server::start();
    let runtime = server.builder().deadline(DEADLINE).queues(1).build().expect("a runtime");
    runtime.run(Work::nop()).expect("a queue");
    server.hold();
    thread::scope(|scope| {
        let call = scope.spawn(|| {
            let mut room = vec![0x55; 64 << 10];
            let result = runtime.run(Work::copy(&[0xAA; 64 << 10], &mut room));
            (result, room)
        });
        server.pause();
        thread::sleep(10 * DEADLINE);
        assert!(!call.is_finished(), "the call returned while the daemon could still write");
        server.kill();
        let (result, room) = call.join().expect("no panic");
        assert!(matches!(result, Err(Error::Deadline(_) | Error::DeviceFailed { .. })), "{result:?}");
        assert!(room == [0x55; 64 << 10]);
    });
    server.restart();
    eventually("the runtime works again", || runtime.run(Work::nop()).is_ok());
}

#[test]
fn a_stop_shorter_than_the_deadline_is_only_a_delay() {
    let server = Server::start();
    let runtime = server.runtime();
    for round in 0..5 {
        server.pause();
        let job = runtime.submit(OwnedWork::copy(vec![round; 50_000], vec![0; 50_000])).expect("submitted");
        thread::sleep(GRACE / 3);
        server.resume();
        let (_, output) = job.wait().into_output().expect("late, and right");
        assert!(output == [round; 50_000]);
    }
    assert_eq!(runtime.counters().resets, 0);
}

//! Queues: their rings, several of one process, scarce ones.

use std::sync::Arc;
use std::time::Instant;

use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_queue::{
    Batch, Bus, Cells, Completer, Done, Driver, OpenQueue, Operation, QueueRequest, Quiet, SessionId, Transport,
    TransportError, Wake,
};
use uaccel_runtime::uacce::UacceBus;
use uaccel_runtime::{Algorithm, Direction, OwnedWork, Runtime, SessionSpec, Verdict, Work};

use crate::bench::{DEVICE, PATIENCE, builder, eventually, noise, number, runtime};
use crate::formats::{packed, session, unpacked};
use crate::round::Rounds;

/// Queues of the device that one of ours takes: one for each direction.
const EACH: u64 = 2;

#[test]
fn rings_wrap_over_thousands_of_jobs_in_both_directions() {
    // A ring has 1024 places.
    const JOBS: usize = 5000;
    let runtime = builder().queues(1).depth(256).build().unwrap();
    let (pack, unpack) = (
        session(&runtime, Algorithm::Zlib, Direction::Forward),
        session(&runtime, Algorithm::Zlib, Direction::Inverse),
    );
    let texts: Vec<_> = (0..16).map(|seed| noise(seed, 400 + seed as usize)).collect();
    let streams: Vec<_> = texts.iter().map(|text| packed(Algorithm::Zlib, text, 1)).collect();
    let mut lease = runtime.lease().unwrap();
    let mut done = 0;
    while done < JOBS {
        let mut rooms = vec![vec![0; 700]; 200];
        let mut lengths = vec![0; rooms.len()];
        lease
            .scope(|scope| {
                let mut tickets = Vec::new();
                for (index, room) in rooms.iter_mut().enumerate() {
                    let kind = (done + index) % 16;
                    let work = match index % 2 {
                        0 => Work::session(&pack, &texts[kind], room),
                        _ => Work::session(&unpack, &streams[kind], room),
                    };
                    tickets.push(scope.push(work).unwrap());
                }
                scope.finish(|answer| {
                    let index = tickets.iter().position(|ticket| *ticket == answer.ticket()).unwrap();
                    lengths[index] = answer.outcome().unwrap().produced as usize;
                })
            })
            .unwrap()
            .unwrap();
        for (index, (room, len)) in rooms.iter().zip(lengths).enumerate() {
            let text = &texts[(done + index) % 16];
            match index % 2 {
                0 => assert!(unpacked(Algorithm::Zlib, &room[..len]) == *text, "job {}", done + index),
                _ => assert!(room[..len] == *text, "job {}", done + index),
            }
        }
        done += rooms.len();
    }
    assert_eq!(runtime.counters().resets, 0);
}

#[test]
fn queues_that_are_all_in_use_are_busy_and_come_back() {
    let bus = UacceBus::new();
    let free = number("available_instances");
    let held: Vec<Arc<dyn Transport>> = (0..free / EACH).map(|_| bus.open(DEVICE).expect("a queue is free")).collect();
    assert_eq!(number("available_instances"), 0);
    assert!(matches!(bus.open(DEVICE), Err(TransportError::Busy(device)) if device == DEVICE));
    // Whoever looks at the device now is told, and what is not asked for by name goes elsewhere.
    let report = Runtime::builder().report();
    let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
    assert!(matches!(&entry.verdict, Verdict::Unusable { reason, .. } if reason.contains("in use")), "{report}");
    drop(held);
    eventually("the queues are back", || number("available_instances") == free);
    Rounds::new(&runtime()).run(&mut runtime().lease().unwrap(), 1).unwrap();
}

#[test]
fn several_queues_of_one_process_share_its_address_space_and_one_outlives_the_other() {
    let (first, second) = (builder().queues(2).build().unwrap(), builder().queues(2).build().unwrap());
    std::thread::scope(|scope| {
        for (thread, runtime) in [&first, &first, &second, &second].into_iter().enumerate() {
            scope.spawn(move || {
                let rounds = Rounds::new(runtime);
                let mut lease = runtime.lease().unwrap();
                for round in 0..8 {
                    rounds.run(&mut lease, thread as u64 * 100 + round).unwrap();
                }
            });
        }
    });
    drop(first);
    let rounds = Rounds::new(&second);
    rounds.run(&mut second.lease().unwrap(), 999).unwrap();
    assert_eq!(second.counters().resets, 0);
}

#[test]
fn a_stopped_queue_is_quiet_and_comes_back_under_another_number() {
    let free = number("available_instances");
    let transport = UacceBus::new().open(DEVICE).unwrap();
    assert_eq!(number("available_instances"), free - EACH);
    for _ in 0..5 {
        assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
        assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven, "stopping again changes nothing");
        transport.reset(PATIENCE).unwrap();
        assert!(transport.is_alive());
        assert_eq!(number("available_instances"), free - EACH);
    }
    drop(transport);
    assert_eq!(number("available_instances"), free);
}

#[test]
fn jobs_taken_back_at_a_deadline_give_their_buffers_back_and_the_next_ones_are_well() {
    let runtime = builder().queues(1).build().unwrap();
    let pack = session(&runtime, Algorithm::Deflate, Direction::Forward);
    let rounds = Rounds::new(&runtime);
    for round in 0..4 {
        let start = || {
            // Too long to be done at once.
            let work = OwnedWork::session(&pack, noise(round, 8 << 20), vec![0; 8 << 20]);
            runtime.submit(work).unwrap().with_deadline(std::time::Duration::ZERO)
        };
        let jobs: Vec<_> = (0..4).map(|_| start()).collect();
        for job in jobs {
            let finished = job.wait();
            assert!(finished.buffers.is_some(), "the kernel has stopped the queue: {:?}", finished.result);
        }
        rounds.run(&mut runtime.lease().unwrap(), round).unwrap();
    }
    assert_eq!(runtime.counters().lost, 0);
}

#[test]
fn a_sleeper_is_woken_after_more_than_a_round_of_answers_that_the_kernel_was_not_asked_for() {
    // A round and a half: the kernel's place is in the middle of what it would take for another round.
    const POLLED: usize = 1536;
    let transport = UacceBus::new().open(DEVICE).unwrap();
    let cells = Arc::new(Cells::new(1));
    let request = QueueRequest::new(1);
    let OpenQueue { mut submitter, mut completer, .. } =
        HisiZipDriver.open(transport.clone(), cells.clone(), &request).unwrap();
    let spec = SessionSpec::compression(Algorithm::Deflate, Direction::Forward, None).unwrap();
    submitter.open_session(SessionId(0), &spec).unwrap();
    let (text, mut room) = ([7; 64], [0; 256]);
    let mut submit = || {
        // SAFETY: the only slot is free: it was answered before.
        unsafe {
            cells.build(0, |job| {
                (job.operation, job.session) = (Operation::Compress, SessionId(0));
                (job.source, job.source_len) = (text.as_ptr(), text.len());
                (job.destination, job.destination_len) = (room.as_mut_ptr(), room.len());
            });
        }
        // SAFETY: built above; text and room stay until the queue is gone.
        let taken = unsafe { submitter.submit(&Batch::new(&cells, &[0])) };
        assert_eq!(taken.unwrap(), 1);
    };
    let answered = |completer: &mut dyn Completer| {
        let mut places = [0];
        // SAFETY: the only completer of the table.
        let mut done = unsafe { Done::new(&cells, &mut places) };
        completer.poll(&mut done).unwrap();
        done.slots().len()
    };
    for _ in 0..POLLED {
        submit();
        while answered(&mut *completer) == 0 {
            std::thread::yield_now();
        }
    }
    // What is left of signals.
    transport.clear_wake();
    for _ in 0..3 {
        completer.arm();
        assert_eq!(answered(&mut *completer), 0);
        submit();
        assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
        while answered(&mut *completer) == 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn futures_are_woken_by_interrupts() {
    let interrupts = || {
        let table = std::fs::read_to_string("/proc/interrupts").unwrap();
        let lines = table.lines().filter(|line| line.contains("hisi_zip"));
        lines.flat_map(|line| line.split_whitespace().skip(1).map_while(|word| word.parse::<u64>().ok())).sum::<u64>()
    };
    let runtime = runtime();
    let pack = session(&runtime, Algorithm::Gzip, Direction::Forward);
    let before = interrupts();
    // Long ones: whoever waits for them sleeps.
    for seed in 0..5 {
        let text = noise(seed, 4 << 20);
        let work = OwnedWork::session(&pack, text.clone(), vec![0; 5 << 20]);
        let (outcome, stream) = runtime.submit(work).unwrap().wait().into_output().unwrap();
        assert!(unpacked(Algorithm::Gzip, &stream[..outcome.produced as usize]) == text);
    }
    assert!(interrupts() > before, "nobody was woken");
}

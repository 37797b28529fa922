//! Several processes on one device.

use std::fs::File;
use std::io::{Read, Write};

use nix::unistd::pipe;
use uaccel_runtime::{Algorithm, Direction, Error, RawWork, Work};

use crate::bench::{builder, eventually, noise, number, run, runtime};
use crate::child::Child;
use crate::formats::{session, unpacked};
use crate::pages::{PAGE, Pages};
use crate::round::Rounds;

/// Far from where the system puts mappings.
const ADDRESS: usize = 0x5000_0000_0000;

/// A pipe, as files.
fn channel() -> (File, File) {
    let (reader, writer) = pipe().expect("a pipe");
    (reader.into(), writer.into())
}

/// Asks the device to read much memory that nobody has touched, says so, and waits for ever.
fn victim(mut ready: File) {
    const LEN: usize = 4 << 20;
    const JOBS: usize = 16;
    let runtime = builder().queues(1).build().unwrap();
    let pack = session(&runtime, Algorithm::Deflate, Direction::Forward);
    let (sources, rooms) = (Pages::untouched_small(LEN * JOBS), Pages::untouched_small(LEN * JOBS));
    let mut lease = runtime.lease().unwrap();
    let _ = lease.scope(|scope| {
        for job in 0..JOBS {
            let mut work = RawWork::new(pack.spec().operation());
            work.session = Some(&pack);
            (work.source, work.source_len) = (sources.at_offset(job * LEN), LEN);
            (work.destination, work.destination_len) = (rooms.at_offset(job * LEN), LEN);
            // SAFETY: nobody looks at the pages, which stay mapped as long as the process.
            unsafe { scope.push_raw(&work) }.unwrap();
        }
        scope.submit().unwrap();
        ready.write_all(b"!").unwrap();
        loop {
            std::thread::park();
        }
    });
}

#[test]
fn five_processes_at_once_one_of_them_killed_and_the_other_four_get_every_byte_right() {
    let free = number("available_instances");
    for round in 0..3 {
        let (mut said, saying) = channel();
        let victim = Child::run(|| self::victim(saying));
        said.read_exact(&mut [0]).expect("the victim has submitted");
        let others: Vec<_> = (0..4)
            .map(|process| {
                Child::run(move || {
                    let runtime = builder().queues(1).build().unwrap();
                    let rounds = Rounds::new(&runtime);
                    let mut lease = runtime.lease().unwrap();
                    for seed in 0..6 {
                        rounds.run(&mut lease, round * 1000 + process * 100 + seed).unwrap();
                    }
                    assert_eq!(runtime.counters().resets, 0);
                })
            })
            .collect();
        victim.kill();
        others.into_iter().for_each(Child::join);
        eventually("the queues are back", || number("available_instances") == free);
    }
}

#[test]
fn one_address_is_different_memory_in_two_processes() {
    let task = |seed| {
        let pages = Pages::at(ADDRESS, 4 * PAGE);
        let text = noise(seed, 4 * PAGE);
        pages.write(0, &text);
        let runtime = runtime();
        let pack = session(&runtime, Algorithm::Zlib, Direction::Forward);
        let room = Pages::untouched(8 * PAGE);
        let mut work = RawWork::new(pack.spec().operation());
        work.session = Some(&pack);
        (work.source, work.source_len) = (pages.start(), 4 * PAGE);
        (work.destination, work.destination_len) = (room.start(), 8 * PAGE);
        for _ in 0..30 {
            let produced = run(&runtime, &work).unwrap().produced as usize;
            assert!(unpacked(Algorithm::Zlib, &room.read(0, produced)) == text);
        }
    };
    let child = Child::run(|| task(1));
    task(2);
    child.join();
}

#[test]
fn a_child_is_refused_opens_its_own_and_the_parent_goes_on() {
    let runtime = runtime();
    let rounds = Rounds::new(&runtime);
    rounds.run(&mut runtime.lease().unwrap(), 1).unwrap();
    let pack = session(&runtime, Algorithm::Deflate, Direction::Forward);
    let child = Child::run(|| {
        let mut room = [0; 1000];
        let refused = runtime.run(Work::session(&pack, b"the parent's queue", &mut room));
        assert!(matches!(refused, Err(Error::Forked)), "{refused:?}");
        let own = self::runtime();
        Rounds::new(&own).run(&mut own.lease().unwrap(), 2).unwrap();
    });
    for seed in 10..16 {
        rounds.run(&mut runtime.lease().unwrap(), seed).unwrap();
    }
    child.join();
    rounds.run(&mut runtime.lease().unwrap(), 3).unwrap();
    assert_eq!(runtime.counters().resets, 0);
}

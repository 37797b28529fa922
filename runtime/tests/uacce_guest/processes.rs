//! Several processes on one device.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, pipe, setgid, setgroups, setuid};
use uaccel_runtime::{Error, Runtime, Verdict, Work};

use crate::bench::{DEVICE, builder, crc32c as crc, eventually, fill, noise, number, run, runtime};
use crate::child::Child;
use crate::pages::{PAGE, Pages};
use crate::workload::Workload;

/// Far from where the system puts mappings.
const ADDRESS: usize = 0x5000_0000_0000;

/// A pipe, as files.
fn channel() -> (File, File) {
    let (reader, writer) = pipe().expect("a pipe");
    (reader.into(), writer.into())
}

#[test]
fn one_address_is_different_memory_in_two_processes() {
    let task = |seed| {
        let pages = Pages::at(ADDRESS, 4 * PAGE);
        let bytes = noise(seed, 4 * PAGE);
        pages.write(0, &bytes);
        let runtime = runtime();
        for _ in 0..50 {
            assert_eq!(run(&runtime, &crc(pages.start(), 4 * PAGE)).unwrap().checksum, crc32c::crc32c(&bytes));
        }
    };
    let child = Child::run(|| task(1));
    task(2);
    child.join();
}

#[test]
fn a_child_is_refused_opens_its_own_and_the_parent_goes_on_after_copy_on_write() {
    let runtime = runtime();
    let pages = Pages::untouched(4 * PAGE);
    pages.write(0, &[1; 4 * PAGE]);
    assert_eq!(run(&runtime, &crc(pages.start(), 4 * PAGE)).unwrap().checksum, crc32c::crc32c(&[1; 4 * PAGE]));
    let child = Child::run(|| {
        assert!(matches!(runtime.run(Work::nop()), Err(Error::Forked)), "the parent's queue");
        // The parent's address space is another one, at the same addresses.
        pages.write(0, &[2; 4 * PAGE]);
        let own = self::runtime();
        assert_eq!(run(&own, &crc(pages.start(), 4 * PAGE)).unwrap().checksum, crc32c::crc32c(&[2; 4 * PAGE]));
        run(&own, &fill(pages.start(), PAGE, 0)).unwrap();
        assert_eq!(pages.read(0, 1), [0]);
    });
    // While the child has its copies: the parent's first write makes one, too.
    pages.write(3 * PAGE, &[3; PAGE]);
    let mut expected = [1; 4 * PAGE];
    expected[3 * PAGE..].fill(3);
    assert_eq!(run(&runtime, &crc(pages.start(), 4 * PAGE)).unwrap().checksum, crc32c::crc32c(&expected));
    child.join();
    assert!(pages.read(0, 4 * PAGE) == expected, "what the child's device wrote is the child's");
    assert_eq!(run(&runtime, &crc(pages.start(), 4 * PAGE)).unwrap().checksum, crc32c::crc32c(&expected));
    assert_eq!(runtime.counters().resets, 0);
}

#[test]
fn the_kernel_refuses_a_child_that_starts_its_parents_queue() {
    let path = format!("/dev/{DEVICE}");
    let file = File::options().read(true).write(true).open(path).unwrap();
    // UACCE_CMD_START_Q, include/uapi/misc/uacce/uacce.h.
    let start = || {
        // SAFETY: a command without argument.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), 0x5700) };
        Errno::result(result)
    };
    Child::run(|| assert_eq!(start(), Err(Errno::EPERM))).join();
    start().expect("it is ours");
}

#[test]
fn an_ordinary_user_needs_nothing_but_permission_for_the_node() {
    let node = format!("/dev/{DEVICE}");
    let as_nobody = |task: fn()| {
        Child::run(move || {
            setgroups(&[]).unwrap();
            setgid(Gid::from_raw(65534)).unwrap();
            setuid(Uid::from_raw(65534)).unwrap();
            task();
        })
    };
    let permit = |mode| fs::set_permissions(&node, fs::Permissions::from_mode(mode)).unwrap();
    permit(0o600);
    as_nobody(|| {
        let report = Runtime::builder().device(DEVICE).report();
        let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
        let Verdict::Unusable { reason, cure } = &entry.verdict else { panic!("{report}") };
        assert!(reason.contains("Permission denied"), "{report}");
        assert!(cure.as_deref().is_some_and(|cure| cure.contains("chgrp")), "{report}");
    })
    .join();
    permit(0o666);
    as_nobody(|| {
        let runtime = runtime();
        let workload = Workload::new(&runtime, 5);
        workload.round(&mut runtime.lease().unwrap(), 5).unwrap();
    })
    .join();
    permit(0o600);
}

#[test]
fn eight_processes_with_two_queues_each_get_every_byte_right() {
    let free = number("available_instances");
    let children: Vec<_> = (0..8)
        .map(|process| {
            Child::run(move || {
                let runtime = builder().queues(2).build().unwrap();
                let workload = Workload::new(&runtime, process);
                std::thread::scope(|scope| {
                    for thread in 0..2 {
                        let (runtime, workload) = (&runtime, &workload);
                        scope.spawn(move || {
                            let mut lease = runtime.lease().unwrap();
                            for round in 0..6 {
                                workload.round(&mut lease, process * 1000 + thread * 100 + round).unwrap();
                            }
                        });
                    }
                });
            })
        })
        .collect();
    children.into_iter().for_each(Child::join);
    eventually("the queues are back", || number("available_instances") == free);
}

/// Bytes of a job of processes that are killed, and how many jobs they have in flight.
const LEN: usize = 4 << 20;
const JOBS: usize = 32;

/// Maps much memory, asks the device to fill it, says so, and waits for ever.
fn victim(mut ready: File) {
    let pages = Pages::untouched_small(LEN * JOBS);
    let runtime = builder().queues(1).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    let _ = lease.scope(|scope| {
        for job in 0..JOBS {
            // SAFETY: nobody looks at the pages, which stay mapped as long as the process.
            unsafe { scope.push_raw(&fill(pages.at_offset(job * LEN), LEN, 7)) }.unwrap();
        }
        scope.submit().unwrap();
        ready.write_all(b"!").unwrap();
        loop {
            std::thread::park();
        }
    });
}

/// Maps the same memory, has its beginnings filled, and looks whether they are: whatever was known of the victim's pages is nothing to it.
fn successor() {
    const FILLED: usize = LEN / 4;
    let pages = Pages::untouched_small(LEN * JOBS);
    let runtime = builder().queues(1).build().unwrap();
    for job in 0..4 {
        run(&runtime, &fill(pages.at_offset(job * LEN), FILLED, 0x0909_0909_0909_0909)).unwrap();
        let wrong = pages.read(job * LEN, FILLED).iter().position(|byte| *byte != 9);
        assert_eq!(wrong, None, "job {job}: the device wrote elsewhere");
    }
}

#[test]
fn a_process_killed_amid_page_requests_harms_nobody_and_gives_its_queue_back() {
    let free = number("available_instances");
    let runtime = builder().queues(1).build().unwrap();
    let workload = Workload::new(&runtime, 1);
    let mut lease = runtime.lease().unwrap();
    for round in 0..5 {
        let (mut said, saying) = channel();
        let child = Child::run(|| victim(saying));
        said.read_exact(&mut [0]).expect("the child has submitted");
        let requests = number("device/page_requests");
        eventually("page requests come", || number("device/page_requests") > requests + 3);
        child.kill();
        // It has what the victim had: the PASID, and the addresses.
        Child::run(successor).join();
        workload.round(&mut lease, round).unwrap();
        eventually("the queue is back", || number("available_instances") == free - 1);
    }
    assert_eq!(runtime.counters().resets, 0);
    drop(lease);
    drop(runtime);
    eventually("all queues are back", || number("available_instances") == free);
}

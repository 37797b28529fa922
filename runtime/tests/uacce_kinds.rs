//! uacce devices whose hardware queues are of several kinds, on a kernel that does not exist: how queues are made of them, and what becomes of jobs when the kernel stops
//! them to reset the device.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;
mod fake_qm;
mod fake_uacce;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use device::{DEADLINE, PATIENCE, eventually};
use fake_qm::driver::PairDriver;
use fake_qm::{COPIES, Call, DEVICE, FILLS, QmMachine, RINGS};
use fake_uacce::Kernel;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use uaccel_hisi_abi::{Description, Doorbell, DoorbellCommand, Dus, StopWords};
use uaccel_queue::{Bus, CopyError, Quiet, Region, RegionKind, Transport, TransportError, Wake};
use uaccel_runtime::{Builder, Error, Fallback, OwnedWork, Runtime, Verdict, Work};

/// Hardware queues of the device: two queues' worth, and one that is of no use alone.
const QUEUES: usize = 5;

fn machine() -> QmMachine {
    QmMachine::new(Kernel::New, QUEUES)
}

fn opened(machine: &QmMachine) -> Arc<dyn Transport> {
    machine.bus().open(DEVICE).unwrap()
}

fn description(part: &Arc<dyn Transport>) -> Description {
    said(part.region(RegionKind::Description).expect("a description"))
}

fn said(region: &Region) -> Description {
    assert_eq!(region.len(), Description::SIZE);
    let bytes: Vec<u8> = (0..region.len()).map(|at| region.read8(at)).collect();
    Description::decode(&bytes).unwrap()
}

fn numbers(transport: &Arc<dyn Transport>) -> Vec<u16> {
    transport.parts().iter().map(|part| description(part).queue).collect()
}

/// Asks a part for an empty job, which has an answer at once. The first of its queue.
fn ring(part: &Arc<dyn Transport>) {
    let doorbell =
        Doorbell { queue: description(part).queue, command: DoorbellCommand::Submission, index: 1, priority: 0 };
    part.ring_doorbell(Doorbell::OFFSET, doorbell.encode());
}

fn builder(machine: &QmMachine, driver: &Arc<PairDriver>) -> Builder {
    Runtime::builder()
        .bus(machine.bus())
        .driver(driver.clone())
        .device(DEVICE)
        .fallback(Fallback::Never)
        .deadline(PATIENCE)
}

// How a queue is made.

#[test]
fn a_queue_takes_a_hardware_queue_of_each_kind_chosen_before_it_starts() {
    let machine = machine();
    let transport = opened(&machine);
    let [first, second] = transport.parts() else { panic!("{transport:?}") };
    for (part, queue, kind) in [(first, 0, COPIES), (second, 1, FILLS)] {
        assert_eq!(description(part), Description { dus: RINGS, queue, kind });
        assert_eq!(part.region(RegionKind::User).map(Region::len), Some(65536));
        assert!(part.region(RegionKind::Shared).is_none(), "it is the ring memory");
    }
    let calls = machine.device.calls.lock().unwrap().clone();
    let of = |queue, kind| [Call::Open(queue), Call::Choose(queue, kind), Call::Start(queue)];
    assert_eq!(calls, [of(0, COPIES), of(1, FILLS)].concat());
}

#[test]
fn ring_memory_is_the_whole_memory_that_the_device_shares_and_the_same_each_time() {
    let machine = machine();
    let transport = opened(&machine);
    for part in transport.parts() {
        let memory = part.ring_memory(RINGS.rings()).unwrap();
        assert_eq!(memory.len(), RINGS.size(4096));
        assert!((0..memory.len()).step_by(8).all(|at| memory.read(at) == 0));
        memory.write(0, 7);
        assert_eq!(part.ring_memory(1).unwrap().read(0), 7);
        let more = part.ring_memory(memory.len() + 1);
        assert!(matches!(&more, Err(TransportError::Refused(why)) if why.contains(DEVICE)), "{more:?}");
    }
}

#[test]
fn registers_and_rings_are_the_parts_own() {
    let machine = machine();
    let transport = opened(&machine);
    assert!(transport.regions().is_empty());
    assert!(matches!(transport.ring_memory(4096), Err(TransportError::Refused(_))));
    transport.ring_doorbell(Doorbell::OFFSET, 1);
    assert!(transport.parts().iter().all(|part| part.parts().is_empty()));
}

#[test]
fn kernels_that_do_not_tell_the_rings_have_made_them_as_ever() {
    let machine = machine();
    machine.device.be_mute();
    let transport = opened(&machine);
    let rings = Dus { entry: 128, submissions: 1024, completions: 1024 };
    assert!(transport.parts().iter().all(|part| description(part).dus == rings));
}

#[test]
fn a_device_that_lists_other_algorithms_has_no_kinds() {
    let machine = machine();
    machine.tree.set(DEVICE, "algorithms", "cipher\ndigest\naead\n");
    machine.tree.set(DEVICE, "available_instances", "1\n");
    assert_eq!(machine.bus().devices()[0].unusable, None, "one hardware queue is enough");
    let report = Runtime::builder().bus(machine.bus()).device(DEVICE).report();
    let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
    let Verdict::Unusable { reason, .. } = &entry.verdict else { panic!("{report}") };
    assert_eq!(reason, "no driver knows the interface 'hisi_qm_v3' for cipher, digest, aead");
}

#[test]
fn a_device_with_less_than_a_queue_left_is_listed_as_in_use() {
    let machine = machine();
    for (free, usable) in [("2", true), ("1", false), ("0", false), ("-1", false)] {
        machine.tree.set(DEVICE, "available_instances", free);
        let unusable = machine.bus().devices()[0].unusable.clone();
        assert_eq!(unusable.is_none(), usable, "{free}: {unusable:?}");
        assert!(unusable.is_none_or(|unusable| unusable.reason.contains("in use")));
    }
}

#[test]
fn a_hardware_queue_without_its_partner_goes_back() {
    let machine = machine();
    let _others = [opened(&machine), opened(&machine)];
    assert_eq!(machine.device.free(), 1);
    for _ in 0..3 {
        assert!(matches!(machine.bus().open(DEVICE), Err(TransportError::Busy(device)) if device == DEVICE));
        assert_eq!(machine.device.free(), 1);
    }
}

#[test]
fn memory_nobody_vouches_for_is_copied_with_care() {
    let machine = machine();
    let transport = opened(&machine);
    let mut room = [0; 4];
    for transport in [&transport, &transport.parts()[0]] {
        transport.read_memory([1u8, 2, 3, 4].as_ptr().addr(), &mut room).unwrap();
        assert_eq!(room, [1, 2, 3, 4]);
        let bad = transport.read_memory(64, &mut room);
        assert!(matches!(bad, Err(CopyError::Fault(fault)) if fault.address == 64), "{bad:?}");
        // SAFETY: nobody else has the room.
        unsafe { transport.write_memory(room.as_mut_ptr().expose_provenance(), &[5, 6]) }.unwrap();
        assert_eq!(room, [5, 6, 3, 4]);
        // SAFETY: nobody has that memory.
        let bad = unsafe { transport.write_memory(64, &room) };
        assert!(matches!(bad, Err(CopyError::Fault(fault)) if fault.address == 64), "{bad:?}");
    }
}

// How it ends.

#[test]
fn a_dropped_queue_is_stopped_and_gives_all_back_under_either_kernel() {
    for kernel in [Kernel::Old, Kernel::New] {
        let machine = QmMachine::new(kernel, QUEUES);
        let transport = opened(&machine);
        machine.device.calls.lock().unwrap().clear();
        drop(transport);
        assert_eq!(machine.device.free(), QUEUES);
        let calls = machine.device.calls.lock().unwrap().clone();
        let of = |queue| [Call::Put(queue), Call::Close(queue)];
        assert_eq!(calls, [of(0), of(1)].concat(), "{kernel:?}");
    }
}

#[test]
fn a_part_that_a_driver_still_has_keeps_its_hardware_queue_and_no_other() {
    let machine = machine();
    let transport = opened(&machine);
    let part = transport.parts()[1].clone();
    drop(transport);
    assert_eq!(machine.device.free(), QUEUES - 1);
    ring(&part);
    assert_eq!(part.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled, "it works as before");
    drop(part);
    assert_eq!(machine.device.free(), QUEUES);
}

#[test]
fn a_stop_stops_every_part() {
    for kernel in [Kernel::Old, Kernel::New] {
        let machine = QmMachine::new(kernel, QUEUES);
        let transport = opened(&machine);
        for _ in 0..2 {
            assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven, "{kernel:?}");
        }
        let calls = machine.device.calls.lock().unwrap().clone();
        let puts = calls.iter().filter(|call| matches!(call, Call::Put(_)));
        assert_eq!(puts.copied().collect::<Vec<_>>(), [Call::Put(0), Call::Put(1)]);
        assert!(transport.is_alive(), "it is the queue that is stopped");
    }
}

// How it comes back.

#[test]
fn a_reset_takes_other_hardware_queues_and_says_their_numbers_in_the_same_place() {
    for kernel in [Kernel::Old, Kernel::New] {
        let machine = QmMachine::new(kernel, QUEUES);
        let transport = opened(&machine);
        let region = transport.parts()[0].region(RegionKind::Description).unwrap().clone();
        assert_eq!(numbers(&transport), [0, 1]);
        for round in [[2, 3], [4, 0], [1, 2]] {
            assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
            transport.reset(PATIENCE).unwrap();
            assert_eq!(numbers(&transport), round, "{kernel:?}");
            assert_eq!(said(&region).queue, round[0]);
            assert_eq!(transport.parts().iter().map(|part| description(part).kind).collect::<Vec<_>>(), [0, 1]);
            assert_eq!(machine.device.free(), QUEUES - 2);
            assert!(transport.is_alive());
        }
    }
}

#[test]
fn a_reset_waits_while_the_kernel_resets_the_device() {
    let machine = machine();
    let transport = opened(&machine);
    machine.device.begin_reset();
    assert!(transport.is_alive());
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            eventually("the hardware queues went back", || machine.device.free() == QUEUES);
            over.store(true, Ordering::SeqCst);
            machine.device.end_reset();
        });
        transport.reset(PATIENCE).unwrap();
        assert!(over.load(Ordering::SeqCst));
    });
    let stop_words = |part: &Arc<dyn Transport>| {
        let memory = part.ring_memory(1).unwrap();
        StopWords::decode(memory.read(memory.len() - StopWords::FROM_END))
    };
    assert!(transport.parts().iter().all(|part| stop_words(part) == StopWords::default()));
}

#[test]
fn a_reset_that_is_not_over_in_time_ends_with_an_error_and_no_hardware_queue() {
    let machine = machine();
    let transport = opened(&machine);
    machine.device.begin_reset();
    transport.stop(PATIENCE).unwrap();
    let failed = transport.reset(Duration::from_millis(30));
    assert!(matches!(&failed, Err(TransportError::Refused(why)) if why.contains("being reset")), "{failed:?}");
    assert_eq!(machine.device.free(), QUEUES);
    assert_eq!(transport.stop(PATIENCE).unwrap(), Quiet::Proven);
    machine.device.end_reset();
    transport.reset(PATIENCE).unwrap();
    ring(&transport.parts()[1]);
    assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
}

#[test]
fn a_reset_that_gets_one_hardware_queue_of_two_gives_it_back() {
    let machine = machine();
    let transport = opened(&machine);
    transport.stop(PATIENCE).unwrap();
    machine.device.refuse(1, Errno::EBUSY);
    assert!(matches!(transport.reset(Duration::from_millis(30)), Err(TransportError::Busy(_))));
    assert_eq!(machine.device.free(), QUEUES);
    machine.device.allow();
    transport.reset(PATIENCE).unwrap();
    assert_eq!(machine.device.free(), QUEUES - 2);
}

#[test]
fn a_reset_of_a_device_that_has_isolated_itself_is_refused_at_once_with_the_cure() {
    let machine = machine();
    let transport = opened(&machine);
    transport.stop(PATIENCE).unwrap();
    machine.tree.set(DEVICE, "isolate", "1\n");
    let begun = Instant::now();
    let refused = transport.reset(PATIENCE);
    assert!(begun.elapsed() < PATIENCE, "it was not waited for");
    let told = |error: &TransportError| matches!(error, TransportError::Refused(why) if why.contains("isolated itself") && why.contains("anew"));
    assert!(refused.as_ref().is_err_and(told), "{refused:?}");
    assert_eq!(machine.device.free(), QUEUES);
    assert!(machine.bus().open(DEVICE).is_err_and(|error| told(&error)));
}

// How it wakes.

#[test]
fn a_signal_of_any_part_wakes_and_shows_once() {
    let machine = machine();
    let transport = opened(&machine);
    let is_readable = |transport: &dyn Transport| {
        let fd = transport.wake_fd().expect("a descriptor");
        poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).unwrap() == 1
    };
    let slept = || transport.sleep(Some(Instant::now())).unwrap();
    for _ in 0..3 {
        assert!(!is_readable(&*transport));
        assert_eq!(slept(), Wake::TimedOut);
        // To one who sleeps.
        ring(&transport.parts()[0]);
        assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
        assert!(!is_readable(&*transport));
        assert_eq!(slept(), Wake::TimedOut);
        // To one who watches the descriptor.
        ring(&transport.parts()[1]);
        assert!(is_readable(&*transport));
        transport.clear_wake();
        assert!(!is_readable(&*transport));
        assert_eq!(slept(), Wake::TimedOut);
        // For an answer that is not the device's.
        transport.signal();
        assert!(is_readable(&*transport));
        assert_eq!(slept(), Wake::Signalled);
        assert!(!is_readable(&*transport));
        // And after every reset: the descriptor is the same.
        transport.stop(PATIENCE).unwrap();
        transport.reset(PATIENCE).unwrap();
    }
}

#[test]
fn sleepers_are_told_of_a_removal() {
    let machine = machine();
    let transport = opened(&machine);
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| transport.sleep(None));
        machine.device.remove();
        assert!(matches!(sleeper.join().unwrap(), Err(TransportError::Gone)));
    });
    assert!(!transport.is_alive());
    assert!(matches!(transport.stop(PATIENCE), Ok(Quiet::Proven)));
    assert!(matches!(transport.reset(PATIENCE), Err(TransportError::Gone)));
    assert!(matches!(transport.parts()[0].ring_memory(1), Err(TransportError::Gone)));
}

// Jobs.

#[test]
fn jobs_of_both_kinds_go_round_the_rings() {
    let machine = machine();
    let driver = Arc::<PairDriver>::default();
    let runtime = builder(&machine, &driver).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let runtime = &runtime;
            scope.spawn(move || {
                for round in 0..50u8 {
                    let mut destination = [0; 100];
                    runtime.run(Work::copy(&[thread ^ round; 100], &mut destination)).unwrap();
                    assert_eq!(destination, [thread ^ round; 100]);
                    runtime.run(Work::fill(&mut destination, u64::from_ne_bytes([round; 8]))).unwrap();
                    assert_eq!(destination, [round; 100]);
                    let copied = runtime.submit(OwnedWork::copy(vec![round; 50], vec![0; 50])).unwrap().wait();
                    assert_eq!(copied.into_output().unwrap().1, vec![round; 50]);
                }
            });
        }
    });
    drop(runtime);
    assert_eq!(machine.device.free(), QUEUES);
}

#[test]
fn a_stalled_job_is_taken_back_and_the_queue_comes_back() {
    for kernel in [Kernel::Old, Kernel::New] {
        let machine = QmMachine::new(kernel, QUEUES);
        let driver = Arc::<PairDriver>::default();
        let runtime = builder(&machine, &driver).deadline(DEADLINE).queues(1).build().unwrap();
        for _ in 0..2 {
            machine.device.hold();
            let finished = runtime.submit(OwnedWork::copy(vec![5; 100], vec![0; 100])).unwrap().wait();
            assert!(matches!(finished.result, Err(Error::Deadline(_))), "{kernel:?}: {:?}", finished.result);
            assert_eq!(finished.buffers.expect("the queue is quiet").0, vec![5; 100]);
            machine.device.release();
            let mut destination = [0; 100];
            runtime.run(Work::copy(&[6; 100], &mut destination)).unwrap();
            assert_eq!(destination, [6; 100]);
        }
        assert_eq!(*driver.opened.lock().unwrap(), [[0, 1], [2, 3], [4, 0]], "by the new numbers each time");
        assert_eq!(runtime.counters().lost, 0);
    }
}

#[test]
fn jobs_that_a_reset_of_the_device_meets_fail_once_and_then_work_goes_on() {
    let machine = machine();
    let driver = Arc::<PairDriver>::default();
    let runtime = builder(&machine, &driver).queues(2).build().unwrap();
    let works = |run: &mut dyn FnMut(Work<'_>) -> Result<(), Error>| {
        let mut destination = [0; 100];
        match run(Work::copy(&[9; 100], &mut destination)) {
            Ok(()) => destination == [9; 100],
            Err(error) => {
                assert!(error.is_device_failure(), "{error}");
                false
            }
        }
    };
    let mut lease = runtime.lease().unwrap();
    for _ in 0..3 {
        eventually("the lease works", || works(&mut |work| lease.run(work).map(drop)));
        eventually("another queue works", || works(&mut |work| runtime.run(work).map(drop)));
        assert_eq!(machine.device.free(), QUEUES - 4);
        machine.device.hold();
        let owned = (0..4).map(|n| runtime.submit(OwnedWork::copy(vec![n; 500], vec![0; 500])).unwrap());
        let owned: Vec<_> = owned.collect();
        std::thread::scope(|scope| {
            let lent = scope.spawn(|| {
                let mut destination = [0; 100];
                let result = lease.run(Work::fill(&mut destination, 1)).map(drop);
                (result, destination)
            });
            eventually("all are in flight", || machine.device.pending() == 5);
            machine.device.begin_reset();
            machine.device.release();
            scope.spawn(|| {
                eventually("some went back", || machine.device.free() > QUEUES - 4);
                machine.device.end_reset();
            });
            let stopped = |error: &Error| matches!(error, Error::DeviceFailed { cause, .. } if cause.contains("stopped the queue"));
            let (lent, destination) = lent.join().unwrap();
            assert!(lent.as_ref().is_err_and(stopped), "{lent:?}");
            assert_eq!(destination, [0; 100]);
            for (n, job) in owned.into_iter().enumerate() {
                let finished = job.wait();
                assert!(finished.result.as_ref().is_err_and(stopped), "{:?}", finished.result);
                assert_eq!(finished.buffers.expect("a queue that is stopped is quiet").0, vec![n as u8; 500]);
            }
        });
    }
    drop(lease);
    drop(runtime);
    assert_eq!(machine.device.free(), QUEUES, "none is lost");
}

#[test]
fn callers_who_only_wait_for_futures_find_the_device_again_as_well() {
    let machine = machine();
    let driver = Arc::<PairDriver>::default();
    let runtime = builder(&machine, &driver).queues(1).build().unwrap();
    machine.device.begin_reset();
    let submit = || runtime.submit(OwnedWork::copy(vec![4; 100], vec![0; 100]));
    let rejected = submit().expect_err("the kernel has stopped the queue");
    let error = &rejected.error;
    assert!(matches!(error, Error::DeviceFailed { cause, .. } if cause.contains("stopped the queue")), "{error}");
    assert_eq!(rejected.work.into_buffers().0, vec![4; 100]);
    machine.device.end_reset();
    eventually("work goes on", || submit().is_ok_and(|job| job.wait().result.is_ok()));
}

#[test]
fn while_the_device_is_reset_callers_have_errors_and_not_long_waits() {
    let machine = machine();
    let driver = Arc::<PairDriver>::default();
    let runtime = builder(&machine, &driver).queues(1).build().unwrap();
    machine.device.begin_reset();
    let mut destination = [0; 100];
    for _ in 0..3 {
        let failed = runtime.run(Work::copy(&[9; 100], &mut destination)).map(drop);
        assert!(failed.as_ref().is_err_and(Error::is_device_failure), "{failed:?}");
    }
    assert_eq!(machine.device.free(), QUEUES, "it holds none that it cannot use");
    machine.device.end_reset();
    eventually("work goes on", || runtime.run(Work::copy(&[9; 100], &mut destination)).is_ok());
    assert_eq!(destination, [9; 100]);
}

#[test]
fn where_the_policy_allows_it_the_cpu_does_the_jobs_that_a_reset_meets() {
    let machine = machine();
    let driver = Arc::<PairDriver>::default();
    let runtime = builder(&machine, &driver).fallback(Fallback::OnError).build().unwrap();
    machine.device.begin_reset();
    let mut destination = [0; 100];
    runtime.run(Work::copy(&[7; 100], &mut destination)).unwrap();
    assert_eq!(destination, [7; 100]);
    assert_eq!(runtime.counters().fallbacks, 1);
    machine.device.end_reset();
}

#[test]
fn a_device_that_isolates_itself_while_it_is_open_is_refused_with_the_cure() {
    let machine = machine();
    let driver = Arc::<PairDriver>::default();
    let runtime = builder(&machine, &driver).queues(1).build().unwrap();
    machine.tree.set(DEVICE, "isolate", "1\n");
    // So far it works, and nobody looks.
    let mut destination = [0; 100];
    runtime.run(Work::copy(&[7; 100], &mut destination)).unwrap();
    machine.device.begin_reset();
    machine.device.end_reset();
    assert!(runtime.run(Work::copy(&[7; 100], &mut destination)).is_err());
    let error = runtime.run(Work::copy(&[8; 100], &mut destination)).expect_err("it has isolated itself");
    let text = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    let text = text.map(ToString::to_string).collect::<Vec<_>>().join(": ");
    assert!(text.contains("isolated itself") && text.contains("anew"), "{text}");
    assert_eq!(destination, [7; 100]);
    assert_eq!(machine.device.free(), QUEUES);
}

#[test]
fn a_removed_device_is_an_error_for_those_who_wait_and_those_who_come() {
    let machine = machine();
    let driver = Arc::<PairDriver>::default();
    let runtime = builder(&machine, &driver).queues(1).build().unwrap();
    machine.device.hold();
    let job = runtime.submit(OwnedWork::copy(vec![3; 500], vec![0; 500])).unwrap();
    machine.device.remove();
    let finished = job.wait();
    assert!(matches!(finished.result, Err(Error::DeviceFailed { .. })), "{:?}", finished.result);
    assert_eq!(finished.buffers.expect("a device that is gone is quiet").0, vec![3; 500]);
    let mut destination = [0; 100];
    assert!(runtime.run(Work::copy(&[1; 100], &mut destination)).is_err_and(|error| error.is_device_failure()));
}

// In a child process.

#[test]
fn a_child_is_refused_and_does_not_stop_its_parents_queues() {
    let machine = machine();
    let transport = opened(&machine);
    let before = machine.device.calls.lock().unwrap().len();
    // SAFETY: the child only asks a transport, which takes no lock that another thread could hold, and exits.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let gone = |result: Result<(), TransportError>| matches!(result, Err(TransportError::Gone));
            let well = !transport.is_alive()
                && gone(transport.stop(Duration::from_secs(1)).map(|_| ()))
                && gone(transport.reset(Duration::from_secs(1)))
                && gone(transport.sleep(Some(Instant::now())).map(|_| ()))
                && transport.parts().iter().all(|part| gone(part.ring_memory(1).map(|_| ())));
            transport.parts()[0].ring_doorbell(Doorbell::OFFSET, 1);
            let calls = machine.device.calls.lock().unwrap().len();
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(!(well && calls == before))) }
        }
        ForkResult::Parent { child } => assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0)),
    }
    assert!(transport.is_alive());
    ring(&transport.parts()[0]);
    assert_eq!(transport.sleep(Some(Instant::now() + PATIENCE)).unwrap(), Wake::Signalled);
}

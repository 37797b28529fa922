//! uacce devices on a kernel that does not exist: what is listed, what is chosen, and what becomes of jobs when queues are scarce, stopped, or gone.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;
mod fake_uacce;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use device::{DEADLINE, PATIENCE};
use fake_uacce::{DEVICE, Kernel, Machine, Tree};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Uid, fork};
use uaccel_queue::{Bus, DeviceInfo, Transport, TransportError};
use uaccel_runtime::uacce::UacceBus;
use uaccel_runtime::{
    AddressMode, Builder, Error, Fallback, FaultHandling, OwnedWork, Runtime, Unusable, Verdict, Work,
};
use uaccel_sim::WarpConfig;

fn listed(tree: &Tree) -> DeviceInfo {
    let devices = UacceBus::at(tree.path()).devices();
    assert_eq!(devices.len(), 1, "{devices:?}");
    devices[0].clone()
}

fn unusable(tree: &Tree) -> Unusable {
    listed(tree).unusable.expect("it cannot be used")
}

fn builder(machine: &Machine) -> Builder {
    Runtime::builder().bus(machine.bus()).device(DEVICE).fallback(Fallback::Never).deadline(PATIENCE)
}

fn machine(kernel: Kernel) -> Machine {
    Machine::new(kernel, WarpConfig::default())
}

// What is listed.

#[test]
fn where_the_kernel_has_no_uacce_there_are_no_devices() {
    let tree = Tree::new();
    let bus = UacceBus::at(tree.path());
    assert!(bus.devices().is_empty());
    assert!(matches!(bus.open(DEVICE), Err(TransportError::NoSuchDevice { .. })));
    let report = Runtime::builder().root(tree.path()).report();
    assert!(report.entries().iter().all(|entry| entry.bus != "uacce"));
}

#[test]
fn the_variable_moves_the_root_and_the_builder_has_the_last_word() {
    const SEEN: &str = "UACCE_TEST_SEEN";
    let names = |report: uaccel_runtime::Report| -> Vec<String> {
        let entries = report.entries().iter().filter(|entry| entry.bus == "uacce");
        entries.map(|entry| entry.info.name.clone()).collect()
    };
    if let Ok(other) = std::env::var(SEEN) {
        // In the process started below, where the variable is set.
        assert_eq!(names(Runtime::builder().report()), ["warp-7"]);
        assert_eq!(names(Runtime::builder().root(other).report()), ["warp-8"]);
        return;
    }
    let (here, there) = (Tree::new().with_device("warp-7"), Tree::new().with_device("warp-8"));
    let again = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_variable_moves_the_root_and_the_builder_has_the_last_word"])
        .env(uaccel_runtime::uacce::ROOT_VARIABLE, here.path())
        .env(SEEN, there.path())
        .output()
        .unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    assert!(String::from_utf8_lossy(&again.stdout).contains("1 passed"), "the test ran there");
}

#[test]
fn a_name_is_that_of_a_device_and_no_way_to_a_folder() {
    let tree = Tree::new().with_device(DEVICE);
    let bus = UacceBus::at(tree.path());
    for name in ["", ".", "..", "../uacce", "warp-1"] {
        let opened = bus.open(name);
        assert!(matches!(&opened, Err(TransportError::NoSuchDevice { device, .. }) if device == name), "{opened:?}");
    }
}

#[test]
fn a_device_is_listed_with_what_sysfs_says_of_it() {
    let tree = Tree::new().with_device("warp-3");
    tree.set("warp-3", "device/numa_node", "1\n");
    let info = listed(&tree);
    assert_eq!((&*info.name, &*info.interface, info.numa_node), ("warp-3", "warp_v1", Some(1)));
    assert_eq!(info.algorithms, ["copy", "deflate", "sha-256"]);
    assert_eq!(info.unusable, None);
    assert!(!info.simulated);
    tree.set("warp-3", "device/numa_node", "-1\n");
    assert_eq!(listed(&tree).numa_node, None, "unknown is not a node");
}

#[test]
fn devices_that_cannot_be_used_say_why_and_what_mends_it() {
    let broken = |change: &dyn Fn(&Tree)| {
        let tree = Tree::new().with_device(DEVICE);
        change(&tree);
        unusable(&tree)
    };
    for (change, reason, cure) in [
        (&|tree: &Tree| tree.set(DEVICE, "flags", "0\n") as (), "shared addresses (flags 0x0)", Some("PASID")),
        (&|tree: &Tree| tree.remove(DEVICE, "device/iommu_group"), "no IOMMU", Some("intel_iommu=on")),
        (&|tree: &Tree| tree.set(DEVICE, "isolate", "1\n"), "isolated itself", Some("anew")),
        (&|tree: &Tree| tree.set(DEVICE, "available_instances", "0\n"), "in use", Some("wait")),
        (&|tree: &Tree| fs::remove_file(tree.node(DEVICE)).expect("a node"), "does not exist", Some("devtmpfs")),
        (&|tree: &Tree| tree.remove(DEVICE, "api"), "attributes cannot be read", None),
        (&|tree: &Tree| tree.set(DEVICE, "flags", "many\n"), "attribute flags is 'many'", None),
        (&|tree: &Tree| tree.set(DEVICE, "available_instances", "\n"), "attribute available_instances is ''", None),
    ] as [(&dyn Fn(&Tree), &str, Option<&str>); 8]
    {
        let found = broken(change);
        assert!(found.reason.contains(reason), "{found:?}");
        match cure {
            Some(cure) => assert!(found.cure.as_deref().is_some_and(|text| text.contains(cure)), "{found:?}"),
            None => assert_eq!(found.cure, None),
        }
    }
}

#[test]
fn a_node_without_permission_is_listed_with_the_command_that_gives_it() {
    if Uid::effective().is_root() {
        eprintln!("skipped: to root every node can be opened");
        return;
    }
    let tree = Tree::new().with_device(DEVICE);
    fs::set_permissions(tree.node(DEVICE), fs::Permissions::from_mode(0o000)).expect("a node of ours");
    let found = unusable(&tree);
    assert!(found.reason.contains("Permission denied"), "{found:?}");
    assert!(found.cure.is_some_and(|cure| cure.contains("chgrp")));
}

#[test]
fn attributes_that_not_every_driver_has_are_not_missed() {
    let tree = Tree::new().with_device(DEVICE);
    tree.remove(DEVICE, "isolate");
    tree.remove(DEVICE, "device/numa_node");
    assert_eq!(listed(&tree).unusable, None);
}

#[test]
fn an_interface_that_nobody_knows_is_unusable() {
    let machine = machine(Kernel::New);
    machine.tree.set(DEVICE, "api", "hisi_qm_v9\n");
    let report = Runtime::builder().bus(machine.bus()).device(DEVICE).report();
    let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
    let named = "'hisi_qm_v9' for copy, deflate, sha-256";
    assert!(matches!(&entry.verdict, Verdict::Unusable { reason, .. } if reason.ends_with(named)), "{report}");
}

// What is chosen.

#[test]
fn hardware_is_taken_before_the_cpu_and_proves_what_it_grants() {
    let machine = machine(Kernel::New);
    let runtime = Runtime::builder().bus(machine.bus()).root(machine.tree.path()).build().unwrap();
    assert_eq!(runtime.device(), DEVICE);
    assert_eq!(runtime.granted().address_mode, AddressMode::Shared);
    // The engine's registers promise nothing: it is the probe that says so.
    assert_eq!(runtime.granted().faults, FaultHandling::Resolved);
}

#[test]
fn a_device_that_does_not_open_is_passed_over_and_the_report_says_why() {
    for (errno, why) in [
        (Errno::ENODEV, "no IOMMU shares"),
        (Errno::EOPNOTSUPP, "IOMMU driver"),
        (Errno::ENOSPC, "PASIDs"),
        (Errno::EOVERFLOW, "larger than it takes"),
        (Errno::EIO, "open of a uacce node failed"),
    ] {
        let machine = machine(Kernel::New);
        *machine.kernel.refuses.lock().unwrap() = Some(errno);
        let runtime = Runtime::builder().bus(machine.bus()).build().unwrap();
        assert_eq!(runtime.device(), "software");
        let report = runtime.report();
        let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
        assert!(matches!(&entry.verdict, Verdict::Unusable { reason, .. } if reason.contains(why)), "{report}");
        // Who asks for it gets it, or an error.
        assert!(matches!(builder(&machine).build(), Err(Error::Open { .. })));
    }
}

#[test]
fn an_isolated_device_is_not_opened() {
    let machine = machine(Kernel::New);
    let bus = machine.bus();
    machine.tree.set(DEVICE, "isolate", "1\n");
    assert!(matches!(bus.open(DEVICE), Err(TransportError::Refused(why)) if why.contains("isolated")));
    assert!(matches!(builder(&machine).build(), Err(Error::NoDevice(_))));
}

// When queues are scarce.

#[test]
fn exhausted_queues_are_waited_for() {
    let machine = Machine::new(Kernel::New, WarpConfig { queues: 2, ..WarpConfig::default() });
    let bus = machine.bus();
    let others: Vec<Arc<dyn Transport>> = (0..2).map(|_| bus.open(DEVICE).unwrap()).collect();
    assert!(matches!(bus.open(DEVICE), Err(TransportError::Busy(device)) if device == DEVICE));
    assert!(matches!(builder(&machine).deadline(DEADLINE).build(), Err(Error::Open { .. })), "nobody gives one back");
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let runtime = builder(&machine).build().unwrap();
            runtime.run(Work::nop()).unwrap();
        });
        drop(others);
        waiting.join().unwrap();
    });
}

#[test]
fn threads_share_the_queues_that_other_processes_leave() {
    let machine = Machine::new(Kernel::New, WarpConfig { queues: 3, ..WarpConfig::default() });
    let bus = machine.bus();
    let _others: Vec<_> = (0..2).map(|_| bus.open(DEVICE).unwrap()).collect();
    let runtime = builder(&machine).queues(8).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let runtime = &runtime;
            scope.spawn(move || {
                for _ in 0..20 {
                    let mut destination = [0; 100];
                    runtime.lease().unwrap().run(Work::copy(&[thread; 100], &mut destination)).unwrap();
                    assert_eq!(destination, [thread; 100]);
                }
            });
        }
    });
}

// When queues are stopped.

#[test]
fn a_stalled_job_is_taken_back_and_the_queue_comes_back_under_either_kernel() {
    for kernel in [Kernel::Old, Kernel::New] {
        let machine = machine(kernel);
        let runtime = builder(&machine).deadline(DEADLINE).queues(1).build().unwrap();
        let plan = machine.kernel.plan();
        for _ in 0..2 {
            plan.hold();
            let job = runtime.submit(OwnedWork::copy(vec![5; 100], vec![0; 100])).unwrap();
            let finished = job.wait();
            assert!(matches!(finished.result, Err(Error::Deadline(_))), "{kernel:?}: {:?}", finished.result);
            assert_eq!(finished.buffers.expect("the queue is quiet").0, vec![5; 100]);
            plan.release();
            let mut destination = [0; 100];
            runtime.run(Work::copy(&[6; 100], &mut destination)).unwrap();
            assert_eq!(destination, [6; 100]);
        }
        assert_eq!(runtime.counters().lost, 0);
    }
}

#[test]
fn a_dropped_queue_is_stopped_before_its_memory_goes() {
    let machine = machine(Kernel::New);
    let transport = machine.bus().open(DEVICE).unwrap();
    drop(transport);
    assert_eq!(machine.kernel.stops.load(Ordering::SeqCst), 1);
}

// When the device is gone.

#[test]
fn a_removed_device_is_an_error_for_those_who_wait_and_those_who_come() {
    let machine = machine(Kernel::New);
    let runtime = builder(&machine).queues(2).build().unwrap();
    machine.kernel.plan().hold();
    let owned: Vec<_> = (0..4).map(|n| runtime.submit(OwnedWork::copy(vec![n; 500], vec![0; 500])).unwrap()).collect();
    std::thread::scope(|scope| {
        let lent = scope.spawn(|| {
            let mut destination = [0; 100];
            runtime.lease().unwrap().run(Work::copy(&[1; 100], &mut destination)).map(|_| ())
        });
        machine.kernel.remove();
        assert!(matches!(lent.join().unwrap(), Err(Error::DeviceFailed { .. } | Error::Open { .. })));
    });
    for (n, job) in owned.into_iter().enumerate() {
        let finished = job.wait();
        assert!(matches!(finished.result, Err(Error::DeviceFailed { .. })), "{:?}", finished.result);
        assert_eq!(finished.buffers.expect("a device that is gone is quiet").0, vec![n as u8; 500]);
    }
    let begun = Instant::now();
    assert!(runtime.run(Work::nop()).is_err_and(|error| error.is_device_failure()));
    assert!(begun.elapsed() < PATIENCE, "an error, not a wait");
}

#[test]
fn where_the_policy_allows_it_the_cpu_takes_a_removed_devices_place() {
    let machine = machine(Kernel::New);
    let runtime = builder(&machine).fallback(Fallback::OnError).build().unwrap();
    machine.kernel.remove();
    let mut destination = [0; 100];
    runtime.run(Work::copy(&[1; 100], &mut destination)).unwrap();
    assert_eq!(destination, [1; 100]);
    assert_eq!(runtime.counters().fallbacks, 1);
}

#[test]
fn sleepers_are_told_of_a_removal() {
    let machine = machine(Kernel::New);
    let transport = machine.bus().open(DEVICE).unwrap();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| transport.sleep(None));
        machine.kernel.remove();
        assert!(matches!(sleeper.join().unwrap(), Err(TransportError::Gone)));
    });
    assert!(!transport.is_alive());
    assert!(matches!(transport.ring_memory(4096), Err(TransportError::Gone)));
    assert!(matches!(transport.reset(Duration::from_secs(1)), Err(TransportError::Gone)));
}

// In a child process.

#[test]
fn a_child_is_refused_and_does_not_stop_its_parents_queue() {
    let machine = machine(Kernel::New);
    let transport = machine.bus().open(DEVICE).unwrap();
    // SAFETY: the child only asks a transport, which takes no lock that another thread could hold, and exits.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let gone = |result: Result<(), TransportError>| matches!(result, Err(TransportError::Gone));
            let well = !transport.is_alive()
                && gone(transport.stop(Duration::from_secs(1)).map(|_| ()))
                && gone(transport.reset(Duration::from_secs(1)))
                && gone(transport.sleep(Some(Instant::now())).map(|_| ()))
                && gone(transport.ring_memory(1).map(|_| ()));
            transport.ring_doorbell(0x80, 1);
            drop(transport);
            let stops = machine.kernel.stops.load(Ordering::SeqCst);
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(i32::from(!(well && stops == 0))) }
        }
        ForkResult::Parent { child } => assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0)),
    }
    assert!(transport.is_alive());
}

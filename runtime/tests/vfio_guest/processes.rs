//! Several processes, and how they end.

use uaccel_queue::{Bus, TransportError};
use uaccel_runtime::{Error, OwnedWork, Work};

use crate::bench::{PATIENCE, bus, device, eventually, runtime};
use crate::guest::child::Child;
use crate::root::handed;

/// Whether the device can be had, and has not been found gone.
fn opens() -> bool {
    match bus().open(device()) {
        Ok(_) => true,
        Err(TransportError::Busy(_)) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_device_in_use_is_busy_for_other_processes_and_free_afterwards() {
    let runtime = runtime();
    Child::run(|| {
        // Its parent's descriptors are open here too; the device is the parent's.
        assert!(!opens());
    })
    .join();
    runtime.run(Work::nop()).unwrap();
    drop(runtime);
    eventually("the device is free", opens);
}

#[test]
fn two_runtimes_of_one_process_share_the_device() {
    let (one, other) = (runtime(), runtime());
    let mut destination = [0; 100];
    one.run(Work::copy(&[1; 100], &mut destination)).unwrap();
    assert_eq!(destination, [1; 100]);
    other.run(Work::copy(&[2; 100], &mut destination)).unwrap();
    assert_eq!(destination, [2; 100]);
    drop(one);
    other.run(Work::copy(&[3; 100], &mut destination)).unwrap();
    assert_eq!(destination, [3; 100]);
}

#[test]
fn a_child_cannot_use_its_parents_queues() {
    let runtime = runtime();
    runtime.run(Work::nop()).unwrap();
    Child::run(|| {
        assert!(matches!(runtime.run(Work::nop()), Err(Error::Forked)));
        drop(runtime.clone());
    })
    .join();
    let mut destination = [0; 5000];
    runtime.run(Work::copy(&[7; 5000], &mut destination)).unwrap();
    assert_eq!(destination, [7; 5000]);
}

#[test]
fn a_child_that_drops_what_its_parent_has_open_leaves_it_alone() {
    let queue = bus().open(device()).unwrap();
    let mut held = Some(queue);
    // In the child it is the last; in the parent it stays.
    Child::run(|| drop(held.take())).join();
    let queue = held.expect("the parent's");
    assert!(queue.is_alive());
    queue.stop(PATIENCE).unwrap();
    queue.reset(PATIENCE).unwrap();
    // Somebody still hears that the system wants the device back: this would last for ever.
    handed().unbind();
    assert!(!queue.is_alive());
    handed().bind();
    drop(queue);
    eventually("the device is free", opens);
}

#[test]
fn memory_shared_with_a_child_by_copy_on_write_is_still_the_parents() {
    let runtime = runtime();
    let (source, mut destination) = (vec![1; 100_000], vec![0; 100_000]);
    let child = Child::run(|| std::thread::sleep(std::time::Duration::from_millis(200)));
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert!(destination == source);
    child.join();
}

#[test]
fn a_process_killed_with_jobs_in_flight_leaves_the_device_usable() {
    // The device must be nobody's here: a child could not open it.
    eventually("the device is free", opens);
    for _ in 0..3 {
        let child = Child::run(|| {
            let runtime = runtime();
            loop {
                let jobs: Vec<_> = (0..8)
                    .map(|n| runtime.submit(OwnedWork::copy(vec![n; 4 << 20], vec![0; 4 << 20])).unwrap())
                    .collect();
                jobs.into_iter().for_each(|job| assert!(job.wait().result.is_ok()));
            }
        });
        eventually("the child has the device", || !opens());
        std::thread::sleep(std::time::Duration::from_millis(100));
        child.kill();
        eventually("the device is free", opens);
        let mut destination = [0; 5000];
        runtime().run(Work::copy(&[7; 5000], &mut destination)).unwrap();
        assert_eq!(destination, [7; 5000]);
    }
}

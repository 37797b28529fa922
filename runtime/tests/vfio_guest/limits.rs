//! Memory that may not be pinned.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use uaccel_runtime::vfio::{Pinning, Road};
use uaccel_runtime::{Error, Fallback, Work};

use crate::bench::{builder, builder_on, bus, device, road, runtime};
use crate::root::LOCKED;

/// A lower limit on locked memory, until it is dropped.
struct Lowered;

impl Lowered {
    fn to(limit: u64) -> Self {
        assert_eq!(getrlimit(Resource::RLIMIT_MEMLOCK).unwrap(), (LOCKED, LOCKED));
        setrlimit(Resource::RLIMIT_MEMLOCK, limit, LOCKED).unwrap();
        Self
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        setrlimit(Resource::RLIMIT_MEMLOCK, LOCKED, LOCKED).unwrap();
    }
}

#[test]
fn more_than_may_be_locked_is_a_clear_error_and_the_next_job_runs() {
    let runtime = runtime();
    runtime.run(Work::nop()).unwrap();
    let (source, mut destination) = (vec![3; 4 << 20], vec![0; 4 << 20]);
    let lowered = Lowered::to(6 << 20);
    if road() == Road::OnDemand {
        // The device is told that a page cannot be had, and which.
        let refused = runtime.run(Work::copy(&source, &mut destination));
        assert!(matches!(refused, Err(Error::BadPointer { .. })), "{refused:?}");
        return;
    }
    match runtime.run(Work::copy(&source, &mut destination)) {
        Err(Error::Unreachable { reason, .. }) => {
            assert!(reason.contains("RLIMIT_MEMLOCK") && reason.contains(&(6 << 20).to_string()), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    let (small, mut room) = (vec![4; 1 << 20], vec![0; 1 << 20]);
    runtime.run(Work::copy(&small, &mut room)).unwrap();
    assert!(room == small);
    drop(lowered);
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert!(destination == source);
}

#[test]
fn what_cannot_be_pinned_goes_to_the_cpu_where_that_is_allowed() {
    if road() == Road::OnDemand {
        eprintln!("skipped: a page that cannot be had on request looks like a bad pointer, which is never run again");
        return;
    }
    let runtime = builder().fallback(Fallback::OnError).build().unwrap();
    runtime.run(Work::nop()).unwrap();
    let (source, mut destination) = (vec![3; 4 << 20], vec![0; 4 << 20]);
    let _lowered = Lowered::to(6 << 20);
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert!(destination == source);
    assert_eq!(runtime.counters().fallbacks, 1);
}

#[test]
fn a_queue_for_registered_memory_refuses_all_other() {
    let runtime = builder_on(bus().pinning(Pinning::RegisteredOnly)).build().unwrap();
    assert_eq!(runtime.device(), device());
    let (source, mut destination) = ([1; 100], [0; 100]);
    match runtime.run(Work::copy(&source, &mut destination)) {
        Err(Error::Unreachable { reason, .. }) => {
            assert_eq!(&*reason, format!("address {:#x} is not registered", source.as_ptr().addr()));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(destination, [0; 100]);
}

//! Memory that stays mapped for the device, and its owners.

use uaccel_runtime::vfio::Pinning;
use uaccel_runtime::{Error, OwnedWork, Runtime, SharedBuffer, Work};

use crate::bench::{builder_on, bus, counts, eventually, noise, runtime};
use crate::root::handed;

const LEN: usize = 100_000;

/// A runtime whose jobs may name registered memory only.
fn strict() -> Runtime {
    builder_on(bus().pinning(Pinning::RegisteredOnly)).build().unwrap()
}

/// A buffer of the runtime's, and one of the program's own.
fn buffers(runtime: &Runtime) -> (SharedBuffer, SharedBuffer) {
    let (ours, adopted) = (runtime.shared_buffer(LEN), runtime.share(noise(1, LEN)));
    assert!(ours.is_registered() && adopted.is_registered());
    (ours, adopted)
}

#[test]
fn a_queue_for_registered_memory_takes_what_is_registered_and_as_long_as_it_is() {
    let runtime = strict();
    let (mut ours, adopted) = buffers(&runtime);
    runtime.run(Work::copy(&adopted, &mut ours)).unwrap();
    assert!(*ours == noise(1, LEN));
    let bytes = adopted.into_boxed_slice();
    assert!(*bytes == noise(1, LEN), "the same bytes come back");
    match runtime.run(Work::copy(&bytes, &mut ours)) {
        Err(Error::Unreachable { reason, .. }) => assert!(reason.contains("is not registered"), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn jobs_on_registered_memory_pin_nothing_and_nothing_stays_pinned_without_an_owner() {
    let runtime = runtime();
    runtime.run(Work::nop()).unwrap();
    let before = counts();
    let (mut ours, adopted) = buffers(&runtime);
    let registered = counts();
    assert!(registered.bytes >= before.bytes + 2 * LEN as u64, "{registered:?}");
    for _ in 0..10 {
        runtime.run(Work::copy(&adopted, &mut ours)).unwrap();
    }
    let after = counts();
    assert_eq!(after.bytes, registered.bytes);
    assert_eq!(after.covered - registered.covered, after.found - registered.found, "all was there: {after:?}");
    // Owned by a job, and given back by it.
    let finished = runtime.submit(OwnedWork::copy(adopted, ours)).unwrap().wait();
    finished.result.unwrap();
    let (source, destination, ()) = finished.buffers.unwrap();
    assert!(*source == *destination);
    drop((source, destination));
    assert_eq!(counts().bytes, before.bytes, "the device has forgotten them");
}

#[test]
fn registered_memory_is_registered_again_when_the_device_comes_back() {
    let runtime = strict();
    let (mut ours, adopted) = buffers(&runtime);
    runtime.run(Work::copy(&adopted, &mut ours)).unwrap();
    handed().unbind();
    assert!(runtime.run(Work::copy(&adopted, &mut ours)).is_err());
    ours.fill(0);
    handed().bind();
    eventually("the device is used again", || runtime.run(Work::copy(&adopted, &mut ours)).is_ok());
    assert!(*ours == *adopted);
}

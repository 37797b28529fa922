//! What memory costs on each road, as counts: the table of docs/address-modes.md.

use uaccel_runtime::Work;
use uaccel_runtime::vfio::Road;

use crate::bench::{copy, counts, road, run, runtime};
use crate::guest::pages::{PAGE, Pages};

/// Pages of a source, and of a destination.
const COUNT: usize = 32;

#[test]
fn a_copy_of_32_pages_costs_two_mappings_or_a_request_for_each_page() {
    let runtime = runtime();
    runtime.run(Work::nop()).unwrap();
    let (source, destination) = (Pages::untouched_small(COUNT * PAGE), Pages::untouched_small(COUNT * PAGE));
    source.write(0, &[7; COUNT * PAGE]);
    for round in 0..3 {
        let before = counts();
        run(&runtime, &copy(source.start(), destination.start(), COUNT * PAGE)).unwrap();
        let after = counts();
        // Pages are asked for as often as a job names them: none stays.
        let wanted = if road() == Road::OnDemand { 2 * COUNT as u64 } else { 2 };
        assert_eq!(after.covered - before.covered, wanted, "round {round}: {after:?}");
        assert_eq!((after.found, after.bytes), (before.found, before.bytes), "round {round}: {after:?}");
    }
    assert!(destination.read(0, COUNT * PAGE) == [7; COUNT * PAGE]);
}

#[test]
fn a_copy_between_shared_buffers_costs_nothing() {
    let runtime = runtime();
    let (mut source, mut destination) = (runtime.shared_buffer(COUNT * PAGE), runtime.shared_buffer(COUNT * PAGE));
    assert!(source.is_registered() && destination.is_registered());
    source.fill(7);
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    let before = counts();
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    let after = counts();
    assert_eq!(after.covered - before.covered, after.found - before.found, "all was there: {after:?}");
    assert_eq!(after.bytes, before.bytes);
    assert_eq!(*source, *destination);
}

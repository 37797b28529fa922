//! Guests that lack something.

use uaccel_runtime::{FaultHandling, FaultKind, Runtime, Verdict, Work};

use crate::bench::{DEVICE, copy, fill, noise, run, runtime};
use crate::faults::assert_fault;
use crate::pages::{PAGE, Pages};

#[test]
#[ignore = "needs a guest without an IOMMU"]
fn without_an_iommu_the_device_is_unusable_and_the_report_says_why() {
    let report = Runtime::builder().device(DEVICE).report();
    let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
    let Verdict::Unusable { reason, cure } = &entry.verdict else { panic!("{report}") };
    assert!(reason.contains("no IOMMU"), "{report}");
    assert!(cure.as_deref().is_some_and(|cure| cure.contains("intel_iommu=on")), "{report}");
    // Who asks for nothing in particular is served by the CPU.
    let runtime = Runtime::new().unwrap();
    assert_eq!(runtime.device(), "software");
    runtime.run(Work::nop()).unwrap();
}

#[test]
#[ignore = "needs a guest without page requests"]
fn without_page_requests_resident_jobs_succeed_and_others_report_a_fault() {
    let runtime = runtime();
    assert_eq!(runtime.granted().faults, FaultHandling::Reported);
    let bytes = noise(1, 4 * PAGE);
    let mut destination = vec![0; 4 * PAGE];
    // Touched above: they are there.
    destination.fill(1);
    runtime.run(Work::copy(&bytes, &mut destination)).unwrap();
    assert!(destination == bytes);
    let pages = Pages::untouched(2 * PAGE);
    assert_fault(run(&runtime, &fill(pages.start(), PAGE, 1)), pages.start(), FaultKind::Write);
    assert_fault(
        run(&runtime, &copy(pages.at_offset(PAGE), destination.as_mut_ptr(), 10)),
        pages.at_offset(PAGE),
        FaultKind::Read,
    );
    assert!(pages.read(0, PAGE).iter().all(|byte| *byte == 0));
    // Now they are there as well.
    pages.write(0, &[2; 2 * PAGE]);
    run(&runtime, &fill(pages.start(), PAGE, 1)).unwrap();
    assert_eq!(runtime.counters().resets, 0, "the queue is the same");
}

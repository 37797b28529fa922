//! What the driver makes of a device that errs. The suite cannot know how a device of this kind goes wrong, so its author shows it.

use std::sync::Arc;

use tally::{Tally, TallyDriver};
use uaccel::{Checksum, Error, Fallback, Runtime};
use uaccel_sim::{Mishap, Plan, ThreadHost, ThreadHostConfig, When};

fn runtime(mishap: Mishap, fallback: Fallback) -> Result<Runtime, Error> {
    let plan = Plan::default().with(When::Nth(1), mishap);
    let host = ThreadHost::new(Tally::new(), ThreadHostConfig::default(), plan).expect("threads can be started");
    let runtime = Runtime::builder().driver(Arc::new(TallyDriver)).bus(Arc::new(host)).device("sim0");
    runtime.deadline(std::time::Duration::from_millis(300)).fallback(fallback).build()
}

#[test]
fn a_device_that_errs_is_not_believed() -> Result<(), Error> {
    for mishap in [Mishap::UnknownStatus, Mishap::LostCompletion, Mishap::DeviceFailure(7)] {
        let runtime = runtime(mishap, Fallback::Never)?;
        let crc = Checksum::crc32c(&runtime);
        assert!(crc.of(b"123456789").is_err(), "{mishap:?} was not noticed");
        // The queue was brought back, and the engine is itself again.
        assert_eq!(crc.of(b"123456789")?, 0xe306_9283, "after {mishap:?}");
    }
    Ok(())
}

#[test]
fn the_cpu_takes_its_place() -> Result<(), Error> {
    let runtime = runtime(Mishap::UnknownStatus, Fallback::OnError)?;
    assert_eq!(Checksum::crc32c(&runtime).of(b"123456789")?, 0xe306_9283);
    assert_eq!(runtime.counters().fallbacks, 1);
    Ok(())
}

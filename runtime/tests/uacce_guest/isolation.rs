//! The attributes by which a device keeps itself out of use.

use std::fs;
use std::io::ErrorKind;

use uaccel_queue::{Bus, RegionKind};
use uaccel_runtime::uacce::UacceBus;

use crate::bench::{DEVICE, PATIENCE, folder, number};

#[test]
fn the_number_of_errors_that_isolate_can_be_set_and_has_limits() {
    let strategy = folder().join("isolate_strategy");
    fs::write(&strategy, "5").unwrap();
    assert_eq!(number("isolate_strategy"), 5);
    for wrong in ["65536", "many"] {
        assert_eq!(fs::write(&strategy, wrong).unwrap_err().kind(), ErrorKind::InvalidInput, "{wrong}");
    }
    fs::write(&strategy, "0").unwrap();
    assert_eq!(number("isolate"), 0);
}

#[test]
fn a_queue_that_its_user_broke_does_not_isolate_the_device() {
    // Registers of a user page, drivers/warp-abi/SPECIFICATION.md section 2.1.
    const GEOMETRY: usize = 0x48;
    const ENABLE: usize = 0x50;
    let strategy = folder().join("isolate_strategy");
    fs::write(&strategy, "1").unwrap();
    let transport = UacceBus::new().open(DEVICE).unwrap();
    let registers = transport.region(RegionKind::User).expect("registers");
    for _ in 0..3 {
        // Reserved bits: the queue fails with reason 1.
        registers.write(GEOMETRY, u64::MAX);
        transport.ring_doorbell(ENABLE, 1);
        transport.stop(PATIENCE).unwrap();
        transport.reset(PATIENCE).unwrap();
    }
    drop(transport);
    assert_eq!(number("isolate"), 0);
    fs::write(&strategy, "0").unwrap();
}

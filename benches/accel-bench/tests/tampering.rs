//! Verification notices a result that is wrong: seen through the library, with results that were altered on purpose.

use std::sync::Arc;

use accel_bench::case::Case;
use accel_bench::corpus::Corpus;
use accel_bench::device::{Device, DeviceOptions};
use accel_bench::measure::{Method, Tamper, measure};
use accel_bench::size::ByteSize;
use accel_bench::verify::Verify;
use accel_bench::workload::{Directions, Workload};

fn measured(workload: Workload, verify: Verify, tamper: Option<Tamper>) -> (u64, u64) {
    let device =
        Device::open("sim", &DeviceOptions { depth: 4, ..DeviceOptions::default() }).expect("the simulator opens");
    let case = Case::new(workload, ByteSize(3000), None, &Corpus::generated(7), 7).expect("a case");
    let method = Method { depth: 4, jobs: Some(1), verify, tamper, ..Method::default() };
    let found = measure(&device, &case, &method).expect("measured");
    assert_eq!(found.failed, 0, "{:?}", found.first_failure);
    (found.checked, found.wrong)
}

#[test]
fn one_bit_in_the_middle_of_one_result_is_enough() {
    // Where there is a result in memory, and every bit of it counts.
    for name in ["copy", "fill", "aes-128-gcm", "chacha20-poly1305", "lz4", "sha-256", "hmac-sha-256", "zlib"] {
        for workload in Workload::named(name, Directions::Both) {
            let (checked, wrong) = measured(workload, Verify::All, None);
            assert!(checked > 0 && wrong == 0, "{workload}: {wrong} of {checked}");
            let tamper: Tamper = Arc::new(|job, result| {
                if job == 1 {
                    result[20] ^= 0x80;
                }
            });
            // One in each round.
            assert!(measured(workload, Verify::All, Some(tamper)).1 >= 1, "{workload}");
        }
    }
}

#[test]
fn without_verification_nothing_is_noticed() {
    let tamper: Tamper = Arc::new(|_, result| result.fill(0));
    assert_eq!(measured(Workload::Copy, Verify::None, Some(tamper)), (0, 0));
}

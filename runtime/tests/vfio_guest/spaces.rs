//! Several address spaces on one device, by PASID.

use uaccel_queue::{Bus, TransportError};
use uaccel_runtime::vfio::{Road, VfioBus};
use uaccel_runtime::{Runtime, Work};

use crate::bench::{builder_on, bus, crc32c, device, fill, noise, road, run, runtime};
use crate::guest::pages::{PAGE, Pages};

/// Whether the road has PASIDs. Where it has not, asks for an address space apart, and is refused.
fn has_spaces() -> bool {
    match bus().apart().open(device()) {
        Ok(_) => true,
        Err(TransportError::Refused(why)) => {
            assert!(matches!(road(), Road::Group | Road::Cdev | Road::Best), "{why}");
            assert!(why.contains("one address space only"), "{why}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

/// A runtime whose pins stay.
fn keeping(bus: VfioBus) -> Runtime {
    // SAFETY: the test gives memory back all the same, and looks what the device makes of that: the pages are pinned, so they are nobody else's.
    let bus = unsafe { bus.keeping_pins() };
    builder_on(bus).build().unwrap()
}

#[test]
fn the_same_address_under_two_pasids_is_two_memories() {
    const PLACE: usize = 0x5100_0000_0000;
    const LEN: usize = 4 * PAGE;
    if !has_spaces() {
        return;
    }
    let (one, other) = (keeping(bus()), keeping(bus().apart()));
    let sum = |runtime: &Runtime| run(runtime, &crc32c(PLACE as *const u8, LEN)).unwrap().checksum;
    let first = Pages::at(PLACE, LEN);
    first.write(0, &noise(1, LEN));
    assert_eq!(sum(&one), ::crc32c::crc32c(&noise(1, LEN)));
    drop(first);
    let second = Pages::at(PLACE, LEN);
    second.write(0, &noise(2, LEN));
    // In turns, so that neither sees what was fetched for the other.
    for _ in 0..3 {
        assert_eq!(sum(&other), ::crc32c::crc32c(&noise(2, LEN)));
        assert_eq!(sum(&one), ::crc32c::crc32c(&noise(1, LEN)));
    }
    run(&one, &fill(PLACE as *mut u8, LEN, 7)).unwrap();
    assert!(second.read(0, LEN) == noise(2, LEN), "that was the memory of before");
    run(&other, &fill(PLACE as *mut u8, LEN, 9)).unwrap();
    assert!(second.read(0, LEN) == 9u64.to_le_bytes().repeat(LEN / 8));
    assert_eq!(sum(&one), ::crc32c::crc32c(&7u64.to_le_bytes().repeat(LEN / 8)));
}

#[test]
fn address_spaces_come_and_go_beside_others() {
    if !has_spaces() {
        return;
    }
    let apart = || builder_on(bus().apart()).queues(1).build().unwrap();
    let copies = |runtime: &Runtime, seed: u64| {
        let (source, mut destination) = (noise(seed, 20_000), vec![0; 20_000]);
        runtime.run(Work::copy(&source, &mut destination)).unwrap();
        assert!(destination == source);
    };
    let beside = runtime();
    for seed in 0..20 {
        let several: Vec<_> = (0..8).map(|_| apart()).collect();
        several.iter().for_each(|runtime| copies(runtime, seed));
        copies(&beside, seed);
    }
}

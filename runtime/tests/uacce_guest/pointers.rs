//! Plain pointers of every origin.

use std::fs::File;
use std::io::Read;

use nix::sys::mman::{MapFlags, MmapAdvise};
use uaccel_runtime::{AddressMode, FaultHandling, Work};

use crate::bench::{copy, noise, number, page_requests, run, runtime};
use crate::guest::mapped_again;
use crate::pages::{PAGE, Pages};

/// Bytes that stand in the program itself.
static RODATA: [u8; 3 * PAGE] = {
    let mut bytes = [0; 3 * PAGE];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = (at % 251) as u8;
        at += 1;
    }
    bytes
};

#[test]
fn the_grant_says_shared_addresses_and_missing_pages_brought_in() {
    let runtime = runtime();
    assert_eq!(runtime.granted().address_mode, AddressMode::Shared);
    assert_eq!(runtime.granted().faults, FaultHandling::Resolved);
    assert!(runtime.granted().wakes);
}

#[test]
fn memory_from_malloc() {
    let runtime = runtime();
    for len in [1, 63, 4096, 100_000, 1 << 20] {
        let source = noise(len as u64, len);
        let mut destination = vec![0; len];
        runtime.run(Work::copy(&source, &mut destination)).unwrap();
        assert!(source == destination, "{len} bytes");
    }
}

#[test]
fn memory_on_the_stack() {
    let runtime = runtime();
    let source: [u8; 9000] = std::array::from_fn(|at| at as u8);
    let mut destination = [0; 9000];
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert_eq!(source, destination);
}

#[test]
fn constants_in_the_program() {
    let runtime = runtime();
    let mut destination = vec![0; RODATA.len()];
    runtime.run(Work::copy(&RODATA, &mut destination)).unwrap();
    assert!(destination == RODATA);
}

#[test]
fn memory_that_nobody_has_touched_is_brought_in_by_page_requests() {
    const PAGES: usize = 64;
    let runtime = runtime();
    let source = Pages::untouched(PAGES * PAGE);
    let bytes = noise(1, PAGES * PAGE);
    source.write(0, &bytes);
    let destination = Pages::untouched_small(PAGES * PAGE);
    let (granted, refused) = page_requests();
    run(&runtime, &copy(source.start(), destination.start(), PAGES * PAGE)).unwrap();
    let (granted, refused) = (page_requests().0 - granted, page_requests().1 - refused);
    assert!(destination.read(0, PAGES * PAGE) == bytes);
    assert!(granted >= PAGES as u64, "{granted} page requests were answered with success");
    assert_eq!(refused, 0);
}

#[test]
fn untouched_memory_reads_as_zeros() {
    let runtime = runtime();
    let source = Pages::untouched(8 * PAGE);
    let mut destination = vec![1; 8 * PAGE];
    // SAFETY: pages of ours that nobody writes; anonymous memory is initialised.
    let source = unsafe { std::slice::from_raw_parts(source.start(), 8 * PAGE) };
    runtime.run(Work::copy(source, &mut destination)).unwrap();
    assert!(destination.iter().all(|byte| *byte == 0));
}

#[test]
fn a_mapped_file_is_written_as_by_anybody() {
    let runtime = runtime();
    let path = std::env::temp_dir().join("mapped");
    let file = File::options().create(true).truncate(true).read(true).write(true).open(&path).unwrap();
    file.set_len(4 * PAGE as u64).unwrap();
    let bytes = noise(2, 4 * PAGE);
    let shared = Pages::of_file(&file, 4 * PAGE, MapFlags::MAP_SHARED);
    run(&runtime, &copy(bytes.as_ptr(), shared.start(), bytes.len())).unwrap();
    let mut content = Vec::new();
    File::open(&path).unwrap().read_to_end(&mut content).unwrap();
    assert!(content == bytes, "what the device wrote is in the file");
}

#[test]
fn a_private_mapping_of_a_file_is_copied_on_write() {
    let runtime = runtime();
    let path = std::env::temp_dir().join("private");
    let before = noise(3, 2 * PAGE);
    std::fs::write(&path, &before).unwrap();
    let file = File::options().read(true).write(true).open(&path).unwrap();
    let private = Pages::of_file(&file, 2 * PAGE, MapFlags::MAP_PRIVATE);
    // Read first, so that the device must be given a copy of a page that is there.
    assert!(private.read(0, 2 * PAGE) == before);
    let bytes = noise(4, PAGE);
    run(&runtime, &copy(bytes.as_ptr(), private.start(), PAGE)).unwrap();
    assert!(private.read(0, PAGE) == bytes);
    assert!(private.read(PAGE, PAGE) == before[PAGE..]);
    assert!(std::fs::read(&path).unwrap() == before, "the file is as it was");
}

#[test]
fn the_zero_page_is_copied_on_write() {
    let runtime = runtime();
    let pages = Pages::untouched(2 * PAGE);
    // Reading maps the page of zeros that everybody shares.
    assert!(pages.read(0, 2 * PAGE).iter().all(|byte| *byte == 0));
    let mut sum = run(&runtime, &crate::bench::crc32c(pages.start(), 2 * PAGE)).unwrap().checksum;
    assert_eq!(sum, crc32c::crc32c(&[0; 2 * PAGE]));
    pages.write(PAGE, &[9]);
    let mut expected = vec![0; 2 * PAGE];
    expected[PAGE] = 9;
    sum = run(&runtime, &crate::bench::crc32c(pages.start(), 2 * PAGE)).unwrap().checksum;
    assert_eq!(sum, crc32c::crc32c(&expected), "the device sees what the CPU wrote into its own copy");
    let other = Pages::untouched(PAGE);
    assert_eq!(other.read(0, 1), [0], "the page of zeros is zero");
}

#[test]
fn huge_pages_are_brought_in_whole() {
    const HUGE: usize = 2 << 20;
    let runtime = runtime();
    let huge = || {
        // Room for two that are aligned.
        let pages = Pages::untouched(3 * HUGE);
        pages.advise(MmapAdvise::MADV_HUGEPAGE);
        let aligned = pages.start().addr().next_multiple_of(HUGE) - pages.start().addr();
        (pages, aligned)
    };
    let ((source, from), (destination, to)) = (huge(), huge());
    let bytes = noise(5, 2 * HUGE);
    source.write(from, &bytes);
    let requests = number("device/page_requests");
    run(&runtime, &copy(source.at_offset(from), destination.at_offset(to), 2 * HUGE)).unwrap();
    let requests = number("device/page_requests") - requests;
    assert!(destination.read(to, 2 * HUGE) == bytes);
    // Every 4 KiB would be 1024.
    assert!((1..64).contains(&requests), "{requests} page requests for two huge pages");
}

#[test]
fn every_offset_in_a_page() {
    let runtime = runtime();
    let (source, destination) = (Pages::untouched(2 * PAGE), Pages::untouched(2 * PAGE));
    let bytes = noise(6, 2 * PAGE);
    source.write(0, &bytes);
    for offset in (0..PAGE).step_by(61) {
        let (from, to) = (source.at_offset(offset), destination.at_offset(PAGE - offset));
        run(&runtime, &copy(from, to, 300.min(PAGE))).unwrap();
        assert!(destination.read(PAGE - offset, 300) == bytes[offset..offset + 300], "offset {offset}");
    }
}

#[test]
fn memory_that_is_mapped_again_is_seen_anew_wherever_it_lies() {
    mapped_again::is_seen_anew(&runtime());
}

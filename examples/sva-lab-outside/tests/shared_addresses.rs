//! A device that works on this process's own pointers. Runs in the lab's guest: `.cargo/config.toml` sees to that.

use page_requests::{Answer, Queue, counter};

const PAGES: usize = 8;
const SIZE: usize = PAGES * 4096;

/// Memory that nobody has touched, so no page of it is there.
fn untouched() -> *mut u8 {
    // SAFETY: a new mapping at a place of the kernel's choice; tests leave it to the process's end.
    let memory = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            SIZE,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(memory, libc::MAP_FAILED);
    memory.cast()
}

fn address(pointer: *const u8) -> u64 {
    pointer.expose_provenance() as u64
}

/// All in one test: the counters are the engine's, so tests beside one another would count together.
#[test]
fn the_device_follows_plain_pointers_and_has_missing_pages_brought_in() {
    let mut queue = Queue::open().unwrap();
    let source: Vec<u8> = (0..SIZE).map(|index| (index % 251) as u8).collect();
    let destination = untouched();

    let before = counter("page_requests_granted").unwrap();
    // SAFETY: the destination is this test's own, and large enough.
    let answer = unsafe { queue.copy(address(source.as_ptr()), address(destination), SIZE as u32) };
    let granted = counter("page_requests_granted").unwrap() - before;
    assert_eq!(answer, Answer::Done);
    // SAFETY: the device is done with it, and has written every byte.
    assert_eq!(unsafe { std::slice::from_raw_parts(destination, SIZE) }, source);
    // The kernel brought every page in because the device asked, and not because the processor touched it.
    assert!(granted >= PAGES as u64, "{granted} page requests were granted for {PAGES} pages");
    println!("{granted} page requests granted for {PAGES} pages that nobody had touched");

    // What is not there is an answer, and no crash; the next job is as good as ever.
    // SAFETY: nothing is at this address, so nothing is written.
    let answer = unsafe { queue.copy(address(source.as_ptr()), 0x1_0000, 64) };
    assert_eq!(answer, Answer::CannotWrite(0x1_0000));
    static CONSTANT: [u8; 64] = [7; 64];
    let read_only = address((&raw const CONSTANT).cast());
    // SAFETY: the page is read-only, so nothing is written.
    let answer = unsafe { queue.copy(address(source.as_ptr()), read_only, 64) };
    assert_eq!(answer, Answer::CannotWrite(read_only));
    // SAFETY: as above.
    let answer = unsafe { queue.copy(read_only, address(destination), 64) };
    assert_eq!(answer, Answer::Done);
    // SAFETY: the device is done with it.
    assert_eq!(unsafe { std::slice::from_raw_parts(destination, 64) }, CONSTANT);
}

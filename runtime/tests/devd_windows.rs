//! Memory that client and daemon both map, in every kind of job. The daemon runs in this process.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use uaccel_devd::{Daemon, DaemonConfig};
use uaccel_runtime::{Algorithm, Direction, Fallback, OwnedWork, Runtime, SessionSpec, SharedBuffer, Work};

/// Long enough that only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(60);

fn serve(folder: &Path) -> Daemon {
    Daemon::start(DaemonConfig::new(folder.join("devd.sock"))).expect("a daemon")
}

fn runtime(folder: &Path) -> Runtime {
    let builder = Runtime::builder().devd(folder.join("devd.sock")).device("devd").fallback(Fallback::Never);
    builder.deadline(PATIENCE).build().expect("a runtime on the daemon")
}

/// Bytes that tell places apart.
fn pattern(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|at| (at as u8).wrapping_mul(31) ^ (at >> 8) as u8 ^ seed).collect()
}

/// A registered buffer with the pattern.
fn registered(runtime: &Runtime, len: usize, seed: u8) -> SharedBuffer {
    let mut buffer = runtime.shared_buffer(len);
    assert!(buffer.is_registered());
    buffer.copy_from_slice(&pattern(len, seed));
    buffer
}

#[test]
fn borrowed_leased_and_owned_jobs_work_on_windows_and_across_their_edges() {
    const LEN: usize = 70_000;
    let folder = tempfile::tempdir().expect("a folder");
    let _daemon = serve(folder.path());
    let runtime = runtime(folder.path());
    let from = registered(&runtime, LEN, 1);
    let mut to = registered(&runtime, LEN, 2);

    runtime.run(Work::copy(&from, &mut to)).expect("window to window");
    assert_eq!(from[..], to[..]);
    let mut plain = vec![0; LEN];
    runtime.run(Work::copy(&from[1..LEN - 3], &mut plain)).expect("window to memory");
    assert_eq!(plain[..LEN - 4], from[1..LEN - 3]);
    let other = pattern(LEN, 3);
    runtime.run(Work::copy(&other[5..], &mut to[3..])).expect("memory to window");
    assert_eq!((&to[..3], &to[3..LEN - 2]), (&from[..3], &other[5..]));

    let mut lease = runtime.lease().expect("a queue");
    let crc = lease.run(Work::crc32c(&from, 0)).expect("a checksum").checksum;
    assert_eq!(crc, runtime.run(Work::crc32c(&pattern(LEN, 1), 0)).expect("the same of memory").checksum);
    let (left, right) = to.split_at_mut(LEN / 2);
    lease
        .scope(|scope| {
            scope.copy(&from[..100], left).expect("room");
            scope.copy(&other[..100], right).expect("room");
            scope.finish(|answer| assert!(answer.is_ok()))
        })
        .expect("a scope")
        .expect("done");
    assert_eq!((&to[..100], &to[LEN / 2..LEN / 2 + 100]), (&from[..100], &other[..100]));

    let finished = runtime.submit(OwnedWork::copy(from, to)).expect("taken").wait();
    let (from, to, ()) = finished.buffers.expect("they come back");
    finished.result.expect("done");
    assert_eq!(from[..], to[..]);
}

#[test]
fn ciphers_transform_a_window_where_it_stands() {
    const LEN: usize = 70_000;
    let folder = tempfile::tempdir().expect("a folder");
    let _daemon = serve(folder.path());
    let runtime = runtime(folder.path());
    let iv = [9; 16];
    for (algorithm, len) in [(Algorithm::Aes128Cbc, 16), (Algorithm::Aes128Ctr, 16), (Algorithm::Aes256Xts, 64)] {
        let key = pattern(len, 7);
        let session = |direction| {
            let spec = SessionSpec::keyed(algorithm, direction, &key).expect("a key");
            runtime.session(spec).expect("offered")
        };
        let (encrypt, decrypt) = (session(Direction::Forward), session(Direction::Inverse));
        let text = pattern(LEN, 4);
        let mut ciphertext = vec![0; LEN];
        runtime.run(Work::session(&encrypt, &text, &mut ciphertext).with_iv(iv)).expect("memory to memory");
        assert_ne!(text, ciphertext);

        let mut window = registered(&runtime, LEN, 4);
        runtime.run(Work::session_in_place(&encrypt, &mut window).with_iv(iv)).expect("borrowed");
        assert_eq!(window[..], ciphertext);
        let taken = runtime.submit(OwnedWork::session_in_place(&decrypt, window).with_iv(iv)).expect("taken");
        let mut window = taken.wait().into_output().expect("owned").1;
        assert_eq!(window[..], text);

        let part = window.get_mut(3..).expect("long enough").get_mut(..64).expect("long enough");
        runtime.run(Work::session_in_place(&encrypt, part).with_iv(iv)).expect("a part of it");
        let mut expected = vec![0; 64];
        runtime.run(Work::session(&encrypt, &text[3..67], &mut expected).with_iv(iv)).expect("the same");
        assert_eq!((&window[..3], &window[3..67], &window[67..]), (&text[..3], &expected[..], &text[67..]));
    }
}

#[test]
fn memory_that_comes_to_lie_where_a_window_was_is_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let _daemon = serve(folder.path());
    let runtime = runtime(folder.path());
    let mut looked = 0;
    for round in 0..20 {
        let window = registered(&runtime, 4096, round);
        let place = NonZeroUsize::new(window.as_ptr().expose_provenance()).expect("an address");
        let mut copy = [0; 4096];
        runtime.run(Work::copy(&window, &mut copy)).expect("of the window");
        assert_eq!(copy[..], window[..]);
        drop(window);
        let (len, access) = (NonZeroUsize::new(4096).expect("a page"), ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED_NOREPLACE;
        // SAFETY: a fresh private mapping that replaces nothing.
        let Ok(page) = (unsafe { mmap_anonymous(Some(place), len, access, flags) }) else {
            // Another thread of the test was faster: there is something else already.
            continue;
        };
        // SAFETY: a mapped page that is nobody else's, until it is unmapped below.
        let bytes = unsafe { std::slice::from_raw_parts_mut(page.cast::<u8>().as_ptr(), len.get()) };
        bytes.fill(!round);
        runtime.run(Work::copy(bytes, &mut copy)).expect("of the memory there now");
        assert_eq!(copy, [!round; 4096], "the window of before was read");
        looked += 1;
        // SAFETY: mapped above, and not used any more.
        unsafe { munmap(page, len.get()) }.expect("our own page");
    }
    assert_ne!(looked, 0, "never was there anything else");
}

#[test]
fn windows_outlive_their_daemon_and_are_the_next_ones_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = serve(folder.path());
    let runtime = runtime(folder.path());
    let mut from = registered(&runtime, 10_000, 1);
    let mut to = registered(&runtime, 10_000, 2);
    assert_eq!(daemon.shutdown(PATIENCE), 0, "everybody is gone");
    assert!(runtime.run(Work::copy(&from, &mut to)).expect_err("nobody is there").is_device_failure());
    from.copy_from_slice(&pattern(10_000, 3));
    assert_eq!(to[..], pattern(10_000, 2), "memory as any");
    let daemon = serve(folder.path());
    let begun = Instant::now();
    while let Err(error) = runtime.run(Work::copy(&from, &mut to)) {
        assert!(error.is_device_failure() && begun.elapsed() < PATIENCE, "{error}");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(to[..], pattern(10_000, 3));
    let windows: usize = daemon.status().clients.iter().map(|client| client.windows).sum();
    assert_eq!(windows, 2);
}

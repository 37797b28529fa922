//! Completions that wake those who sleep.

use std::fs;
use std::time::{Duration, Instant};

use uaccel_conformance::suite;
use uaccel_queue::{Bus, Wake};
use uaccel_runtime::uacce::UacceBus;

use crate::bench::DEVICE;
use crate::conformance::Device;

/// Interrupts of the device so far, and over how many vectors they came.
fn interrupts() -> (u64, usize) {
    let table = fs::read_to_string("/proc/interrupts").unwrap();
    let lines = table.lines().filter(|line| line.trim_end().ends_with(" warp"));
    let counts: Vec<u64> =
        lines.map(|line| line.split_whitespace().skip(1).map_while(|word| word.parse::<u64>().ok()).sum()).collect();
    (counts.iter().sum(), counts.len())
}

#[test]
fn completions_wake_by_the_interrupt_of_their_queue() {
    let (before, vectors) = interrupts();
    assert!(vectors >= 16, "{vectors} vectors: one for each queue");
    // Arms, submits, and polls the descriptor until it shows the signal, 20 times.
    suite::waiting::descriptors_wake_pollers(&Device);
    assert!(interrupts().0 >= before + 20, "not every signal was an interrupt");
}

#[test]
fn a_sleep_without_jobs_ends_at_its_time() {
    let transport = UacceBus::new().open(DEVICE).unwrap();
    let until = Instant::now() + Duration::from_millis(20);
    assert_eq!(transport.sleep(Some(until)).unwrap(), Wake::TimedOut);
    assert!(Instant::now() >= until);
}

#[test]
fn a_stop_ends_the_sleep_of_another_thread() {
    let transport = UacceBus::new().open(DEVICE).unwrap();
    std::thread::scope(|scope| {
        let sleeper = scope.spawn(|| transport.sleep(Some(Instant::now() + Duration::from_secs(3600))));
        std::thread::sleep(Duration::from_millis(50));
        transport.stop(Duration::from_secs(1)).unwrap();
        assert_eq!(sleeper.join().unwrap().unwrap(), Wake::Signalled);
    });
}

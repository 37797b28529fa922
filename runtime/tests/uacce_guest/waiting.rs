//! Completions that wake those who sleep.

use std::fs;
use std::time::{Duration, Instant};

use uaccel_queue::{Bus, Wake};
use uaccel_runtime::OwnedWork;
use uaccel_runtime::uacce::UacceBus;

use crate::bench::{DEVICE, runtime};

/// Interrupts of the device so far, and over how many vectors they came.
fn interrupts() -> (u64, usize) {
    let table = fs::read_to_string("/proc/interrupts").unwrap();
    let lines = table.lines().filter(|line| line.trim_end().ends_with(" warp"));
    let counts: Vec<u64> =
        lines.map(|line| line.split_whitespace().skip(1).map_while(|word| word.parse::<u64>().ok()).sum()).collect();
    (counts.iter().sum(), counts.len())
}

#[test]
fn a_sleeper_is_woken_by_the_interrupt_of_its_queue() {
    let runtime = runtime();
    let (before, vectors) = interrupts();
    assert!(vectors >= 16, "{vectors} vectors: one for each queue");
    for n in 0..20 {
        let job = runtime.submit(OwnedWork::copy(vec![n; 1 << 20], vec![0; 1 << 20])).unwrap();
        assert!(job.wait().into_output().unwrap().1 == vec![n; 1 << 20]);
    }
    assert!(interrupts().0 > before, "nobody was woken by an interrupt");
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

//! When jobs are counted: before anybody is told of them, and whatever callers do.

mod device;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

use device::{PATIENCE, eventually, simulated};
use uaccel_runtime::{Counters, OwnedWork, Runtime};
use uaccel_sim::WarpConfig;

/// Looks at the counters when it is woken.
struct Looks {
    runtime: Runtime,
    seen: OnceLock<Counters>,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let _ = self.seen.set(self.runtime.counters());
    }
}

#[test]
fn a_job_is_counted_with_its_bytes_before_its_future_is_woken() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.deadline(PATIENCE).build().unwrap();
    plan.hold();
    let mut job = pin!(runtime.submit(OwnedWork::copy(vec![7; 4096], vec![0; 4096])).unwrap());
    let looks = Arc::new(Looks { runtime: runtime.clone(), seen: OnceLock::new() });
    assert!(job.as_mut().poll(&mut Context::from_waker(&Waker::from(looks.clone()))).is_pending());
    plan.release();
    eventually("the future is woken", || looks.seen.get().is_some());
    let seen = looks.seen.get().unwrap();
    assert_eq!((seen.jobs, seen.bytes_in, seen.bytes_out), (1, 4096, 4096));
}

#[test]
fn jobs_behind_a_panic_of_the_callers_closure_are_counted() {
    // The CPU has done them all when they are submitted, so they are handed out by one poll.
    let runtime = Runtime::builder().device("software").build().unwrap();
    let mut lease = runtime.lease().unwrap();
    let (source, mut destinations) = ([1; 100], [[0; 100]; 8]);
    let mut handed_out = 0;
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        lease.scope(|scope| {
            for destination in &mut destinations {
                scope.copy(&source, destination).unwrap();
            }
            scope.finish(|_| {
                handed_out += 1;
                assert!(handed_out < 3, "on purpose");
            })
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(handed_out, 3);
    let counters = runtime.counters();
    assert_eq!((counters.jobs, counters.bytes_in, counters.bytes_out), (8, 800, 800));
}

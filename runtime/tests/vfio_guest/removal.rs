//! The system wants the device back.

use uaccel_queue::{Bus, TransportError};
use uaccel_runtime::{Error, OwnedWork, Work};

use crate::bench::{builder, bus, device, eventually, runtime};
use crate::root::handed;

#[test]
fn unbinding_in_use_ends_jobs_and_kills_nobody() {
    let bus = bus();
    let sleeper = bus.open(device()).unwrap();
    let runtime = runtime();
    let owned: Vec<_> =
        (0..8).map(|n| runtime.submit(OwnedWork::copy(vec![n; 4 << 20], vec![0; 4 << 20])).unwrap()).collect();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            // Jobs without end, until there is an error.
            loop {
                let mut destination = vec![0; 100_000];
                match runtime.run(Work::copy(&[9; 100_000], &mut destination)) {
                    Ok(_) => assert!(destination == [9; 100_000]),
                    Err(error) => break error,
                }
            }
        });
        let asleep = scope.spawn(|| sleeper.sleep(None));
        handed().unbind();
        let error = worker.join().unwrap();
        assert!(error.is_device_failure(), "{error:?}");
        assert!(matches!(asleep.join().unwrap(), Err(TransportError::Gone)));
    });
    for job in owned {
        let finished = job.wait();
        let (source, destination, ()) = finished.buffers.expect("the device is quiet: its buffers come back");
        match finished.result {
            Ok(_) => assert!(destination == source),
            Err(error) => assert!(error.is_device_failure(), "{error:?}"),
        }
    }
    // Stores to registers that are gone have no effect.
    sleeper.ring_doorbell(0x80, 1);
    assert_eq!(sleeper.regions()[0].read(0), 0);
    assert!(!sleeper.is_alive());
    let error = runtime.run(Work::nop()).unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. } | Error::Open { .. }), "{error:?}");
    let unusable = bus.devices().into_iter().find(|info| info.name == device()).unwrap().unusable.unwrap();
    assert!(unusable.cure.is_some_and(|cure| cure.contains("driver_override")), "{}", unusable.reason);
    handed().bind();
    // Who was there before finds the device again, after a while.
    let mut destination = [0; 100];
    eventually("the device is used again", || runtime.run(Work::copy(&[3; 100], &mut destination)).is_ok());
    assert_eq!(destination, [3; 100]);
}

#[test]
fn leases_and_queues_come_back_with_their_device_as_often_as_it_goes() {
    let runtime = builder().queues(2).build().unwrap();
    let mut lease = runtime.lease().unwrap();
    // More often than there are places for queues.
    for round in 0..12 {
        let source = vec![round; 20_000];
        let (mut mine, mut anybodys) = (vec![0; 20_000], vec![0; 20_000]);
        eventually("the lease works", || lease.run(Work::copy(&source, &mut mine)).is_ok());
        eventually("the runtime works", || runtime.run(Work::copy(&source, &mut anybodys)).is_ok());
        assert!(mine == source && anybodys == source);
        handed().unbind();
        let error = runtime.run(Work::copy(&source, &mut anybodys)).unwrap_err();
        assert!(error.is_device_failure() || matches!(error, Error::Open { .. }), "{error:?}");
        handed().bind();
    }
}

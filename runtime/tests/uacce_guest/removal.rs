//! The driver is unbound while its device is in use.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use uaccel_queue::{Bus, TransportError};
use uaccel_runtime::uacce::UacceBus;
use uaccel_runtime::{Error, OwnedWork, Work};

use crate::bench::{DEVICE, builder, eventually, folder, number, runtime};
use crate::child::Child;

/// The device's driver, to be taken away and given back.
struct Driver {
    folder: &'static Path,
    device: String,
}

impl Driver {
    fn of_the_device() -> Self {
        let device = fs::canonicalize(folder().join("device")).expect("a device");
        let device = device.file_name().expect("a name").to_string_lossy().into_owned();
        Self { folder: Path::new("/sys/bus/pci/drivers/warp"), device }
    }

    fn unbind(&self) {
        fs::write(self.folder.join("unbind"), &self.device).expect("the driver lets go");
    }
}

/// Does something when it goes.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        self.0();
    }
}

/// The tests after this one find the device there.
impl Drop for Driver {
    fn drop(&mut self) {
        fs::write(self.folder.join("bind"), &self.device).expect("the driver takes the device");
        eventually("the device is back", || Path::new("/dev").join(DEVICE).exists());
    }
}

#[test]
fn a_driver_unbound_in_use_is_an_error_for_everybody_and_kills_nobody() {
    let bus = UacceBus::new();
    let sleeper = bus.open(DEVICE).unwrap();
    let runtime = builder().queues(4).build().unwrap();
    let driver = Driver::of_the_device();
    let owned: Vec<_> =
        (0..8).map(|n| runtime.submit(OwnedWork::copy(vec![n; 4 << 20], vec![0; 4 << 20])).unwrap()).collect();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2u8)
            .map(|n| {
                let runtime = &runtime;
                scope.spawn(move || {
                    // Jobs without end, until there is an error.
                    let error = loop {
                        let mut destination = vec![0; 100_000];
                        match runtime.run(Work::copy(&[n; 100_000], &mut destination)) {
                            Ok(_) => assert!(destination == [n; 100_000]),
                            Err(error) => break error,
                        }
                    };
                    assert!(error.is_device_failure(), "{error:?}");
                })
            })
            .collect();
        let asleep = scope.spawn(|| sleeper.sleep(None));
        driver.unbind();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        assert!(matches!(asleep.join().unwrap(), Err(TransportError::Gone)));
    });
    for (n, job) in owned.into_iter().enumerate() {
        let finished = job.wait();
        match &finished.result {
            Ok(_) => {}
            Err(error) => assert!(error.is_device_failure(), "{error:?}"),
        }
        let (source, destination, ()) = finished.buffers.expect("the device is quiet: its buffers come back");
        assert!(source == vec![n as u8; 4 << 20]);
        assert!(finished.result.is_err() || destination == source);
    }
    // Stores to registers that are gone have no effect.
    sleeper.ring_doorbell(0x80, 1);
    let register = &sleeper.regions()[0];
    register.write(0x88, 1);
    assert_eq!(register.read(0), 0);
    assert!(!sleeper.is_alive());
    assert!(matches!(bus.open(DEVICE), Err(TransportError::NoSuchDevice { .. } | TransportError::Gone)));
    assert!(
        runtime.run(Work::nop()).is_err_and(|error| matches!(error, Error::DeviceFailed { .. } | Error::Open { .. }))
    );
    drop(sleeper);
    drop(driver);
    self::runtime().run(Work::nop()).unwrap();
    // Who was there before finds the device again.
    let mut destination = [0; 100];
    let begun = Instant::now();
    // It asks again after a pause.
    while let Err(error) = runtime.run(Work::copy(&[3; 100], &mut destination)) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it is there again, and not found: {error}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(destination, [3; 100]);
}

#[test]
fn unbinding_over_and_over_races_with_opening_running_and_killing() {
    let (over, well) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let bus = UacceBus::new();
                while !over.load(Ordering::Relaxed) {
                    // Whatever it says.
                    drop(bus.open(DEVICE));
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
        }
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let Ok(runtime) = builder().queues(1).build() else { continue };
                let mut destination = vec![0; 200_000];
                while runtime.run(Work::copy(&[9; 200_000], &mut destination)).is_ok() && !over.load(Ordering::Relaxed)
                {
                    assert!(destination == [9; 200_000]);
                    well.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // Also when something here panics, else the scope never ends.
        let _over = OnDrop(|| over.store(true, Ordering::Relaxed));
        for _ in 0..10 {
            let before = well.load(Ordering::Relaxed);
            eventually("jobs are done", || well.load(Ordering::Relaxed) > before);
            let driver = Driver::of_the_device();
            let child = Child::run(|| {
                let bus = UacceBus::new();
                let _queue = bus.open(DEVICE);
                loop {
                    std::thread::park();
                }
            });
            driver.unbind();
            child.kill();
        }
    });
    self::runtime().run(Work::nop()).unwrap();
    assert_eq!(number("available_instances"), 16);
}

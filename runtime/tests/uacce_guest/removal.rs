//! The driver is unbound while its device is in use.

use std::fs;
use std::path::Path;

use uaccel_queue::{Bus, TransportError};
use uaccel_runtime::uacce::UacceBus;
use uaccel_runtime::{Error, OwnedWork, Work};

use crate::bench::{DEVICE, builder, eventually, folder, runtime};

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
    drop((runtime, sleeper));
    drop(driver);
    self::runtime().run(Work::nop()).unwrap();
}

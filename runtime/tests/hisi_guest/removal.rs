//! The driver is taken away while its device is in use. The kernel's driver waits for its users, and tells them nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::bench::{DEVICE, builder, eventually, folder, runtime};
use crate::round::Rounds;

#[test]
fn a_driver_that_is_taken_away_waits_for_its_users_who_go_on_until_they_are_done() {
    let device = fs::canonicalize(folder().join("device")).expect("a device");
    let name = device.file_name().expect("a name").to_string_lossy().into_owned();
    let driver = Path::new("/sys/bus/pci/drivers/hisi_zip");
    let runtime = builder().queues(2).build().unwrap();
    let rounds = Rounds::new(&runtime);
    let mut lease = runtime.lease().unwrap();
    std::thread::scope(|scope| {
        let unbinding = scope.spawn(|| fs::write(driver.join("unbind"), &name));
        for seed in 0..10 {
            rounds.run(&mut lease, seed).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(!unbinding.is_finished(), "it waits");
        drop(lease);
        drop(rounds);
        drop(runtime);
        unbinding.join().unwrap().expect("the driver lets go");
    });
    assert!(!Path::new("/dev").join(DEVICE).exists());
    fs::write(driver.join("bind"), &name).expect("the driver takes the device");
    eventually("the device is back", || Path::new("/dev").join(DEVICE).exists());
    let runtime = self::runtime();
    Rounds::new(&runtime).run(&mut runtime.lease().unwrap(), 11).unwrap();
}

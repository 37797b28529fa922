//! A device that no IOMMU stands behind, QEMU's `edu`: only for who asks for it by an unsafe name, and may.
//!
//! Built only with the feature `device-tests`, and run as root where there is one that nobody else uses, no IOMMU, and a kernel that gives such devices to user space, one test at a time:
//!
//!     sva-lab run --kernel own --no-iommu --no-engine --device edu,dma_mask=0xffffffffffffffff --append vfio.enable_unsafe_noiommu_mode=1 --append hugepages=16 -- <this program> --test-threads=1

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use nix::unistd::{Gid, Uid, setgid, setuid};
use uaccel_drivers::edu::EduFunction;
use uaccel_queue::{AddressMode, Bus};
use uaccel_runtime::vfio::VfioBus;
use uaccel_runtime::{Fallback, OwnedWork, Runtime, Work};

#[path = "../guest/mod.rs"]
mod guest;

use guest::child::Child;
use guest::jobs::{PATIENCE, eventually, noise};

/// The device's folder in sysfs, bound to VFIO's driver.
fn folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let devices = fs::read_dir("/sys/bus/pci/devices").expect("a PCI bus");
        let is = |path: &Path, file: &str, value: &str| {
            fs::read_to_string(path.join(file)).is_ok_and(|text| text.trim_end() == value)
        };
        // `docs/specs/edu.rst` of QEMU.
        let found = devices
            .flatten()
            .map(|entry| entry.path())
            .find(|path| is(path, "vendor", "0x1234") && is(path, "device", "0x11e8"));
        let folder = found.expect("a device");
        let id = folder.file_name().expect("a name").to_string_lossy().into_owned();
        fs::write(folder.join("driver_override"), "vfio-pci").expect("root");
        fs::write("/sys/bus/pci/drivers_probe", &id).expect("root");
        eventually("the device has a group", || folder.join("iommu_group").exists());
        folder
    });
    &FOLDER
}

fn device() -> String {
    format!("unprotected-{}", folder().file_name().expect("a name").to_string_lossy())
}

/// The bus of who asks for it.
fn bus() -> VfioBus {
    let bus = VfioBus::new().with_function(Arc::new(EduFunction::with_address_bits(64)));
    // SAFETY: an emulated device, which does what it is told; nobody moves memory in this guest.
    unsafe { bus.unprotected() }
}

fn runtime() -> Runtime {
    let builder = Runtime::builder().bus(Arc::new(bus())).device(device()).fallback(Fallback::Never);
    builder.depth(4).deadline(PATIENCE).build().expect("the device opens")
}

#[test]
fn it_is_not_used_by_who_has_not_asked_and_the_report_says_why() {
    let _ = folder();
    let info = VfioBus::new().devices().into_iter().find(|info| info.name == device()).expect("it is listed");
    let unusable = info.unusable.expect("not as it is");
    assert!(unusable.reason.contains("no IOMMU"), "{}", unusable.reason);
    assert!(unusable.cure.is_some_and(|cure| cure.contains("VfioBus::unprotected")));
    let refusal = VfioBus::new().open(&device()).expect_err("not opened").to_string();
    assert!(refusal.contains("all of the machine's memory"), "{refusal}");
    assert!(Runtime::builder().device(device()).build().is_err());
}

#[test]
fn who_may_not_is_told_so() {
    let _ = folder();
    let node = fs::read_dir("/dev/vfio")
        .expect("nodes")
        .flatten()
        .find_map(|entry| entry.file_name().to_string_lossy().starts_with("noiommu-").then(|| entry.path()));
    let given = Command::new("chmod").args(["666", "/dev/vfio/vfio"]).arg(node.expect("a node")).status();
    assert!(given.is_ok_and(|status| status.success()));
    Child::run(|| {
        setgid(Gid::from_raw(1000)).expect("root becomes anybody");
        setuid(Uid::from_raw(1000)).expect("root becomes anybody");
        let refusal = bus().open(&device()).expect_err("an ordinary user").to_string();
        assert!(refusal.contains("CAP_SYS_RAWIO"), "{refusal}");
    })
    .join();
}

#[test]
fn data_goes_through_memory_of_the_runtimes_and_the_name_says_what_it_is() {
    let runtime = runtime();
    assert!(runtime.device().starts_with("unprotected-"));
    let source = noise(1, 10_000);
    let mut destination = vec![0; 10_000];
    runtime.run(Work::copy(&source, &mut destination)).expect("a copy");
    assert!(destination == source);
    assert_eq!(runtime.granted().address_mode, AddressMode::Bounced);
    let jobs: Vec<_> = (0..4).map(|n| runtime.submit(OwnedWork::copy(noise(n, 9000), vec![0; 9000]))).collect();
    for (number, job) in (0..4).zip(jobs) {
        let (_, destination) = job.expect("room").wait().into_output().expect("a copy");
        assert!(destination == noise(number, 9000), "job {number}");
    }
}

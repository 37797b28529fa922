//! Accelerators without a driver are found and named, on a made-up machine.

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use support::{Folder, json, run, stdout};
use uaccel_cli::inventory::find;

fn device(sysfs: &Path, address: &str, vendor: &str, id: &str, driver: Option<&str>, node: &str) {
    let folder = sysfs.join("bus/pci/devices").join(address);
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join("vendor"), format!("{vendor}\n")).expect("a file");
    fs::write(folder.join("device"), format!("{id}\n")).expect("a file");
    fs::write(folder.join("numa_node"), format!("{node}\n")).expect("a file");
    if let Some(driver) = driver {
        symlink(Path::new("../../../bus/pci/drivers").join(driver), folder.join("driver")).expect("a link");
    }
}

#[test]
fn known_accelerators_are_named_and_others_are_not() {
    let folder = Folder::new("inventory");
    let sysfs = folder.0.join("sys");
    device(&sysfs, "0000:75:00.0", "0x19e5", "0xa250", Some("hisi_zip"), "1");
    device(&sysfs, "0000:6a:01.0", "0x8086", "0x0b25", Some("idxd"), "0");
    device(&sysfs, "0000:6a:02.0", "0x8086", "0x0cfe", None, "-1");
    device(&sysfs, "0000:6b:00.0", "0x8086", "0x4940", Some("4xxx"), "0");
    device(&sysfs, "0000:00:0b.0", "0x8086", "0x643e", Some("intel_vpu"), "-1");
    device(&sysfs, "0000:c4:00.1", "0x1022", "0x17f0", None, "-1");
    // What has a driver in this version is found elsewhere.
    device(&sysfs, "0000:00:01.0", "0x1234", "0x5741", Some("warp"), "-1");
    // A network card, and a number that another vendor uses for an accelerator.
    device(&sysfs, "0000:01:00.0", "0x8086", "0x1521", Some("igb"), "0");
    device(&sysfs, "0000:02:00.0", "0x1234", "0xa250", None, "0");
    fs::create_dir_all(sysfs.join("bus/pci/devices/0000:03:00.0")).expect("a folder without files");

    let found = find(&sysfs);
    let names: Vec<_> = found.iter().map(|found| (found.address.as_str(), found.name.as_str())).collect();
    assert_eq!(
        names,
        [
            ("0000:00:0b.0", "Intel NPU"),
            ("0000:6a:01.0", "Intel Data Streaming Accelerator"),
            ("0000:6a:02.0", "Intel In-Memory Analytics Accelerator"),
            ("0000:6b:00.0", "Intel QuickAssist"),
            ("0000:75:00.0", "HiSilicon ZIP engine"),
            ("0000:c4:00.1", "AMD XDNA NPU"),
        ]
    );
    assert!(found[0].reason.contains("neural networks"));
    assert!(found[1].reason.contains("no driver for it") && found[1].reason.contains("'idxd'"));
    assert_eq!((found[2].kernel_driver.clone(), found[2].numa_node), (None, None));
    assert_eq!((found[4].id.as_str(), found[4].numa_node), ("19e5:a250", Some(1)));
    assert!(found[4].reason.contains("'hisi_zip' offers no queues to processes"), "{}", found[4].reason);

    let root = folder.text();
    let text = stdout(&run(&["list", "--root", root]));
    assert!(text.contains("HiSilicon ZIP engine (19e5:a250)"), "{text}");
    assert_eq!(json(&["list", "--json", "--root", root])["undriven"].as_array().map(Vec::len), Some(6));
}

#[test]
fn a_zip_engine_is_found_here_as_long_as_uacce_does_not_offer_it_and_a_sec_engine_always() {
    let folder = Folder::new("offered");
    let sysfs = folder.0.join("sys");
    device(&sysfs, "0000:75:00.0", "0x19e5", "0xa250", Some("hisi_zip"), "1");
    device(&sysfs, "0000:76:00.0", "0x19e5", "0xa255", Some("hisi_sec2"), "1");
    device(&sysfs, "0000:77:00.0", "0x19e5", "0xa251", None, "1");
    for (name, parent) in [("hisi_zip-0", "0000:75:00.0"), ("hisi_sec2-1", "0000:76:00.0")] {
        let offer = sysfs.join("class/uacce").join(name);
        fs::create_dir_all(&offer).expect("a folder");
        symlink(Path::new("../../../bus/pci/devices").join(parent), offer.join("device")).expect("a link");
    }
    let found = find(&sysfs);
    let reasons: Vec<_> = found.iter().map(|found| (found.address.as_str(), found.reason.as_str())).collect();
    let [("0000:76:00.0", sec), ("0000:77:00.0", zip)] = reasons[..] else { panic!("{reasons:?}") };
    assert!(
        sec.contains("no driver for it") && zip.contains("no kernel driver is bound to it (hisi_zip)"),
        "{reasons:?}"
    );
}

#[test]
fn a_machine_without_a_bus_has_none() {
    let folder = Folder::new("no-bus");
    assert!(find(&folder.0).is_empty());
}

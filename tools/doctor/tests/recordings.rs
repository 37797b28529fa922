//! A recording is the machine again, and nothing of it that is nobody's business.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::machine;
use proptest::prelude::*;
use uaccel_doctor::{Disk, Manner, Recorder, Recording, RecordingError, Report, Tree as _};

/// Manners of looking that read everything there is to read.
fn thorough() -> Manner {
    Manner { open: true, all: true, devices: vec!["0000:03:00.0".to_owned()] }
}

/// A machine in a folder: an accelerator below a bridge, and a few secrets.
fn folder() -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let write = |path: &str, bytes: &[u8]| {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, bytes).expect("a file");
    };
    write("proc/cmdline", b"root=UUID=0451-3344 intel_iommu=on token=hunter2 pcie_acs_override=downstream\n");
    write(
        "proc/cpuinfo",
        b"vendor_id\t: GenuineIntel\nserial\t: 0451\nflags\t: fpu hypervisor la57 sse\n\nvendor_id\t: GenuineIntel\n",
    );
    write(
        "proc/self/status",
        b"Name:\tsecretive\nUid:\t1000\t1000\t1000\t1000\nGid:\t7\t7\t7\t7\nGroups:\t7\nCapEff:\t0000000000000000\n",
    );
    write(
        "proc/self/limits",
        b"Limit Soft Hard Units\nMax locked memory         65536                unlimited            bytes     \n",
    );
    write("proc/sys/kernel/osrelease", b"6.12.0-test\n");
    write("boot/config-6.12.0-test", b"CONFIG_BUILD_SALT=\"hunter2\"\nCONFIG_VFIO=m\n# CONFIG_IOMMUFD is not set\n");
    write(
        "lib/modules/6.12.0-test/modules.dep",
        b"kernel/drivers/vfio/vfio.ko.xz:\nkernel/secret.ko: kernel/drivers/vfio/vfio.ko.xz\n",
    );
    write("etc/os-release", b"NAME=\"hunter2\"\nID=debian\n");
    write("sys/devices/pci0000:00/0000:00:1c.0/vendor", b"0x8086\n");
    write("sys/devices/pci0000:00/0000:00:1c.0/device", b"0x0001\n");
    write("sys/devices/pci0000:00/0000:00:1c.0/class", b"0x060400\n");
    write("sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/vendor", b"0x1234\n");
    write("sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/device", b"0x5741\n");
    write("sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/class", b"0x120000\n");
    // A serial number (capability 3), then PASID of 20 bits, enabled, then page requests, off.
    let mut space = vec![0_u8; 4096];
    space[0x100..0x10c].copy_from_slice(&[0x03, 0, 0x01, 0x20, 0xde, 0xad, 0xbe, 0xef, 0xde, 0xad, 0xbe, 0xef]);
    space[0x200..0x208].copy_from_slice(&[0x1b, 0, 0x01, 0x30, 0x00, 0x14, 0x01, 0x00]);
    space[0x300..0x308].copy_from_slice(&[0x13, 0, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00]);
    write("sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/config", &space);
    fs::create_dir_all(root.path().join("sys/bus/pci/devices")).expect("a folder");
    let link = |target: &str, path: &str| symlink(target, root.path().join(path)).expect("a link");
    link("../../../devices/pci0000:00/0000:00:1c.0", "sys/bus/pci/devices/0000:00:1c.0");
    link("../../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0", "sys/bus/pci/devices/0000:03:00.0");
    root
}

fn record(root: &Path) -> (Report, Recording) {
    let recorder = Recorder::new(Disk::at(root), "a test".to_owned());
    let report = Report::of(&recorder, &thorough());
    (report, recorder.into_recording())
}

#[test]
fn a_recording_says_what_the_machine_says() {
    let root = folder();
    let (report, recording) = record(root.path());
    let read = Recording::parse(&serde_json::to_string(&recording).expect("JSON")).expect("a recording");
    assert_eq!(read, recording);
    assert_eq!(Report::of(&read, &thorough()), report);
    let says = |check: &str, text: &str| {
        report.findings.iter().any(|finding| finding.check == check && finding.why.contains(text))
    };
    assert!(says("accelerator.found", "Warp engine"));
    assert!(says("accelerator.sharing", "PASID of 20 bits (on), page requests (off"), "{report:#?}");
    assert!(says("memory.locked", "64 KiB"));
    assert!(says("iommu.acs-override", "pcie_acs_override=downstream"));
    assert!(says("kernel.iommufd", "built without"));
    assert!(says("kernel.vfio", "not loaded"));
    assert!(says("iommu.present", "virtual machine"));
}

#[test]
fn a_recording_of_this_machine_says_what_this_machine_says() {
    let (report, recording) = record(Path::new("/"));
    assert_eq!(Report::of(&recording, &thorough()), report);
}

#[test]
fn a_recording_holds_nothing_that_is_not_looked_at() {
    let root = folder();
    let (_, recording) = record(root.path());
    let text = serde_json::to_string(&recording).expect("JSON");
    for secret in ["hunter2", "0451", "secret", "dead", "debea", "deadbeef", "sse"] {
        assert!(!text.contains(secret), "'{secret}' is in {text}");
    }
    assert!(text.contains("intel_iommu=on"));
}

#[test]
fn files_that_are_no_recordings_are_refused() {
    assert!(matches!(Recording::parse("hello"), Err(RecordingError::Syntax(_))));
    assert!(matches!(Recording::parse(r#"{"version":2,"origin":""}"#), Err(RecordingError::Version(2))));
    assert!(matches!(Recording::parse(r#"{"version":1,"origin":"","secrets":{}}"#), Err(RecordingError::Syntax(_))));
    assert!(Recording::parse(r#"{"version":1,"origin":""}"#).is_ok());
}

#[test]
fn a_machine_that_says_nothing_is_examined_all_the_same() {
    let recording = Recording::parse(r#"{"version":1,"origin":"nothing at all"}"#).expect("a recording");
    let report = Report::of(&recording, &thorough());
    assert!(report.best_road().is_none());
    assert!(report.findings.iter().any(|finding| finding.check == "accelerator.found"));
    assert!((&recording as &dyn uaccel_doctor::Tree).text("/proc/cmdline").is_err());
    assert!(recording.node("/dev/null").is_err());
}

/// Texts that files of the kernel hold, and texts that none should.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("0x".to_owned()),
        Just("-1\n".to_owned()),
        Just("ffffffffffffffff:ffffffffffffffff\n".to_owned()),
        Just("18446744073709551616\n".to_owned()),
        Just("user\n".to_owned()),
        Just("1\n".to_owned()),
        Just("000d ffffffff\n001b ffffffff\n0013 zz\n".to_owned()),
        "[ -~\n]{0,40}",
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Whatever files hold, there is a report.
    #[test]
    fn no_text_in_any_file_is_the_end(
        name in prop::sample::select(vec![
            "guest-uacce-open", "guest-vfio-open", "guest-vfio-unbound", "xeon-dsa", "kunpeng", "kunpeng-v3", "workstation",
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(text())), 1..6),
        links in prop::collection::vec((any::<prop::sample::Index>(), text()), 0..3),
        folders in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(text(), 0..4)), 0..3),
    ) {
        let mut recording = machine(name);
        for (index, change) in changes {
            let path = recording.files.keys().nth(index.index(recording.files.len())).cloned().expect("a file");
            match change {
                Some(text) => recording.files.insert(path, text),
                None => recording.files.remove(&path),
            };
            if recording.files.is_empty() {
                break;
            }
        }
        for (index, text) in links {
            let path = recording.links.keys().nth(index.index(recording.links.len())).cloned().expect("a link");
            recording.links.insert(path, text);
        }
        for (index, names) in folders {
            let path = recording.folders.keys().nth(index.index(recording.folders.len())).cloned().expect("a folder");
            recording.folders.insert(path, names);
        }
        let report = Report::of(&recording, &thorough());
        prop_assert!(!report.findings.is_empty());
    }

    // The configuration space comes from the device.
    #[test]
    fn no_configuration_space_is_the_end(space in prop::collection::vec(any::<u8>(), 0..4200)) {
        let root = folder();
        let file = root.path().join("sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/config");
        fs::write(file, space).expect("a file");
        let (report, _) = record(root.path());
        prop_assert!(report.findings.iter().any(|finding| finding.check == "accelerator.sharing"));
    }
}

#[test]
fn a_list_of_capabilities_that_goes_in_a_circle_ends() {
    let root = folder();
    let mut space = vec![0_u8; 4096];
    // A PASID capability whose next one is itself.
    space[0x100..0x108].copy_from_slice(&[0x1b, 0, 0x01, 0x10, 0x00, 0x14, 0x00, 0x00]);
    fs::write(root.path().join("sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/config"), space).expect("a file");
    let (report, _) = record(root.path());
    assert!(report.findings.iter().any(|finding| finding.why.contains("PASID of 20 bits (off")));
}

#[test]
fn the_kind_of_a_port_is_read_from_its_express_capability() {
    let root = folder();
    let file = "sys/devices/pci0000:00/0000:00:1c.0/0000:03:00.0/config";
    // The first capability at 40h is power management (1), the second at 50h PCI Express (10h), whose type is in bits 7:4 at 52h.
    let space = |size: usize, kind: u8| {
        let mut space = vec![0_u8; 4096];
        space[0x34] = 0x40;
        space[0x40..0x42].copy_from_slice(&[0x01, 0x50]);
        space[0x50..0x53].copy_from_slice(&[0x10, 0x00, kind << 4 | 2]);
        space.truncate(size);
        space
    };
    for (size, kind, kept) in [(4096, 5, "upstream\n"), (4096, 6, ""), (256, 0, "short"), (64, 5, "hidden")] {
        fs::write(root.path().join(file), space(size, kind)).expect("a file");
        let (_, recording) = record(root.path());
        assert_eq!(recording.files["/sys/bus/pci/devices/0000:03:00.0/config"], kept, "{size} bytes, type {kind}");
    }
    // Conventional PCI has no more than 256 bytes.
    fs::write(root.path().join(file), vec![0; 256]).expect("a file");
    assert_eq!(record(root.path()).1.files["/sys/bus/pci/devices/0000:03:00.0/config"], "");
}

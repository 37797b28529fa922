//! Machines that were written down, each with what is wrong with it, and with nothing else.
//!
//! The names that begin with `guest` and `cloud` are recordings of real kernels; `origin` in each file says how it came about. The others are
//! composed after the kernel's documentation, because nobody had such a machine at hand.

mod common;

use common::{examine, machine, remarkable};
use uaccel_doctor::Status::{Absent, Fail, Unknown, Warn};
use uaccel_doctor::{Report, Status};

fn devices<'a>(report: &'a Report, road: &str) -> &'a [String] {
    let road = report.roads.iter().find(|found| found.road == road).expect("a road of this name");
    &road.devices
}

fn mode(report: &Report, road: &str) -> &'static str {
    report.roads.iter().find(|found| found.road == road).expect("a road of this name").address_mode
}

/// What a line says, with what mends it.
fn text(report: &Report, check: &str, subject: &str) -> String {
    let is_it = |finding: &&uaccel_doctor::Finding| {
        finding.check == check && finding.subject.as_deref().unwrap_or("") == subject
    };
    let finding = report.findings.iter().find(is_it).unwrap_or_else(|| panic!("no line {check} about {subject:?}"));
    format!("{}\n{}\n{}", finding.why, finding.advice.as_deref().unwrap_or(""), finding.commands.join("\n"))
}

fn status(report: &Report, check: &str) -> Status {
    report.findings.iter().find(|finding| finding.check == check).expect("a line of this name").status
}

#[test]
fn a_guest_whose_engine_is_given_to_the_user_has_nothing_in_the_way() {
    let report = examine(&machine("guest-uacce-open"));
    assert_eq!(
        remarkable(&report),
        [("kernel.configuration", "", Unknown), ("accelerator.sharing", "0000:00:01.0", Unknown)],
        "capabilities are root's to see"
    );
    assert_eq!(devices(&report, "uacce"), ["warp-0"]);
    assert_eq!(report.best_road().map(|road| road.address_mode), Some("shared"));
    assert!(text(&report, "uacce.device", "warp-0").contains("16 queues free, /dev/warp-0 opens"));
}

#[test]
fn a_node_that_is_roots_is_named_with_the_commands_that_give_it_away() {
    let report = examine(&machine("guest-uacce-denied"));
    assert_eq!(
        remarkable(&report),
        [
            ("kernel.configuration", "", Unknown),
            ("kernel.sva", "", Unknown),
            ("accelerator.sharing", "0000:00:01.0", Unknown),
            ("uacce.node", "/dev/warp-0", Fail),
        ]
    );
    let text = text(&report, "uacce.node", "/dev/warp-0");
    assert!(text.contains("mode 0600") && text.contains("sudo chgrp uaccel /dev/warp-0"), "{text}");
    assert!(report.best_road().is_none());
}

#[test]
fn without_an_iommu_a_virtual_machine_is_told_to_get_one() {
    let report = examine(&machine("guest-no-iommu"));
    assert_eq!(
        remarkable(&report),
        [
            ("kernel.configuration", "", Unknown),
            ("kernel.sva", "", Unknown),
            ("iommu.present", "", Fail),
            ("accelerator.sharing", "0000:00:01.0", Unknown),
            ("uacce.sharing", "warp-0", Fail),
        ]
    );
    assert!(text(&report, "iommu.present", "").contains("-device intel-iommu"));
}

#[test]
fn devices_below_a_conventional_bridge_can_reach_each_other() {
    let recording = machine("guest-vfio-unbound");
    let report = examine(&recording);
    let groups: Vec<_> = remarkable(&report).into_iter().filter(|(check, ..)| *check == "group.company").collect();
    assert_eq!(groups, [("group.company", "group 3", Warn)]);
    let text = text(&report, "group.company", "group 3");
    assert!(text.contains("0000:01:01.0") && text.contains("0000:01:02.0"), "{text}");
    assert!(text.contains("below 0000:00:03.0, which has no access control (ACS)"), "{text}");

    let all = Report::of(&recording, &uaccel_doctor::Manner { all: true, ..Default::default() });
    let chipset =
        all.findings.iter().find(|finding| finding.subject.as_deref() == Some("group 4")).expect("all groups");
    assert!(chipset.why.contains("as functions of one device"), "{}", chipset.why);
}

#[test]
fn unbound_devices_come_with_the_commands_that_bind_them() {
    let recording = machine("guest-vfio-unbound");
    // The Warp engine has another way as well, and is looked at for VFIO when it is named.
    let manner = uaccel_doctor::Manner { devices: vec!["0000:00:01.0".to_owned()], ..Default::default() };
    let report = Report::of(&recording, &manner);
    let finding = report
        .findings
        .iter()
        .find(|finding| finding.subject.as_deref() == Some("0000:00:01.0") && finding.check == "vfio.bound");
    assert_eq!(
        finding.expect("a line about it").commands,
        [
            "modprobe vfio-pci",
            "echo vfio-pci | tee /sys/bus/pci/devices/0000:00:01.0/driver_override",
            "echo 0000:00:01.0 | tee /sys/bus/pci/drivers_probe",
        ],
        "root needs no sudo"
    );
    assert!(
        text(&report, "accelerator.sharing", "0000:00:01.0").contains("PASID of 16 bits"),
        "root sees capabilities"
    );
}

#[test]
fn nodes_of_vfio_are_roots_until_they_are_given_away() {
    let denied = examine(&machine("guest-vfio-denied"));
    for group in ["1", "2", "3"] {
        let text = text(&denied, "vfio.group-node", &format!("/dev/vfio/{group}"));
        assert!(text.contains(&format!("sudo chgrp uaccel /dev/vfio/{group}")), "{text}");
    }
    assert!(denied.best_road().is_none());

    let open = examine(&machine("guest-vfio-open"));
    assert_eq!(devices(&open, "vfio-type1"), ["0000:00:01.0", "0000:00:02.0", "0000:01:01.0", "0000:01:02.0"]);
    assert_eq!(mode(&open, "vfio-type1"), "identity-pinned");
    assert_eq!(status(&open, "memory.locked"), Warn, "8 MiB are enough to begin with");
    assert_eq!(status(&open, "kernel.iommufd"), Absent, "this kernel has the older way");
    assert_eq!(open.count(Fail), 0);
}

#[test]
fn debian_12_leads_to_a_device_by_the_older_way() {
    let report = examine(&machine("guest-debian-12"));
    assert_eq!(report.count(Fail), 0, "{:?}", remarkable(&report));
    assert_eq!(devices(&report, "vfio-type1"), ["0000:00:01.0"]);
}

#[test]
fn a_machine_without_accelerators_has_nothing_to_mend() {
    let report = examine(&machine("cloud"));
    assert_eq!(remarkable(&report), []);
    assert!(report.best_road().is_none());
}

#[test]
fn a_xeon_learns_which_device_has_no_work_queue_and_why() {
    let mut recording = machine("xeon-dsa");
    recording.opened.insert("/dev/dsa/wq0.0".to_owned(), "ok".to_owned());
    let report = examine(&recording);
    let wrong: Vec<_> = remarkable(&report).into_iter().filter(|(.., status)| *status == Fail).collect();
    assert_eq!(wrong, [("idxd.queue", "iax1", Fail)]);
    let text = text(&report, "idxd.queue", "iax1");
    assert!(text.contains("nothing is configured (0x800d0000)"), "{text}");
    assert!(text.contains("accel-config enable-wq iax1/wq1.0"), "{text}");
}

#[test]
fn a_kunpeng_learns_which_driver_keeps_its_queues_for_the_kernel() {
    let mut recording = machine("kunpeng");
    recording.opened.insert("/dev/hisi_zip-0".to_owned(), "ok".to_owned());
    let report = examine(&recording);
    let wrong: Vec<_> = remarkable(&report).into_iter().filter(|(.., status)| *status == Fail).collect();
    assert_eq!(wrong, [("hisilicon.driver", "0000:76:00.0", Fail)]);
    assert!(text(&report, "hisilicon.driver", "0000:76:00.0").contains("options hisi_sec2 uacce_mode=1"));
    assert!(devices(&report, "uacce").is_empty(), "it opens, and the framework has no driver for it");
    assert_eq!(status(&report, "uacce.driver"), Absent);
    let text = text(&report, "uacce.driver", "hisi_zip-0");
    assert!(text.contains("from hardware version 3 (hisi_qm_v3) on, and this is hisi_qm_v2"), "{text}");
}

#[test]
fn a_later_kunpeng_has_nothing_in_the_way_of_its_compression_engine() {
    let mut recording = machine("kunpeng-v3");
    let report = examine(&recording);
    assert_eq!(
        remarkable(&report),
        [("accelerator.sharing", "0000:75:00.0", Unknown)],
        "capabilities are root's to see"
    );
    assert_eq!(devices(&report, "uacce"), ["hisi_zip-0"]);
    assert_eq!(report.best_road().map(|road| road.address_mode), Some("shared"));
    assert!(!text(&report, "accelerator.found", "0000:75:00.0").contains("no driver for it"));

    // The same queue manager, with another engine behind it.
    let algorithms = "/sys/class/uacce/hisi_zip-0/algorithms".to_owned();
    recording.files.insert(algorithms, "cipher\ndigest\naead\n".to_owned());
    let report = examine(&recording);
    assert!(devices(&report, "uacce").is_empty());
    let text = text(&report, "uacce.driver", "hisi_zip-0");
    assert!(text.contains("no driver for what is behind hisi_qm_v3 here (cipher, digest, aead)"), "{text}");
}

#[test]
fn a_workstation_learns_that_its_groups_lie() {
    let report = examine(&machine("workstation"));
    let lines = remarkable(&report);
    for line in [
        ("iommu.acs-override", "", Warn),
        ("vfio.unsafe-interrupts", "", Warn),
        ("vfio.group", "0000:02:01.0", Fail),
        ("group.company", "group 15", Warn),
    ] {
        assert!(lines.contains(&line), "{line:?} is not among {lines:?}");
    }
    assert!(text(&report, "vfio.group", "0000:02:01.0").contains("echo 0000:02:01.1 | sudo tee"));
    assert!(text(&report, "qat.device", "0000:02:00.0").contains("driver c6xx, 2 virtual functions"));
    assert!(
        text(&report, "iommu.unit", "ivhd0").contains("PASIDs of 16 bits"),
        "the first of two registers, since 6.7"
    );
    assert!(report.best_road().is_none());
}

#[test]
fn root_sees_whom_a_device_reaches_when_groups_lie() {
    let mut recording = machine("workstation");
    let report = examine(&recording);
    assert_eq!(status(&report, "group.reach"), Unknown, "the bridge's capabilities are root's to see");

    // Access control: capable of everything, and told to do nothing.
    let bridge = "/sys/bus/pci/devices/0000:00:01.1/config".to_owned();
    recording.files.insert(bridge.clone(), "000d 0000005f\n".to_owned());
    let report = examine(&recording);
    let text = text(&report, "group.reach", "0000:02:00.0");
    assert!(text.contains("0000:02:01.0") && text.contains("of 0000:00:01.1 is not"), "{text}");

    recording.files.insert(bridge, "000d 001d005f\n".to_owned());
    let report = examine(&recording);
    assert!(!report.findings.iter().any(|finding| finding.check == "group.reach"), "it keeps them apart");

    recording.files.insert("/proc/cmdline".to_owned(), String::new());
    recording.files.remove("/sys/bus/pci/devices/0000:00:01.1/config");
    let report = examine(&recording);
    assert!(!report.findings.iter().any(|finding| finding.check == "group.reach"), "groups are believed again");
}

#[test]
fn a_switch_that_keeps_nothing_apart_is_seen_though_groups_say_otherwise() {
    // QEMU's switch has no access control, and the kernel puts each device into a group with the port above it.
    let mut recording = machine("guest-switch");
    let report = examine(&recording);
    let reach = |report: &Report| -> Vec<(String, String)> {
        let lines = report.findings.iter().filter(|finding| finding.check == "group.reach");
        lines.map(|line| (line.subject.clone().unwrap_or_default(), line.why.clone())).collect()
    };
    let lines = reach(&report);
    let [(first, of_first), (second, of_second)] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!([first, second], ["0000:03:00.0", "0000:04:00.0"], "the third device has a root port of its own");
    assert!(of_first.contains("0000:04:00.0") && !of_first.contains("0000:05:00.0"), "{of_first}");
    assert!(of_second.contains("0000:03:00.0") && !of_second.contains("0000:05:00.0"), "{of_second}");

    for port in ["0000:02:00.0", "0000:02:01.0"] {
        let config = format!("/sys/bus/pci/devices/{port}/config");
        recording.files.insert(config, "000d 001d005f\n".to_owned());
    }
    assert_eq!(reach(&examine(&recording)), [], "its ports keep their devices apart");
}

#[test]
fn of_two_ways_to_a_device_the_newer_one_is_asked_for() {
    let report = examine(&machine("guest-iommufd-denied"));
    let wrong: Vec<_> = remarkable(&report).into_iter().filter(|(.., status)| *status == Fail).collect();
    assert_eq!(
        wrong,
        [
            ("vfio.device-node", "/dev/vfio/devices/vfio0", Fail),
            ("vfio.iommufd-node", "/dev/iommu", Fail),
            ("vfio.device-node", "/dev/vfio/devices/vfio1", Fail),
        ]
    );
    let text = text(&report, "vfio.device-node", "/dev/vfio/devices/vfio0");
    assert!(text.contains(r#"SUBSYSTEM=="vfio-dev", KERNELS=="0000:00:01.0""#), "{text}");

    let report = examine(&machine("guest-iommufd-open"));
    assert_eq!(report.count(Fail), 0, "{:?}", remarkable(&report));
    assert_eq!(devices(&report, "vfio-iommufd"), ["0000:00:01.0", "0000:00:02.0"]);
    assert!(devices(&report, "vfio-type1").is_empty(), "its nodes are root's");
    assert_eq!(mode(&report, "vfio-iommufd"), "identity-pinned", "a user does not see that the engine asks for pages");
}

#[test]
fn root_sees_that_pages_can_be_mapped_on_demand() {
    let report = examine(&machine("guest-iommufd-root"));
    assert_eq!(remarkable(&report), []);
    assert_eq!(mode(&report, "vfio-iommufd"), "on-demand-pinned");
    assert_eq!(devices(&report, "vfio-type1"), ["0000:00:01.0", "0000:00:02.0"]);
    assert!(text(&report, "kernel.release", "").contains("Linux 7.3.4"), "without /proc/sys");
}

#[test]
fn a_kernel_that_reaches_no_extended_capabilities_is_told_from_a_device_without_them() {
    let report = examine(&machine("guest-short"));
    let text = text(&report, "accelerator.sharing", "0000:00:01.0");
    assert!(text.contains("first 256 bytes") && text.contains("CONFIG_PCI_MMCONFIG"), "{text}");
    assert_eq!(mode(&report, "vfio-iommufd"), "identity-pinned", "no page requests without their capability");
}

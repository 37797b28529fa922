//! One thing is taken from a machine on which all is well, and that thing is named: nothing passes by luck, and nothing hides behind
//! something else.

mod common;

use common::{examine, machine};
use uaccel_doctor::Status::{self, Fail, Unknown, Warn};
use uaccel_doctor::{Finding, Gap, Node, Recording};

/// What was changed, how, and what must be said: check, status, and a piece of the line or of what mends it.
struct Loss {
    what: &'static str,
    change: fn(&mut Recording),
    check: &'static str,
    status: Status,
    says: &'static str,
}

fn file(recording: &mut Recording, path: &str, text: &str) {
    recording.files.insert(path.to_owned(), text.to_owned());
}

fn folder(recording: &mut Recording, path: &str, names: &[&str]) {
    recording.folders.insert(path.to_owned(), names.iter().map(|name| (*name).to_owned()).collect());
}

fn opened(recording: &mut Recording, path: &str, error: &str) {
    recording.opened.insert(path.to_owned(), error.to_owned());
}

/// Registers of the guest's IOMMU, with bits taken away.
fn without(recording: &mut Recording, register: &str, bits: &[u32]) {
    let path = format!("/sys/class/iommu/dmar0/intel-iommu/{register}");
    let value = u64::from_str_radix(recording.files[&path].trim(), 16).expect("a register");
    let less = bits.iter().fold(value, |value, bit| value & !(1 << bit));
    assert_ne!(value, less, "the bits were set");
    file(recording, &path, &format!("{less:x}\n"));
}

fn all_are_named(name: &str, losses: &[Loss]) {
    let whole = machine(name);
    let before = examine(&whole);
    assert_eq!(before.count(Fail), 0, "all is well before");
    for loss in losses {
        let mut less = whole.clone();
        (loss.change)(&mut less);
        let report = examine(&less);
        let text = |line: &Finding| {
            format!("{} {} {}", line.why, line.advice.as_deref().unwrap_or(""), line.commands.join(" "))
        };
        let mut lines = report.findings.iter().filter(|line| line.check == loss.check && line.status == loss.status);
        let line = lines.clone().find(|line| text(line).contains(loss.says));
        let Some(line) = line else {
            let others: Vec<_> = lines.by_ref().map(text).collect();
            panic!(
                "{}: no line {} is {:?} and says '{}'; there are {others:?}",
                loss.what, loss.check, loss.status, loss.says
            )
        };
        assert!(!before.findings.contains(line), "{}: the line was there before", loss.what);
    }
}

#[test]
fn of_a_uacce_device_every_loss_is_named() {
    const DEVICE: &str = "/sys/class/uacce/warp-0";
    let losses = [
        Loss {
            what: "the IOMMU",
            change: |machine| {
                machine.folders.remove("/sys/class/iommu");
            },
            check: "iommu.present",
            status: Fail,
            says: "virtual machine",
        },
        Loss {
            what: "the IOMMU of a virtual machine that has one, by the kernel",
            change: |machine| {
                machine.folders.remove("/sys/class/iommu");
                machine.gaps.insert("/sys/firmware/acpi/tables/DMAR".to_owned(), Gap::Denied);
                file(machine, "/proc/cmdline", "");
                file(machine, "/etc/os-release", "fedora");
            },
            check: "iommu.present",
            status: Fail,
            says: "does not use the one there is start the kernel with intel_iommu=on sudo grubby",
        },
        Loss {
            what: "the same, in a container, which has no boot loader",
            change: |machine| {
                machine.folders.remove("/sys/class/iommu");
                machine.gaps.insert("/sys/firmware/acpi/tables/DMAR".to_owned(), Gap::Denied);
                file(machine, "/proc/cmdline", "");
                file(machine, "/etc/os-release", "fedora");
                file(machine, "/run/.containerenv", "");
            },
            check: "iommu.present",
            status: Fail,
            says: "start the host's kernel with intel_iommu=on",
        },
        Loss {
            what: "an IOMMU that the kernel was told to use",
            change: |machine| {
                machine.folders.remove("/sys/class/iommu");
                machine.gaps.insert("/sys/firmware/acpi/tables/DMAR".to_owned(), Gap::Denied);
                file(machine, "/proc/cmdline", "intel_iommu=on");
            },
            check: "iommu.present",
            status: Fail,
            says: "dmesg",
        },
        Loss {
            what: "the IOMMU of a machine that is none in another, by the firmware",
            change: |machine| {
                machine.folders.remove("/sys/class/iommu");
                file(machine, "/proc/cpuinfo", "GenuineIntel\n");
                file(machine, "/etc/os-release", "ubuntu debian");
            },
            check: "iommu.present",
            status: Fail,
            says: "update-grub",
        },
        Loss {
            what: "the IOMMU, by the kernel's parameters",
            change: |machine| {
                machine.folders.remove("/sys/class/iommu");
                file(machine, "/proc/cmdline", "intel_iommu=off");
            },
            check: "iommu.present",
            status: Fail,
            says: "take intel_iommu=off out",
        },
        Loss {
            what: "scalable mode in the IOMMU",
            change: |machine| without(machine, "ecap", &[43]),
            check: "iommu.scalable-mode",
            status: Fail,
            says: "no PASIDs",
        },
        Loss {
            what: "scalable mode in the kernel",
            change: |machine| file(machine, "/proc/cmdline", "intel_iommu=on,sm_off"),
            check: "iommu.scalable-mode",
            status: Fail,
            says: "sm_off",
        },
        Loss {
            what: "coherent walks of page tables",
            change: |machine| without(machine, "ecap", &[48]),
            check: "iommu.page-tables",
            status: Fail,
            says: "coherently",
        },
        Loss {
            what: "the fifth level of page tables",
            change: |machine| file(machine, "/proc/cpuinfo", "GenuineIntel\nhypervisor la57\n"),
            check: "iommu.page-tables",
            status: Fail,
            says: "no5lvl",
        },
        Loss {
            what: "page requests in the IOMMU",
            change: |machine| without(machine, "ecap", &[29]),
            check: "iommu.page-requests",
            status: Fail,
            says: "must be in memory already",
        },
        Loss {
            what: "PASIDs in the device",
            change: |machine| file(machine, "/sys/bus/pci/devices/0000:00:01.0/config", "000f 00000000\n"),
            check: "accelerator.sharing",
            status: Fail,
            says: "no PASID",
        },
        Loss {
            what: "shared page tables in the kernel",
            change: |machine| {
                file(machine, "/proc/config.gz", "CONFIG_UACCE=m\n");
                opened(machine, "/dev/warp-0", "EOPNOTSUPP");
            },
            check: "kernel.sva",
            status: Fail,
            says: "CONFIG_IOMMU_SVA",
        },
        Loss {
            what: "shared page tables in an older kernel",
            change: |machine| {
                file(machine, "/proc/sys/kernel/osrelease", "6.12.107+deb13-amd64\n");
                file(machine, "/boot/config-6.12.107+deb13-amd64", "CONFIG_IOMMU_SVA=y\n");
                opened(machine, "/dev/warp-0", "EOPNOTSUPP");
            },
            check: "kernel.sva",
            status: Unknown,
            says: "before 6.19",
        },
        Loss {
            what: "uacce",
            change: |machine| {
                machine.folders.remove("/sys/class/uacce");
                machine.folders.remove("/sys/module/uacce");
            },
            check: "kernel.uacce",
            status: Fail,
            says: "sudo modprobe uacce",
        },
        Loss {
            what: "uacce, from the kernel",
            change: |machine| {
                machine.folders.remove("/sys/class/uacce");
                machine.folders.remove("/sys/module/uacce");
                file(machine, "/proc/config.gz", "CONFIG_IOMMU_SVA=y\n");
            },
            check: "kernel.uacce",
            status: Fail,
            says: "run a kernel with CONFIG_UACCE",
        },
        Loss {
            what: "the engine's driver",
            change: |machine| {
                machine.links.remove("/sys/bus/pci/devices/0000:00:01.0/driver");
                folder(machine, "/sys/class/uacce", &[]);
            },
            check: "uacce.device",
            status: Fail,
            says: "uaccel doctor --device 0000:00:01.0",
        },
        Loss {
            what: "the engine, from uacce",
            change: |machine| folder(machine, "/sys/class/uacce", &[]),
            check: "uacce.device",
            status: Fail,
            says: "dmesg | grep 0000:00:01.0",
        },
        Loss {
            what: "the flag of shared page tables",
            change: |machine| file(machine, &format!("{DEVICE}/flags"), "0\n"),
            check: "uacce.sharing",
            status: Fail,
            says: "flags 0x0",
        },
        Loss {
            what: "the IOMMU group",
            change: |machine| {
                machine.links.remove(&format!("{DEVICE}/device/iommu_group"));
            },
            check: "uacce.sharing",
            status: Fail,
            says: "no IOMMU translates",
        },
        Loss {
            what: "the device's trust in itself",
            change: |machine| file(machine, &format!("{DEVICE}/isolate"), "1\n"),
            check: "uacce.isolated",
            status: Fail,
            says: "modprobe --remove warp",
        },
        Loss {
            what: "free queues",
            change: |machine| file(machine, &format!("{DEVICE}/available_instances"), "0\n"),
            check: "uacce.queues",
            status: Warn,
            says: "lsof /dev/warp-0",
        },
        Loss {
            what: "the node",
            change: |machine| {
                machine.nodes.remove("/dev/warp-0");
            },
            check: "uacce.node",
            status: Fail,
            says: "devtmpfs",
        },
        Loss {
            what: "the node, in a container",
            change: |machine| {
                machine.nodes.remove("/dev/warp-0");
                file(machine, "/run/.containerenv", "");
            },
            check: "uacce.node",
            status: Fail,
            says: "--device=/dev/warp-0",
        },
        Loss {
            what: "permission, by the node's mode",
            change: |machine| {
                let node = Node { mode: 0o660, uid: 0, gid: 44, access: None };
                machine.nodes.insert("/dev/warp-0".to_owned(), node);
            },
            check: "uacce.node",
            status: Fail,
            says: "group 44, mode 0660",
        },
        Loss {
            what: "permission of the owner, though the group and all others have it",
            change: |machine| {
                let node = Node { mode: 0o066, uid: 1000, gid: 1000, access: None };
                machine.nodes.insert("/dev/warp-0".to_owned(), node);
            },
            check: "uacce.node",
            status: Fail,
            says: "mode 0066",
        },
        Loss {
            what: "permission, by a container's device list",
            change: |machine| opened(machine, "/dev/warp-0", "denied"),
            check: "uacce.node",
            status: Fail,
            says: "device list",
        },
        Loss {
            what: "shared page tables, as the kernel says on open",
            change: |machine| opened(machine, "/dev/warp-0", "EOPNOTSUPP"),
            check: "uacce.node",
            status: Fail,
            says: "6.19 or later",
        },
        Loss {
            what: "the last queue, between look and open",
            change: |machine| opened(machine, "/dev/warp-0", "EBUSY"),
            check: "uacce.node",
            status: Warn,
            says: "in use",
        },
        Loss {
            what: "who asks",
            change: |machine| {
                machine.files.remove("/proc/self/status");
                machine.nodes.get_mut("/dev/warp-0").expect("the node").access = None;
            },
            check: "uacce.node",
            status: Unknown,
            says: "who asks",
        },
        Loss {
            what: "honest groups",
            change: |machine| file(machine, "/proc/cmdline", "pcie_acs_override=downstream"),
            check: "iommu.acs-override",
            status: Warn,
            says: "pcie_acs_override=downstream",
        },
        Loss {
            what: "honest groups, by the kernel's own parameter",
            change: |machine| file(machine, "/proc/cmdline", "pci=disable_acs_redir=0000:00:01.0"),
            check: "iommu.acs-override",
            status: Warn,
            says: "past the IOMMU",
        },
    ];
    all_are_named("guest-uacce-open", &losses);
}

#[test]
fn of_vfio_every_loss_is_named() {
    const EDU: &str = "/sys/bus/pci/devices/0000:00:02.0";
    let losses = [
        Loss {
            what: "vfio-pci's hold of a device",
            change: |machine| {
                machine.links.insert(format!("{EDU}/driver"), "../../../bus/pci/drivers/edu".to_owned());
            },
            check: "vfio.bound",
            status: Fail,
            says: "echo 0000:00:02.0 | sudo tee /sys/bus/pci/devices/0000:00:02.0/driver/unbind",
        },
        Loss {
            what: "the group",
            change: |machine| {
                machine.links.remove(&format!("{EDU}/iommu_group"));
            },
            check: "vfio.group",
            status: Fail,
            says: "no IOMMU group",
        },
        Loss {
            what: "a group without strangers",
            change: |machine| {
                let driver = "/sys/bus/pci/devices/0000:01:02.0/driver".to_owned();
                machine.links.insert(driver, "../../../../bus/pci/drivers/nvme".to_owned());
            },
            check: "vfio.group",
            status: Fail,
            says: "0000:01:02.0 (nvme)",
        },
        Loss {
            what: "the container's node",
            change: |machine| {
                machine.nodes.remove("/dev/vfio/vfio");
            },
            check: "vfio.container-node",
            status: Fail,
            says: "does not exist",
        },
        Loss {
            what: "the container's permissions",
            change: |machine| {
                let node = Node { mode: 0o600, uid: 0, gid: 0, access: None };
                machine.nodes.insert("/dev/vfio/vfio".to_owned(), node);
            },
            check: "vfio.container-node",
            status: Fail,
            says: "sudo chmod 0666 /dev/vfio/vfio",
        },
        Loss {
            what: "a group that nobody else has",
            change: |machine| opened(machine, "/dev/vfio/2", "EBUSY"),
            check: "vfio.group-node",
            status: Warn,
            says: "in use",
        },
        Loss {
            what: "type1",
            change: |machine| {
                machine.folders.remove("/sys/module/vfio_iommu_type1");
            },
            check: "kernel.vfio-type1",
            status: Fail,
            says: "sudo modprobe vfio_iommu_type1",
        },
        Loss {
            what: "interrupt remapping",
            change: |machine| without(machine, "ecap", &[3]),
            check: "iommu.interrupts",
            status: Fail,
            says: "intremap=on",
        },
        Loss {
            what: "addresses as wide as pointers",
            // Four-level tables gone, three-level tables left.
            change: |machine| without(machine, "cap", &[10]),
            check: "iommu.width",
            status: Warn,
            says: "39 bits",
        },
        Loss {
            what: "protection by the IOMMU",
            change: |machine| file(machine, "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n"),
            check: "vfio.no-iommu",
            status: Warn,
            says: "write to any memory",
        },
        Loss {
            what: "the IOMMU of one device",
            change: |machine| {
                let node = Node { mode: 0o600, uid: 0, gid: 0, access: None };
                machine.nodes.insert("/dev/vfio/noiommu-2".to_owned(), node);
            },
            check: "vfio.no-iommu",
            status: Warn,
            says: "CAP_SYS_RAWIO",
        },
        Loss {
            what: "memory that can be locked",
            change: |machine| file(machine, "/proc/self/limits", "Max locked memory 65536 65536 bytes\n"),
            check: "memory.locked",
            status: Fail,
            says: "64 KiB",
        },
        Loss {
            what: "memory that can be locked, when it can be raised",
            change: |machine| file(machine, "/proc/self/limits", "Max locked memory 65536 unlimited bytes\n"),
            check: "memory.locked",
            status: Fail,
            says: "ulimit -l",
        },
        Loss {
            what: "a readable configuration space",
            change: |machine| {
                machine.files.remove(&format!("{EDU}/config"));
                machine.gaps.insert(format!("{EDU}/config"), Gap::Failed("EIO".to_owned()));
            },
            check: "accelerator.sharing",
            status: Unknown,
            says: "cannot be read",
        },
    ];
    all_are_named("guest-vfio-open", &losses);
}

#[test]
fn everything_a_kunpengs_compression_engine_rests_on_is_missed_by_name() {
    const ZIP: &str = "/sys/class/uacce/hisi_zip-0";
    const DRIVER: &str = "/sys/bus/pci/devices/0000:75:00.0/driver";
    fn not_offered(machine: &mut Recording) {
        folder(machine, "/sys/class/uacce", &[]);
    }
    let losses = [
        Loss {
            what: "the driver's mode for processes",
            change: |machine| {
                not_offered(machine);
                file(machine, "/sys/module/hisi_zip/parameters/uacce_mode", "0\n");
            },
            check: "hisilicon.driver",
            status: Fail,
            says: "options hisi_zip uacce_mode=1",
        },
        Loss {
            what: "the driver",
            change: |machine| {
                not_offered(machine);
                machine.links.remove(DRIVER);
            },
            check: "hisilicon.driver",
            status: Fail,
            says: "modprobe hisi_zip",
        },
        Loss {
            what: "the IOMMU",
            change: |machine| folder(machine, "/sys/class/iommu", &[]),
            check: "iommu.present",
            status: Fail,
            says: "enable SMMU in the firmware",
        },
        Loss {
            what: "a kernel that shares page tables through it",
            change: |machine| {
                let path = "/boot/config-6.6.0-28.oe2403.aarch64";
                let less = machine.files[path].replace("CONFIG_ARM_SMMU_V3_SVA=y\n", "");
                file(machine, path, &less);
            },
            check: "iommu.unit",
            status: Fail,
            says: "CONFIG_ARM_SMMU_V3_SVA",
        },
        Loss {
            what: "the node",
            change: |machine| {
                let node = Node { mode: 0o600, uid: 0, gid: 0, access: None };
                machine.nodes.insert("/dev/hisi_zip-0".to_owned(), node);
                opened(machine, "/dev/hisi_zip-0", "EACCES");
            },
            check: "uacce.node",
            status: Fail,
            says: "chgrp uaccel /dev/hisi_zip-0",
        },
        Loss {
            what: "a device that works",
            change: |machine| file(machine, &format!("{ZIP}/isolate"), "1\n"),
            check: "uacce.isolated",
            status: Fail,
            says: "sudo modprobe --remove hisi_zip && sudo modprobe hisi_zip",
        },
        Loss {
            what: "the second of two queues",
            change: |machine| file(machine, &format!("{ZIP}/available_instances"), "1\n"),
            check: "uacce.queues",
            status: Warn,
            says: "all its queues but 1 are in use, and 2 are needed",
        },
        Loss {
            what: "all queues",
            change: |machine| file(machine, &format!("{ZIP}/available_instances"), "0\n"),
            check: "uacce.queues",
            status: Warn,
            says: "all its queues are in use",
        },
    ];
    all_are_named("kunpeng-v3", &losses);
}

#[test]
fn drivers_that_are_in_nobodys_way_are_known_by_their_names() {
    let bound = |address: &str, driver: &str| {
        let mut recording = machine("guest-vfio-open");
        let link = format!("/sys/bus/pci/devices/{address}/driver");
        recording.links.insert(link, format!("../../../bus/pci/drivers/{driver}"));
        examine(&recording)
    };
    // VFIO's own for one kind of device.
    assert_eq!(bound("0000:00:02.0", "hisi_acc_vfio_pci").count(Fail), 0);
    // The one that does nothing, for a stranger in the group.
    let report = bound("0000:01:02.0", "pci-stub");
    assert!(report.findings.iter().all(|line| line.check != "vfio.group" || line.status != Fail));
}

#[test]
fn a_narrow_iommu_makes_the_older_way_a_bounced_one() {
    let mut recording = machine("guest-vfio-open");
    without(&mut recording, "cap", &[10]);
    let report = examine(&recording);
    let road = report.roads.iter().find(|road| road.road == "vfio-type1").expect("the older way");
    assert_eq!(road.address_mode, "bounced");
}

/// A device of another bus: of the platform, as on boards without PCI.
fn platform_device(recording: &mut Recording) {
    let class = "/sys/class/vfio-dev";
    let mut names = recording.folders.get(class).cloned().unwrap_or_default();
    names.push("vfio9".to_owned());
    recording.folders.insert(class.to_owned(), names);
    recording.links.insert(format!("{class}/vfio9/device"), "../../../fe900000.engine".to_owned());
    recording.links.insert(format!("{class}/vfio9/device/iommu_group"), "../../../kernel/iommu_groups/9".to_owned());
    folder(recording, &format!("{class}/vfio9/device/vfio-dev"), &["vfio9"]);
}

#[test]
fn a_device_that_is_not_on_a_pci_bus_is_looked_at_as_well() {
    let mut recording = machine("guest-vfio-open");
    platform_device(&mut recording);
    let report = examine(&recording);
    let line = report.findings.iter().find(|line| line.subject.as_deref() == Some("/dev/vfio/9")).expect("its node");
    assert_eq!((line.check, line.status), ("vfio.group-node", Fail));

    recording.nodes.insert("/dev/vfio/9".to_owned(), Node { mode: 0o600, uid: 1000, gid: 0, access: None });
    opened(&mut recording, "/dev/vfio/9", "ok");
    let report = examine(&recording);
    let devices = &report.roads.iter().find(|road| road.road == "vfio-type1").expect("the older way").devices;
    assert!(devices.contains(&"fe900000.engine".to_owned()), "{devices:?}");
}

#[test]
fn one_open_way_to_a_device_is_enough() {
    let mut recording = machine("guest-vfio-open");
    platform_device(&mut recording);
    folder(&mut recording, "/dev/vfio/devices", &["vfio9"]);
    for path in ["/dev/vfio/devices/vfio9", "/dev/iommu"] {
        recording.nodes.insert(path.to_owned(), Node { mode: 0o660, uid: 0, gid: 1000, access: None });
        opened(&mut recording, path, "ok");
    }
    // Its group's node is root's, and that is in nobody's way.
    recording.nodes.insert("/dev/vfio/9".to_owned(), Node { mode: 0o600, uid: 0, gid: 0, access: None });
    let report = examine(&recording);
    assert_eq!(report.count(Fail), 0);
    let devices = &report.roads.iter().find(|road| road.road == "vfio-iommufd").expect("the newer way").devices;
    assert_eq!(devices.as_slice(), ["fe900000.engine"]);
}

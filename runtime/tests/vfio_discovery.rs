//! Which devices are found in a tree like the kernel's, and what is said of those that cannot be used.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uaccel_drivers::function::{Control, Function, NotThis};
use uaccel_queue::{AddressMode, Bus, DeviceInfo, Region, TransportError};
use uaccel_runtime::Runtime;
use uaccel_runtime::vfio::{Pinning, Road, VfioBus};

/// The name that the kernel gives an engine (section 8.5 of its specification).
const WARP: &str = "pci:v00001234d00005741sv00001AF4sd00001100bc12sc00i00";

/// A folder with `sys` and `dev` in it, which goes with the value.
struct Machine(PathBuf);

impl Machine {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("uaccel-vfio-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(root.join("dev/vfio/devices")).unwrap();
        fs::write(root.join("dev/vfio/vfio"), "").unwrap();
        Self(root)
    }

    /// A device on a bus, in a group.
    fn device(&self, bus: &str, id: &str, group: u32) -> PathBuf {
        let folder = self.0.join("sys/devices").join(bus).join(id);
        let groups = self.0.join("sys/kernel/iommu_groups").join(group.to_string());
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(groups.join("devices")).unwrap();
        fs::create_dir_all(self.0.join("sys/bus").join(bus)).unwrap();
        symlink(&folder, groups.join("devices").join(id)).unwrap();
        symlink(&groups, folder.join("iommu_group")).unwrap();
        symlink(self.0.join("sys/bus").join(bus), folder.join("subsystem")).unwrap();
        folder
    }

    fn driver(&self, folder: &Path, name: &str) {
        let driver = self.0.join("sys/drivers").join(name);
        fs::create_dir_all(&driver).unwrap();
        symlink(driver, folder.join("driver")).unwrap();
    }

    /// The node of a group.
    fn node(&self, group: u32) {
        fs::write(self.0.join("dev/vfio").join(group.to_string()), "").unwrap();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn info(bus: &VfioBus, name: &str) -> Option<DeviceInfo> {
    bus.devices().into_iter().find(|info| info.name == name)
}

/// Engines of a maker's own, which are on no PCI bus.
#[derive(Debug)]
struct Elsewhere(&'static str);

impl Function for Elsewhere {
    fn interface(&self) -> &'static str {
        "warp_v1"
    }

    fn is_behind(&self, modalias: &str) -> bool {
        modalias.starts_with(self.0)
    }

    fn region(&self, _: &Region) -> Result<u32, NotThis> {
        Ok(0)
    }

    fn control(&self, _: Region, _: &Region) -> Result<Box<dyn Control>, NotThis> {
        Err(NotThis("a device that is only found".to_owned()))
    }
}

#[test]
fn a_machine_without_groups_has_no_devices() {
    let machine = Machine::new("none");
    assert_eq!(VfioBus::at(&machine.0).devices(), []);
}

#[test]
fn an_engine_that_was_given_to_user_space_is_usable() {
    let machine = Machine::new("given");
    let folder = machine.device("pci", "0000:00:01.0", 3);
    fs::write(folder.join("modalias"), format!("{WARP}\n")).unwrap();
    fs::write(folder.join("numa_node"), "1\n").unwrap();
    machine.driver(&folder, "vfio-pci");
    machine.node(3);
    let found = info(&VfioBus::at(&machine.0), "vfio-0000:00:01.0").unwrap();
    assert_eq!((found.unusable, found.numa_node, &*found.interface), (None, Some(1), "warp_v1"));
}

#[test]
fn an_engine_without_a_driver_is_shown_with_the_commands_that_give_it() {
    let machine = Machine::new("unbound");
    let folder = machine.device("pci", "0000:00:01.0", 3);
    fs::write(folder.join("modalias"), WARP).unwrap();
    let found = info(&VfioBus::at(&machine.0), "vfio-0000:00:01.0").unwrap().unusable.unwrap();
    let cure = found.cure.unwrap();
    assert!(cure.contains("echo vfio-pci > /sys/bus/pci/devices/0000:00:01.0/driver_override"), "{cure}");
    assert!(cure.contains("echo 0000:00:01.0 > /sys/bus/pci/drivers_probe"), "{cure}");
}

#[test]
fn an_engine_that_a_driver_of_the_kernels_has_is_not_ours() {
    let machine = Machine::new("taken");
    let folder = machine.device("pci", "0000:00:01.0", 3);
    fs::write(folder.join("modalias"), WARP).unwrap();
    machine.driver(&folder, "warp");
    assert_eq!(VfioBus::at(&machine.0).devices(), []);
}

#[test]
fn a_node_that_is_missing_is_named() {
    let machine = Machine::new("node");
    let folder = machine.device("pci", "0000:00:01.0", 3);
    fs::write(folder.join("modalias"), WARP).unwrap();
    machine.driver(&folder, "vfio-pci");
    let found = info(&VfioBus::at(&machine.0), "vfio-0000:00:01.0").unwrap().unusable.unwrap();
    assert!(found.reason.ends_with("dev/vfio/3 does not exist"), "{}", found.reason);
}

#[test]
fn a_node_of_its_own_is_enough() {
    let machine = Machine::new("own");
    let folder = machine.device("pci", "0000:00:01.0", 3);
    fs::write(folder.join("modalias"), WARP).unwrap();
    fs::create_dir_all(folder.join("vfio-dev/vfio0")).unwrap();
    machine.driver(&folder, "vfio-pci");
    fs::write(machine.0.join("dev/vfio/devices/vfio0"), "").unwrap();
    fs::write(machine.0.join("dev/iommu"), "").unwrap();
    assert_eq!(info(&VfioBus::at(&machine.0), "vfio-0000:00:01.0").unwrap().unusable, None);
}

#[test]
fn nobody_is_told_that_page_tables_are_shared() {
    let machine = Machine::new("mode");
    let folder = machine.device("pci", "0000:00:01.0", 3);
    fs::write(folder.join("modalias"), WARP).unwrap();
    machine.driver(&folder, "vfio-pci");
    machine.node(3);
    let advertised = |bus: VfioBus| {
        let report = Runtime::builder().bus(Arc::new(bus)).root(&machine.0).report();
        let mut entries = report.entries().iter().filter(|entry| entry.info.name == "vfio-0000:00:01.0");
        let entry = entries.next().unwrap();
        assert!(entries.next().is_none(), "the program's bus stands for the runtime's own");
        entry.advertised.as_ref().unwrap().address_mode
    };
    assert_eq!(advertised(VfioBus::at(&machine.0)), AddressMode::IdentityPinned);
    assert_eq!(advertised(VfioBus::at(&machine.0).by(Road::OnDemand)), AddressMode::OnDemandPinned);
    let registered = VfioBus::at(&machine.0).by(Road::OnDemand).pinning(Pinning::RegisteredOnly);
    assert_eq!(advertised(registered), AddressMode::IdentityPinned);
}

#[test]
fn devices_need_no_pci_bus() {
    let machine = Machine::new("platform");
    let platform = machine.device("platform", "40000000.warp", 1);
    fs::write(platform.join("modalias"), "of:NwarpT(null)Cacme,warp-1\n").unwrap();
    machine.driver(&platform, "vfio-platform");
    machine.node(1);
    // A mediated device has no modalias, and its driver is called as nobody's.
    let mediated = machine.device("mdev", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", 2);
    symlink(machine.0.join("sys/devices/parent/mdev_supported_types/acme-warp"), mediated.join("mdev_type")).unwrap();
    fs::create_dir_all(mediated.join("vfio-dev/vfio7")).unwrap();
    machine.driver(&mediated, "acme_mdev");
    machine.node(2);
    let bus = VfioBus::at(&machine.0)
        .with_function(Arc::new(Elsewhere("of:NwarpT(null)Cacme,warp-1")))
        .with_function(Arc::new(Elsewhere("mdev:acme-warp")));
    for name in ["vfio-40000000.warp", "vfio-83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"] {
        assert_eq!(info(&bus, name).map(|info| info.unusable), Some(None), "{name}");
    }
}

#[test]
fn a_road_that_there_is_not_is_said_to_be_missing() {
    let machine = Machine::new("road");
    let folder = machine.device("pci", "0000:00:01.0", 3);
    fs::write(folder.join("modalias"), WARP).unwrap();
    machine.driver(&folder, "vfio-pci");
    machine.node(3);
    let refused = VfioBus::at(&machine.0).by(Road::Pasid).open("vfio-0000:00:01.0").unwrap_err();
    assert!(matches!(&refused, TransportError::Refused(why) if why.contains("no node of its own")), "{refused}");
    let missing = VfioBus::at(&machine.0).open("vfio-0000:00:02.0").unwrap_err();
    assert!(matches!(missing, TransportError::NoSuchDevice { .. }), "{missing}");
}

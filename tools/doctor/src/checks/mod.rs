//! What is looked at, in the order in which one thing rests on another.

mod accelerators;
mod daemon;
mod groups;
mod hisilicon;
mod idxd;
mod iommu;
mod kernel;
mod memory;
mod qat;
mod rights;
mod uacce;
mod vfio;

use crate::finding::Finding;
use crate::machine::Machine;
use crate::road::Road;

/// Looks at everything.
pub(crate) fn examine(machine: &Machine<'_>) -> (Vec<Finding>, Vec<Road>) {
    let mut findings = Vec::new();
    kernel::check(machine, &mut findings);
    let end_of_kernel = findings.len();
    iommu::check(machine, &mut findings);
    accelerators::check(machine, &mut findings);
    hisilicon::check(machine, &mut findings);
    let uacce = uacce::check(machine, &mut findings);
    let idxd = idxd::check(machine, &mut findings);
    // What a device shows is more than what the kernel was built with.
    let opened = machine.opens && (uacce.open || idxd.open);
    findings.splice(end_of_kernel..end_of_kernel, kernel::sharing(machine, opened));
    qat::check(machine, &mut findings);
    let vfio = vfio::check(machine, &mut findings);
    groups::check(machine, &mut findings);
    memory::check(machine, &mut findings);
    daemon::check(machine, &mut findings);
    let roads = vec![
        Road { road: "uacce", address_mode: "shared", devices: uacce.usable },
        Road { road: "idxd", address_mode: "shared", devices: idxd.usable },
        Road { road: "vfio-iommufd", address_mode: vfio.iommufd_mode, devices: vfio.iommufd },
        Road { road: "vfio-type1", address_mode: vfio.type1_mode, devices: vfio.type1 },
    ];
    (findings, roads)
}

/// Where devices that share page tables have nodes of their own.
#[derive(Default)]
struct Shared {
    /// Whether at least one node is open.
    open: bool,
    /// What can be used: what is open, and has a driver in this framework.
    usable: Vec<String>,
}

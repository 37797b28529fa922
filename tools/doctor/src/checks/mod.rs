//! What is looked at, in the order in which one thing rests on another.

mod accelerators;
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
    iommu::check(machine, &mut findings);
    accelerators::check(machine, &mut findings);
    hisilicon::check(machine, &mut findings);
    let uacce = uacce::check(machine, &mut findings);
    let idxd = idxd::check(machine, &mut findings);
    qat::check(machine, &mut findings);
    let vfio = vfio::check(machine, &mut findings);
    groups::check(machine, &mut findings);
    memory::check(machine, &mut findings);
    let roads = vec![
        Road { road: "uacce", address_mode: "shared", devices: uacce },
        Road { road: "idxd", address_mode: "shared", devices: idxd },
        Road { road: "vfio-iommufd", address_mode: vfio.iommufd_mode, devices: vfio.iommufd },
        Road { road: "vfio-type1", address_mode: vfio.type1_mode, devices: vfio.type1 },
    ];
    (findings, roads)
}

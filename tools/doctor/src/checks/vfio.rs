//! Devices that go to a process as a whole, through VFIO.

use super::{groups, rights};
use crate::access_rule::AccessRule;
use crate::finding::{Finding, Status};
use crate::function::{Function, is_address};
use crate::machine::Machine;

/// What VFIO leads to.
pub(super) struct Found {
    /// Functions that can be used through device nodes and iommufd.
    pub(super) iommufd: Vec<String>,
    /// How addresses reach memory there.
    pub(super) iommufd_mode: &'static str,
    /// Functions that can be used through groups and the container.
    pub(super) type1: Vec<String>,
    /// How addresses reach memory there.
    pub(super) type1_mode: &'static str,
}

/// Where the kernel lists what VFIO has, of all buses.
const CLASS: &str = "/sys/class/vfio-dev";

const ON_DEMAND: &str = "on-demand-pinned";
const IDENTITY: &str = "identity-pinned";
const BOUNCED: &str = "bounced";

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) -> Found {
    let mut found = Found { iommufd: Vec::new(), iommufd_mode: IDENTITY, type1: Vec::new(), type1_mode: IDENTITY };
    findings.extend(unsafe_parameters(machine));
    let mut asks_for_pages = false;
    for function in machine.for_vfio() {
        let Some(group) = function.group else {
            findings.push(
                Finding::fail("vfio.group", "is in no IOMMU group, so VFIO does not take it")
                    .about(&function.address)
                    .advise("see the lines about the IOMMU above"),
            );
            continue;
        };
        if !function.is_vfio() {
            findings.push(bind(function));
            continue;
        }
        if let Some(finding) = strangers(machine, function, group) {
            findings.push(finding);
            continue;
        }
        let given = Given { name: &function.address, folder: function.folder(), group };
        let by_node = ways(machine, &given, findings, &mut found);
        asks_for_pages |= by_node && function.capabilities(machine.tree).is_ok_and(|found| found.pri.is_some());
        if machine.iommu_of(function).is_some_and(|unit| unit.model.is_narrow()) {
            found.type1_mode = BOUNCED;
        }
    }
    // Devices of other buses: of the platform, or made by a driver (mdev).
    for name in machine.tree.names(CLASS) {
        let folder = format!("{CLASS}/{name}/device");
        let Some(device) = machine.tree.link_name(&folder).filter(|device| !is_address(device)) else { continue };
        let group = machine.tree.link_name(&format!("{folder}/iommu_group")).and_then(|group| group.parse().ok());
        match group {
            Some(group) => {
                ways(machine, &Given { name: &device, folder, group }, findings, &mut found);
            }
            None => findings.push(Finding::fail("vfio.group", "is in no IOMMU group").about(device)),
        }
    }
    // Fault queues came with 6.11.
    if asks_for_pages && machine.kernel.is_at_least(6, 11) {
        found.iommufd_mode = ON_DEMAND;
    }
    found
}

/// A device that VFIO has.
struct Given<'a> {
    name: &'a str,
    /// Its folder below `/sys`.
    folder: String,
    group: u32,
}

/// Looks at both ways to a device, of which one is enough, and says whether the newer one is open.
fn ways(machine: &Machine<'_>, given: &Given<'_>, findings: &mut Vec<Finding>, found: &mut Found) -> bool {
    let unprotected = format!("/dev/vfio/noiommu-{}", given.group);
    if machine.tree.node(&unprotected).is_ok() {
        findings.push(
            Finding::warn(
                "vfio.no-iommu",
                "VFIO has it without an IOMMU: whoever opens it, which needs CAP_SYS_RAWIO, can write to any memory",
            )
            .about(given.name),
        );
        return false;
    }
    let (mut newer, mut older) = (Vec::new(), Vec::new());
    let by_node = device_node(machine, given, &mut newer);
    let by_group = group_node(machine, given.group, &mut older);
    match (by_node, by_group) {
        (false, true) => spare(&mut newer),
        // Where there is the newer way, it is the one to be opened.
        (_, false) if !newer.is_empty() => spare(&mut older),
        _ => {}
    }
    // Nodes that several devices share are named once.
    for finding in newer.into_iter().chain(older) {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    if by_node {
        found.iommufd.push(given.name.to_owned());
    }
    if by_group && has_type1(machine) {
        found.type1.push(given.name.to_owned());
    }
    by_node
}

/// What is in the way of one road is in nobody's way if the other one is open.
fn spare(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.status == Status::Fail) {
        finding.status = Status::Absent;
    }
}

/// Whether the container can map memory. Its module has parameters, so that it shows even if it is built in.
fn has_type1(machine: &Machine<'_>) -> bool {
    machine.tree.has("/sys/module/vfio_iommu_type1")
}

/// A function that another driver has, or none.
fn bind(function: &Function) -> Finding {
    let Function { address, .. } = function;
    let folder = function.folder();
    let (why, unbind) = match &function.driver {
        Some(driver) => (
            format!("driver {driver} has it; VFIO must have it before a process can"),
            Some(format!("echo {address} | sudo tee {folder}/driver/unbind")),
        ),
        None => ("no driver has it; VFIO must have it before a process can".to_owned(), None),
    };
    let finding = Finding::fail("vfio.bound", why)
        .about(address)
        .advise("bind it to vfio-pci; that is root's, and lasts until the next start (docs/setup/uaccel-vfio@.service makes it last)")
        .run("sudo modprobe vfio-pci")
        .run(format!("echo vfio-pci | sudo tee {folder}/driver_override"));
    unbind.into_iter().fold(finding, Finding::run).run(format!("echo {address} | sudo tee /sys/bus/pci/drivers_probe"))
}

/// Others in the group that the kernel's drivers have: as long as that is so, nobody gets any of it.
fn strangers(machine: &Machine<'_>, function: &Function, group: u32) -> Option<Finding> {
    let members = groups::members(machine, group);
    // Bridges may keep the kernel's driver, and pci-stub may keep anything: they do no DMA.
    let others = machine.functions.iter().filter(|other| {
        members.contains(&other.address)
            && other.address != function.address
            && !other.is_bridge()
            && !other.is_vfio()
            && other.driver.as_deref().is_some_and(|driver| driver != "pci-stub")
    });
    let others: Vec<_> = others.collect();
    if others.is_empty() {
        return None;
    }
    let list: Vec<_> = others
        .iter()
        .map(|other| format!("{} ({})", other.address, other.driver.as_deref().unwrap_or_default()))
        .collect();
    let finding = Finding::fail("vfio.group", format!("group {group} also holds {}, which the kernel drives: VFIO gives out all of a group or nothing (EBUSY, EPERM)", list.join(", ")))
        .about(&function.address)
        .advise("take those away from their drivers, unless the machine needs them; or put the device into another slot");
    Some(others.iter().fold(finding, |finding, other| {
        finding.run(format!("echo {} | sudo tee {}/driver/unbind", other.address, other.folder()))
    }))
}

/// The newer way: a node for the device, and `/dev/iommu`.
fn device_node(machine: &Machine<'_>, given: &Given<'_>, findings: &mut Vec<Finding>) -> bool {
    // The kernel names these without making nodes, too; with nodes there is a folder.
    if !machine.tree.has("/dev/vfio/devices") {
        return false;
    }
    // `vfio-dev/vfio0`, in the device's folder.
    let names = machine.tree.names(&format!("{}/vfio-dev", given.folder));
    let Some(name) = names.iter().find(|name| name.starts_with("vfio")) else { return false };
    let path = format!("/dev/vfio/devices/{name}");
    let device = rights::node(machine, "vfio.device-node", &path, (AccessRule::VfioDevice, given.name));
    let iommufd = rights::node(machine, "vfio.iommufd-node", "/dev/iommu", (AccessRule::IommuFd, "iommu"));
    both(given.name, "vfio.device-node", device, iommufd, findings)
}

/// The older way: a node for the group, and the container.
fn group_node(machine: &Machine<'_>, group: u32, findings: &mut Vec<Finding>) -> bool {
    let device = rights::node(
        machine,
        "vfio.group-node",
        &format!("/dev/vfio/{group}"),
        (AccessRule::VfioGroup, &group.to_string()),
    );
    let container = rights::node(machine, "vfio.container-node", "/dev/vfio/vfio", (AccessRule::VfioContainer, "vfio"));
    both(&format!("group {group}"), "vfio.group-node", device, container, findings)
}

fn both(
    subject: &str,
    check: &'static str,
    first: Result<String, Box<Finding>>,
    second: Result<String, Box<Finding>>,
    findings: &mut Vec<Finding>,
) -> bool {
    match (first, second) {
        (Ok(first), Ok(second)) => {
            findings.push(Finding::pass(check, format!("{first}, {second}")).about(subject));
            true
        }
        (first, second) => {
            findings.extend([first.err(), second.err()].into_iter().flatten().map(|finding| *finding));
            false
        }
    }
}

/// Parameters of VFIO that take its protection away.
fn unsafe_parameters(machine: &Machine<'_>) -> Vec<Finding> {
    let parameters = [
        (
            "vfio",
            "enable_unsafe_noiommu_mode",
            "vfio.no-iommu",
            "devices can be used without an IOMMU: whoever opens one can write to any memory",
        ),
        (
            "vfio_iommu_type1",
            "allow_unsafe_interrupts",
            "vfio.unsafe-interrupts",
            "VFIO takes devices whose interrupts are not translated: they can be forged",
        ),
        (
            "iommufd",
            "allow_unsafe_interrupts",
            "vfio.unsafe-interrupts",
            "iommufd takes devices whose interrupts are not translated: they can be forged",
        ),
    ];
    let set = parameters.into_iter().filter(|(module, parameter, ..)| machine.is_set(module, parameter));
    set.map(|(module, parameter, check, why)| {
        let file = format!("/sys/module/{module}/parameters/{parameter}");
        Finding::warn(check, why)
            .advise("switch it off, unless this machine is for trying things out")
            .run(format!("echo 0 | sudo tee {file}"))
    })
    .collect()
}

//! IOMMU groups: who else is in one, and who can reach whom.

use super::iommu;
use crate::capability::{Capabilities, Hidden};
use crate::finding::Finding;
use crate::function::Function;
use crate::machine::Machine;

/// Where the kernel lists groups.
const GROUPS: &str = "/sys/kernel/iommu_groups";

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    let mut groups: Vec<u32> = if machine.shows_all {
        machine.tree.names(GROUPS).iter().filter_map(|name| name.parse().ok()).collect()
    } else {
        machine.accelerators().chain(machine.for_vfio()).filter_map(|function| function.group).collect()
    };
    groups.sort_unstable();
    groups.dedup();
    findings.extend(groups.into_iter().map(|group| company(machine, group).about(format!("group {group}"))));
    findings
        .extend(machine.accelerators().filter_map(|function| Some(reach(machine, function)?.about(&function.address))));
}

/// Whom a function reaches outside its group.
///
/// The kernel puts a device below a switch into one group with the switch's lower port if that port keeps nothing apart, but not with the
/// devices below the other ports, which it reaches all the same. Of ports of the machine itself the kernel knows several that keep devices
/// apart without saying so; hence those are suspected only where the kernel was told to lie.
fn reach(machine: &Machine<'_>, function: &Function) -> Option<Finding> {
    const CHECK: &str = "group.reach";
    let told_to_lie = !iommu::overriding(machine).is_empty();
    let above = bridges(machine, function);
    for (place, (bridge, found)) in above.iter().enumerate() {
        let is_lower_port = place > 0 && above[place - 1].1.as_ref().is_ok_and(|found| found.is_upstream);
        if !(told_to_lie || is_lower_port) || found.as_ref().map_or(true, Capabilities::isolates) {
            continue;
        }
        let address = &bridge.address;
        let below = machine
            .functions
            .iter()
            .filter(|other| other.bridges.contains(address) && !other.is_bridge() && other.group != function.group);
        let list: Vec<_> =
            below.chain(beyond(machine, bridge, function)).map(|other| described(machine, &other.address)).collect();
        if !list.is_empty() {
            let why = format!(
                "reaches {} past the IOMMU, though groups say otherwise: access control (ACS) of {address} is not all on",
                list.join(", ")
            );
            return Some(Finding::warn(CHECK, why).advise("give all of them to one user, or to none"));
        }
    }
    (told_to_lie && above.iter().any(|(_, found)| found.is_err())).then(|| {
        Finding::unknown(CHECK, "whom it reaches outside its group is shown to root only")
            .advise("ask as root")
            .run("sudo uaccel doctor")
    })
}

/// The bridges above a function, with their capabilities.
fn bridges<'a>(machine: &'a Machine<'_>, function: &Function) -> Vec<(&'a Function, Result<Capabilities, Hidden>)> {
    let above = function
        .bridges
        .iter()
        .filter_map(|address| machine.functions.iter().find(|bridge| bridge.address == *address));
    above.map(|bridge| (bridge, bridge.capabilities(machine.tree))).collect()
}

/// Devices below the other lower ports of the switch that a bridge is a lower port of, and in other groups than `function`.
fn beyond<'a>(machine: &'a Machine<'_>, bridge: &Function, function: &Function) -> impl Iterator<Item = &'a Function> {
    let switch = bridge.bridges.last().cloned();
    let (own, group) = (bridge.address.clone(), function.group);
    machine.functions.iter().filter(move |other| {
        let beside = switch.as_ref().is_some_and(|switch| other.bridges.contains(switch));
        beside && !other.bridges.contains(&own) && !other.is_bridge() && other.group != group
    })
}

/// The names of the devices in a group.
pub(super) fn members(machine: &Machine<'_>, group: u32) -> Vec<String> {
    machine.tree.names(&format!("{GROUPS}/{group}/devices"))
}

/// Who is in a group.
fn company(machine: &Machine<'_>, group: u32) -> Finding {
    const CHECK: &str = "group.company";
    let members = members(machine, group);
    let functions: Vec<_> = machine.functions.iter().filter(|function| members.contains(&function.address)).collect();
    let bridges: Vec<_> = functions.iter().filter(|function| function.is_bridge()).collect();
    let others: Vec<_> =
        members.iter().filter(|member| !bridges.iter().any(|bridge| bridge.address == **member)).collect();
    match others.as_slice() {
        [] => Finding::pass(CHECK, "holds bridges alone"),
        [one] => Finding::pass(
            CHECK,
            format!(
                "holds {} alone: no other device reaches its user's memory past the IOMMU",
                described(machine, one)
            ),
        ),
        several => {
            let list: Vec<_> = several.iter().map(|member| described(machine, member)).collect();
            Finding::warn(
                CHECK,
                format!(
                    "holds {}, which can reach each other past the IOMMU{}: all of it goes to one user, or to none",
                    list.join(", "),
                    reason(machine, &functions)
                ),
            )
            .advise("put the device into another slot, or take all devices of the group away from their drivers; no kernel parameter parts them safely")
        }
    }
}

/// A member with what it is and who drives it.
fn described(machine: &Machine<'_>, member: &str) -> String {
    let Some(function) = machine.functions.iter().find(|function| function.address == *member) else {
        return member.to_owned();
    };
    let driver = function.driver.as_deref().unwrap_or("no driver");
    format!("{member} ({}, {driver})", function.name())
}

/// Why the kernel put them together, where that shows.
fn reason(machine: &Machine<'_>, functions: &[&Function]) -> String {
    let endpoints: Vec<_> = functions.iter().filter(|function| !function.is_bridge()).collect();
    let [first, others @ ..] = endpoints.as_slice() else { return String::new() };
    if others.iter().all(|other| other.is_beside(first)) {
        return " as functions of one device without access control (ACS) between them".to_owned();
    }
    let above = bridges(machine, first);
    let leak =
        above.iter().find_map(|(bridge, found)| Some((bridge, found.as_ref().ok().filter(|found| !found.isolates())?)));
    match leak {
        Some((bridge, found)) if found.acs.is_none() => {
            format!(" below {}, which has no access control (ACS)", bridge.address)
        }
        Some((bridge, _)) => format!(" below {}, whose access control (ACS) is not all on", bridge.address),
        None => String::new(),
    }
}

//! IOMMU groups: who else is in one, and who can reach whom.

use super::iommu;
use crate::capability::Acs;
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
    if !iommu::overriding(machine).is_empty() {
        findings.extend(
            machine.accelerators().filter_map(|function| Some(reach(machine, function)?.about(&function.address))),
        );
    }
}

/// Whom a function reaches outside its group, where groups cannot be trusted. The kernel's own word is the groups, which know of bridges that
/// keep devices apart without saying so; hence this is asked only where they were told to lie.
fn reach(machine: &Machine<'_>, function: &Function) -> Option<Finding> {
    const CHECK: &str = "group.reach";
    let mut hidden = false;
    for address in &function.bridges {
        let bridge = machine.functions.iter().find(|bridge| bridge.address == *address)?;
        match bridge.capabilities(machine.tree) {
            Ok(found) if found.acs.is_some_and(|(_, does)| does.contains(Acs::ISOLATES)) => {}
            Ok(_) => {
                let others = machine.functions.iter().filter(|other| {
                    other.bridges.contains(address) && !other.is_bridge() && other.group != function.group
                });
                let list: Vec<_> = others.map(|other| described(machine, &other.address)).collect();
                if list.is_empty() {
                    continue;
                }
                let why = format!(
                    "reaches {} past the IOMMU: access control (ACS) of {address} above them is not all on",
                    list.join(", ")
                );
                return Some(Finding::warn(CHECK, why).advise("give all of them to one user, or to none"));
            }
            Err(_) => hidden = true,
        }
    }
    hidden.then(|| {
        Finding::unknown(CHECK, "whom it reaches outside its group is shown to root only")
            .advise("ask as root")
            .run("sudo uaccel doctor")
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
    let above_all = |bridge: &&String| others.iter().all(|other| other.bridges.contains(bridge));
    let Some(address) = first.bridges.iter().rev().find(above_all) else { return String::new() };
    let bridge = machine.functions.iter().find(|function| function.address == *address);
    let does = bridge.map(|bridge| bridge.capabilities(machine.tree).map(|found| found.acs.map(|(_, does)| does)));
    match does {
        Some(Ok(None)) => format!(" below {address}, which has no access control (ACS)"),
        Some(Ok(Some(does))) if !does.contains(Acs::ISOLATES) => {
            format!(" below {address}, whose access control (ACS) is not all on")
        }
        _ => format!(" below {address}"),
    }
}

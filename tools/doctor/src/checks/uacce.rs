//! Devices of the kernel's uacce framework.

use super::rights;
use crate::access_rule::AccessRule;
use crate::finding::Finding;
use crate::machine::Machine;

/// Where the kernel lists them (Documentation/ABI/testing/sysfs-driver-uacce).
const CLASS: &str = "/sys/class/uacce";

/// Interfaces that this version of the framework has a driver for.
const DRIVEN: &[&str] = &["warp_v1"];

/// `UACCE_DEV_SVA` of `uapi/misc/uacce/uacce.h`, in `flags`.
const SVA: u64 = 1;

/// Looks at them, and says which can be used.
pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) -> Vec<String> {
    let devices = machine.tree.names(CLASS);
    if devices.is_empty()
        && let Some(function) = machine.for_uacce().next()
        && machine.tree.has(CLASS)
    {
        findings.push(
            Finding::fail("uacce.device", format!("no driver has offered {} to uacce", function.name()))
                .about(&function.address)
                .advise("see what its driver says")
                .run(format!("sudo dmesg | grep {}", function.address)),
        );
    }
    let mut usable = Vec::new();
    for device in devices {
        let before = findings.len();
        let free = obstacles(machine, &device, findings);
        if findings.len() > before {
            findings[before..].iter_mut().for_each(|finding| finding.subject = Some(device.clone()));
            continue;
        }
        let api = machine.tree.text(&format!("{CLASS}/{device}/api")).unwrap_or_else(|_| "unknown".to_owned());
        match rights::node(machine, "uacce.node", &format!("/dev/{device}"), (AccessRule::Uacce, &device)) {
            Err(finding) => findings.push(*finding),
            Ok(open) => {
                let why = format!("{api}: shares page tables, {free}, {open}");
                findings.push(Finding::pass("uacce.device", why).about(&device));
                if DRIVEN.contains(&api.as_str()) {
                    usable.push(device);
                } else {
                    findings.push(
                        Finding::absent(
                            "uacce.driver",
                            format!("this version of the framework has no driver for {api}: the CPU does its work"),
                        )
                        .about(&device),
                    );
                }
            }
        }
    }
    usable
}

/// Adds what is in the way of a device, and says how many of its queues are free.
fn obstacles(machine: &Machine<'_>, device: &str, findings: &mut Vec<Finding>) -> String {
    let folder = format!("{CLASS}/{device}");
    let attribute = |name: &str| machine.tree.text(&format!("{folder}/{name}"));
    match attribute("flags").map(|flags| flags.parse::<u64>()) {
        Ok(Ok(flags)) if flags & SVA == SVA => {}
        Ok(Ok(flags)) => findings.push(
            Finding::fail("uacce.sharing", format!("its driver shares no page tables (flags {flags:#x})"))
                .advise("enable PASIDs and page requests in the IOMMU, then load the device's driver anew"),
        ),
        Ok(Err(_)) | Err(_) => findings.push(Finding::fail("uacce.sharing", "its flags cannot be read")),
    }
    if machine.tree.link(&format!("{folder}/device/iommu_group")).is_err() {
        findings.push(
            Finding::fail("uacce.sharing", "no IOMMU translates its addresses")
                .advise("see the lines about the IOMMU above"),
        );
    }
    if attribute("isolate").is_ok_and(|isolated| isolated == "1") {
        let driver =
            machine.tree.link_name(&format!("{folder}/device/driver")).unwrap_or_else(|| "its driver".to_owned());
        findings.push(
            Finding::fail("uacce.isolated", "has isolated itself after errors")
                .advise("read why, then load its driver anew")
                .run("sudo dmesg | grep -i -E 'uacce|isolat'")
                .run(format!("sudo modprobe --remove {driver} && sudo modprobe {driver}")),
        );
    }
    match attribute("available_instances").map(|free| free.parse::<i64>()) {
        Ok(Ok(free)) if free <= 0 => {
            findings.push(
                Finding::warn("uacce.queues", "all its queues are in use")
                    .advise("wait, or see who has them")
                    .run(format!("sudo lsof /dev/{device}")),
            );
            "no queue free".to_owned()
        }
        Ok(Ok(free)) => format!("{free} queues free"),
        // Not every driver counts.
        Ok(Err(_)) | Err(_) => "queues not counted".to_owned(),
    }
}

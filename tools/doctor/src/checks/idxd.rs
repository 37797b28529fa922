//! Intel DSA and IAA: devices, work queues for processes, their nodes.

use super::{Shared, rights};
use crate::access_rule::AccessRule;
use crate::finding::Finding;
use crate::kind::Family;
use crate::machine::Machine;

/// Both kinds sit on one bus (Documentation/ABI/stable/sysfs-driver-dma-idxd).
const BUS: &str = "/sys/bus/dsa/devices";

/// Looks at them, and says which work queues can be used.
pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) -> Shared {
    for function in machine.family(|family| family == Family::Idxd).filter(|function| function.driver.is_none()) {
        findings.push(
            Finding::fail("idxd.device", "no driver is bound to it (idxd)")
                .about(&function.address)
                .advise("load it")
                .run("sudo modprobe idxd"),
        );
    }
    let names = machine.tree.names(BUS);
    let mut open = Vec::new();
    for device in names.iter().filter(|name| is_device(name)) {
        check_device(machine, device, &names, findings, &mut open);
    }
    if !open.is_empty() {
        findings.push(portal(machine));
        findings.push(Finding::absent(
            "idxd.driver",
            "this version of the framework has no driver for DSA and IAA: the CPU does their work",
        ));
    }
    // None can be used before there is a driver.
    Shared { open: !open.is_empty(), usable: Vec::new() }
}

/// `dsa0`, `iax1`; not `wq0.0`, `engine0.0`, `group0.0`.
fn is_device(name: &str) -> bool {
    let number = name.strip_prefix("dsa").or_else(|| name.strip_prefix("iax"));
    number.is_some_and(|number| !number.is_empty() && number.chars().all(|digit| digit.is_ascii_digit()))
}

fn check_device(
    machine: &Machine<'_>,
    device: &str,
    names: &[String],
    findings: &mut Vec<Finding>,
    open: &mut Vec<String>,
) {
    let attribute = |name: &str| machine.tree.text(&format!("{BUS}/{device}/{name}")).unwrap_or_default();
    let (kind, number) = device.split_at(3);
    if attribute("pasid_enabled") != "1" {
        let finding =
            Finding::fail("idxd.sharing", "has no PASIDs, and work queues of processes need them").about(device);
        findings.push(if machine.host.processor == crate::host::Processor::Intel {
            finding.mend(machine.host.kernel_parameter("intel_iommu=on,sm_on"))
        } else {
            finding
        });
        return;
    }
    let mut queues: Vec<_> = names.iter().filter(|name| name.starts_with(&format!("wq{number}."))).collect();
    // Configured ones alone: the others are but places for them.
    queues.retain(|queue| machine.tree.text(&format!("{BUS}/{queue}/type")).is_ok_and(|kind| kind == "user"));
    let enabled =
        |queue: &&&String| machine.tree.text(&format!("{BUS}/{queue}/state")).is_ok_and(|state| state == "enabled");
    let running: Vec<_> = queues.iter().filter(enabled).collect();
    if attribute("state") != "enabled" || running.is_empty() {
        let state = attribute("state");
        let status = command_status(&attribute("cmd_status"));
        findings.push(
            Finding::fail("idxd.queue", format!("offers no work queue to processes (device {state}{status})"))
                .about(device)
                .advise("configure one; accel-config is in most distributions")
                .run(format!(
                    "sudo accel-config config-wq {device}/wq{number}.0 --group-id=0 --mode=dedicated --wq-size=16 --priority=10 \
                     --type=user --name=uaccel --driver-name=user --block-on-fault=1"
                ))
                .run(format!("sudo accel-config config-engine {device}/engine{number}.0 --group-id=0"))
                .run(format!("sudo accel-config enable-device {device} && sudo accel-config enable-wq {device}/wq{number}.0")),
        );
        return;
    }
    for queue in running {
        let node = format!("/dev/{kind}/{queue}");
        match rights::node(machine, "idxd.node", &node, (AccessRule::Idxd, queue)) {
            Err(finding) => findings.push(*finding),
            Ok(how) => {
                let attribute = |name: &str| machine.tree.text(&format!("{BUS}/{queue}/{name}")).unwrap_or_default();
                let mode = attribute("mode");
                let faults = if attribute("block_on_fault") == "1" {
                    "waits for missing pages"
                } else {
                    "ends a job at a missing page"
                };
                findings.push(
                    Finding::pass("idxd.queue", format!("{mode}, size {}, {faults}, {how}", attribute("size")))
                        .about(queue.as_str()),
                );
                if mode == "shared" && !machine.host.has_enqcmd {
                    findings.push(
                        Finding::warn(
                            "idxd.submission",
                            "is shared, and the processor (or the virtual machine) has no ENQCMD: only write() submits",
                        )
                        .about(queue.as_str()),
                    );
                }
                open.push((*queue).clone());
            }
        }
    }
}

/// What the driver says of the last command, if it went wrong. Numbers are those of `enum idxd_scmd_stat` (uapi/linux/idxd.h).
fn command_status(text: &str) -> String {
    let Some(status) =
        text.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok()).filter(|status| *status != 0)
    else {
        return String::new();
    };
    let why = match status & 0xffff_0000 {
        0x8003_0000 => "a work queue has no group",
        0x8004_0000 => "a work queue has no name",
        0x8005_0000 => "a shared work queue, and no shared page tables",
        0x8006_0000 => "a shared work queue without a threshold",
        0x800d_0000 => "nothing is configured",
        0x800e_0000 => "a work queue has no size",
        0x8011_0000 => "a work queue for processes, and no IOMMU that shares page tables",
        0x8020_0000 => "a work queue has no driver name",
        _ => "see `accel-config list`",
    };
    format!("; its last command failed: {why} ({text})")
}

/// How jobs may be submitted.
fn portal(machine: &Machine<'_>) -> Finding {
    const CHECK: &str = "idxd.submission";
    match &machine.person {
        Some(person) if person.has_raw_io() => {
            Finding::pass(CHECK, "jobs go by the portal: this process has CAP_SYS_RAWIO")
        }
        _ => Finding::pass(
            CHECK,
            "jobs go by write(): the portal (mmap) is for CAP_SYS_RAWIO alone on all devices of today (INTEL-SA-01084), and nothing need be done",
        ),
    }
}

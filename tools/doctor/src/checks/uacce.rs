//! Devices of the kernel's uacce framework.

use super::{Shared, hisilicon, rights};
use crate::access_rule::AccessRule;
use crate::finding::Finding;
use crate::function::Function;
use crate::kind::Family;
use crate::machine::Machine;

/// Where the kernel lists them (Documentation/ABI/testing/sysfs-driver-uacce).
const CLASS: &str = "/sys/class/uacce";

/// What this version of the framework has a driver for.
struct Driven {
    api: &'static str,
    /// Where one interface is that of several engines: the algorithms of which the engine has one.
    algorithms: &'static [&'static str],
    /// How many of the device's queues one of the framework's takes.
    queues: i64,
}

const DRIVEN: &[Driven] = &[
    Driven { api: "warp_v1", algorithms: &[], queues: 1 },
    // One each way.
    Driven { api: "hisi_qm_v3", algorithms: ZIP, queues: 2 },
];

/// What tells HiSilicon's ZIP from the other engines behind its queue manager.
const ZIP: &[&str] = &["deflate", "zlib", "gzip"];

/// What a device says of its interface.
struct Interface {
    api: String,
    algorithms: Vec<String>,
}

impl Interface {
    fn of(machine: &Machine<'_>, device: &str) -> Self {
        let attribute = |name: &str| machine.tree.text(&format!("{CLASS}/{device}/{name}"));
        let lines = attribute("algorithms").unwrap_or_default();
        Self {
            api: attribute("api").unwrap_or_else(|_| "unknown".to_owned()),
            algorithms: lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect(),
        }
    }

    fn has_one_of(&self, algorithms: &[&str]) -> bool {
        self.algorithms.iter().any(|own| algorithms.contains(&own.as_str()))
    }

    fn driven(&self) -> Option<&'static Driven> {
        DRIVEN.iter().find(|driven| {
            driven.api == self.api && (driven.algorithms.is_empty() || self.has_one_of(driven.algorithms))
        })
    }

    /// Why it has no driver.
    fn undriven(&self) -> String {
        let api = &self.api;
        let what = match api.as_str() {
            "hisi_qm_v1" | "hisi_qm_v2" if self.has_one_of(ZIP) => {
                return format!(
                    "the framework drives this engine from hardware version 3 (hisi_qm_v3) on, and this is {api}: the CPU does its work"
                );
            }
            _ if DRIVEN.iter().any(|driven| driven.api == api) => {
                format!("what is behind {api} here ({})", self.algorithms.join(", "))
            }
            _ => api.clone(),
        };
        format!("this version of the framework has no driver for {what}: the CPU does its work")
    }
}

/// `UACCE_DEV_SVA` of `uapi/misc/uacce/uacce.h`, in `flags`.
const SVA: u64 = 1;

/// Looks at them, and says which can be used.
pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) -> Shared {
    let devices = machine.tree.names(CLASS);
    let offered = |function: &Function| {
        devices.iter().any(|device| {
            machine
                .tree
                .link_name(&format!("{CLASS}/{device}/device"))
                .is_some_and(|address| address == function.address)
        })
    };
    for function in
        machine.for_uacce().filter(|function| !offered(function) && !hisilicon::keeps_for_kernel(machine, function))
    {
        findings.push(not_offered(machine, function).about(&function.address));
    }
    let mut found = Shared::default();
    for device in devices {
        let before = findings.len();
        let interface = Interface::of(machine, &device);
        let driven = interface.driven();
        let free = obstacles(machine, &device, driven.map_or(1, |driven| driven.queues), findings);
        if findings.len() > before {
            findings[before..].iter_mut().for_each(|finding| finding.subject = Some(device.clone()));
            continue;
        }
        let api = &interface.api;
        match rights::node(machine, "uacce.node", &format!("/dev/{device}"), (AccessRule::Uacce, &device)) {
            Err(finding) => findings.push(*finding),
            Ok(open) => {
                found.open = true;
                // Flags can be wrong, and the kernel says so on open alone.
                let says = if machine.opens { "shares" } else { "says that it shares" };
                let why = format!("{api}: {says} page tables, {free}, {open}");
                findings.push(Finding::pass("uacce.device", why).about(&device));
                if driven.is_some() {
                    found.usable.push(device);
                } else {
                    findings.push(Finding::absent("uacce.driver", interface.undriven()).about(&device));
                }
            }
        }
    }
    found
}

/// A function that uacce knows nothing of.
fn not_offered(machine: &Machine<'_>, function: &Function) -> Finding {
    const CHECK: &str = "uacce.device";
    match (&function.driver, function.kind.map(|kind| kind.family)) {
        (Some(driver), _) => Finding::fail(CHECK, format!("its driver ({driver}) has not offered it to uacce"))
            .advise("see what it says")
            .run(format!("sudo dmesg | grep {}", function.address)),
        (None, Some(Family::Warp)) => Finding::fail(CHECK, "no driver is bound to it (warp.ko)")
            .advise("build it in this project's folder, and load it; or see what it takes to give the device to a process through VFIO")
            .run("make -C /lib/modules/$(uname -r)/build M=\"$PWD/sim/kmod\" modules && sudo insmod sim/kmod/warp.ko")
            .run(format!("uaccel doctor --device {}", function.address)),
        _ => Finding::fail(CHECK, "no driver has offered it to uacce").advise(if machine.tree.has(CLASS) {
            "see the lines about its driver above"
        } else {
            "see the lines about the kernel above"
        }),
    }
}

/// Adds what is in the way of a device of which one queue takes so many of its `queues`, and says how many of them are free.
fn obstacles(machine: &Machine<'_>, device: &str, queues: i64, findings: &mut Vec<Finding>) -> String {
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
    // Asked for in any case, so that it stands in a recording.
    let driver = machine.tree.link_name(&format!("{folder}/device/driver"));
    if attribute("isolate").is_ok_and(|isolated| isolated == "1") {
        let finding = Finding::fail("uacce.isolated", "has isolated itself after errors")
            .advise("read why, end what has it open, since its driver may wait for that, then load the driver anew")
            .run("sudo dmesg | grep -i -E 'uacce|isolat'");
        let anew = driver.map(|driver| format!("sudo modprobe --remove {driver} && sudo modprobe {driver}"));
        findings.push(anew.into_iter().fold(finding, Finding::run));
    }
    match attribute("available_instances").map(|free| free.parse::<i64>()) {
        Ok(Ok(free)) if free < queues => {
            let why = match free {
                ..=0 => "all its queues are in use".to_owned(),
                free => format!("all its queues but {free} are in use, and {queues} are needed"),
            };
            findings.push(
                Finding::warn("uacce.queues", why)
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

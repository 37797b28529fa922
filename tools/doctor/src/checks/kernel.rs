//! What the kernel must have for each way to a device.

use crate::finding::Finding;
use crate::kernel::Presence;
use crate::kind::Family;
use crate::machine::Machine;

/// A part of the kernel.
struct Part {
    check: &'static str,
    option: &'static str,
    /// A folder that is there when it runs.
    trace: &'static str,
    module: Option<&'static str>,
    what: &'static str,
    needed: bool,
}

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    let kernel = &machine.kernel;
    findings.push(Finding::pass("kernel.release", format!("Linux {}", kernel.release)));
    if !kernel.is_documented() {
        findings.push(
            Finding::unknown(
                "kernel.configuration",
                "what the kernel was built with is written down nowhere that can be read",
            )
            .advise("nothing need be done: what runs is seen all the same"),
        );
    }
    let uacce = machine.for_uacce().next().is_some();
    let idxd = machine.family(|family| family == Family::Idxd).next().is_some();
    let vfio = machine.for_vfio().next().is_some();
    // The class of the same name is there without nodes, too.
    let nodes = "/dev/vfio/devices";
    let iommufd = machine.tree.has(nodes) || kernel.part("CONFIG_VFIO_DEVICE_CDEV") == Presence::Here;
    let parts = [
        Part {
            check: "kernel.uacce",
            option: "CONFIG_UACCE",
            trace: "/sys/class/uacce",
            module: Some("uacce"),
            what: "uacce, which shares page tables with HiSilicon's engines and the Warp engine",
            needed: uacce,
        },
        Part {
            check: "kernel.idxd",
            option: "CONFIG_INTEL_IDXD",
            trace: "/sys/bus/dsa/devices",
            module: Some("idxd"),
            what: "idxd, the driver of Intel DSA and IAA",
            needed: idxd,
        },
        Part {
            check: "kernel.vfio",
            option: "CONFIG_VFIO",
            trace: "/sys/module/vfio",
            module: Some("vfio"),
            what: "VFIO, which gives whole devices to processes",
            needed: vfio,
        },
        Part {
            check: "kernel.vfio-pci",
            option: "CONFIG_VFIO_PCI",
            trace: "/sys/bus/pci/drivers/vfio-pci",
            module: Some("vfio-pci"),
            what: "vfio-pci, VFIO's driver of PCI functions",
            needed: vfio,
        },
        Part {
            check: "kernel.vfio-type1",
            option: "CONFIG_VFIO_IOMMU_TYPE1",
            trace: "/sys/module/vfio_iommu_type1",
            module: Some("vfio_iommu_type1"),
            what: "VFIO's container (type1), the older way to map memory for devices",
            needed: vfio && !iommufd,
        },
        Part {
            check: "kernel.iommufd",
            option: "CONFIG_IOMMUFD",
            trace: "/sys/module/iommufd",
            module: Some("iommufd"),
            what: "iommufd, the newer way to map memory, and the only one with PASIDs and page requests for VFIO",
            needed: false,
        },
        Part {
            check: "kernel.vfio-cdev",
            option: "CONFIG_VFIO_DEVICE_CDEV",
            trace: nodes,
            module: None,
            what: "VFIO's device nodes, which go with iommufd",
            needed: false,
        },
    ];
    findings.extend(parts.iter().map(|part| present(machine, part)));
}

fn present(machine: &Machine<'_>, part: &Part) -> Finding {
    let Part { check, option, what, needed, .. } = *part;
    if machine.tree.has(part.trace) {
        return Finding::pass(check, format!("has {what}"));
    }
    match (machine.kernel.part(option), part.module) {
        (Presence::Here, _) => Finding::pass(check, format!("has {what}")),
        (Presence::Loadable | Presence::Unknown, Some(module)) => {
            Finding::missing(check, needed, format!("{what}: not loaded"))
                .advise("load it, now and at every start")
                .run(format!("sudo modprobe {module} && echo {module} | sudo tee /etc/modules-load.d/{module}.conf"))
        }
        (Presence::Missing, _) => {
            Finding::missing(check, needed, format!("{what}: this kernel was built without it ({option})"))
                .advise(format!("run a kernel with {option}"))
        }
        (Presence::Loadable | Presence::Unknown, None) => Finding::absent(check, format!("{what}: not seen")),
    }
}

/// Whether the kernel shares a process's page tables with devices at all. `opened`: a device that rests on it has opened.
pub(super) fn sharing(machine: &Machine<'_>, opened: bool) -> Option<Finding> {
    const CHECK: &str = "kernel.sva";
    if opened {
        return Some(Finding::pass(CHECK, "shares page tables with devices: one opened"));
    }
    let needed =
        machine.for_uacce().next().is_some() || machine.family(|family| family == Family::Idxd).next().is_some();
    let kernel = &machine.kernel;
    let option = if machine.host.is_x86() { "CONFIG_IOMMU_SVA" } else { "CONFIG_ARM_SMMU_V3_SVA" };
    Some(match kernel.part(option) {
        Presence::Missing => {
            Finding::missing(CHECK, needed, format!("shares no page tables with devices: it was built without {option}"))
                .advise(format!("run a kernel with {option}"))
        }
        _ if !needed => return None,
        // Drivers' nodes can be there all the same, and `open` alone says no.
        Presence::Here if machine.host.is_x86() && !kernel.is_at_least(6, 19) => Finding::unknown(
            CHECK,
            "was built to share page tables with devices; but kernels for x86 before 6.19 that got the security fixes of the end of 2025 \
             refuse to (EOPNOTSUPP): Debian's 6.12 does",
        )
        .advise("see whether a device opens; if not, run a kernel of 6.19 or later")
        .run("uaccel doctor --open"),
        Presence::Here => Finding::pass(CHECK, format!("can share page tables with devices ({option})")),
        Presence::Loadable | Presence::Unknown => {
            try_it(machine, Finding::unknown(CHECK, "nothing says whether it shares page tables with devices"))
        }
    })
}

/// What shows whether it does, unless that was tried.
fn try_it(machine: &Machine<'_>, finding: Finding) -> Finding {
    if machine.opens {
        return finding.advise("no device was ready to be opened, which would have shown it");
    }
    finding.advise("see whether a device opens").run("uaccel doctor --open")
}

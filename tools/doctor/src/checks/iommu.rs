//! Whether there is an IOMMU, and whether it can do what accelerators ask for.

use crate::finding::Finding;
use crate::host::Processor;
use crate::iommu_unit::{Amd, IommuUnit, Model, POINTER_BITS, VtD};
use crate::kernel::Presence;
use crate::kind::Family;
use crate::machine::Machine;

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    let accelerators = machine.accelerators().next().is_some();
    if machine.iommus.is_empty() {
        findings.push(no_iommu(machine, accelerators));
    }
    let needs = Needs {
        sharing: machine.for_uacce().next().is_some()
            || machine.family(|family| family == Family::Idxd).next().is_some(),
        vfio: machine.for_vfio().next().is_some(),
    };
    for (unit, more) in kinds(&machine.iommus) {
        let subject = if more == 0 { unit.name.clone() } else { format!("{} and {more} like it", unit.name) };
        let before = findings.len();
        match unit.model {
            Model::VtD(model) => vtd(machine, model, needs, findings),
            Model::Amd(model) => amd(model, needs, findings),
            Model::Smmu3 => findings.push(smmu(machine, needs)),
            Model::Virtio | Model::Other => findings.push(Finding::missing(
                "iommu.unit",
                needs.sharing,
                "is of a kind that the kernel shares no page tables through",
            )),
        }
        for finding in &mut findings[before..] {
            finding.subject = Some(subject.clone());
        }
    }
    findings.extend(overrides(machine));
}

/// What is asked of IOMMUs on this machine.
#[derive(Clone, Copy)]
struct Needs {
    sharing: bool,
    vfio: bool,
}

/// One IOMMU of each kind, with how many more there are of it: large machines have dozens.
fn kinds(units: &[IommuUnit]) -> Vec<(&IommuUnit, usize)> {
    let mut kinds: Vec<(&IommuUnit, usize)> = Vec::new();
    for unit in units {
        match kinds.iter_mut().find(|(known, _)| known.model == unit.model) {
            Some((_, more)) => *more += 1,
            None => kinds.push((unit, 0)),
        }
    }
    kinds
}

fn no_iommu(machine: &Machine<'_>, needed: bool) -> Finding {
    const CHECK: &str = "iommu.present";
    let line = &machine.kernel.command_line;
    let off = ["intel_iommu", "amd_iommu", "iommu"].into_iter().find(|parameter| line.says(parameter, "off"));
    if let Some(parameter) = off {
        return Finding::missing(CHECK, needed, format!("the kernel was told to use none ({parameter}=off)"))
            .advise(format!("take {parameter}=off out of the kernel's parameters (/etc/default/grub on most machines), and start it again"));
    }
    let described = machine.host.described_iommu;
    if machine.host.is_virtual && described.is_none() {
        return Finding::missing(CHECK, needed, "this virtual machine has none")
            .advise("give the virtual machine an IOMMU, for QEMU: -device intel-iommu before the device (docs/real-sva.md has a whole command line)");
    }
    let (option, parameter, firmware) = match described.unwrap_or(machine.host.processor) {
        Processor::Intel => ("CONFIG_INTEL_IOMMU", Some("intel_iommu=on"), "VT-d"),
        Processor::Amd => ("CONFIG_AMD_IOMMU", None, "IOMMU, or AMD-Vi"),
        Processor::Arm => ("CONFIG_ARM_SMMU_V3", None, "SMMU"),
        Processor::Other => return Finding::missing(CHECK, needed, "the kernel uses none"),
    };
    if machine.kernel.part(option) == Presence::Missing {
        return Finding::missing(CHECK, needed, format!("the kernel was built without its driver ({option})"))
            .advise(format!("run a kernel with {option}"));
    }
    let why = if described.is_some() { "the kernel does not use the one there is" } else { "the kernel uses none" };
    let finding = Finding::missing(CHECK, needed, why);
    let parameter = parameter.filter(|_| !line.says("intel_iommu", "on"));
    match (described, parameter.map(|parameter| machine.host.kernel_parameter(parameter))) {
        (Some(_), Some(mend)) => finding.mend(mend),
        (Some(_), None) => finding.advise("see what it says of it").run("sudo dmesg | grep -i -E 'dmar|iommu|amd-vi'"),
        (None, Some((advice, commands))) => {
            finding.mend((format!("enable {firmware} in the firmware's set-up, and {advice}"), commands))
        }
        (None, None) => finding.advise(format!("enable {firmware} in the firmware's set-up")),
    }
}

fn vtd(machine: &Machine<'_>, unit: VtD, needs: Needs, findings: &mut Vec<Finding>) {
    let before = findings.len();
    let line = &machine.kernel.command_line;
    let default_on = machine.kernel.part("CONFIG_INTEL_IOMMU_SCALABLE_MODE_DEFAULT_ON");
    if !unit.has_scalable_mode() || !unit.has_pasid() {
        findings.push(Finding::missing("iommu.scalable-mode", needs.sharing, "has no scalable mode, so no PASIDs"));
    } else if line.says("intel_iommu", "sm_off") {
        findings.push(
            Finding::missing(
                "iommu.scalable-mode",
                needs.sharing,
                "its scalable mode is switched off (intel_iommu=sm_off), so there are no PASIDs",
            )
            .advise("take sm_off out of the kernel's parameters"),
        );
    } else if default_on == Presence::Missing && !line.says("intel_iommu", "sm_on") {
        findings.push(
            Finding::missing(
                "iommu.scalable-mode",
                needs.sharing,
                "its scalable mode is off by default in this kernel, so there are no PASIDs",
            )
            .mend(machine.host.kernel_parameter("intel_iommu=on,sm_on")),
        );
    } else {
        if !unit.has_first_stage() || !unit.walks_coherently() {
            findings.push(Finding::missing(
                "iommu.page-tables",
                needs.sharing,
                "does not walk a processor's page tables coherently, and Linux shares them only with one that does (ECAP bits 47 and 48)",
            ));
        }
        if machine.host.has_five_levels && !unit.has_five_levels() {
            findings.push(
                Finding::missing(
                    "iommu.page-tables",
                    needs.sharing,
                    "walks four levels of page tables, and processes have five (la57)",
                )
                .mend(machine.host.kernel_parameter("no5lvl")),
            );
        }
        if !unit.has_page_requests() || !unit.has_device_tlb() {
            findings.push(Finding::missing(
                "iommu.page-requests",
                needs.sharing,
                "takes no page requests: what a device touches must be in memory already",
            ));
        }
    }
    findings.extend(interrupts(machine, unit.remaps_interrupts(), needs));
    if needs.vfio && Model::VtD(unit).is_narrow() {
        findings.push(Finding::warn(
            "iommu.width",
            format!(
                "translates {} bits of address through VFIO, and pointers have {POINTER_BITS}: data is copied through low memory (address mode bounced)",
                unit.address_bits()
            ),
        ));
    }
    if findings.len() == before {
        findings.push(Finding::pass(
            "iommu.unit",
            format!("VT-d: PASIDs, page tables of processes, page requests, {} bits for VFIO", unit.address_bits()),
        ));
    }
}

fn amd(unit: Amd, needs: Needs, findings: &mut Vec<Finding>) {
    if unit.pasid_bits() == 0 {
        findings.push(Finding::missing(
            "iommu.page-tables",
            needs.sharing,
            "walks no page tables of processes (no GTSup), so there are no PASIDs",
        ));
    } else if unit.has_page_requests() {
        findings.push(Finding::pass(
            "iommu.unit",
            format!("AMD-Vi: PASIDs of {} bits, page tables of processes, page requests", unit.pasid_bits()),
        ));
    } else {
        findings.push(Finding::missing(
            "iommu.page-requests",
            needs.sharing,
            "takes no page requests (no PPRSup): what a device touches must be in memory already",
        ));
    }
}

fn smmu(machine: &Machine<'_>, needs: Needs) -> Finding {
    if machine.kernel.part("CONFIG_ARM_SMMU_V3_SVA") == Presence::Missing {
        return Finding::missing(
            "iommu.unit",
            needs.sharing,
            "SMMUv3, and the kernel was built not to share page tables through it (CONFIG_ARM_SMMU_V3_SVA)",
        );
    }
    Finding::pass("iommu.unit", "SMMUv3; whether it shares page tables shows when a device opens")
}

/// VFIO refuses devices whose interrupts could be forged.
fn interrupts(machine: &Machine<'_>, remapped: bool, needs: Needs) -> Option<Finding> {
    let allowed = ["vfio_iommu_type1", "iommufd"].iter().any(|way| machine.is_set(way, "allow_unsafe_interrupts"));
    (needs.vfio && !remapped && !allowed).then(|| {
        Finding::fail("iommu.interrupts", "does not translate interrupts, so VFIO refuses its devices (EPERM)")
            .advise("enable interrupt remapping in the firmware, or for a virtual machine: -device intel-iommu,intremap=on with kernel-irqchip=split")
    })
}

/// Words of the command line under which groups say that devices are apart that are not.
pub(super) fn overriding<'a>(machine: &'a Machine<'_>) -> Vec<&'a str> {
    const PCI: [&str; 2] = ["disable_acs_redir", "config_acs"];
    let overrides = |word: &&str| {
        word.starts_with("pcie_acs_override")
            || word.starts_with("pci=") && PCI.iter().any(|option| word.contains(option))
    };
    machine.kernel.command_line.words().iter().map(String::as_str).filter(overrides).collect()
}

fn overrides(machine: &Machine<'_>) -> Option<Finding> {
    let words = overriding(machine);
    if words.is_empty() {
        return None;
    }
    let words = words.join(" ");
    Some(
        Finding::warn(
            "iommu.acs-override",
            format!(
                "the kernel was told to change what bridges keep apart ({words}): devices of different groups may reach each other, and the memory \
                 of each other's users, past the IOMMU"
            ),
        )
        .advise(format!("take {words} out of the kernel's parameters, or give all devices below one bridge to one user")),
    )
}

//! Which accelerators there are, and what each can do on the bus.

use crate::capability::Hidden;
use crate::finding::Finding;
use crate::function::Function;
use crate::kind::Family;
use crate::machine::Machine;

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    let before = findings.len();
    for function in
        machine.functions.iter().filter(|function| function.kind.is_some_and(|kind| kind.family == Family::Neural))
    {
        findings.push(
            Finding::absent(
                "accelerator.found",
                format!("{}: runs neural networks, for which the framework has no work", function.name()),
            )
            .about(&function.address),
        );
    }
    for address in machine.not_found() {
        findings.push(
            Finding::fail("accelerator.found", "no function on a PCI bus has this address")
                .about(address)
                .advise("see which there are")
                .run("ls /sys/bus/pci/devices"),
        );
    }
    for function in machine.accelerators() {
        findings.push(Finding::pass("accelerator.found", place(function)).about(&function.address));
        findings.push(sharing(machine, function).about(&function.address));
    }
    if findings.len() == before {
        findings.push(Finding::absent(
            "accelerator.found",
            "no accelerator on a PCI bus that is known here (HiSilicon ZIP, SEC, HPRE, Intel DSA, IAA, QAT, Warp): the CPU does all work",
        ));
    }
}

fn place(function: &Function) -> String {
    let driver = function.driver.as_deref().map_or_else(|| "no driver".to_owned(), |driver| format!("driver {driver}"));
    let group = function.group.map_or_else(|| "no IOMMU group".to_owned(), |group| format!("IOMMU group {group}"));
    let physical = function.physical.as_ref().map_or_else(String::new, |physical| format!(", a slice of {physical}"));
    let undriven = if function.kind.is_some_and(|kind| kind.family.is_undriven()) {
        "; this version of the framework has no driver for it"
    } else {
        ""
    };
    let Function { vendor, device, .. } = function;
    format!("{} ({vendor:04x}:{device:04x}{physical}), {driver}, {group}{undriven}", function.name())
}

/// PASID, page requests and translations of its own.
fn sharing(machine: &Machine<'_>, function: &Function) -> Finding {
    const CHECK: &str = "accelerator.sharing";
    let needed = !function.is_vfio()
        && matches!(function.kind.map(|kind| kind.family), Some(Family::Warp | Family::HiSilicon(_) | Family::Idxd));
    let capabilities = match function.capabilities(machine.tree) {
        Ok(capabilities) => capabilities,
        Err(Hidden::ToUsers) => {
            return Finding::unknown(CHECK, "its PASID and page-request capabilities are shown to root only")
                .advise("ask as root")
                .run(format!("sudo lspci -vvs {} | grep -E 'PASID|Page Request|ATS'", function.address));
        }
        Err(Hidden::ToKernel) => {
            return Finding::missing(
                CHECK,
                needed,
                "the kernel reaches only the first 256 bytes of its configuration space, and PASID and page requests lie beyond: it uses neither",
            )
            .advise("run a kernel with CONFIG_PCI_MMCONFIG (x86) or CONFIG_PCI_ECAM, on firmware that says where the space is (ACPI table MCFG)");
        }
        Err(Hidden::Unreadable) => return Finding::unknown(CHECK, "its configuration space cannot be read"),
    };
    let on = |enabled: bool| if enabled { "on" } else { "off until a driver asks" };
    let Some((pasid, bits)) = capabilities.pasid else {
        return Finding::missing(
            CHECK,
            needed,
            "puts no PASID on its accesses: it has one address space at a time, and shares page tables with nobody",
        );
    };
    let pasid = format!("PASID of {bits} bits ({})", on(pasid.enabled));
    let pages = match capabilities.pri {
        Some(pri) => format!("page requests ({})", on(pri.enabled)),
        // Platform devices of Arm wait for a page instead of asking for it.
        None if matches!(function.kind.map(|kind| kind.family), Some(Family::HiSilicon(_))) => {
            "waits for missing pages (stall)".to_owned()
        }
        None => "no page requests: what it touches must be in memory already".to_owned(),
    };
    let ats = capabilities.ats.map_or_else(|| "no ATS".to_owned(), |ats| format!("ATS ({})", on(ats.enabled)));
    Finding::pass(CHECK, format!("{pasid}, {pages}, {ats}"))
}

//! HiSilicon's engines: driver, and the mode in which it offers queues to processes.

use crate::finding::Finding;
use crate::function::Function;
use crate::kernel::Presence;
use crate::kind::Family;
use crate::machine::Machine;

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    let mut seen = Vec::new();
    for function in machine.functions.iter().filter(|function| !function.is_vfio()) {
        let Some(Family::HiSilicon(module)) = function.kind.map(|kind| kind.family) else { continue };
        // The mode is one for all engines of a driver.
        if seen.contains(&module) {
            continue;
        }
        seen.push(module);
        findings.push(driver(machine, module, function.driver.is_some()).about(&function.address));
    }
}

/// Whether a function's driver was told to keep its queues for the kernel, or is not there: it offers nothing to uacce then.
pub(super) fn keeps_for_kernel(machine: &Machine<'_>, function: &Function) -> bool {
    let Some(Family::HiSilicon(module)) = function.kind.map(|kind| kind.family) else { return false };
    function.driver.is_none() || machine.tree.number(&mode(module)) == Some(0)
}

/// The file that says for whom a driver's queues are.
fn mode(module: &str) -> String {
    format!("/sys/module/{module}/parameters/uacce_mode")
}

fn driver(machine: &Machine<'_>, module: &'static str, bound: bool) -> Finding {
    const CHECK: &str = "hisilicon.driver";
    let option = match module {
        "hisi_zip" => "CONFIG_CRYPTO_DEV_HISI_ZIP",
        "hisi_sec2" => "CONFIG_CRYPTO_DEV_HISI_SEC2",
        _ => "CONFIG_CRYPTO_DEV_HISI_HPRE",
    };
    let settle = format!("echo 'options {module} uacce_mode=1' | sudo tee /etc/modprobe.d/{module}.conf");
    if !bound {
        let finding = Finding::fail(CHECK, format!("no driver is bound to it ({module})"));
        return match machine.kernel.part(option) {
            Presence::Missing => finding.advise(format!("run a kernel with {option}: its driver is not in this one")),
            _ => finding.advise("load it in its mode for processes").run(settle).run(format!("sudo modprobe {module}")),
        };
    }
    match machine.tree.number(&mode(module)) {
        Some(0) => Finding::fail(CHECK, format!("{module} keeps its queues for the kernel (uacce_mode=0)"))
            .advise("load it anew in its mode for processes; on hardware of versions 1 and 2 the kernel's own use ends with it")
            .run(settle)
            .run(format!("sudo modprobe --remove {module} && sudo modprobe {module}")),
        Some(mode) => Finding::pass(CHECK, format!("{module} offers queues to processes (uacce_mode={mode})")),
        None => Finding::unknown(CHECK, format!("{module} does not say whether it offers queues to processes")),
    }
}

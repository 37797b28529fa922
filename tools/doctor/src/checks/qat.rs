//! Intel QuickAssist: what the kernel makes of it.

use crate::finding::Finding;
use crate::kind::Family;
use crate::machine::Machine;

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    for function in machine.family(|family| family == Family::Qat) {
        let slices =
            machine.functions.iter().filter(|slice| slice.physical.as_deref() == Some(&function.address)).count();
        let state = machine.tree.text(&format!("{}/qat/state", function.folder()));
        let state = state.map_or_else(|_| String::new(), |state| format!(", {state}"));
        let why = match &function.driver {
            None => "no driver is bound to it, and the framework has none".to_owned(),
            Some(driver) => format!(
                "the kernel uses it itself (driver {driver}{state}, {slices} virtual functions); processes get at it through VFIO on a virtual \
                 function, and the framework has no driver for that yet"
            ),
        };
        findings.push(Finding::absent("qat.device", why).about(&function.address));
    }
}

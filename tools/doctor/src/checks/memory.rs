//! How much memory a process may have mapped for devices.

use crate::access_rule::GROUP;
use crate::finding::Finding;
use crate::machine::Machine;

/// Enough for queues and an arena of some size; below it, large buffers are refused.
const COMFORTABLE: u64 = 64 << 20;

/// Enough for a queue and a small arena. Kernels before 5.16 gave 64 KiB, later ones give 8 MiB.
const USABLE: u64 = 1 << 20;

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    const CHECK: &str = "memory.locked";
    let needed = machine.for_vfio().next().is_some();
    let Some(person) = &machine.person else {
        findings.push(Finding::unknown(CHECK, "nothing says how much memory may be locked (/proc/self/limits)"));
        return;
    };
    if person.locks_without_limit() {
        findings.push(Finding::pass(CHECK, "any amount of memory can be mapped for devices (CAP_IPC_LOCK)"));
        return;
    }
    let Some(limit) = person.memlock else {
        findings.push(Finding::unknown(CHECK, "nothing says how much memory may be locked (/proc/self/limits)"));
        return;
    };
    let (Some(soft), hard) = (limit.soft, limit.hard) else {
        findings
            .push(Finding::pass(CHECK, "any amount of memory can be mapped for devices (RLIMIT_MEMLOCK is unlimited)"));
        return;
    };
    if soft >= COMFORTABLE {
        findings.push(Finding::pass(
            CHECK,
            format!("{} MiB can be mapped for devices at a time (RLIMIT_MEMLOCK)", soft >> 20),
        ));
        return;
    }
    let why = format!(
        "{} KiB can be mapped for devices at a time (RLIMIT_MEMLOCK); shared page tables (uacce, DSA, IAA) need none of it, VFIO does",
        soft >> 10
    );
    if !needed {
        findings.push(Finding::absent(CHECK, why));
        return;
    }
    let finding = if soft >= USABLE { Finding::warn(CHECK, why) } else { Finding::fail(CHECK, why) };
    let mut finding =
        finding.advise("raise it for the group, and log in again; for a service: LimitMEMLOCK=infinity in its unit");
    if hard.is_none_or(|hard| hard >= COMFORTABLE) {
        finding = finding.run("ulimit -l $(ulimit -H -l)");
    }
    findings.push(
        finding.run(format!("echo '@{GROUP} - memlock unlimited' | sudo tee /etc/security/limits.d/70-uaccel.conf")),
    );
}

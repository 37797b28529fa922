//! What the guest's kernel complains about on its console.

/// Texts that stand in a complaint wherever they stand.
const COMPLAINTS: [&str; 22] = [
    "WARNING: ",
    "BUG: ",
    "kernel BUG at",
    "Oops: ",
    "Kernel panic",
    "general protection fault",
    "Unable to handle kernel",
    "unable to handle page fault",
    "refcount_t: ",
    "UBSAN: ",
    "KASAN: ",
    "KCSAN: ",
    "rcu_sched self-detected stall",
    "rcu_preempt self-detected stall",
    "detected stalls on CPUs",
    "soft lockup",
    "hard LOCKUP",
    "blocked for more than",
    "possible recursive locking detected",
    "possible circular locking dependency",
    "nobody cared",
    "stack-protector: ",
];

/// Texts that make a line of the IOMMU's driver (its prefix is `DMAR:`) a complaint; its other lines tell of its setup.
const OF_IOMMU: [&str; 9] = [
    "fault reason",
    "handling fault",
    "Page request",
    "Invalid",
    "rror",
    "ailed",
    "timed out",
    "verflow",
    "disabled, incompatible",
];

/// The complaints in a console's text, but for those that contain one of `allowed`.
pub(crate) fn complaints<'a>(console: &'a str, allowed: &[String]) -> Vec<&'a str> {
    console
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .filter(|line| is_complaint(line) && !allowed.iter().any(|text| line.contains(text.as_str())))
        .collect()
}

fn is_complaint(line: &str) -> bool {
    if let Some((_, said)) = line.split_once("DMAR: ") {
        return OF_IOMMU.iter().any(|text| said.contains(text));
    }
    COMPLAINTS.iter().any(|text| line.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: &str = "\
[    0.000000] Linux version 7.3.4+deb13-amd64
[    0.028851] DMAR: Host address width 39
[    0.028900] DMAR: DRHD base: 0x000000fed90000 flags: 0x0
[    0.028990] DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap 81d2008c222f0606 ecap 18d7a20f00f4e
[    0.552303] DMAR: No RMRR found
[    0.553000] DMAR: dmar0: Using Queued invalidation
[    0.600000] DMAR: Intel(R) Virtualization Technology for Directed I/O
[    0.700000] warp: loading out-of-tree module taints kernel.
[    2.100000] prog[71]: segfault at 0 ip 0000000000401000 sp 00007ffc00000000 error 4
";

    #[test]
    fn a_quiet_boot_has_no_complaints() {
        assert_eq!(complaints(QUIET, &[]), Vec::<&str>::new());
    }

    #[test]
    fn warnings_bugs_and_faults_of_the_iommu_are_found() {
        let lines = [
            "[    3.1] WARNING: CPU: 0 PID: 71 at kernel/fork.c:1 x+0x1/0x2",
            "[    3.1] BUG: kernel NULL pointer dereference, address: 0000000000000000",
            "[    3.1] kernel BUG at mm/slub.c:1!",
            "[    3.1] DMAR: DRHD: handling fault status reg 2",
            "[    3.1] DMAR: [DMA Write NO_PASID] Request device [00:01.0] fault addr 0x0 [fault reason 0x5b] Invalid Scalable-Mode PASID Table Entry",
            "[    3.1] DMAR: dmar0 SVM disabled, incompatible paging mode",
            "[    3.1] rcu: INFO: rcu_preempt self-detected stall on CPU",
            "[    3.1] Kernel panic - not syncing: Attempted to kill init!",
        ];
        let console = format!("{QUIET}{}\r\n", lines.join("\r\n"));
        assert_eq!(complaints(&console, &[]), lines);
    }

    #[test]
    fn an_expected_complaint_can_be_allowed() {
        let line = "[    3.1] DMAR: [DMA Write NO_PASID] Request device [00:01.0] fault addr 0x0 [fault reason 0x5b] x";
        assert_eq!(complaints(line, &["fault reason 0x5b".to_owned()]), Vec::<&str>::new());
        assert_eq!(complaints(line, &["fault reason 0x5c".to_owned()]).len(), 1);
    }
}

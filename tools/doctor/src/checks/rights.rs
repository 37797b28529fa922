//! Whether a node is open to whoever asks, and what opens it.

use crate::access_rule::{AccessRule, GROUP};
use crate::finding::Finding;
use crate::machine::{Machine, NotOpened, Opened};

/// How far a node is open, in words, or the finding that says why it is not.
pub(super) fn node(
    machine: &Machine<'_>,
    check: &'static str,
    path: &str,
    (rule, name): (AccessRule, &str),
) -> Result<String, Box<Finding>> {
    let finding = |finding: Finding| Box::new(finding.about(path));
    match machine.opens(path) {
        Ok(Opened::Tried) => Ok(format!("{path} opens")),
        Ok(Opened::Permitted) => Ok(format!("{path} is open to you")),
        Ok(Opened::Unknown) => Err(finding(Finding::unknown(check, "nothing says who asks (/proc/self/status)"))),
        Err(NotOpened::Absent) if machine.host.is_container => Err(finding(
            Finding::fail(check, "is not in this container")
                .advise("hand it in when the container is started")
                .run(format!("podman run --device={path} --group-add=keep-groups …")),
        )),
        Err(NotOpened::Absent) => Err(finding(
            Finding::fail(check, "does not exist")
                .advise("the kernel makes it where a devtmpfs is mounted at /dev when the system starts; see whether that is so")
                .run("findmnt --target /dev"),
        )),
        Err(NotOpened::Denied(owners)) => {
            Err(finding(grant(Finding::fail(check, format!("is not yours ({owners})")), path, rule, name)))
        }
        Err(NotOpened::Forbidden) => Err(finding(
            Finding::fail(check, "permissions allow it, and it does not open (EPERM): the device list of a container or a service, or a security module, forbids it")
                .advise("allow the device where the container or the service is described (docs/setup.md)"),
        )),
        Err(NotOpened::Failed(error)) => Err(finding(refused(check, path, &error))),
    }
}

/// What gives a node to the group of the recipes.
fn grant(finding: Finding, path: &str, rule: AccessRule, name: &str) -> Finding {
    if rule == AccessRule::VfioContainer {
        return finding
            .advise("make it everybody's, as the kernel did: it opens no device")
            .run(format!("sudo chmod 0666 {path}"));
    }
    finding
        .advise(format!("let the group {GROUP} in, join it, and log in again; the rule makes it last"))
        .run(format!("sudo groupadd --system --force {GROUP} && sudo usermod --append --groups {GROUP} \"$USER\""))
        .run(format!("sudo chgrp {GROUP} {path} && sudo chmod 0660 {path}"))
        .run(format!("echo '{}' | sudo tee -a /etc/udev/rules.d/70-uaccel.rules", rule.text(name)))
}

/// What an error of `open` means on nodes that bind the process to the device.
fn refused(check: &'static str, path: &str, error: &str) -> Finding {
    let finding = |why: &str| Finding::fail(check, format!("does not open: {why} ({error})"));
    match error {
        "EBUSY" => Finding::warn(check, "is in use: all its queues are taken, or somebody has it alone (EBUSY)")
            .advise("wait, or see who has it open")
            .run(format!("sudo lsof {path}")),
        "EOPNOTSUPP" => finding("this kernel shares no page tables with devices on this machine")
            .advise("run a later kernel (on x86: 6.19 or later)"),
        "ENODEV" => finding("no IOMMU shares this process's page tables with it, or it is isolated or gone"),
        "ENOSPC" => {
            finding("there are no address space numbers (PASIDs) left").advise("end processes that use accelerators")
        }
        "EOVERFLOW" => finding("this process's address space number (PASID) is larger than it takes"),
        "ENXIO" => finding("it is being removed, or its group holds another driver's device"),
        _ => finding("the kernel's log has more").run("sudo dmesg | tail"),
    }
}

//! What the doctor says beside what a real kernel does: in the lab's guest, whose first process is root's and which has a Warp engine.
//!
//! Run by `cargo xtask test --only guest-doctor`.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use uaccel_doctor::Status::{Fail, Pass};
use uaccel_doctor::{Disk, Finding, Manner, Report};

const NODE: &str = "/dev/warp-0";
const DRIVER: &str = "/sys/bus/pci/drivers/warp";
/// Somebody who is not root.
const USER: u32 = 1000;

fn look(open: bool) -> Report {
    Report::of(&Disk::at("/"), &Manner { open, ..Manner::default() })
}

fn line<'a>(report: &'a Report, check: &str) -> Option<&'a Finding> {
    report.findings.iter().find(|finding| finding.check == check)
}

fn open() -> io::Result<fs::File> {
    OpenOptions::new().read(true).write(true).open(NODE)
}

fn give_node(uid: u32, mode: u32) {
    chown(NODE, Some(uid), Some(0)).expect("root gives the node away");
    fs::set_permissions(NODE, fs::Permissions::from_mode(mode)).expect("permissions");
}

/// Runs one of the tests below as [`USER`], and says how it went.
fn as_user(test: &str) {
    let mut program = Command::new(std::env::current_exe().expect("this program"));
    let output = program.args(["--ignored", "--exact", test]).uid(USER).gid(USER).output().expect("it runs again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{test}: {text}");
}

#[test]
#[ignore = "for the lab's guest: asks a real kernel"]
fn the_doctor_says_what_the_kernel_does() {
    // Root, all as it should be: the page says so, and the kernel opens the node.
    let report = look(true);
    assert_eq!(report.count(Fail), 0, "{:#?}", report.findings);
    assert_eq!(
        report.best_road().map(|road| (road.road, road.devices.as_slice())),
        Some(("uacce", &["warp-0".to_owned()][..]))
    );
    assert_eq!(line(&report, "kernel.sva").map(|line| line.status), Some(Pass), "a device opened");
    let sharing = line(&report, "accelerator.sharing").expect("the engine's line");
    assert!(sharing.why.contains("PASID of 16 bits (on), page requests (on), ATS (on)"), "{}", sharing.why);
    open().expect("the kernel lets root in");

    // An ordinary user, without the node and with it.
    give_node(0, 0o600);
    as_user("part_a_node_that_is_roots");
    give_node(USER, 0o600);
    as_user("part_a_node_that_is_the_users");

    // The engine without its driver, and back.
    let address = "0000:00:01.0";
    fs::write(format!("{DRIVER}/unbind"), address).expect("the driver lets go");
    let report = look(true);
    let device = line(&report, "uacce.device").expect("a line about the engine");
    assert_eq!(device.status, Fail);
    assert!(report.best_road().is_none());
    fs::write(format!("{DRIVER}/bind"), address).expect("the driver takes it");
    assert!(look(true).best_road().is_some());
}

#[test]
#[ignore = "a part of the test above, for a user"]
fn part_a_node_that_is_roots() {
    assert_eq!(open().expect_err("the kernel keeps the user out").kind(), io::ErrorKind::PermissionDenied);
    let node = look(true);
    let node = line(&node, "uacce.node").expect("a line about the node");
    assert_eq!(node.status, Fail);
    assert!(node.commands.iter().any(|command| command.contains("chgrp uaccel /dev/warp-0")));
}

#[test]
#[ignore = "a part of the test above, for a user"]
fn part_a_node_that_is_the_users() {
    open().expect("the kernel lets the user in");
    let report = look(true);
    assert_eq!(report.count(Fail), 0, "{:#?}", report.findings);
    assert!(line(&report, "uacce.device").expect("a line about the engine").why.contains("/dev/warp-0 opens"));
}

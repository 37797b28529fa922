//! `uaccel doctor` as its users see it: what it prints first, and how it ends. What it finds is tested in `tools/doctor`, on the same recordings.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use support::{Folder, program, run, stderr, stdout};

fn recording(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../doctor/tests/machines/{name}.json"));
    path.to_str().expect("text").to_owned()
}

fn examined(name: &str, arguments: &[&str]) -> Output {
    run(&[&["doctor", "--from", &recording(name)], arguments].concat())
}

/// Whatever was found.
fn report(output: &Output) -> Value {
    assert!(matches!(output.status.code(), Some(0 | 1)), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

#[test]
fn the_exit_code_says_whether_something_is_in_the_way() {
    assert_eq!(examined("guest-uacce-open", &["--json"]).status.code(), Some(0));
    assert_eq!(examined("guest-uacce-denied", &["--json"]).status.code(), Some(1));
}

#[test]
fn what_matters_stands_first() {
    let page = |name: &str| {
        let page = stdout(&examined(name, &[]));
        page.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let open = page("guest-uacce-open");
    assert_eq!(open[0], "warp-0 is open to you (uacce, addresses shared)");
    assert!(open[1].starts_with("0 in the way"), "{open:?}");
    assert!(!open.iter().any(|line| line.contains("FAIL") || line.contains("to be mended")), "{open:?}");

    let denied = page("guest-uacce-denied");
    assert_eq!(denied[0], "the CPU does all work: no accelerator here can be used, and something is in the way");
    assert_eq!(denied[3], "in the way, to be mended in this order");
    assert!(denied[4].trim_start().starts_with("FAIL  uacce.node"), "{denied:?}");
    // Whole, so that it can be copied.
    let command = "$ sudo chgrp uaccel /dev/warp-0 && sudo chmod 0660 /dev/warp-0";
    assert!(denied.iter().any(|line| line.trim() == command), "{denied:?}");
    assert_eq!(denied.iter().filter(|line| line.contains("FAIL")).count(), 1, "it stands there once");

    let none = page("cloud");
    assert_eq!(none[0], "the CPU does all work: this machine has no accelerator that is known here");
}

#[test]
fn what_nobody_misses_is_explained_on_demand() {
    // Without line breaks.
    let words =
        |arguments: &[&str]| stdout(&examined("cloud", arguments)).split_whitespace().collect::<Vec<_>>().join(" ");
    let (short, long) = (words(&[]), words(&["--all"]));
    assert!(short.contains("nothing on this machine needs them") && !short.contains("CONFIG_UACCE"), "{short}");
    assert!(!long.contains("nothing on this machine needs them") && long.contains("CONFIG_UACCE"), "{long}");
}

#[test]
fn lines_fit_into_the_page_but_for_commands() {
    for name in ["guest-uacce-denied", "guest-vfio-unbound", "workstation", "xeon-dsa", "kunpeng"] {
        let page = stdout(&examined(name, &["--all"]));
        for line in page.lines().filter(|line| !line.trim_start().starts_with("$ ")) {
            // One long word may go beyond.
            assert!(line.chars().count() <= 130, "{name}: {line}");
        }
        assert!(!page.contains('\u{1b}'), "no colours in a pipe: {page}");
    }
    let colours = stdout(&examined("kunpeng", &["--color", "always"]));
    assert!(colours.contains('\u{1b}'), "{colours}");
}

#[test]
fn json_is_one_object_with_a_version() {
    let report = report(&examined("guest-uacce-denied", &["--json"]));
    assert_eq!(report["schema_version"], 1);
    let findings = report["findings"].as_array().expect("findings");
    let node = findings.iter().find(|line| line["check"] == "uacce.node").expect("the node");
    assert_eq!((&node["status"], &node["subject"]), (&"fail".into(), &"/dev/warp-0".into()));
    assert_eq!(node["commands"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["roads"][0], serde_json::json!({"road": "uacce", "address_mode": "shared", "devices": []}));
}

#[test]
fn what_is_recorded_can_be_examined() {
    let folder = Folder::new("doctor-record");
    let file = format!("{}/machine.json", folder.text());
    let live = run(&["doctor", "--json", "--record", &file]);
    let recorded = run(&["doctor", "--json", "--from", &file]);
    assert_eq!(report(&live), report(&recorded));
    assert_eq!(live.status.code(), recorded.status.code());
}

#[test]
fn mistakes_are_said_with_what_is_wrong() {
    let folder = Folder::new("doctor-mistakes");
    let file = format!("{}/no.json", folder.text());
    fs::write(&file, "[]").expect("a file");
    for (arguments, says) in [
        (&["--from", "/does/not/exist"][..], "/does/not/exist"),
        (&["--from", &file], "no recording"),
        (&["--root", "/does/not/exist"], "/does/not/exist"),
        (&["--record", "/does/not/exist/x.json"], "/does/not/exist/x.json"),
        (&["--device", "eth0"], "no address of a PCI function"),
        (&["--from", &file, "--record", &file], "cannot be used with"),
        (&["--from", &file, "--socket", "/x"], "cannot be used with"),
    ] {
        let output = run(&[&["doctor"], arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(says), "{arguments:?}: {}", stderr(&output));
    }
    assert!(stdout(&run(&["doctor", "--help"])).contains("1    something is in the way"));
}

#[test]
fn it_looks_where_a_runtime_looks() {
    let folder = Folder::new("doctor-root");
    fs::create_dir_all(folder.0.join("proc/sys/kernel")).expect("a folder");
    fs::write(folder.0.join("proc/sys/kernel/osrelease"), "9.8.7-elsewhere\n").expect("a file");
    let moved = program().arg("doctor").env("UACCEL_ROOT", folder.text()).output().expect("the program starts");
    for output in [moved, run(&["doctor", "--root", folder.text()])] {
        assert!(stdout(&output).contains("Linux 9.8.7-elsewhere"), "{}", stdout(&output));
    }
}

#[test]
fn an_address_without_a_domain_is_one_of_the_first() {
    let report = report(&examined("guest-vfio-unbound", &["--json", "--device", "00:01.0"]));
    let lines = report["findings"].as_array().expect("findings");
    assert!(lines.iter().any(|line| line["check"] == "vfio.bound" && line["subject"] == "0000:00:01.0"));
}

#[test]
fn an_ordinary_user_can_run_it() {
    // A copy where others may go: the build's folder may be root's. The system's program copies it, since a file that this process
    // had open for writing while another test starts a program could not be started.
    let folder = Folder::new("doctor-user");
    let program = folder.0.join("uaccel");
    fs::set_permissions(&folder.0, PermissionsExt::from_mode(0o755)).expect("permissions");
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_uaccel")).arg(&program).status().expect("cp");
    assert!(copied.success());
    let mut command = Command::new(&program);
    if fs::metadata("/proc/self").expect("this process").uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let report = report(&command.args(["doctor", "--json"]).output().expect("the program runs"));
    let lines = report["findings"].as_array().expect("findings");
    // Who asks is known, and need not be root.
    assert!(lines.iter().any(|line| line["check"] == "memory.locked" && line["status"] != "unknown"), "{report}");
}

#[test]
fn a_recording_does_nothing_to_a_terminal() {
    let text = fs::read_to_string(recording("guest-vfio-unbound")).expect("a recording");
    let mut machine: Value = serde_json::from_str(&text).expect("JSON");
    let links = machine["links"].as_object_mut().expect("links");
    links.insert("/sys/bus/pci/devices/0000:00:02.0/driver".to_owned(), "../drivers/\u{1b}]0;x\u{7}".into());
    let folder = Folder::new("doctor-terminal");
    let file = format!("{}/machine.json", folder.text());
    fs::write(&file, machine.to_string()).expect("a recording");
    let page = stdout(&run(&["doctor", "--from", &file]));
    assert!(page.contains("driver \u{fffd}]0;x\u{fffd}"), "{page}");
    assert!(!page.contains(['\u{1b}', '\u{7}']), "{page:?}");
}

//! The program: what it prints, and how it ends.

mod common;

use std::fs;
use std::process::{Command, Output};

fn doctor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_uaccel-doctor")).args(arguments).output().expect("the program runs")
}

fn examined(name: &str, arguments: &[&str]) -> Output {
    let path = common::path(name);
    doctor(&[&["--from", path.to_str().expect("a path in UTF-8")], arguments].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn the_exit_code_says_whether_something_is_in_the_way() {
    assert_eq!(examined("guest-uacce-open", &[]).status.code(), Some(0));
    assert_eq!(examined("guest-uacce-denied", &[]).status.code(), Some(1));
}

#[test]
fn a_page_has_each_command_whole_on_a_line_of_its_own_and_no_colours_in_a_pipe() {
    let output = examined("guest-uacce-denied", &[]);
    let page = text(&output.stdout);
    assert!(
        page.lines().any(|line| line.trim() == "$ sudo chgrp uaccel /dev/warp-0 && sudo chmod 0660 /dev/warp-0"),
        "{page}"
    );
    assert!(page.lines().any(|line| line.trim_start().starts_with("FAIL")), "{page}");
    assert!(page.contains("1 in the way"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page}");
    assert!(output.stderr.is_empty());
}

#[test]
fn json_is_one_object_with_a_version() {
    let report: serde_json::Value =
        serde_json::from_slice(&examined("guest-uacce-denied", &["--json"]).stdout).expect("JSON");
    assert_eq!(report["schema_version"], 1);
    let node = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .find(|line| line["check"] == "uacce.node")
        .expect("the node");
    assert_eq!(node["status"], "fail");
    assert_eq!(node["subject"], "/dev/warp-0");
    assert_eq!(node["commands"].as_array().map(Vec::len), Some(3));
    assert_eq!(report["roads"][0], serde_json::json!({"road": "uacce", "address_mode": "shared", "devices": []}));
}

#[test]
fn what_is_recorded_can_be_examined() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("machine.json");
    let file = file.to_str().expect("a path in UTF-8");
    let live = doctor(&["--json", "--record", file]);
    let recorded = doctor(&["--json", "--from", file]);
    assert_eq!(text(&live.stdout), text(&recorded.stdout));
    assert_eq!(live.status.code(), recorded.status.code());
}

#[test]
fn mistakes_are_said_with_what_is_wrong() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("no.json");
    fs::write(&file, "[]").expect("a file");
    let file = file.to_str().expect("a path in UTF-8");
    for (arguments, says) in [
        (&["--from", "/does/not/exist"][..], "/does/not/exist"),
        (&["--from", file], "no recording"),
        (&["--root", "/does/not/exist"], "/does/not/exist"),
        (&["--record", "/does/not/exist/x.json"], "/does/not/exist/x.json"),
        (&["--device", "eth0"], "no address of a PCI function"),
        (&["--from", file, "--record", file], "cannot be used with"),
    ] {
        let output = doctor(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let error = text(&output.stderr);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
}

#[test]
fn an_address_without_a_domain_is_one_of_the_first() {
    let report: serde_json::Value =
        serde_json::from_slice(&examined("guest-vfio-unbound", &["--json", "--device", "00:01.0"]).stdout)
            .expect("JSON");
    let lines = report["findings"].as_array().expect("findings");
    assert!(lines.iter().any(|line| line["check"] == "vfio.bound" && line["subject"] == "0000:00:01.0"));
}

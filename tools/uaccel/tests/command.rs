//! The program as its users see it: output, exit codes, manners.

mod support;

use std::process::Stdio;

use support::{Folder, json, program, run, stderr, stdout};

#[test]
fn the_list_has_every_device_and_why_it_is_usable_or_not() {
    let folder = Folder::new("list");
    let text = stdout(&run(&["list", "--root", folder.text()]));
    for part in ["software", "simulated, so only by name", "does nothing", "none found"] {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
    let list = json(&["list", "--json", "--root", folder.text()]);
    let devices = list["devices"].as_array().expect("devices");
    let software = devices.iter().find(|device| device["name"] == "software").expect("the CPU");
    assert_eq!((&software["usable"], &software["simulated"]), (&true.into(), &false.into()));
    assert!(software["algorithms"].as_array().is_some_and(|algorithms| algorithms.len() > 5));
    assert_eq!(list["undriven"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_device_tells_what_it_grants() {
    let text = stdout(&run(&["info", "software"]));
    for part in ["gzip", "forward, inverse", "caller-vouches", "up to 4096 per queue", "done in the call"] {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
    let sim = json(&["info", "sim", "--json"]);
    assert_eq!(
        (&sim["simulated"], &sim["wakes"], &sim["max_transfer"]),
        (&true.into(), &true.into(), &4_194_304.into())
    );
    let algorithms = sim["algorithms"].as_array().expect("algorithms");
    let named = |name: &serde_json::Value| algorithms.iter().find(|algorithm| algorithm["name"] == *name);
    assert_eq!(named(&"sha-256".into()).expect("SHA-256")["directions"], serde_json::json!(["forward"]));
    assert_eq!(named(&"aes-256-xts".into()).expect("XTS")["directions"], serde_json::json!(["forward", "inverse"]));
    assert_eq!(sim["in_place"], serde_json::json!(["encrypt", "decrypt"]));
    let withheld = sim["withheld"].as_array().expect("names");
    assert!(withheld.iter().all(|name| named(name).is_none()), "granted and withheld: {sim}");
}

#[test]
fn a_device_that_is_not_there_ends_with_the_report_on_all() {
    let output = run(&["info", "hisi_zip-7"]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(3), String::new()));
    let text = stderr(&output);
    assert!(text.contains("there is no device 'hisi_zip-7'") && text.contains("software"), "{text}");
}

#[test]
fn wrong_use_is_explained() {
    for (arguments, hint) in [(&["lits"][..], "'list'"), (&["info"], "<DEVICE>"), (&[], "Usage")] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(hint), "{arguments:?}: {}", stderr(&output));
    }
    assert!(stdout(&run(&["--help"])).contains("Exit codes:"));
}

#[test]
fn colours_come_when_asked_for_and_go_with_no_color() {
    let colours = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let output = program().arg("list").args(arguments).envs(variable).output().expect("the program starts");
        stdout(&output).contains('\u{1b}')
    };
    assert!(!colours(&[], None), "into a pipe");
    assert!(colours(&["--color", "always"], None));
    assert!(colours(&[], Some(("CLICOLOR_FORCE", "1"))));
    assert!(!colours(&["--color", "never"], Some(("CLICOLOR_FORCE", "1"))));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        program().arg("list").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

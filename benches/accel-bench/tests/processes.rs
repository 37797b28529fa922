//! `run --processes` as its users see it. Nothing here depends on how fast anything is.

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{json, program, run, stderr, stdout};

const SHORT: [&str; 9] = ["run", "-d", "software", "-s", "4k", "--seconds", "0.05", "--processes", "3"];

fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().chain(more).copied().collect()
}

#[test]
fn each_process_works_and_every_one_is_verified() {
    let report = json(&short(&["-a", "copy,gzip", "--depth", "4", "--json"]), 0);
    let sharing = report["sharing"].as_array().expect("entries");
    assert_eq!(sharing.len(), 3, "copy, and gzip both ways");
    for entry in sharing {
        let each = entry["each"].as_array().expect("rows");
        assert_eq!((each.len(), &entry["processes"]), (3, &3.into()));
        let jobs = |row: &serde_json::Value| row["jobs"].as_u64().expect("a count");
        assert_eq!(each.iter().map(jobs).sum::<u64>(), jobs(&entry["together"]), "{entry}");
        for row in each.iter().chain([&entry["alone"]]) {
            assert!(jobs(row) > 0 && row["verification"]["checked"].as_u64() > Some(0), "{row}");
            assert_eq!((&row["failed"], &row["verification"]["wrong"]), (&0.into(), &0.into()));
        }
        let jain = entry["jain_index"].as_f64().expect("a number");
        assert!((1.0 / 3.0..=1.0 + 1e-9).contains(&jain), "{jain}");
        let smallest = entry["smallest_by_largest_share"].as_f64().expect("a number");
        assert!((0.0..=1.0).contains(&smallest), "{smallest}");
    }
    assert!(report["metrics"]["copy.4k.software.3-processes.of_one"].is_number());
}

#[test]
fn the_table_has_one_alone_each_and_all_together() {
    let output = run(&short(&["-a", "nop,crc-32c"]));
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}{text}", stderr(&output));
    for part in ["alone", "process 1", "process 3", "together", "3 processes together / one alone", "Jain", "all right"]
    {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
    assert!(
        text.lines().all(|line| line.starts_with("note: ") || line.chars().count() <= 100),
        "wider than 100 columns:\n{text}"
    );
}

#[test]
fn a_wrong_result_of_one_process_is_found() {
    let output = run(&short(&["-a", "copy", "--corrupt-a-result"]));
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(stdout(&output).contains("WRONG"), "{}", stdout(&output));
}

#[test]
fn the_simulator_of_one_process_cannot_be_shared_and_says_so() {
    let output = run(&["run", "-a", "copy", "-d", "sim", "--processes", "2"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("uaccel-devd"), "{}", stderr(&output));
}

#[test]
fn a_device_that_does_nothing_has_rates_and_nothing_to_verify() {
    let report = json(&["run", "-a", "gzip", "-d", "null", "--processes", "2", "--seconds", "0.01", "--json"], 0);
    for entry in report["sharing"].as_array().expect("entries") {
        let together = &entry["together"];
        assert_eq!((&together["effective"], &together["verification"]["checked"]), (&false.into(), &0.into()));
        assert!(together["jobs"].as_u64() > Some(0), "{entry}");
    }
}

#[test]
fn a_size_that_a_cipher_does_not_take_is_skipped_with_the_reason() {
    let arguments = ["run", "-a", "aes-128-cbc,aes-256-xts", "-d", "software", "-s", "100", "--processes", "2"];
    let report = json(&[&arguments[..], &["--seconds", "0.01", "--json"]].concat(), 0);
    let sharing = report["sharing"].as_array().expect("entries");
    assert!(sharing.len() == 2 && sharing.iter().all(|entry| entry["alone"]["algorithm"] == "aes-256-xts"), "{report}");
    let skipped = report["skipped"].as_array().expect("entries");
    assert_eq!(skipped.len(), 2, "both ways");
    assert!(skipped.iter().all(|entry| entry["reason"] == "aes-128-cbc takes whole blocks of 16 bytes, not 100"));
}

#[test]
fn ctrl_c_ends_all_of_them() {
    let mut child = program()
        .args(["run", "-a", "copy", "-s", "4k", "--seconds", "600", "-d", "software", "--processes", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("jobs/s") {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("readable"), 0, "ended early");
    }
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), Signal::SIGINT).expect("the program runs");
    let mut rest = String::new();
    // The workers hold the write end no more once all are gone; only then does this end.
    out.read_to_string(&mut rest).expect("readable");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(rest.contains("stopped early"), "{rest}");
}

//! The program as its users see it: output, exit codes, manners. Nothing here depends on how fast anything is.

mod support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Folder, json, program, run, stderr, stdout};

/// A run that is over soon.
const SHORT: [&str; 9] =
    ["run", "-s", "4k", "--seconds", "0.02", "--jobs", "40", "-a", "copy,gzip,aes-128-gcm,sha-256,crc-32c"];

fn short<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SHORT.iter().chain(more).copied().collect()
}

#[test]
fn a_short_run_is_verified_and_ends_well() {
    let output = run(&short(&[]));
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}{text}", stderr(&output));
    for part in [
        "gzip compress",
        "gzip decompress",
        "sim, simulated",
        "software",
        "null, no effect",
        "all right",
        "nothing about hardware",
    ] {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
    assert!(text.contains("verified: ") && !text.contains("WRONG"), "{text}");
    assert!(
        text.lines().all(|line| line.starts_with("note: ") || line.chars().count() <= 100),
        "wider than 100 columns:\n{text}"
    );
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
    assert_eq!(stderr(&output), "", "standard error is for errors and progress");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "takes a minute without optimisation")]
fn the_demonstration_is_verified_and_says_what_to_try_next() {
    let output = run(&[]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}{text}", stderr(&output));
    for part in [
        "back end: sim",
        "larger than one job",
        "verified: ",
        "all right",
        "try next",
        "accel-bench run",
        "nothing about hardware",
    ] {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
}

#[test]
fn every_algorithm_runs_on_every_device_in_both_directions() {
    let report = json(&["run", "-s", "112,5k", "--seconds", "0.005", "--jobs", "20", "--json"], 0);
    let rows = report["rows"].as_array().expect("rows");
    // Ten algorithms in one direction, fourteen in two, each at two sizes on three devices; an empty job has no size.
    assert_eq!(rows.len(), 3 * (1 + 2 * (8 + 2 * 14)));
    for row in rows {
        assert!(row["jobs"].as_u64().is_some_and(|jobs| jobs > 0), "{row}");
        let (effective, checked) = (row["effective"] == true, row["verification"]["checked"].as_u64());
        assert_eq!(checked.is_some_and(|checked| checked > 0), effective, "{row}");
    }
}

#[test]
fn a_size_that_a_cipher_does_not_take_is_skipped_with_the_reason() {
    let arguments = ["run", "-s", "100", "-a", "aes-128-cbc,aes-256-ctr", "--jobs", "20", "--devices", "sim"];
    let report = json(&[&arguments[..], &["--seconds", "0.005", "--json"]].concat(), 0);
    let texts = |list: &str, field: &str| -> Vec<String> {
        let entries = report[list].as_array().expect("a list");
        entries.iter().map(|entry| entry[field].as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(texts("rows", "algorithm"), ["aes-256-ctr"; 2]);
    assert_eq!(texts("skipped", "reason"), ["aes-128-cbc takes whole blocks of 16 bytes, not 100"; 2]);
}

#[test]
fn a_window_is_for_those_that_compress_and_skipped_where_the_device_has_no_such() {
    let run = |window: &[&str]| {
        let arguments = ["run", "-s", "64k", "-a", "zlib,zstd", "--jobs", "4", "--devices", "sim,software"];
        // Bounded by the number of jobs, not by time: the ratio is that of the same texts, however fast the machine is.
        json(&[&arguments[..], &["--seconds", "600", "--json"], window].concat(), 0)
    };
    let (all, small) = (run(&[]), run(&["--window", "512"]));
    let ratio = |report: &serde_json::Value, algorithm: &str, device: &str| {
        let rows = report["rows"].as_array().expect("rows");
        let is_it = |row: &&serde_json::Value| {
            row["algorithm"] == algorithm && row["operation"] == "compress" && row["device"] == device
        };
        rows.iter().find(is_it).map(|row| row["ratio"].as_f64().expect("a ratio"))
    };
    assert!(ratio(&small, "zlib", "software") < ratio(&all, "zlib", "software"));
    assert_eq!(ratio(&small, "zstd", "software"), ratio(&all, "zstd", "software"));
    assert!(ratio(&all, "zlib", "sim").is_some());
    assert_eq!(ratio(&small, "zlib", "sim"), None);
    let skipped = small["skipped"].as_array().expect("a list");
    assert!(
        matches!(&skipped[..], [one] if one["reason"].as_str().is_some_and(|why| why.contains("window"))),
        "{skipped:?}"
    );
    assert_eq!(small["options"]["window"], 512);
}

#[test]
fn threads_and_depth_lose_no_job() {
    let report = json(&short(&["--threads", "3", "--depth", "16", "--devices", "sim", "--json"]), 0);
    let rows = report["rows"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["failed"] == 0 && row["verification"]["wrong"] == 0));
    assert!(rows.iter().all(|row| row["jobs"].as_u64().is_some_and(|jobs| jobs >= 3)));
    assert_eq!(report["options"]["depth"], 16);
}

#[test]
fn json_has_the_shape_of_the_schema() {
    let run = json(&short(&["--json"]), 0);
    assert_eq!((&run["command"], &run["ok"]), (&"run".into(), &true.into()));
    assert!(run["metrics"]["gzip.compress.4k.sim.mb_per_second"].is_number());
    let list = json(&["list", "--json"], 0);
    assert!(
        list["devices"].as_array().is_some_and(|devices| devices.iter().any(|device| device["name"] == "software"))
    );
    let raw = json(&["raw", "--json"], 0);
    assert!(raw["limits"].as_array().is_some_and(|limits| limits.len() > 10));
    let of_this_process =
        "round-trip,round-trip-row,rate-depth-128,null-burst-32,null-owned,software-aes-128-gcm,software-crc-32c";
    let promises = json(&["raw", "--beside", "--pairs", "9", "--only", of_this_process, "--json"], 0);
    assert!(
        promises["promises"]
            .as_array()
            .is_some_and(|promises| promises.len() == 7 && promises.iter().all(|one| one["error"].is_null()))
    );
}

#[test]
fn jobs_larger_than_the_device_takes_are_counted_where_they_go() {
    let report =
        json(&["run", "-a", "sha-256", "-s", "5m", "--jobs", "1", "--seconds", "0.001", "-d", "sim", "--json"], 0);
    assert!(report["rows"][0]["fallbacks"].as_u64().is_some_and(|fallbacks| fallbacks > 0));
}

#[test]
fn files_are_read_and_what_cannot_be_read_is_named() {
    let folder = Folder::new("files");
    let path = folder.0.join("text");
    std::fs::write(&path, b"some text that is not very long ".repeat(300)).expect("a file");
    let name = path.to_str().expect("text");
    let output = run(&["run", "-a", "zlib", "-s", "4k", "--jobs", "5", "-d", "software", "-f", name]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("of 1 file"));
    let output = run(&["run", "-f", "/nowhere/to/be/found"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("/nowhere/to/be/found"));
}

#[test]
fn a_profile_slows_the_simulator_down_and_is_named() {
    let folder = Folder::new("profile");
    let path = folder.0.join("slow");
    std::fs::write(&path, "name = slow\nsource = invented for a test\nbase-ns = 2000000").expect("a file");
    let arguments =
        ["run", "-a", "copy", "-s", "1k", "--jobs", "2", "--seconds", "0.004", "-d", "sim", "--json", "--profile"];
    let arguments: Vec<_> = arguments.into_iter().chain(path.to_str()).collect();
    let report = json(&arguments, 0);
    assert!(report["rows"][0]["latency_us"]["min"].as_f64().is_some_and(|least| least >= 2000.0), "{report}");
    assert!(report["notes"].to_string().contains("invented for a test"));
    let output = run(&["run", "--profile", "hisilicon-zap"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("hisilicon-zip"));
}

#[test]
fn published_points_stand_beside_simulated_ones() {
    let folder = Folder::new("published");
    let path = folder.0.join("one");
    // 1 ms for each of two jobs at a time: 8192 bytes twice in a millisecond.
    let text = "name = one\nsource = invented for a test\nbase-ns = 1000000\nengines = 2\npoint = 2 8192 0 16.4";
    std::fs::write(&path, text).expect("a file");
    let profile = ["published", "--stretch", "3", "--seconds", "0.05", "--profile", path.to_str().expect("text")];
    let report = json(&[&profile[..], &["--json"]].concat(), 0);
    let point = &report["points"][0];
    assert_eq!((point["depth"].as_u64(), point["published_mb_per_second"].as_f64()), (Some(2), Some(16.4)));
    // A machine may be slower than the profile, and never faster.
    let simulated = point["simulated_mb_per_second"].as_f64().expect("a number");
    assert!(simulated > 0.0 && simulated < 16.4 * 1.05, "{point}");
    assert!(point["checked"].as_u64().is_some_and(|checked| checked > 0), "{point}");
    let output = run(&profile);
    assert!(stdout(&output).contains("published   simulated"), "{}", stdout(&output));
    std::fs::write(&path, "name = none\nsource = invented\nbase-ns = 1").expect("a file");
    let output = run(&profile);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("no published points"), "{}", stderr(&output));
}

#[test]
fn wrong_use_is_explained() {
    for (arguments, hint) in [
        (&["run", "-a", "gzib"][..], "'gzip'"),
        (&["rum"], "'run'"),
        (&["run", "--dept", "4"], "'--depth'"),
        (&["run", "--sizes", "4x"], "sizes look like"),
        (&["run", "-a", "zlib", "--window", "100"], "from 512 to 32k"),
        (&["raw", "--fail-if-missed"], "--beside"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(hint), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "");
    }
}

#[test]
fn help_is_short_and_long_and_names_the_exit_codes() {
    let (short, long) = (run(&["-h"]), run(&["--help"]));
    assert_eq!((short.status.code(), long.status.code()), (Some(0), Some(0)));
    assert!(stdout(&long).contains("Exit codes:") && stdout(&long).contains("130"));
    assert!(stdout(&short).lines().count() < stdout(&long).lines().count());
    assert!(stdout(&run(&["run", "--help"])).contains("Examples:"));
}

#[test]
fn an_unknown_device_ends_with_the_report_on_all() {
    let output = run(&short(&["-d", "sin"]));
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("there is no device 'sin'") && text.contains("software") && text.contains("sim"), "{text}");
}

#[test]
fn a_wrong_result_is_found_and_is_exit_code_1() {
    for algorithm in ["copy", "gzip", "zstd", "lz4", "aes-128-gcm", "sha-512", "fill"] {
        let output = run(&["run", "-a", algorithm, "-s", "4k", "--jobs", "5", "-d", "software", "--corrupt-a-result"]);
        let text = stdout(&output);
        assert_eq!(output.status.code(), Some(1), "{algorithm}: {text}");
        assert!(text.contains("WRONG") && text.contains("wrong, by "), "{text}");
    }
    let report =
        json(&["run", "-a", "copy", "-s", "4k", "--jobs", "5", "-d", "sim", "--corrupt-a-result", "--json"], 1);
    assert_eq!((&report["ok"], &report["rows"][0]["verification"]["wrong"]), (&false.into(), &1.into()));
    // With verification off nobody notices, which is why it is on.
    let output = run(&[
        "run",
        "-a",
        "copy",
        "-s",
        "4k",
        "--jobs",
        "5",
        "-d",
        "software",
        "--corrupt-a-result",
        "--verify",
        "none",
    ]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn colours_come_when_asked_for_and_go_with_no_color() {
    let colours = |arguments: &[&str], variable: Option<(&str, &str)>| {
        let output = program().arg("list").args(arguments).envs(variable).output().expect("the program starts");
        stdout(&output).contains('\u{1b}')
    };
    assert!(!colours(&[], None), "into a pipe");
    assert!(colours(&["--color", "always"], None));
    assert!(!colours(&["--color", "never"], None));
    assert!(colours(&[], Some(("CLICOLOR_FORCE", "1"))));
    assert!(!colours(&[], Some(("NO_COLOR", "1"))));
    let both =
        program().arg("list").env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().expect("the program starts");
    assert!(!stdout(&both).contains('\u{1b}'), "NO_COLOR is stronger");
}

#[test]
fn ctrl_c_prints_what_was_measured() {
    let mut child = program()
        .args(["run", "-a", "copy,crc-32c", "-s", "4k", "--seconds", "30", "-d", "software"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    // The column heads come after everything is set up, and before the first row.
    while !line.contains("jobs/s") {
        line.clear();
        assert_ne!(out.read_line(&mut line).expect("readable"), 0, "ended early");
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    kill(Pid::from_raw(i32::try_from(child.id()).expect("a process id")), Signal::SIGINT).expect("the program runs");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("readable");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(rest.contains("copy") && rest.contains("stopped early") && !rest.contains("crc-32c"), "{rest}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        program().args(short(&[])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

//! What the program does with a `uaccel-devd`, and with other processes of its own. Nothing here depends on how fast anything is.

mod support;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use accel_bench_raw::{BetweenProcesses, Errand, Launcher, Limit, Placement, RawError, catalogue_of_processes};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{Folder, json, program, run, stderr};
use uaccel_devd::{Daemon, DaemonConfig};

/// Two CPUs, or a word on why the test proves nothing here.
fn placement() -> Option<Placement> {
    let placement = Placement::detect().expect("a placement");
    if placement.engine().is_none() {
        eprintln!("SKIPPED: one usable CPU, and what is tested goes on between two");
        return None;
    }
    Some(placement)
}

fn launcher() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_accel-bench"), ["raw-partner"])
}

#[test]
fn processes_share_a_daemons_device_and_every_result_is_verified() {
    let folder = Folder::new("daemon");
    let socket = folder.0.join("devd.sock");
    let daemon = Daemon::start(DaemonConfig::new(&socket)).expect("the daemon starts");
    let output = program()
        .args(["run", "-d", "devd:warp0,devd", "-a", "nop,copy,gzip,sha-256", "-s", "4k,64k", "--depth", "4"])
        .args(["--seconds", "0.05", "--processes", "3", "--json"])
        .env("UACCEL_DEVD", &socket)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let sharing = report["sharing"].as_array().expect("entries");
    assert_eq!(sharing.len(), 2 * (1 + 4 * 2), "two names of one device; an empty job has no size");
    for entry in sharing {
        assert_eq!((&entry["processes"], &entry["together"]["simulated"]), (&3.into(), &true.into()));
        for row in entry["each"].as_array().expect("rows") {
            assert_eq!((&row["failed"], &row["verification"]["wrong"]), (&0.into(), &0.into()), "{row}");
            assert!(row["verification"]["checked"].as_u64() > Some(0), "{row}");
        }
    }
    // The daemon has done the jobs, and no queue of them is left, as soon as it has noticed that they are gone.
    assert!(daemon.status().devices[0].jobs > 100, "{:?}", daemon.status());
    let used = |status: &uaccel_devd::Status| status.devices[0].queues_open + status.clients.len();
    while used(&daemon.status()) != 0 {
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn promises_of_several_processes_are_measured_on_a_daemon_of_the_programs_own() {
    let names = "devd-round-trip,devd-copy-4k,devd-burst-16,devd-window-4k,devd-wake,devd-clients-2,devd-share-2,\
                 devd-idle,devd-reclaim";
    let report = json(&["raw", "--beside", "--pairs", "9", "--kills", "5", "--only", names, "--json"], 0);
    let promises = report["promises"].as_array().expect("promises");
    assert_eq!(promises.len(), names.split(',').count());
    let placed = placement().is_some();
    for promise in promises {
        assert!(promise["error"].is_null(), "{promise}");
        assert!(promise["unavailable"].is_null() || !placed, "{promise}");
    }
    let reclaim = promises.iter().find(|promise| promise["name"] == "devd-reclaim").expect("measured on any machine");
    assert_eq!(reclaim["figures"]["kills"], 5.0);
    let (median, most) = (&reclaim["figures"]["p50_ns"], &reclaim["figures"]["max_ns"]);
    assert!(median.as_f64() > Some(0.0) && median.as_f64() <= most.as_f64(), "{reclaim}");
}

#[test]
fn limits_between_processes_give_figures_again_and_again() {
    let Some(placement) = placement() else { return };
    for entry in catalogue_of_processes(&launcher()) {
        let mut limit = entry.open(placement).unwrap_or_else(|error| panic!("{}: {error}", entry.name()));
        assert_eq!(limit.name(), entry.name());
        for operations in [1, 5, 20] {
            let ns = limit.measure(operations).unwrap_or_else(|error| panic!("{}: {error}", entry.name()));
            assert!(ns.is_finite() && ns > 0.0, "{}: {ns}", entry.name());
        }
    }
}

#[test]
fn another_process_that_is_none_is_an_error_and_no_hang() {
    let Some(placement) = placement() else { return };
    let start = |launcher: &Launcher| BetweenProcesses::new(placement, launcher, Errand::Answer, 1);
    // It ends at once, without having looked at anything.
    assert!(matches!(start(&Launcher::new("true", ["x"])), Err(RawError::EngineGone { .. })));
    assert!(matches!(start(&Launcher::new("/nowhere/at/all", ["x"])), Err(RawError::Spawn { .. })));
    assert!(matches!(
        BetweenProcesses::new(placement, &launcher(), Errand::CopyByCall, 2 << 20),
        Err(RawError::BadParameter { .. })
    ));
}

#[test]
fn the_other_process_goes_with_its_limit_and_its_death_is_an_error() {
    let Some(placement) = placement() else { return };
    for errand in [Errand::Answer, Errand::Wake] {
        let open = || BetweenProcesses::new(placement, &launcher(), errand, 1).expect("a limit");
        let mut limit = open();
        limit.measure(3).expect("a figure");
        let partner = pid(limit.partner_id());
        drop(limit);
        assert_eq!(kill(partner, None), Err(Errno::ESRCH), "{errand:?}: it is still there");

        let mut limit = open();
        kill(pid(limit.partner_id()), Signal::SIGKILL).expect("it runs");
        assert!(matches!(limit.measure(3), Err(RawError::EngineGone { .. })), "{errand:?}");
    }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a process id"))
}

/// Processes whose parent is this one.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("processes").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter(|number| stat(*number).is_some_and(|(_, of)| of == parent)).collect()
}

/// State and parent of a process.
fn stat(number: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
    // Behind the name, which may contain anything.
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[test]
fn killed_in_the_middle_it_leaves_no_process_and_no_folder_behind() {
    if placement().is_none() {
        return;
    }
    let mut bench = program()
        .args(["raw", "--beside", "--only", "devd-clients-2", "--pairs", "999"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let id = bench.id();
    // A daemon and two clients.
    while children(id).len() < 3 {
        assert!(bench.try_wait().expect("a child").is_none(), "it ended early");
        std::thread::sleep(Duration::from_millis(10));
    }
    let left = children(id);
    bench.kill().expect("it runs");
    bench.wait().expect("it ends");
    // Without an end to it: what does not go hangs the test, which is a failure.
    let gone = |number: &u32| stat(*number).is_none_or(|(state, _)| state == 'Z');
    while !left.iter().all(gone) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let folders = fs::read_dir(std::env::temp_dir()).expect("a folder").flatten();
    let prefix = format!("accel-bench-devd-{id}-");
    let forgotten: Vec<_> =
        folders.map(|entry| entry.file_name()).filter(|name| name.to_string_lossy().starts_with(&prefix)).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[test]
fn a_partner_without_a_limit_says_so() {
    let output = program().arg("raw-partner").stdin(Stdio::null()).output().expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("standard input is not the memory of a limit"), "{}", stderr(&output));
}

#[test]
fn without_a_daemon_its_device_cannot_be_used_and_the_cure_is_said() {
    let output = run(&["run", "-a", "copy", "-d", "devd:warp0", "--processes", "2"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("uaccel-devd"), "{}", stderr(&output));
}

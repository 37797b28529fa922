//! `uaccel top` against a daemon of the test's own, and on a made-up machine.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use support::daemon::{Answer, daemon};
use support::{Folder, json, program, run, stderr, stdout};

const STATUS: &str = include_str!("status.json");

fn status() -> Value {
    serde_json::from_str(STATUS).expect("JSON")
}

#[test]
fn once_in_json_is_the_daemons_own_status_with_rates() {
    let folder = Folder::new("top-json");
    let socket = folder.0.join("devd.sock");
    let served = daemon(&socket, vec![Answer::Status(STATUS.to_owned())]);
    let socket = socket.to_str().expect("text");
    let look = json(&["top", "--once", "--json", "--socket", socket, "--root", folder.text()]);
    served.join().expect("the daemon was asked once");
    assert_eq!((&look["daemon"], &look["daemon_error"]), (&status(), &Value::Null));
    let rates = &look["rates"]["clients"][0];
    // One look: since it connected, ten seconds ago.
    assert_eq!((&rates["jobs_per_second"], &rates["bytes_per_second"]), (&100_000.0.into(), &409_600_000.0.into()));
    assert_eq!((&rates["wait_ns_per_job"], &rates["service_ns_per_job"]), (&500.0.into(), &5000.0.into()));
    assert_eq!((&rates["workers"], &look["rates"]["devices"][0]["jobs_per_second"]), (&0.5.into(), &2000.0.into()));
}

#[test]
fn the_view_for_people_shows_clients_and_lets_none_of_them_move_the_cursor() {
    let folder = Folder::new("top-text");
    let socket = folder.0.join("devd.sock");
    let served = daemon(&socket, vec![Answer::Status(STATUS.to_owned())]);
    let output = run(&["top", "--once", "--socket", socket.to_str().expect("text"), "--root", folder.text()]);
    served.join().expect("the daemon was asked once");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    for part in [
        "process 4242",
        "up 1h02m",
        "warp0",
        "3/64",
        "busy",
        "high",
        "100k",
        "410",
        "50%",
        "blocked",
        "1 queue given up",
    ] {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
    assert!(text.contains("held?[2Jup") && !text.contains('\u{1b}'), "{text:?}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "wider than 100 columns:\n{text}");
}

#[test]
fn a_view_that_goes_on_shows_what_was_added_and_survives_the_daemon() {
    let folder = Folder::new("top-live");
    let socket = folder.0.join("devd.sock");
    let mut later = status();
    later["uptime_ns"] = 3_727_000_000_000_u64.into();
    later["clients"][0]["connected_ns"] = 12_000_000_000_u64.into();
    later["clients"][0]["jobs"] = 1_000_500.into();
    let answers = vec![Answer::Status(STATUS.to_owned()), Answer::Status(later.to_string()), Answer::HangUp];
    let served = daemon(&socket, answers);
    let mut child = program()
        .args([
            "top",
            "--json",
            "--interval",
            "0.05",
            "--socket",
            socket.to_str().expect("text"),
            "--root",
            folder.text(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut look = || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    assert_eq!(look()["rates"]["clients"][0]["jobs_per_second"], 100_000.0);
    assert_eq!(look()["rates"]["clients"][0]["jobs_per_second"], 250.0, "500 jobs in two seconds");
    served.join().expect("the daemon was asked three times");
    let gone = look();
    assert_eq!(gone["daemon"], Value::Null);
    assert!(gone["daemon_error"].as_str().is_some_and(|error| error.contains("devd.sock")), "{gone}");
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn on_a_terminal_the_view_is_drawn_in_place_and_the_terminal_given_back() {
    let folder = Folder::new("top-terminal");
    let socket = folder.0.join("devd.sock");
    let answers = (0..3).map(|_| Answer::Status(STATUS.to_owned())).collect();
    let served = daemon(&socket, answers);
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("ours");
    unlockpt(&terminal).expect("unlocked");
    let path = ptsname(&terminal, Vec::new()).expect("a path");
    let slave = fs::File::options().read(true).write(true).open(path.to_str().expect("text")).expect("the other end");
    let mut child = program()
        .args(["top", "--interval", "0.05", "--socket", socket.to_str().expect("text"), "--root", folder.text()])
        .stdout(slave)
        .env("TERM", "xterm")
        .spawn()
        .expect("the program starts");
    let mut terminal = fs::File::from(terminal);
    let mut seen = String::new();
    let mut read_until = |seen: &mut String, wanted: &dyn Fn(&str) -> bool| {
        let mut piece = [0; 4096];
        while !wanted(seen) {
            // An error is the end: the other side is closed.
            let Ok(count @ 1..) = terminal.read(&mut piece) else { return };
            *seen += &String::from_utf8_lossy(&piece[..count]);
        }
    };
    read_until(&mut seen, &|seen| seen.matches("warp0").count() >= 3);
    served.join().expect("the daemon was asked three times");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "Ctrl-C is how the view ends");
    read_until(&mut seen, &|seen| seen.ends_with("\u{1b}[?1049l"));
    assert!(seen.starts_with("\u{1b}[?1049h\u{1b}[?25l\u{1b}[H"), "{seen:?}");
    assert!(seen.ends_with("\u{1b}[?25h\u{1b}[?1049l"), "{seen:?}");
    assert_eq!(seen.matches("\u{1b}[?1049h").count(), 1, "one screen for all frames");
    assert!(!seen.contains("\u{1b}[2J"), "a client's name moves nothing: {seen:?}");
}

#[test]
fn without_a_daemon_the_error_names_socket_and_cure() {
    let folder = Folder::new("top-none");
    let socket = folder.0.join("none.sock");
    let socket = socket.to_str().expect("text");
    let output = run(&["top", "--once", "--socket", socket, "--root", folder.text()]);
    assert_eq!((output.status.code(), stdout(&output)), (Some(3), String::new()));
    let text = stderr(&output);
    assert!(text.contains(socket) && text.contains(&format!("uaccel-devd --socket {socket}")), "{text}");
    // The usual place needs no option.
    let output = program()
        .args(["top", "--once", "--root", folder.text()])
        .env("XDG_RUNTIME_DIR", folder.text())
        .output()
        .expect("the program starts");
    let text = stderr(&output);
    assert!(text.contains("uaccel/devd.sock") && text.trim_end().ends_with("start one with: uaccel-devd"), "{text}");
}

#[test]
fn what_is_no_status_is_refused_with_a_reason() {
    let folder = Folder::new("top-wrong");
    for (index, (answer, hint)) in [
        (Answer::Refused("only root may look"), "only root may look"),
        (Answer::Nonsense, "no daemon of this version"),
        (Answer::HangUp, "hung up"),
        (Answer::Status("{".to_owned()), "cannot be read"),
        (Answer::Status(r#"{"clients": 3}"#.to_owned()), "makes no sense"),
    ]
    .into_iter()
    .enumerate()
    {
        let socket = folder.0.join(format!("{index}.sock"));
        let served = daemon(&socket, vec![answer]);
        let output = run(&["top", "--once", "--socket", socket.to_str().expect("text"), "--root", folder.text()]);
        served.join().expect("the daemon was asked once");
        assert_eq!(output.status.code(), Some(3), "{hint}");
        assert!(stderr(&output).contains(hint), "{hint}: {}", stderr(&output));
    }
}

/// A machine with one device of the kernel's, and processes that have it open.
fn machine(folder: &Folder) {
    let device = folder.0.join("sys/class/uacce/hisi_zip-0");
    fs::create_dir_all(&device).expect("a folder");
    fs::create_dir_all(folder.0.join("dev")).expect("a folder");
    let node = folder.0.join("dev/hisi_zip-0");
    fs::write(&node, "").expect("a file");
    for (pid, command, queues) in [(17, "nginx", 2), (23, "cat", 0)] {
        let process = folder.0.join(format!("proc/{pid}"));
        fs::create_dir_all(process.join("fd")).expect("a folder");
        fs::write(process.join("comm"), format!("{command}\n")).expect("a file");
        symlink("/dev/null", process.join("fd/0")).expect("a link");
        (0..queues).for_each(|fd| symlink(&node, process.join(format!("fd/{}", 5 + fd))).expect("a link"));
    }
}

#[test]
fn processes_that_hold_queues_of_hardware_are_found() {
    let folder = Folder::new("top-hardware");
    machine(&folder);
    let socket = folder.0.join("none.sock");
    let look = json(&["top", "--once", "--json", "--socket", socket.to_str().expect("text"), "--root", folder.text()]);
    let holders = look["hardware"]["holders"].as_array().expect("holders");
    assert_eq!(holders.len(), 1, "{look}");
    let holder = &holders[0];
    assert_eq!(
        (&holder["device"], &holder["pid"], &holder["command"], &holder["queues"]),
        (&"hisi_zip-0".into(), &17.into(), &"nginx".into(), &2.into())
    );
    // There is something to see, so that no daemon answers is a remark and no error.
    assert!(look["daemon_error"].is_string() && look["daemon"].is_null());
    let text = stdout(&run(&["top", "--once", "--socket", socket.to_str().expect("text"), "--root", folder.text()]));
    assert!(text.contains("hisi_zip-0") && text.contains("nginx") && text.contains("no daemon answers"), "{text}");
}

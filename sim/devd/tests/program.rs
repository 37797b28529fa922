//! The program: options, signals, activation, exit codes.

mod support;

use std::fs;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::unistd::Pid;
use tempfile::TempDir;
use uaccel_devd::Status;
use uaccel_devd_protocol::{Priority, Reply, Request};
use uaccel_queue::Operation;
use uaccel_warp_abi::{Completion, State};

use support::client::own_memory;
use support::hand::{Hand, copy, job, ok};
use support::{Client, Withheld, eventually, skip};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uaccel-devd");

/// The program, running.
struct Program {
    child: Child,
    folder: TempDir,
}

impl Program {
    fn start(options: &[&str]) -> Self {
        Self::start_by(Command::new(PROGRAM), options)
    }

    /// Started by a command that takes the options.
    fn start_by(mut command: Command, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("devd.sock");
        command.arg("--socket").arg(&socket).args(options).stderr(Stdio::piped()).env_remove("RUST_LOG");
        let program = Self { child: command.spawn().expect("the program"), folder };
        eventually("it listens", || socket.exists());
        program
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("devd.sock")
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).expect("it runs");
    }

    /// Waits for its end: how it ended, and what it logged.
    fn end(&mut self) -> (ExitStatus, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (self.child.wait().unwrap(), log)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn status(socket: &Path, options: &[&str]) -> Output {
    Command::new(PROGRAM).arg("status").arg("--socket").arg(socket).args(options).output().expect("the program")
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn it_serves_and_ends_cleanly_when_asked() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut program = Program::start(&["--log", "debug"]);
        let client = Client::bound(&program.socket());
        let mut hand = client.hand();
        assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
        program.signal(signal);
        let (ended, log) = program.end();
        assert_eq!(ended.code(), Some(0), "{log}");
        assert!(!program.socket().exists());
        assert_eq!(hand.state(), State::Stopped, "the device has let go");
        assert!(client.hear().is_none());
        let pid = format!("pid={}", std::process::id());
        assert!(log.contains("client connected") && log.contains(&pid) && log.contains("pasid=1"), "{log}");
        let [low, high] = client.gate.canary;
        assert!(!log.contains(&low.to_string()) && !log.contains(&high.to_string()), "no secret is logged");
    }
}

#[test]
fn it_ends_in_time_even_if_the_device_does_not_let_go_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let plan = write(&folder, "plan", r#"{"deaf":true}"#);
    let mut program = Program::start(&["--plan", &plan, "--drain", "0.1"]);
    let client = Client::bound(&program.socket());
    let _queue = client.open();
    program.signal(Signal::SIGTERM);
    let (ended, log) = program.end();
    assert_eq!(ended.code(), Some(3), "{log}");
    assert!(client.hear().is_none(), "the kernel hangs up when the process is gone");
}

#[test]
fn it_ends_while_a_call_is_stuck_and_the_kernel_hangs_up_when_it_is_over() {
    let withheld = match Withheld::new() {
        Ok(withheld) => withheld,
        Err(why) => return skip("an end with a call that is stuck", &why),
    };
    let mut program = Program::start(&["--drain", "0.2"]);
    let client = Client::bound(&program.socket());
    let mut hand = client.hand();
    let mut room = vec![0; 64];
    let mut stuck = copy(1, &[0; 64], &mut room);
    stuck.source = withheld.address();
    hand.submit(&stuck);
    eventually("it is taken", || {
        let told = status(&program.socket(), &["--json"]).stdout;
        serde_json::from_slice::<Status>(&told).expect("one object").clients[0].blocked
    });
    program.signal(Signal::SIGTERM);
    let (ended, log) = program.end();
    assert_eq!(ended.code(), Some(3), "{log}");
    assert!(client.hear().is_none());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let plan = write(&folder, "plan", r#"{"deaf":true}"#);
    let mut program = Program::start(&["--plan", &plan, "--drain", "100000"]);
    let client = Client::bound(&program.socket());
    let _queue = client.open();
    program.signal(Signal::SIGTERM);
    eventually("it begins to end", || !program.socket().exists());
    program.signal(Signal::SIGINT);
    assert_eq!(program.end().0.code(), Some(128 + Signal::SIGINT as i32));
}

#[test]
fn the_plan_is_read_at_the_start_and_again_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let plan = write(&folder, "plan", r#"{"rules":[{"nth":2,"what":"wrong-token"}]}"#);
    let program = Program::start(&["--plan", &plan]);
    let client = Client::bound(&program.socket());
    let mut hand: Hand = client.hand();
    let mut token = |number: u32| {
        hand.submit(&job(number, Operation::Nop));
        let Completion { token, .. } = hand.wait();
        token
    };
    assert_eq!(token(1), 0x1001);
    assert_ne!(token(2), 0x1002);
    assert_eq!(token(3), 0x1003);
    write(&folder, "plan", r#"{"rules":[{"every":1,"what":"wrong-token"}]}"#);
    program.signal(Signal::SIGHUP);
    let mut number = 4;
    eventually("the new plan counts", || {
        number += 1;
        token(number) != 0x1000 | number
    });
    // One that cannot be read changes nothing.
    write(&folder, "plan", "nonsense");
    program.signal(Signal::SIGHUP);
    for number in 100..120 {
        assert_ne!(token(number), 0x1000 | number);
    }
}

#[test]
fn nothing_is_kept_of_clients_that_come_and_go() {
    let program = Program::start(&[]);
    let count = |what: &str| fs::read_dir(format!("/proc/{}/{what}", program.child.id())).unwrap().count();
    let mappings = || {
        let maps = fs::read_to_string(format!("/proc/{}/maps", program.child.id())).unwrap();
        maps.lines().filter(|line| line.contains("memfd:")).count()
    };
    // Whatever is made once is there after the first one.
    Client::bound(&program.socket()).hand();
    eventually("it is gone", || mappings() == 0);
    let before = (count("fd"), count("task"));
    for round in 0..150 {
        let client = Client::bound(&program.socket());
        let mut hands = [client.hand(), client.hand()];
        for hand in &mut hands {
            assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
        }
        if round % 3 == 0 {
            hands[0].submit(&job(2, Operation::Nop));
        }
        if round % 5 == 0 {
            client.channel.send(&[1; 7], &[], support::hand::PATIENCE).unwrap();
        }
    }
    eventually("all is as it was", || (count("fd"), count("task"), mappings()) == (before.0, before.1, 0));
    let told: Status = serde_json::from_slice(&status(&program.socket(), &["--json"]).stdout).expect("one object");
    assert_eq!((told.devices[0].queues_open, told.devices[0].leaked_queues, told.clients.len()), (0, 0, 0));
    assert!(matches!(Client::connect(&program.socket()).hello(), Reply::Welcome { pasid: 1, .. }));
}

#[test]
fn a_server_without_descriptors_serves_those_who_are_there_and_recovers() {
    let mut few = Command::new("sh");
    few.args(["-c", r#"ulimit -n 60; exec "$0" "$@""#, PROGRAM]);
    let program = Program::start_by(few, &[]);
    let client = Client::bound(&program.socket());
    let mut hand = client.hand();
    let crowd: Vec<Client> = (0..60).map(|_| Client::connect(&program.socket())).collect();
    let open = || fs::read_dir(format!("/proc/{}/fd", program.child.id())).unwrap().count();
    eventually("none is left", || open() >= 58);
    for round in 0..20 {
        assert_eq!(hand.run(&job(round, Operation::Nop)), ok(round, 0, 0));
    }
    // Queues need some, too.
    assert!(matches!(client.ask(&Request::Open { index: 0 }), Reply::Refused { .. }));
    drop(crowd);
    // Those who left before they were let in are let in first, so it may take a try or two.
    let mut late = None;
    eventually("there is room for another", || {
        let client = Client::connect(&program.socket());
        let (mem, maps) = own_memory();
        let answer = client.try_ask(&client.introduction(Priority::Normal), &[mem.as_fd(), maps.as_fd()]);
        late = matches!(answer, Some((Reply::Welcome { .. }, _))).then(|| Arc::new(client));
        late.is_some()
    });
    let late = late.expect("just found");
    assert_eq!(late.hand().run(&job(1, Operation::Nop)), ok(1, 0, 0));
}

#[test]
fn status_is_told_for_people_and_for_programs() {
    let program = Program::start(&["--device", "fast,queues=5", "--device", "slow"]);
    let client = Client::bound(&program.socket());
    let _queue = client.open();
    let output = status(&program.socket(), &["--json"]);
    assert!(output.status.success());
    let told: Status = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(told.devices.iter().map(|device| device.name.as_str()).collect::<Vec<_>>(), ["fast", "slow"]);
    assert_eq!((told.devices[0].queues, told.devices[0].queues_open), (5, 1));
    assert_eq!(told.clients[0].pid, i32::try_from(std::process::id()).unwrap());
    assert_eq!(told.pid, program.child.id());
    let text = String::from_utf8(status(&program.socket(), &[]).stdout).unwrap();
    assert!(text.contains("device fast") && text.contains("1 of 5 queues open") && text.contains("PASID 1"), "{text}");
}

#[test]
fn where_nobody_serves_the_cure_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("devd.sock");
    let output = status(&socket, &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains(&format!("start one with: uaccel-devd --socket {}", socket.display())), "{text}");
}

#[test]
fn the_socket_is_found_where_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    for (variable, value, socket) in [
        ("UACCEL_DEVD", folder.path().join("named.sock"), folder.path().join("named.sock")),
        ("XDG_RUNTIME_DIR", folder.path().to_owned(), folder.path().join("uaccel/devd.sock")),
    ] {
        let start = |arguments: &[&str]| {
            let mut command = Command::new(PROGRAM);
            command.args(arguments).env_remove("UACCEL_DEVD").env_remove("XDG_RUNTIME_DIR").env(variable, &value);
            command.stderr(Stdio::null());
            command
        };
        let mut program = Program { child: start(&[]).spawn().unwrap(), folder: tempfile::tempdir().unwrap() };
        eventually("it listens", || socket.exists());
        assert!(start(&["status"]).output().unwrap().status.success());
        program.signal(Signal::SIGTERM);
        assert!(program.child.wait().unwrap().success());
    }
}

#[test]
fn a_second_server_is_told_why_it_cannot_start() {
    let program = Program::start(&[]);
    let output = Command::new(PROGRAM).arg("--socket").arg(program.socket()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("listens on") && text.contains("--socket"), "{text}");
}

/// Starts the program as a service manager does, with `passed` as descriptor 3.
fn activate(passed: OwnedFd, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script, PROGRAM]).stdin(passed).stderr(Stdio::piped());
    command
}

const ACTIVATED: &str = r#"LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" 3<&0 </dev/null"#;

#[test]
fn a_service_manager_may_pass_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devd.sock");
    let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(&path).unwrap()).unwrap();
    listen(&fd, Backlog::new(8).unwrap()).unwrap();
    let child = activate(fd.try_clone().unwrap(), ACTIVATED).spawn().unwrap();
    let mut program = Program { child, folder };
    let client = Client::bound(&path);
    assert!(matches!(client.ask(&Request::Device { index: 0 }), Reply::Device { .. }));
    program.signal(Signal::SIGTERM);
    let (ended, log) = program.end();
    assert_eq!(ended.code(), Some(0), "{log}");
    assert!(path.exists(), "it is the manager's");
}

#[test]
fn what_is_passed_and_is_no_socket_or_not_for_this_process_is_not_used() {
    let null = || OwnedFd::from(fs::File::open("/dev/null").unwrap());
    let output = activate(null(), ACTIVATED).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("ListenSequentialPacket"), "{text}");
    let two = r#"LISTEN_PID=$$ LISTEN_FDS=2 exec "$0" 3<&0 </dev/null"#;
    assert_eq!(activate(null(), two).output().unwrap().status.code(), Some(1));
    // For another process: a socket is made as ever.
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("devd.sock");
    let other = r#"LISTEN_PID=1 LISTEN_FDS=1 exec "$0" 3<&0 </dev/null"#;
    let child = activate(null(), other).env("UACCEL_DEVD", &socket).spawn().unwrap();
    let mut program = Program { child, folder };
    eventually("it listens", || socket.exists());
    program.signal(Signal::SIGTERM);
    assert_eq!(program.end().0.code(), Some(0));
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let plan = write(&folder, "plan", r#"{"rules":[{"what":"wrong-token"}]}"#);
    for (options, code) in [
        (vec!["--device", "a,b"], 2),
        (vec!["--mode", "9"], 2),
        (vec!["--plan", &plan], 1),
        (vec!["--profile", "/there/is/none"], 1),
        (vec!["--device", "a", "--device", "a"], 1),
    ] {
        let socket = folder.path().join("devd.sock");
        let output = Command::new(PROGRAM).arg("--socket").arg(&socket).args(&options).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{options:?}");
        assert!(!output.stderr.is_empty() && !socket.exists());
    }
}

//! Users, namespaces and permissions: memory is reached one way or another, or there is a clear reason.

mod support;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;
use tempfile::TempDir;
use uaccel_devd::{ClientStatus, Status};
use uaccel_devd_protocol::{Reply, Request};

use support::hand::{copy, ok, pattern};
use support::process::{self, Process, orders, report};
use support::{Client, eventually, skip};

const PROGRAM: &str = env!("CARGO_BIN_EXE_uaccel-devd");
/// A user that owns nothing.
const NOBODY: u32 = 65534;

#[test]
#[ignore = "the other process of the tests here"]
fn other_process() {
    let Some((_, argument)) = process::role() else { return };
    let client = Client::bound(Path::new(&argument));
    let mut hand = client.hand();
    let source = pattern(10_000);
    report("ready");
    for (token, order) in (1..).zip(orders()) {
        if order == "close" {
            // As a program does that holds secrets: nobody of the same user may look into it any more.
            // SAFETY: the call takes numbers only.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }, 0);
        }
        let mut room = vec![0; 10_000];
        assert_eq!(hand.run(&copy(token, &source, &mut room)), ok(token, 10_000, 10_000));
        assert_eq!(room, source);
        report("done");
    }
}

/// A server in a process of its own.
struct Server {
    child: Child,
    folder: TempDir,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let socket = folder.path().join("devd.sock");
        let child = command.args(["--mode", "666", "--socket"]).arg(&socket).stderr(Stdio::null()).spawn();
        let server = Self { child: child.expect("a server"), folder };
        eventually("it listens", || socket.exists());
        server
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("devd.sock")
    }

    fn client(&self) -> ClientStatus {
        let (_, descriptors) = Client::connect(&self.socket()).ask_with(&Request::Status, &[]);
        let file = std::fs::File::from(descriptors.into_iter().next().expect("a report"));
        let status: Status = serde_json::from_reader(file).expect("a status");
        status.clients.into_iter().next().expect("a client")
    }

    /// Whether no queue is open.
    fn is_idle(&self) -> bool {
        let reply = Client::connect(&self.socket()).ask(&Request::Device { index: 0 });
        matches!(reply, Reply::Device { queues, free, .. } if queues == free)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn everybody_can_reach(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    program
        .ancestors()
        .skip(1)
        .all(|folder| std::fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0))
}

#[test]
fn a_client_that_closes_itself_to_others_of_its_user_is_reached_by_descriptor() {
    let test = "a client that cannot be looked into";
    if !geteuid().is_root() {
        return skip(test, "only root can start both as another user");
    }
    if !everybody_can_reach(Path::new(PROGRAM)) {
        return skip(test, "another user cannot reach the program");
    }
    let server = Server::start(Command::new(PROGRAM).uid(NOBODY).gid(NOBODY));
    let mut client = Process::start_as(NOBODY, "client", server.socket().to_str().unwrap());
    assert_eq!(client.hear(), "ready");
    assert_eq!(client.ask("work"), "done");
    let before = server.client();
    if before.access != "vectored" {
        return skip(test, "this system does not let processes of one user look into each other at all (Yama)");
    }
    assert_eq!(client.ask("close"), "done");
    assert_eq!(client.ask("work"), "done");
    let after = server.client();
    assert_eq!((after.access.as_str(), after.pasid, after.faults), ("mem", before.pasid, 0));
}

/// The server in namespaces of its own, the client outside.
fn apart(test: &str, namespaces: &[&str], expected: Option<&str>) {
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(["--fork", "--kill-child"]);
        command
    };
    if !unshare().arg("true").stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
        return skip(test, "this system does not let us make namespaces");
    }
    let server = Server::start(unshare().arg(PROGRAM));
    let mut client = Process::start("client", server.socket().to_str().unwrap());
    assert_eq!(client.hear(), "ready");
    assert_eq!(client.ask("work"), "done");
    let seen = server.client();
    if let Some(access) = expected {
        assert_eq!(seen.access, access);
    }
    assert_eq!(seen.faults, 0);
    client.kill();
    eventually("its queue is back", || server.is_idle());
}

#[test]
fn a_client_that_has_no_number_here_is_reached_by_descriptor() {
    apart("a PID namespace", &["--pid", "--mount-proc"], Some("mem"));
}

#[test]
fn a_server_in_a_user_namespace_serves_clients_outside() {
    apart("a user namespace", &["--user", "--map-root-user"], None);
}

#[test]
fn a_client_in_a_container_is_served() {
    let test = "a client in a PID namespace";
    let server = Server::start(&mut Command::new(PROGRAM));
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--mount-proc", "--fork", "--kill-child"]);
    let mut probe = Command::new("unshare");
    probe.args(["--pid", "--mount-proc", "--fork", "true"]).stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        return skip(test, "this system does not let us make namespaces");
    }
    let mut client = Process::start_in(unshare, "client", server.socket().to_str().unwrap());
    assert_eq!(client.hear(), "ready");
    assert_eq!(client.ask("work"), "done");
    let seen = server.client();
    assert_eq!((seen.faults, seen.pid > 1), (0, true), "it is known by its number out here");
    client.kill();
    eventually("its queue is back", || server.is_idle());
}

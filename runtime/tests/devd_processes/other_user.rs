//! A client of another user than the daemon's: its memory is reached by the descriptor that it passes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::unistd::geteuid;
use uaccel_runtime::Runtime;

use crate::process::Process;
use crate::server::Server;

/// The user `nobody` on most systems; any other would do.
const NOBODY: u32 = 65_534;

/// A client of another user; says why, if there can be none.
fn stranger(server: &Server, role: &str) -> Option<Process> {
    if !geteuid().is_root() {
        println!("SKIPPED: only root can start a process of another user");
        return None;
    }
    fs::set_permissions(server.folder(), fs::Permissions::from_mode(0o755)).expect("our folder");
    match Process::start_as(NOBODY, role, &server.socket().display().to_string()) {
        Ok(client) => Some(client),
        Err(error) => {
            println!("SKIPPED: this program cannot be started as another user: {error}");
            None
        }
    }
}

#[test]
fn the_memory_of_another_user_is_reached_by_its_descriptor_and_read_only_memory_is_refused() {
    let mut server = Server::with("open");
    let Some(mut client) = stranger(&server, "faults") else { return };
    client.expect("ready");
    let clients = server.status().clients;
    assert_eq!((clients[0].access.as_str(), clients[0].uid), ("mem", NOBODY));
    client.tell("go");
    client.expect("done");
    assert!(client.end().success());
    server.await_clients(0, 0);
}

#[test]
fn a_program_of_another_user_that_replaces_a_client_is_neither_read_nor_written() {
    let mut server = Server::with("open");
    server.hold();
    let Some(mut client) = stranger(&server, "changes") else { return };
    client.expect("changed");
    server.release();
    server.await_clients(0, 0);
    client.tell("look");
    client.expect("untouched");
    assert!(client.end().success());
}

#[test]
fn a_client_of_another_user_that_is_killed_leaves_nothing_behind() {
    let mut server = Server::with("open");
    server.hold();
    let Some(mut client) = stranger(&server, "silent") else { return };
    client.expect("ready");
    client.kill();
    server.await_clients(0, 0);
}

#[test]
fn a_socket_that_is_not_for_others_is_refused_with_a_cure() {
    let server = Server::start();
    let Some(mut client) = stranger(&server, "works") else { return };
    // It cannot build its runtime, and ends.
    assert_eq!(client.has_spoken(), None);
    let begun = std::time::Instant::now();
    while !client.has_ended() {
        assert!(begun.elapsed() < crate::bench::PATIENCE, "a client that is refused ends");
        assert_eq!(client.has_spoken(), None);
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // What it is told is what anybody is told who is not let in: here, somebody for whom there is no such socket.
    let report = Runtime::builder().devd(server.folder().join("none")).device("devd").report();
    assert!(report.to_string().contains("uaccel-devd"), "{report}");
}

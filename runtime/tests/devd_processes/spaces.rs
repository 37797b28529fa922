//! Address spaces: of two processes, of a fork, of a program that was replaced.

use uaccel_runtime::Work;

use crate::bench::eventually;
use crate::roles::linger;
use crate::server::Server;

#[test]
fn one_address_is_different_memory_in_four_processes() {
    let mut server = Server::start();
    let mut clients: Vec<_> = (1..=4).map(|seed| server.client("fixed", &seed.to_string())).collect();
    clients.iter_mut().for_each(|client| client.expect("ready"));
    let mut numbers: Vec<_> = server.status().clients.iter().map(|client| client.pasid).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4]);
    clients.iter_mut().for_each(|client| client.tell("go"));
    clients.iter_mut().for_each(|client| client.expect("done"));
    assert!(clients.into_iter().all(|client| client.end().success()));
    server.await_clients(0, 0);
}

#[test]
fn a_forked_child_is_refused_its_parents_queue_and_uses_a_connection_of_its_own() {
    let mut server = Server::start();
    server.hold();
    let mut client = server.client("forks", "");
    client.expect("forked");
    // The child is another client, with another address space.
    server.await_clients(2, server_queues(2));
    server.release();
    client.expect("done");
    server.await_clients(1, server_queues(1));
    assert!(client.end().success());
    server.await_clients(0, 0);
}

/// Each of these clients has one queue open.
fn server_queues(clients: usize) -> usize {
    clients
}

#[test]
fn a_program_that_replaces_a_client_is_neither_read_nor_written() {
    let mut server = Server::start();
    let bystander = server.runtime();
    server.hold();
    let mut client = server.client("changes", "");
    client.expect("changed");
    // The jobs that its predecessor has left behind are begun only now, if at all.
    server.release();
    let pid = client.pid();
    eventually("the predecessor's binding is gone", || {
        let status = server.status();
        !status.clients.iter().any(|client| client.pid == pid)
    });
    linger();
    client.tell("look");
    client.expect("untouched");
    bystander.run(Work::nop()).expect("others go on");
    assert!(client.end().success());
    drop(bystander);
    server.await_clients(0, 0);
}

#[test]
fn bad_pointers_fail_with_their_address_and_read_only_memory_is_refused() {
    let mut server = Server::start();
    let mut client = server.client("faults", "");
    client.expect("ready");
    assert_eq!(server.status().clients[0].access, "vectored");
    client.tell("go");
    client.expect("done");
    assert!(server.status().clients[0].faults >= 7);
    assert!(client.end().success());
}

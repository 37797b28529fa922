//! How much clients can take.

mod support;

use uaccel_devd_protocol::{Refusal, Reply, Request};
use uaccel_queue::{Operation, Transport as _};
use uaccel_warp_abi::{Geometry, Mode};

use support::client::{Client, refusal};
use support::hand::{job, ok};
use support::{Server, eventually};

#[test]
fn a_client_can_have_so_many_queues_and_no_more() {
    let server = Server::with(|config| config.limits.queues_per_client = 3);
    let client = Client::bound(&server.socket());
    let queues = [client.open(), client.open(), client.open()];
    assert_eq!(refusal(&client.ask(&Request::Open { index: 0 })), Some(Refusal::Limit));
    assert_eq!(client.ask(&Request::Close { queue: queues[1].number }), Reply::Done);
    client.open();
    let other = Client::bound(&server.socket());
    let mut hand = other.hand();
    assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
}

#[test]
fn so_many_clients_can_be_there_and_no_more() {
    let server = Server::with(|config| config.limits.clients = 2);
    let first = Client::bound(&server.socket());
    let second = Client::bound(&server.socket());
    assert_eq!(server.pasids(), [1, 2]);
    let third = Client::connect(&server.socket());
    assert_eq!(refusal(&third.hello()), Some(Refusal::Limit));
    drop(first);
    eventually("the first is gone", || server.pasids() == [2]);
    // It was not shown out, so it can ask again; and gets the lowest number that is free.
    assert!(matches!(third.hello(), Reply::Welcome { pasid: 1, .. }));
    drop((second, third));
}

#[test]
fn one_user_can_have_so_many_clients_and_no_more() {
    let server = Server::with(|config| config.limits.clients_per_uid = 1);
    let _first = Client::bound(&server.socket());
    let second = Client::connect(&server.socket());
    assert_eq!(refusal(&second.hello()), Some(Refusal::Limit));
}

#[test]
fn those_who_have_not_said_who_they_are_are_counted_too() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let crowd: Vec<Client> = (0..64).map(|_| Client::connect(&server.socket())).collect();
    // All of them are in when the last one is answered.
    assert!(matches!(crowd[63].ask(&Request::Device { index: 0 }), Reply::Device { .. }));
    let one_too_many = Client::connect(&server.socket());
    assert!(one_too_many.try_ask(&Request::Device { index: 0 }, &[]).is_none(), "it is hung up on");
    assert!(
        matches!(client.ask(&Request::Device { index: 0 }), Reply::Device { .. }),
        "clients have places of their own"
    );
    drop(crowd);
    eventually("there is room again", || {
        Client::connect(&server.socket()).try_ask(&Request::Device { index: 0 }, &[]).is_some()
    });
}

#[test]
fn ring_memory_is_as_large_as_rings_can_be_and_no_larger() {
    let server = Server::with(|config| config.devices[0] = "small,entries=64,sessions=4".parse().unwrap());
    let client = Client::bound(&server.socket());
    let queue = client.open();
    let largest = Geometry::new(6, 4, Mode::Ring).unwrap().size() as u64;
    let ask = |len| client.ask_with(&Request::Ring { queue: queue.number, len }, &[]).0;
    for len in [0, largest + 1, 1 << 40, u64::MAX] {
        assert_eq!(refusal(&ask(len)), Some(Refusal::Limit), "{len}");
    }
    let mut addresses: Vec<u64> = (0..4)
        .map(|_| match ask(largest) {
            Reply::Ring { address, len, .. } if len >= largest && address >> 63 == 1 => address,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(refusal(&ask(1)), Some(Refusal::Limit), "there are only so many pieces");
    queue.reset(support::hand::PATIENCE).unwrap();
    match ask(1) {
        Reply::Ring { address, .. } => addresses.push(address),
        other => panic!("{other:?}"),
    }
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 5, "no address is used twice");
}

#[test]
fn one_user_cannot_have_all_queues_of_a_device() {
    let server = Server::with(|config| config.limits.queues_per_uid = 3);
    let clients = [Client::bound(&server.socket()), Client::bound(&server.socket())];
    let queues = [clients[0].open(), clients[0].open(), clients[1].open()];
    for client in &clients {
        assert_eq!(refusal(&client.ask(&Request::Open { index: 0 })), Some(Refusal::Limit));
    }
    assert_eq!(clients[0].ask(&Request::Close { queue: queues[0].number }), Reply::Done);
    clients[1].open();
    drop(clients);
    drop(queues);
    eventually("all are back", || server.queues_open() == 0);
    let again = Client::bound(&server.socket());
    (0..3).for_each(|_| drop(again.open()));
}

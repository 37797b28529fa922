//! What a client asks for, and what it gets.

mod support;

use std::os::fd::AsFd;
use std::time::Duration;

use uaccel_devd_protocol::{Channel, ChannelError, HelloFlags, Priority, Refusal, Reply, Request, VERSION};
use uaccel_queue::{Operation, Quiet, Status, Transport as _};
use uaccel_sim::Plan;
use uaccel_warp_abi::{Answer, Command, Completion, Geometry, Mode, State, user_page};

use support::client::{Client, own_memory, refusal};
use support::hand::{Hand, PATIENCE, copy, failed, job, ok, over, pattern};
use support::{Server, eventually};

#[test]
fn a_job_works_on_the_clients_own_memory() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    assert_eq!(hand.state(), State::Ready);
    let source = pattern(70_000);
    let mut destination = vec![0; 70_000];
    assert_eq!(hand.run(&copy(1, &source, &mut destination)), ok(1, 70_000, 70_000));
    assert_eq!(destination, source);
    assert_eq!(hand.run(&over(job(2, Operation::Crc32c), b"123456789", &mut [])), ok(2, 9, 0xe306_9283));
}

#[test]
fn many_jobs_of_one_burst_are_all_done() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    let sources: Vec<Vec<u8>> = (0..40).map(|index| pattern(64 + index)).collect();
    let mut destinations: Vec<Vec<u8>> = (0..40).map(|index| vec![0; 64 + index]).collect();
    for (index, (source, destination)) in sources.iter().zip(&mut destinations).enumerate() {
        hand.publish(&copy(u32::try_from(index).unwrap(), source, destination));
    }
    hand.ring_if_wanted();
    for _ in 0..40 {
        assert_eq!(hand.wait().status, Status::Ok as u8);
    }
    assert_eq!(destinations, sources);
}

#[test]
fn bad_pointers_are_faults_with_their_address_and_the_queue_goes_on() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    let mut room = vec![0; 64];
    let mut bad = copy(1, &[0; 64], &mut room);
    bad.source = 0x1000;
    let fault = |token, answer| Completion { answer, ..failed(token, Status::Fault) };
    assert_eq!(hand.run(&bad), fault(1, Answer::ReadFault(0x1000)));
    let mut bad = copy(2, &[0; 64], &mut room);
    // Ring memory of its own is no memory for jobs.
    bad.destination = hand.ring.device_address(0);
    assert_eq!(hand.run(&bad), fault(2, Answer::WriteFault(bad.destination)));
    assert_eq!(hand.run(&copy(3, &[7; 64], &mut room)), ok(3, 64, 64));
    assert_eq!(room, [7; 64]);
    eventually("the faults are counted", || server.daemon.status().clients[0].faults == 2);
}

#[test]
fn a_sleeping_client_is_woken_and_a_sleeping_device_too() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let queue = client.open();
    let mut hand = Hand::with(queue.clone(), Geometry::new(6, 16, Mode::Ring).unwrap());
    for token in 0..20 {
        // The device goes to sleep, and says so.
        eventually("the device sleeps", || hand.ring.read(Geometry::NEED_WAKEUP) == 1);
        hand.arm();
        hand.submit(&job(token, Operation::Nop));
        queue.sleep(None).expect("a signal");
        assert_eq!(hand.wait().token, 0x1000 | token);
    }
}

#[test]
fn sessions_of_two_clients_are_apart() {
    let server = Server::start();
    let clients = [Client::bound(&server.socket()), Client::bound(&server.socket())];
    assert_eq!(server.pasids(), [1, 2]);
    let mut hands = clients.each_ref().map(|client| client.hand());
    // The numbers of queues are each client's own.
    let other = clients[1].open();
    assert_eq!(refusal(&clients[0].ask(&Request::Close { queue: other.number })), Some(Refusal::BadRequest));
    // As are the addresses of ring memory.
    let foreign = hands[1].ring.device_address(0);
    assert_eq!(foreign, hands[0].ring.device_address(0), "the same address in two address spaces");
    hands[0].submit(&job(1, Operation::Nop));
    assert_eq!(hands[0].wait(), ok(1, 0, 0));
    hands[1].expect_silence();
}

#[test]
fn wild_registers_are_refused_and_harm_nobody() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let geometry = Geometry::new(6, 16, Mode::Ring).unwrap();
    for (base, register) in [
        (0, geometry.register()),
        (u64::MAX, geometry.register()),
        (0x1000, geometry.register()),
        (1 << 63 | 2 << 32, geometry.register()),
        (1 << 63 | 1 << 32, u64::MAX),
        (1 << 63 | 1 << 32, 13),
        ((1 << 63 | 1 << 32) + 4096, geometry.register()),
    ] {
        let hand = Hand::idle(client.open(), geometry);
        hand.enable(base, register);
        assert_ne!(hand.state(), State::Ready, "{base:#x} {register:#x}");
    }
    let mut hand = client.hand();
    assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
    let queue = client.open();
    for offset in [4096, u64::MAX, 4] {
        let request = Request::Control { queue: queue.number, offset, value: 1 };
        assert_eq!(refusal(&client.ask(&request)), Some(Refusal::BadRequest), "{offset}");
    }
}

#[test]
fn a_queue_is_stopped_reset_and_used_again() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let queue = client.open();
    let geometry = Geometry::new(4, 4, Mode::Mailbox).unwrap();
    let mut hand = Hand::with(queue.clone(), geometry);
    assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
    assert_eq!(queue.stop(PATIENCE).unwrap(), Quiet::Proven);
    assert_eq!(hand.state(), State::Stopped);
    queue.reset(PATIENCE).unwrap();
    let mut again = Hand::with(queue, geometry);
    assert_ne!(again.ring.device_address(0), hand.ring.device_address(0), "no address is used twice");
    assert_eq!(again.run(&job(2, Operation::Nop)), ok(2, 0, 0));
}

#[test]
fn a_queue_that_is_given_back_is_free_and_its_number_is_gone() {
    let server = Server::with(|config| config.devices[0].warp.queues = 1);
    let client = Client::bound(&server.socket());
    for _ in 0..5 {
        let queue = client.open();
        assert_eq!(refusal(&client.ask(&Request::Open { index: 0 })), Some(Refusal::Busy));
        assert_eq!(client.ask(&Request::Close { queue: queue.number }), Reply::Done);
        assert_eq!(refusal(&client.ask(&Request::Close { queue: queue.number })), Some(Refusal::BadRequest));
        assert_eq!(server.queues_open(), 0);
    }
}

#[test]
fn closing_is_answered_when_the_device_lets_go_and_others_are_served_meanwhile() {
    let server = Server::with(|config| config.plan = Plan { deaf: true, ..Plan::default() });
    let client = Client::bound(&server.socket());
    let queue = client.open();
    assert_eq!(client.ask(&Request::Stop { queue: queue.number, within: 1 }), Reply::Stopped { quiet: false });
    let closing = client.say(&Request::Close { queue: queue.number }, &[]).unwrap();
    // It does not: the answer to the next request comes first.
    assert!(matches!(client.ask(&Request::Device { index: 0 }), Reply::Device { free: 255, .. }));
    server.daemon.plan("warp0").unwrap().deafen(false);
    let (serial, reply, _) = client.hear().expect("an answer");
    assert_eq!((serial, reply), (closing, Reply::Done));
    assert!(matches!(client.ask(&Request::Device { index: 0 }), Reply::Device { free: 256, .. }));
}

#[test]
fn a_connection_is_closed_only_when_the_device_has_let_go() {
    let server = Server::with(|config| config.plan = Plan { deaf: true, ..Plan::default() });
    let client = Client::bound(&server.socket());
    let queue = client.open();
    // A broken request ends the connection, but not yet.
    client.channel.send(&[0xff; 64], &[], PATIENCE).unwrap();
    let (_, reply, _) = client.hear().expect("an answer");
    assert_eq!(refusal(&reply), Some(Refusal::BadRequest));
    assert!(matches!(client.channel.receive(Duration::from_millis(300)), Err(ChannelError::TimedOut(_))));
    assert_eq!((server.pasids(), server.queues_open()), (vec![1], 1));
    server.daemon.plan("warp0").unwrap().deafen(false);
    assert!(client.hear().is_none(), "now it hangs up");
    assert_eq!((server.pasids(), server.queues_open()), (vec![], 0), "and everything is back before that is seen");
    drop(queue);
}

#[test]
fn devices_and_status_are_told_before_the_greeting_and_nothing_else_is_done() {
    let server = Server::with(|config| config.devices.push("second,queues=3".parse().unwrap()));
    let client = Client::connect(&server.socket());
    let reply = client.ask(&Request::Device { index: 1 });
    let expected = Reply::Device { count: 2, queues: 3, free: 3, name: "second".into(), interface: "warp_v1".into() };
    assert_eq!(reply, expected);
    assert_eq!(refusal(&client.ask(&Request::Device { index: 2 })), Some(Refusal::NoSuchDevice));
    assert!(matches!(client.ask_with(&Request::Status, &[]).0, Reply::Status { .. }));
    assert_eq!(refusal(&client.ask(&Request::Open { index: 0 })), Some(Refusal::BadRequest));
    assert!(client.hear().is_none(), "who does not greet is shown out");
}

#[test]
fn a_greeting_that_is_not_right_is_refused() {
    let server = Server::start();
    let (mem, maps) = own_memory();
    let greet = |change: &dyn Fn(&mut u32, &mut u64, &mut [u64; 2])| {
        let client = Client::connect(&server.socket());
        let (mut version, mut gate, mut canary) = (VERSION, client.gate.address(), client.gate.canary);
        change(&mut version, &mut gate, &mut canary);
        let (flags, priority) = (HelloFlags::empty(), Priority::High);
        let hello = Request::Hello { version, flags, priority, gate, canary };
        refusal(&client.ask_with(&hello, &[mem.as_fd(), maps.as_fd()]).0)
    };
    assert_eq!(greet(&|_, _, _| {}), None);
    assert_eq!(greet(&|version, _, _| *version = 2), Some(Refusal::Version));
    assert_eq!(greet(&|_, gate, _| *gate = 3), Some(Refusal::BadRequest));
    assert_eq!(greet(&|_, gate, _| *gate = 0x1000), Some(Refusal::NotPermitted));
    assert_eq!(greet(&|_, _, canary| canary[1] ^= 1), Some(Refusal::NotPermitted));

    let client = Client::connect(&server.socket());
    let swapped = client.ask_with(&client.introduction(Priority::Low), &[maps.as_fd(), mem.as_fd()]).0;
    assert_eq!(refusal(&swapped), Some(Refusal::BadRequest));
    assert!(client.hear().is_none());

    let client = Client::bound(&server.socket());
    let twice = client.ask_with(&client.introduction(Priority::Low), &[mem.as_fd(), maps.as_fd()]).0;
    assert_eq!(refusal(&twice), Some(Refusal::BadRequest), "one connection, one address space");
    assert!(client.hear().is_none());
    eventually("nobody is left", || server.pasids().is_empty());
}

#[test]
fn garbage_harms_only_who_sends_it() {
    let server = Server::start();
    let good = Client::bound(&server.socket());
    let mut hand = good.hand();
    let mut seed = 0x1234_5678_9abc_def0_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let (mem, maps) = own_memory();
    for round in 0..300 {
        let channel = Channel::connect(&server.socket(), PATIENCE).unwrap();
        let len = usize::try_from(random() % 130).unwrap();
        let mut bytes: Vec<u8> = (0..len).map(|_| random().to_le_bytes()[0]).collect();
        if round % 2 == 0 && len >= 64 {
            // Something that looks more like a request.
            bytes.truncate(64);
            bytes[0] = (random() % 13).to_le_bytes()[0];
            bytes[1..4].fill(0);
            bytes[12..16].fill(0);
        }
        let descriptors = [mem.as_fd(), maps.as_fd(), channel.as_fd()];
        let _ = channel.send(&bytes, &descriptors[..usize::try_from(random() % 4).unwrap()], PATIENCE);
        if round % 3 == 0 {
            let _ = channel.receive(PATIENCE);
        }
    }
    assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
    eventually("only one is left", || server.pasids() == [1]);
}

#[test]
fn who_does_not_fetch_answers_is_shown_out() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let _queue = client.open();
    // The server never waits for room; some request is one too many.
    while client.say(&Request::Device { index: 0 }, &[]).is_some() {}
    eventually("it is gone", || server.pasids().is_empty() && server.queues_open() == 0);
}

#[test]
fn who_says_nothing_is_shown_out_and_a_client_may_be_silent() {
    let server = Server::with(|config| config.greeting = Duration::from_millis(50));
    let client = Client::bound(&server.socket());
    let silent = Client::connect(&server.socket());
    assert!(silent.hear().is_none());
    assert!(matches!(client.ask(&Request::Device { index: 0 }), Reply::Device { .. }));
}

#[test]
fn a_bell_that_is_rung_for_nothing_harms_nobody() {
    let server = Server::start();
    let client = Client::bound(&server.socket());
    let queue = client.open();
    for round in 0..2000 {
        queue.ring_doorbell(user_page::SUBMIT, round);
    }
    let mut hand = client.hand();
    assert_eq!(hand.command(Command::Cancel, 0, 77), Status::Ok as u8);
}

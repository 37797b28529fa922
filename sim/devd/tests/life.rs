//! Clients that die, change, stop, or whose memory does not answer: what they had comes back, and others do not notice.

mod support;

use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use memmap2::MmapOptions;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, geteuid};
use uaccel_devd::Status;
use uaccel_devd_protocol::{Priority, Refusal, Reply, Request};
use uaccel_queue::{Operation, Quiet, Status as JobStatus, Transport as _};
use uaccel_sim::Plan;
use uaccel_warp_abi::{Answer, State};

use support::client::{Client, refusal};
use support::hand::{Hand, copy, job, ok, over, pattern};
use support::process::{self, Process, command, orders, report};
use support::{Server, Withheld, eventually, skip};

/// A user that owns nothing.
const NOBODY: u32 = 65534;

#[test]
#[ignore = "the other process of the tests here"]
fn other_process() {
    let Some((role, argument)) = process::role() else { return };
    if role == "idle" {
        // The program that took the place of a client: it keeps what it inherited, and sleeps.
        report("here");
        orders().for_each(drop);
        return;
    }
    if role == "urgent" {
        report(&format!("{:?}", refusal(&Client::connect(Path::new(&argument)).hello_with(Priority::High))));
        return;
    }
    let client = Client::bound(Path::new(&argument));
    let mut hand = client.hand();
    let source = pattern(10_000);
    let mut room = vec![0; 10_000];
    assert_eq!(hand.run(&copy(1, &source, &mut room)), ok(1, 10_000, 10_000));
    assert_eq!(room, source);
    report("ready");
    for order in orders() {
        match order.as_str() {
            "submit" => {
                hand.submit(&copy(2, &source, &mut room));
                report("submitted");
            }
            "fill" => {
                // As many as the ring has, and nobody looks at the answers.
                for token in 0..64 {
                    hand.publish(&job(token, Operation::Nop));
                }
                hand.ring_if_wanted();
                report("filled");
            }
            // A page that may only be read, and one that may not be touched.
            "protection" => {
                let read_only = MmapOptions::new().len(4096).map_anon().unwrap().make_read_only().unwrap();
                let mut into = over(job(3, Operation::Fill), &[], &mut room);
                into.destination = read_only.as_ptr().expose_provenance() as u64;
                into.destination_len = 64;
                let refused = hand.run(&into);
                assert_eq!(refused.status, JobStatus::Fault as u8);
                assert_eq!(refused.answer, Answer::WriteFault(into.destination));
                assert!(read_only.iter().all(|byte| *byte == 0));
                into.destination = 0x1000;
                assert_eq!(hand.run(&into).answer, Answer::WriteFault(0x1000));
                report("refused");
            }
            "status" => {
                let (_, descriptors) = client.ask_with(&Request::Status, &[]);
                let text = std::io::read_to_string(std::fs::File::from(descriptors.into_iter().next().unwrap()));
                report(&text.unwrap());
                std::process::exit(0);
            }
            "fork" => {
                // The child has a copy of the socket, and outlives us.
                let socket = client.channel.as_fd();
                fcntl(socket, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
                let child =
                    std::process::Command::new("sleep").arg("60").stdout(std::process::Stdio::null()).spawn().unwrap();
                report(&child.id().to_string());
                std::mem::forget(child);
            }
            "exec" => {
                fcntl(client.channel.as_fd(), FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
                panic!("no other program: {}", command("idle", "").exec());
            }
            other => panic!("'{other}'?"),
        }
    }
}

fn start(server: &Server) -> Process {
    let mut process = Process::start("client", server.socket().to_str().unwrap());
    assert_eq!(process.hear(), "ready");
    process
}

/// A client that goes on working, whatever happens to others.
struct Bystander(Hand);

impl Bystander {
    fn of(server: &Server) -> Self {
        Self(Client::bound(&server.socket()).hand())
    }

    fn works(&mut self) {
        let source = pattern(5000);
        let mut room = vec![0; 5000];
        assert_eq!(self.0.run(&copy(1, &source, &mut room)), ok(1, 5000, 5000));
        assert_eq!(room, source);
    }
}

fn all_is_back(server: &Server, others: &[u32], queues: usize) {
    eventually("queues and address space are back", || server.pasids() == others && server.queues_open() == queues);
}

#[test]
fn a_client_that_is_killed_leaves_nothing_behind() {
    let server = Server::start();
    let mut bystander = Bystander::of(&server);
    for _ in 0..5 {
        let mut victim = start(&server);
        assert_eq!(server.pasids(), [1, 2]);
        victim.kill();
        all_is_back(&server, &[1], 1);
        bystander.works();
    }
}

#[test]
fn a_client_that_is_killed_with_jobs_in_flight_leaves_nothing_behind() {
    let server = Server::start();
    let mut victim = start(&server);
    let plan = server.daemon.plan("warp0").unwrap();
    plan.hold();
    assert_eq!(victim.ask("submit"), "submitted");
    victim.kill();
    all_is_back(&server, &[], 0);
    plan.release();
    Bystander::of(&server).works();
}

#[test]
fn clients_that_stand_still_or_never_look_hold_nobody_up() {
    let server = Server::start();
    let mut still = start(&server);
    let mut deaf = start(&server);
    assert_eq!(deaf.ask("fill"), "filled");
    assert_eq!(still.ask("submit"), "submitted");
    still.signal(Signal::SIGSTOP);
    Bystander::of(&server).works();
    // Even so they can be killed.
    still.kill();
    deaf.kill();
    eventually("both are gone", || server.pasids().is_empty());
}

#[test]
fn a_copy_of_the_socket_in_a_child_does_not_keep_a_dead_client_alive() {
    let server = Server::start();
    let mut victim = start(&server);
    let child: i32 = victim.ask("fork").parse().unwrap();
    victim.kill();
    all_is_back(&server, &[], 0);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child), Signal::SIGKILL).expect("the child was still there");
}

#[test]
fn another_program_that_keeps_the_socket_is_not_served_with_the_old_address_space() {
    let server = Server::start();
    let mut victim = start(&server);
    let plan = server.daemon.plan("warp0").unwrap();
    plan.hold();
    assert_eq!(victim.ask("submit"), "submitted");
    assert_eq!(victim.ask("exec"), "here");
    // The job goes on, and finds the memory it names gone.
    plan.release();
    eventually("the job is a fault", || {
        server.daemon.status().clients.first().is_some_and(|client| client.faults == 1)
    });
    victim.kill();
    all_is_back(&server, &[], 0);
}

/// Runs as root only: another user's client.
fn other_user(test: &str, server: &Server) -> Option<Process> {
    let mut process = other_user_as(test, server, "client")?;
    assert_eq!(process.hear(), "ready");
    Some(process)
}

fn other_user_as(test: &str, server: &Server, role: &str) -> Option<Process> {
    if !geteuid().is_root() {
        skip(test, "only root can start clients of other users");
        return None;
    }
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(server.folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = std::env::current_exe().unwrap();
    let reachable = program
        .ancestors()
        .skip(1)
        .all(|folder| std::fs::metadata(folder).is_ok_and(|found| found.permissions().mode() & 0o001 != 0));
    if !reachable {
        skip(test, "another user cannot reach this program");
        return None;
    }
    Some(Process::start_as(NOBODY, role, server.socket().to_str().unwrap()))
}

#[test]
fn another_user_cannot_push_ahead() {
    let server = Server::with(|config| config.mode = 0o666);
    let Some(mut other) = other_user_as("another user's priority", &server, "urgent") else { return };
    assert_eq!(other.hear(), "Some(NotPermitted)");
    let own = Client::connect(&server.socket());
    assert!(matches!(own.hello_with(Priority::High), Reply::Welcome { .. }));
    assert_eq!(server.daemon.status().clients[0].priority, "high");
}

#[test]
fn another_users_memory_is_reached_by_descriptor_and_its_protection_is_kept() {
    let server = Server::with(|config| config.mode = 0o666);
    let Some(mut other) = other_user("another user's memory", &server) else { return };
    let status = server.daemon.status();
    assert_eq!((status.clients[0].uid, status.clients[0].access.as_str()), (NOBODY, "mem"));
    assert_eq!(other.ask("protection"), "refused");
    let mut own = start(&server);
    assert_eq!(server.daemon.status().clients[1].access, "vectored");
    assert_eq!(own.ask("protection"), "refused");
}

#[test]
fn another_user_sees_only_its_own_clients() {
    let server = Server::with(|config| config.mode = 0o666);
    let Some(mut other) = other_user("another user's status", &server) else { return };
    let _mine = start(&server);
    assert_eq!(server.daemon.status().clients.len(), 2);
    let seen: Status = serde_json::from_str(&other.ask("status")).expect("a status");
    assert_eq!(seen.clients.iter().map(|client| client.uid).collect::<Vec<_>>(), [NOBODY]);
    assert_eq!(seen.devices[0].name, "warp0");
}

#[test]
fn the_status_tells_who_is_there_and_what_was_done() {
    let server = Server::start();
    let mut process = start(&server);
    let pid = process.pid().as_raw();
    let own: Status = serde_json::from_str(&process.ask("status")).expect("a status");
    let client = &own.clients[0];
    assert_eq!((client.pid, client.uid, client.pasid, client.queues), (pid, Uid::effective().as_raw(), 1, 1));
    assert_eq!((client.jobs, client.faults, client.priority.as_str()), (1, 0, "normal"));
    assert_eq!(client.bytes, own.devices[0].bytes);
    assert!(client.bytes >= 10_000 && !client.command.is_empty() && !client.blocked);
    assert_eq!((own.devices[0].queues, own.devices[0].queues_open, own.devices[0].jobs), (256, 1, 1));
    assert_eq!((own.pid, own.socket), (std::process::id(), server.socket()));
}

#[test]
fn a_client_whose_memory_does_not_answer_is_given_up_alone() {
    let withheld = match Withheld::new() {
        Ok(withheld) => withheld,
        Err(why) => return skip("memory that does not answer", &why),
    };
    let server = Server::with(|config| config.memory_patience = Duration::from_millis(100));
    let mut bystander = Bystander::of(&server);
    let client = Client::bound(&server.socket());
    let queue = client.open();
    let mut hand =
        Hand::with(queue.clone(), uaccel_warp_abi::Geometry::new(6, 16, uaccel_warp_abi::Mode::Ring).unwrap());
    let mut room = vec![0; 64];
    let mut stuck = copy(1, &[0; 64], &mut room);
    stuck.source = withheld.address();
    hand.submit(&stuck);
    // Others are served before and after the patience with it is over.
    bystander.works();
    eventually("the queue has failed", || matches!(hand.state(), State::Failed(_)));
    bystander.works();
    assert!(server.daemon.status().clients[1].blocked);
    // It is told why, and the connection is there as long as the device may use its memory.
    assert_eq!(refusal(&client.ask(&Request::Open { index: 0 })), Some(Refusal::Failed));
    assert!(queue.stop(Duration::from_millis(1)).is_err());
    assert_eq!(server.pasids(), [1, 2]);
    drop(withheld);
    eventually("it is over", || client.try_ask(&Request::Device { index: 0 }, &[]).is_none());
    assert_eq!(server.pasids(), [1]);
    bystander.works();
}

#[test]
fn a_signal_that_is_read_into_memory_that_does_not_answer_holds_up_nobody() {
    let withheld = match Withheld::new() {
        Ok(withheld) => withheld,
        Err(why) => return skip("memory that does not answer", &why),
    };
    let server = Server::start();
    let mut bystander = Bystander::of(&server);
    let client = Client::bound(&server.socket());
    let mut hand = client.hand();
    hand.arm();
    assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
    let signal = hand.transport.wake_fd().expect("a signal").try_clone_to_owned().expect("a descriptor");
    eventually("it is signalled", || {
        let mut events = [PollFd::new(signal.as_fd(), PollFlags::POLLIN)];
        poll(&mut events, PollTimeout::ZERO).expect("polled") == 1
    });
    let address = withheld.address();
    let reader = thread::spawn(move || {
        let place = std::ptr::with_exposed_provenance_mut(usize::try_from(address).unwrap());
        // SAFETY: a page of the test's own, which nobody refers to. The kernel waits for its content, and so does this call.
        unsafe { libc::read(signal.as_raw_fd(), place, 1) }
    });
    // Most of the time enough for the call to be where it stays.
    thread::sleep(Duration::from_millis(50));
    for round in 2..10 {
        hand.arm();
        assert_eq!(hand.run(&job(round, Operation::Nop)), ok(round, 0, 0));
        bystander.works();
    }
    drop(withheld);
    reader.join().expect("it came back");
}

#[test]
fn a_server_that_ends_lets_go_of_all_clients_first() {
    let server = Server::start();
    let clients: Vec<Arc<Client>> = (0..3).map(|_| Client::bound(&server.socket())).collect();
    let mut hands: Vec<_> = clients.iter().map(|client| client.hand()).collect();
    for hand in &mut hands {
        assert_eq!(hand.run(&job(1, Operation::Nop)), ok(1, 0, 0));
    }
    let socket = server.socket();
    assert_eq!(server.daemon.shutdown(support::hand::PATIENCE), 0);
    assert!(!socket.exists());
    for (client, hand) in clients.iter().zip(&hands) {
        assert!(client.hear().is_none(), "a hang-up");
        assert_eq!(hand.state(), State::Stopped);
    }
}

#[test]
fn a_server_that_cannot_let_go_says_of_how_many() {
    let server = Server::with(|config| config.plan = Plan { deaf: true, ..Plan::default() });
    let client = Client::bound(&server.socket());
    let queue = client.open();
    let plan = server.daemon.plan("warp0").unwrap();
    assert_eq!(server.daemon.shutdown(Duration::from_millis(50)), 1);
    assert_eq!(refusal(&client.ask(&Request::Device { index: 0 })), Some(Refusal::Failed));
    plan.deafen(false);
    assert!(client.hear().is_none());
    assert!(!queue.is_alive());
}

#[test]
fn a_stop_that_is_not_proven_is_not_called_so() {
    let server = Server::with(|config| config.plan = Plan { deaf: true, ..Plan::default() });
    let client = Client::bound(&server.socket());
    let queue = client.open();
    assert_eq!(queue.stop(Duration::from_millis(5)).unwrap(), Quiet::Unproven);
    let reset = Request::Reset { queue: queue.number, within: 5_000_000 };
    assert_eq!(refusal(&client.ask(&reset)), Some(Refusal::TimedOut));
    server.daemon.plan("warp0").unwrap().deafen(false);
    assert_eq!(queue.stop(Duration::from_millis(5)).unwrap(), Quiet::Proven);
    assert_eq!(client.ask(&reset), Reply::Done);
}

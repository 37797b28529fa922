//! Clients that are killed, stopped, or never look: what they had comes back, and others notice nothing.

use nix::sys::signal::Signal;
use uaccel_runtime::{OwnedWork, Work};

use crate::bench::eventually;
use crate::server::Server;
use crate::workload::Workload;

/// Kills a client with so many jobs in flight, while the device holds them or not, again and again.
fn killed(jobs: usize, held: bool) {
    let mut server = Server::start();
    let bystander = server.builder().queues(1).build().expect("a runtime");
    let workload = Workload::new(&bystander, 1);
    let mut lease = bystander.lease().expect("a queue");
    workload.round(&mut lease, 0).expect("before");
    server.await_clients(1, 1);
    for round in 1..6 {
        if held {
            server.hold();
        }
        let mut victim = server.client("victim", &jobs.to_string());
        victim.expect("ready");
        let pasid = server.status().clients.iter().map(|client| client.pasid).max();
        assert_eq!(pasid, Some(2), "the number of the one before has come back");
        victim.kill();
        // While its jobs are on hold, too: they were not begun.
        server.await_clients(1, 1);
        if held {
            server.release();
        }
        workload.round(&mut lease, round).expect("others go on");
    }
    assert_eq!(bystander.counters().resets, 0);
    assert_eq!(server.status().devices[0].leaked_queues, 0);
}

#[test]
fn an_idle_client_that_is_killed_leaves_nothing_behind() {
    killed(0, false);
}

#[test]
fn a_client_that_is_killed_with_a_job_in_flight_leaves_nothing_behind() {
    killed(1, true);
}

#[test]
fn a_client_that_is_killed_with_many_jobs_queued_leaves_nothing_behind() {
    killed(100, true);
}

#[test]
fn a_client_that_is_killed_while_the_device_works_for_it_leaves_nothing_behind() {
    killed(100, false);
}

#[test]
fn a_job_of_another_on_hold_survives_the_death_of_a_client() {
    let mut server = Server::start();
    let bystander = server.runtime();
    server.hold();
    let job = bystander.submit(OwnedWork::copy(vec![9; 100_000], vec![0; 100_000])).expect("submitted");
    let mut victim = server.client("victim", "50");
    victim.expect("ready");
    victim.kill();
    eventually("the victim is gone", || server.status().clients.len() == 1);
    server.release();
    let (_, output) = job.wait().into_output().expect("it is done");
    assert!(output == vec![9; 100_000]);
}

#[test]
fn a_client_that_is_stopped_disturbs_nobody_and_goes_on_when_it_is_continued() {
    let server = Server::start();
    let mut clients: Vec<_> = (0..2).map(|_| server.client("loops", "")).collect();
    clients.iter_mut().for_each(|client| client.expect("ready"));
    let bystander = server.runtime();
    let workload = Workload::new(&bystander, 2);
    let mut lease = bystander.lease().expect("a queue");
    for round in 0..5 {
        clients.iter().for_each(|client| client.signal(Signal::SIGSTOP));
        for seed in 0..5 {
            workload.round(&mut lease, round * 10 + seed).expect("others go on");
        }
        clients.iter().for_each(|client| client.signal(Signal::SIGCONT));
        workload.round(&mut lease, round).expect("others go on");
    }
    for mut client in clients {
        client.tell("end");
        client.expect("done");
        assert!(client.end().success());
    }
}

#[test]
fn a_client_that_never_looks_at_its_answers_harms_nobody_and_finds_them_all_later() {
    let server = Server::start();
    let mut silent: Vec<_> = (0..3).map(|_| server.client("silent", "")).collect();
    silent.iter_mut().for_each(|client| client.expect("ready"));
    let bystander = server.runtime();
    let workload = Workload::new(&bystander, 3);
    let mut lease = bystander.lease().expect("a queue");
    for seed in 0..10 {
        workload.round(&mut lease, seed).expect("others go on");
    }
    bystander.run(Work::nop()).expect("others go on");
    // One of them never does.
    silent[0].kill();
    for client in &mut silent[1..] {
        client.tell("look");
        client.expect("done");
    }
    workload.round(&mut lease, 77).expect("others go on");
}

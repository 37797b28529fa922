//! Queues that are taken away while page requests are out: the system is to answer them before the address space goes.

mod support;

use support::user::{fill, is_ok};
use support::{Machine, Rights, User, WarpHost, assign, page, plug, revoke};
use uaccel_qemu::Function;
use uaccel_warp_abi::{Assignment, control_page};

/// What the kernel reads of a queue that it has revoked.
const QUIET: u64 = 0;
const AWAITS_PAGES: u64 = Assignment::AWAITS_PAGES;

fn register(host: &WarpHost, queue: usize) -> u64 {
    host.read(control_page::assign(queue))
}

/// Has a job of the user's ask for one page of its process.
fn ask(machine: &Machine, user: &mut User, at: u64) -> support::machine::Request {
    machine.reserve(user.pasid, at, 1, Rights::Write);
    user.submit(&fill(1, at, 64));
    let mut asked = None;
    machine.run_until(|| {
        asked = machine.requests().into_iter().find(|request| (request.pasid, request.page) == (user.pasid, at));
        asked.is_some()
    });
    asked.expect("until it was")
}

#[test]
fn a_queue_is_revoked_at_once_and_awaits_the_answers_to_what_it_asked() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    let requests = [page(100), page(101)].map(|at| ask(&machine, &mut user, at));
    assert_eq!(register(&host, 0), Assignment::to(1).expect("20 bits").encode(), "nothing is said of it before");
    revoke(&host, 0);
    let accesses = machine.accesses();
    for request in requests {
        assert_eq!((register(&host, 0), host.queues_of(1)), (AWAITS_PAGES, 0), "it belongs to nobody");
        assert_eq!(machine.watched(), [1], "who answers is still heard");
        revoke(&host, 0);
        machine.answer(request);
    }
    assert_eq!(register(&host, 0), QUIET);
    assert_eq!(machine.watched(), [1], "who tells of an answer is not taken away meanwhile");
    machine.run();
    assert_eq!((machine.watched(), machine.accesses()), (vec![], accesses), "and nothing else was done");
    assert_eq!((host.counters().page_requests.get(), host.counters().granted.get()), (2, 2));
}

#[test]
fn a_refusal_is_an_answer_too_as_when_the_process_was_killed() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    ask(&machine, &mut user, page(100));
    let asked = machine.kill(1);
    revoke(&host, 0);
    assert_eq!(register(&host, 0), AWAITS_PAGES);
    asked.into_iter().for_each(|request| machine.refuse(request));
    assert_eq!(register(&host, 0), QUIET);
    machine.run();
    assert_eq!(machine.watched(), []);
}

#[test]
fn the_address_space_is_left_when_the_last_answer_comes_though_no_memory_may_be_accessed() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    let request = ask(&machine, &mut user, page(100));
    revoke(&host, 0);
    machine.set_master(false);
    machine.answer(request);
    machine.run();
    assert_eq!((register(&host, 0), machine.watched()), (QUIET, vec![]));
}

#[test]
fn a_queue_does_not_wait_for_what_others_ask_later_or_in_other_address_spaces() {
    let (machine, host) = plug();
    let mut first = User::open(&machine, &host, 0, 1, page(0));
    let mut sibling = User::open(&machine, &host, 1, 1, page(50));
    let mut stranger = User::open(&machine, &host, 2, 2, page(0));
    ask(&machine, &mut stranger, page(100));
    let asked = ask(&machine, &mut first, page(100));
    revoke(&host, 0);
    ask(&machine, &mut sibling, page(101));
    assert_eq!(register(&host, 0), AWAITS_PAGES);
    machine.answer(asked);
    assert_eq!((register(&host, 0), machine.requests().len()), (QUIET, 2));
    assert!(is_ok(&sibling.wait(), 1), "who stays goes on");
}

#[test]
fn what_could_not_be_asked_yet_is_not_asked_any_more() {
    let (machine, host) = plug();
    machine.allow_requests(2);
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 10, Rights::Write);
    (0..10).for_each(|token| user.submit(&fill(token, page(100 + u64::from(token)), 64)));
    machine.run_until(|| machine.requests().len() == 2);
    revoke(&host, 0);
    for request in machine.requests() {
        assert_eq!(register(&host, 0), AWAITS_PAGES);
        machine.answer(request);
    }
    machine.run();
    assert_eq!((register(&host, 0), machine.requests(), machine.watched()), (QUIET, vec![], vec![]));
    assert_eq!(host.counters().page_requests.get(), 2);
}

#[test]
fn requests_of_those_who_left_count_among_those_that_may_be_out() {
    let (machine, host) = plug();
    machine.allow_requests(1);
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    let request = ask(&machine, &mut user, page(100));
    revoke(&host, 0);
    let mut next = User::open(&machine, &host, 1, 2, page(0));
    machine.reserve(2, page(100), 1, Rights::Write);
    machine.map(2, page(200), 1, Rights::Write);
    next.submit(&fill(2, page(100), 64));
    next.submit(&fill(3, page(200), 64));
    assert!(is_ok(&next.wait_unanswered(), 3), "the first one is where it needs its page");
    assert_eq!(machine.requests(), [request]);
    machine.answer(request);
    assert!(is_ok(&next.wait(), 2));
    assert_eq!(machine.most_requests(), 1);
}

#[test]
fn whoever_has_the_queue_and_the_pasid_next_waits_for_answers_of_its_own() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    let request = ask(&machine, &mut user, page(100));
    revoke(&host, 0);
    // The kernel should have waited. If it did not, the same page of another process is another one.
    let mut next = User::open(&machine, &host, 0, 1, page(50));
    assert_eq!(
        register(&host, 0),
        Assignment::to(1).expect("20 bits").encode(),
        "a queue that is assigned does not wait"
    );
    next.submit(&fill(2, page(100), 64));
    machine.run_until(|| machine.requests().len() == 2);
    machine.refuse(request);
    machine.run();
    assert_eq!(machine.watched(), [1]);
    assert!(is_ok(&next.wait(), 2), "the late answer is not taken for another one's");
}

#[test]
fn a_reset_waits_for_no_answer() {
    for reset in [|host: &WarpHost| host.write(control_page::RESET, 1), |host: &WarpHost| Function::reset(host)] {
        let (machine, host) = plug();
        let mut user = User::open(&machine, &host, 0, 1, page(0));
        let request = ask(&machine, &mut user, page(100));
        reset(&host);
        assert_eq!((register(&host, 0), machine.watched()), (QUIET, vec![]));
        let counted = host.counters().granted.get();
        machine.answer(request);
        machine.run();
        assert_eq!(host.counters().granted.get(), counted, "what comes late belongs to nobody");
        assign(&host, 0, 1);
        revoke(&host, 0);
        assert_eq!((register(&host, 0), machine.watched()), (QUIET, vec![]));
    }
}

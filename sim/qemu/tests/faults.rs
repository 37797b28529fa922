//! Missing pages: asked for, waited for, refused.

mod support;

use support::user::{copy, faulted, fill, is_ok};
use support::{Rights, User, page, plug, revoke};
use uaccel_qemu::Function;
use uaccel_queue::Status;
use uaccel_warp_abi::{Answer, Command, Descriptor, State, control_page, user_page};

#[test]
fn a_job_on_resident_memory_needs_no_page_request() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 4, Rights::Write);
    machine.poke(1, page(100) + 100, b"across the end of a page");
    machine.poke(1, page(101) - 10, b"0123456789abcdefghij");
    user.submit(&copy(1, page(101) - 10, page(102) + 4090, 20));
    assert!(is_ok(&user.wait(), 1));
    assert_eq!(machine.peek(1, page(102) + 4090, 20), b"0123456789abcdefghij");
    assert_eq!(host.counters().page_requests.get(), 0);
}

#[test]
fn a_missing_page_is_asked_for_and_later_jobs_overtake() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 1, Rights::Write);
    machine.map(1, page(200), 1, Rights::Write);
    user.submit(&fill(1, page(100), 64));
    user.submit(&fill(2, page(200), 64));
    let mut first = None;
    machine.run_until(|| {
        first = first.or_else(|| user.poll());
        first.is_some() && !machine.requests().is_empty()
    });
    assert!(is_ok(&first.unwrap(), 2), "the job whose page is there does not wait for the other");
    let [request] = machine.requests()[..] else { panic!("one request for one page") };
    assert_eq!((request.pasid, request.page, request.write), (1, page(100), true));
    assert!(user.poll().is_none());
    assert!(machine.answer(request));
    assert!(is_ok(&user.wait(), 1));
    assert_eq!(machine.peek(1, page(100), 65), [&[7; 64][..], &[0]].concat());
    assert_eq!((host.counters().page_requests.get(), host.counters().granted.get()), (1, 1));
}

#[test]
fn a_refused_page_ends_that_job_at_that_address_and_no_other() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 2, Rights::Write);
    machine.reserve(1, page(200), 1, Rights::Write);
    // The source runs from a page that is there into one that nobody has.
    user.submit(&copy(1, page(101) + 4000, page(200), 200));
    user.submit(&copy(2, page(100), page(200), 200));
    let mut completions = [user.wait(), user.wait()];
    completions.sort_by_key(|completion| completion.token);
    assert_eq!(completions[0], faulted(1, Answer::ReadFault(page(102))));
    assert!(is_ok(&completions[1], 2));
    assert_eq!(host.counters().refused.get(), 1);
}

#[test]
fn a_write_to_memory_that_may_only_be_read_is_refused_while_reads_of_it_go_on() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 1, Rights::Read);
    machine.map(1, page(200), 1, Rights::Write);
    user.submit(&fill(1, page(100) + 8, 64));
    user.submit(&copy(2, page(100), page(200), 64));
    let mut completions = [user.wait(), user.wait()];
    completions.sort_by_key(|completion| completion.token);
    assert_eq!(completions[0], faulted(1, Answer::WriteFault(page(100) + 8)));
    assert!(is_ok(&completions[1], 2));
    assert_eq!(machine.peek(1, page(100), 128), [0; 128], "nothing was written");
}

#[test]
fn jobs_that_wait_for_the_same_page_share_a_request() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 1, Rights::Write);
    for token in 1..=3 {
        user.submit(&fill(token, page(100) + u64::from(token) * 64, 64));
    }
    machine.run_until(|| !machine.requests().is_empty());
    let mut tokens = [user.wait().token, user.wait().token, user.wait().token];
    tokens.sort_unstable();
    assert_eq!(tokens, [1, 2, 3]);
    assert_eq!(host.counters().page_requests.get(), 1);
}

#[test]
fn a_refusal_is_not_taken_for_a_job_that_came_after_the_request() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 1, Rights::Read);
    user.submit(&fill(1, page(100), 64));
    machine.run_until(|| !machine.requests().is_empty());
    let [request] = machine.requests()[..] else { panic!("one request") };
    // The system has refused; before its answer arrives, the process may write there and says so to the device.
    machine.map(1, page(100), 1, Rights::Write);
    user.submit(&fill(2, page(100), 64));
    machine.run_until(|| host.counters().page_requests.get() == 1);
    machine.refuse(request);
    let mut completions = [user.wait(), user.wait()];
    completions.sort_by_key(|completion| completion.token);
    assert_eq!(completions[0], faulted(1, Answer::WriteFault(page(100))));
    assert!(is_ok(&completions[1], 2));
}

#[test]
fn a_refusal_of_a_page_asked_for_ahead_is_not_taken_for_the_next_job() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 4, Rights::Read);
    user.submit(&fill(1, page(100), 4 * 4096));
    machine.run_until(|| machine.requests().len() == 4);
    let requests = machine.requests();
    machine.refuse(requests[0]);
    assert_eq!(user.wait_unanswered(), faulted(1, Answer::WriteFault(page(100))));
    machine.map(1, page(100), 4, Rights::Write);
    user.submit(&fill(2, page(100), 4 * 4096));
    machine.run();
    requests[1..].iter().for_each(|request| machine.refuse(*request));
    assert!(is_ok(&user.wait(), 2));
}

#[test]
fn no_more_requests_are_out_than_the_system_allows() {
    let (machine, host) = plug();
    machine.allow_requests(2);
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 10, Rights::Write);
    for token in 0..10 {
        user.submit(&fill(token, page(100 + u64::from(token)), 64));
    }
    machine.run_until(|| machine.requests().len() == 2);
    let mut tokens: Vec<_> = (0..10).map(|_| user.wait().token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, (0..10).collect::<Vec<_>>());
    assert_eq!(machine.most_requests(), 2);
}

#[test]
fn a_job_asks_for_several_of_its_pages_at_a_time_and_for_none_of_others() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 60, Rights::Write);
    // From the middle of a page to the middle of another.
    user.submit(&fill(1, page(100) + 2048, 40 * 4096));
    machine.run_until(|| !machine.requests().is_empty());
    let asked: Vec<_> = machine.requests().iter().map(|request| request.page).collect();
    assert_eq!(asked, (100..116).map(page).collect::<Vec<_>>(), "half of the 32 requests that may be out");
    assert!(is_ok(&user.wait(), 1));
    assert_eq!(host.counters().page_requests.get(), 41, "each page once");
    assert_eq!(machine.peek(1, page(140), 4096), [[7; 2048], [0; 2048]].concat());
}

#[test]
fn a_page_asked_for_ahead_and_refused_is_a_fault_where_the_job_gets_there() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 3, Rights::Write);
    user.submit(&fill(1, page(100), 10 * 4096));
    assert_eq!(user.wait(), faulted(1, Answer::WriteFault(page(103))));
    assert_eq!(machine.peek(1, page(102), 4096), [7; 4096]);
}

#[test]
fn without_page_requests_resident_jobs_succeed_and_others_fault() {
    let (machine, host) = plug();
    machine.allow_requests(0);
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 1, Rights::Write);
    machine.reserve(1, page(200), 1, Rights::Write);
    user.submit(&fill(1, page(100), 64));
    assert!(is_ok(&user.wait(), 1));
    user.submit(&fill(2, page(200), 64));
    assert_eq!(user.wait(), faulted(2, Answer::WriteFault(page(200))));
    assert_eq!((host.counters().page_requests.get(), host.counters().refused.get()), (0, 1));
}

#[test]
fn a_page_that_is_granted_and_never_there_is_a_fault_in_the_end() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 1, Rights::Write);
    user.submit(&fill(1, page(100), 64));
    let mut completion = None;
    machine.run_until(|| {
        machine.requests().into_iter().for_each(|request| machine.lie(request));
        completion = user.poll();
        completion.is_some()
    });
    assert_eq!(completion.unwrap(), faulted(1, Answer::WriteFault(page(100))));
    // The page is not given up for ever.
    user.submit(&fill(2, page(100), 64));
    assert!(is_ok(&user.wait(), 2));
}

#[test]
fn two_queues_of_one_process_fault_and_one_is_closed_while_the_other_finishes() {
    let (machine, host) = plug();
    let mut first = User::open(&machine, &host, 0, 1, page(0));
    let mut second = User::open(&machine, &host, 1, 1, page(50));
    machine.reserve(1, page(100), 2, Rights::Write);
    // Both wait, and for one page both do.
    first.submit(&fill(1, page(100), 64));
    second.submit(&fill(2, page(100) + 64, 64));
    second.submit(&fill(3, page(101), 64));
    machine.run_until(|| machine.requests().len() == 2);
    assert_eq!(host.queues_of(1), 2);
    revoke(&host, 0);
    assert_eq!((host.queues_of(1), machine.watched()), (1, vec![1]), "the address space is still watched");
    let mut tokens = [second.wait().token, second.wait().token];
    tokens.sort_unstable();
    assert_eq!(tokens, [2, 3]);
    assert_eq!(machine.peek(1, page(100), 64), [0; 64], "the closed queue has written nothing");
    revoke(&host, 1);
    assert_eq!((host.queues_of(1), machine.watched()), (0, vec![]));
}

#[test]
fn an_answer_for_another_address_space_is_not_taken() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    let _other = User::open(&machine, &host, 1, 2, page(0));
    machine.reserve(1, page(100), 1, Rights::Write);
    user.submit(&fill(1, page(100), 64));
    machine.run_until(|| !machine.requests().is_empty());
    let [request] = machine.requests()[..] else { panic!("one request") };
    host.page_response(2, request.group, false);
    host.page_response(1, request.group + 1, false);
    host.page_response(3, request.group, false);
    machine.run();
    assert!(user.poll().is_none());
    assert!(is_ok(&user.wait(), 1));
}

#[test]
fn a_job_that_waits_for_a_page_is_cancelled() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 1, Rights::Write);
    machine.map(1, page(200), 1, Rights::Write);
    user.submit(&copy(1, page(100), page(200), 64));
    machine.run_until(|| !machine.requests().is_empty());
    let operand = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    user.submit(&Descriptor { token: 2, opcode: Command::Cancel as u8, operand, ..Descriptor::default() });
    let mut completions = Vec::new();
    machine.run_until(|| {
        completions.extend(std::iter::from_fn(|| user.poll()));
        completions.len() == 2
    });
    completions.sort_by_key(|completion| completion.token);
    assert_eq!((completions[0].token, completions[0].status), (1, Status::Canceled as u8));
    assert!(is_ok(&completions[1], 2));
}

#[test]
fn a_process_that_ended_takes_its_queue_with_it_and_nothing_else() {
    let (machine, host) = plug();
    let mut dead = User::open(&machine, &host, 0, 1, page(0));
    let mut alive = User::open(&machine, &host, 1, 2, page(0));
    let sibling = User::open(&machine, &host, 2, 1, page(50));
    machine.reserve(1, page(100), 20, Rights::Write);
    for token in 0..20 {
        dead.submit(&fill(token, page(100 + u64::from(token)), 4096));
    }
    machine.run_until(|| !machine.requests().is_empty());
    machine.kill(1).into_iter().for_each(|request| machine.refuse(request));
    machine.run_until(|| matches!(State::decode(host.read(control_page::queue_state(0))), State::Failed(3)));
    let translations = host.counters().translations.get();
    sibling.set(user_page::SUBMIT, 1);
    machine.run();
    assert_eq!(State::decode(host.read(control_page::queue_state(2))), State::Failed(3));
    assert_eq!(host.counters().translations.get(), translations, "nothing is asked about it any more");
    machine.map(2, page(100), 1, Rights::Write);
    alive.submit(&fill(1, page(100), 64));
    assert!(is_ok(&alive.wait(), 1));
    revoke(&host, 0);
    revoke(&host, 2);
    // The PASID goes to another process, and is as good as new.
    machine.revive(1);
    let mut next = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 1, Rights::Write);
    next.submit(&fill(1, page(100), 64));
    assert!(is_ok(&next.wait(), 1));
}

//! HiSilicon's ZIP function: started by its registers, jobs by PASID, stopped, reset, and never in anybody else's memory.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod support;

use support::kunpeng::{DEPTH, Kunpeng, QUEUES, ZipUser};
use support::{Rights, page};
use uaccel_hisi_abi::zip::{COMPRESS, DECOMPRESS, Ended, Entry, Request, Status};
use uaccel_hisi_abi::{
    AsyncEvent, AsyncKind, Doorbell, DoorbellCommand, MailboxCommand, MailboxOperation, pci, registers,
};
use uaccel_qemu::{Function, NO_PASID, PAGE};

const KIB: u32 = 1 << 10;

/// Text that can be compressed, and is different for each seed.
fn text(seed: u64, len: usize) -> Vec<u8> {
    (0..).flat_map(|n| format!("{} of {seed}\n", n * n % 101).into_bytes()).take(len).collect()
}

fn tagged(entry: Entry, tag: u32) -> Entry {
    Entry { tag, ..entry }
}

/// A job of this many bytes at the process's usual places.
fn job(tag: u32, len: u32) -> Entry {
    tagged(Entry::whole(Request::Deflate, page(100), len, page(200), 2 * len + 64), tag)
}

/// Gives a process a source, and room for what becomes of it.
fn give_memory(kernel: &Kunpeng, pasid: u32, source: &[u8]) {
    let pages = (source.len() as u64).div_ceil(PAGE);
    kernel.machine.map(pasid, page(100), pages, Rights::Read);
    kernel.machine.poke(pasid, page(100), source);
    kernel.machine.reserve(pasid, page(200), 2 * pages + 1, Rights::Write);
}

#[test]
fn a_process_compresses_and_decompresses_by_its_own_pointers_with_pages_brought_in() {
    let kernel = Kunpeng::started();
    let source = text(1, 300_000);
    let mut compressor = ZipUser::open(&kernel, 0, 1, COMPRESS);
    let mut decompressor = ZipUser::open(&kernel, 1, 1, DECOMPRESS);
    assert_eq!(kernel.host.queues_of(1), 2);
    give_memory(&kernel, 1, &source);
    for (request, there) in [(Request::Deflate, 1000), (Request::Zlib, 2000), (Request::Gzip, 3000)] {
        kernel.machine.reserve(1, page(there), 74, Rights::Write);
        let requests = kernel.host.counters().page_requests.get();
        compressor.submit(&tagged(Entry::whole(request, page(100), 300_000, page(200), 600_000), 7));
        let (results, tag) = compressor.wait();
        assert_eq!((results.ended.status, results.consumed, tag), (Status::Ok as u8, 300_000, 7));
        assert!(results.produced < 100_000);
        decompressor.submit(&Entry::whole(request, page(200), results.produced, page(there), 300_000));
        let (back, _) = decompressor.wait();
        assert_eq!(back.ended, Ended::new(Status::StreamEnd, true));
        assert_eq!((back.consumed, back.produced), (results.produced, 300_000));
        assert!(kernel.machine.peek(1, page(there), 300_000) == source);
        assert!(kernel.host.counters().page_requests.get() > requests + 70, "untouched memory");
    }
    // What the trailers have, as entries have it.
    let mut crc = flate2::Crc::new();
    crc.update(&source);
    let (low, high) = source.iter().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    let expected = [(0, 0), (300_000, high << 16 | low), (300_000, !crc.sum().reverse_bits())];
    for user in [&compressor, &decompressor] {
        assert_eq!([0, 1, 2].map(|place| user.sums(place)), expected);
    }
}

#[test]
fn the_same_pointer_is_another_place_for_another_process_and_for_the_kernel() {
    let kernel = Kunpeng::started();
    let mut users = [1, 2, NO_PASID].map(|pasid| {
        let user = ZipUser::open(&kernel, (pasid % 5) as u16, pasid, COMPRESS);
        give_memory(&kernel, pasid, &text(pasid.into(), 4096));
        user
    });
    for round in 0..2 {
        for user in &mut users {
            user.submit(&job(user.pasid, 4096));
        }
        for user in &mut users {
            let (results, tag) = user.wait();
            assert_eq!((results.ended.status, tag), (Status::Ok as u8, user.pasid));
            let mut decompressor = ZipUser::open(&kernel, 7, user.pasid, DECOMPRESS);
            kernel.machine.map(user.pasid, page(300 + round), 1, Rights::Write);
            decompressor.submit(&Entry::whole(Request::Deflate, page(200), results.produced, page(300 + round), 4096));
            decompressor.wait();
            assert!(kernel.machine.peek(user.pasid, page(300 + round), 4096) == text(user.pasid.into(), 4096));
        }
    }
}

#[test]
fn a_bad_pointer_and_a_destination_that_may_not_be_written_end_that_job_alone_and_in_order() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 4096));
    kernel.machine.map(1, page(400), 2, Rights::Read);
    let mut user = ZipUser::open(&kernel, 3, 1, COMPRESS);
    user.publish(&tagged(Entry::whole(Request::Deflate, 0x1000, 4096, page(200), 8192), 1));
    user.publish(&job(2, 4096));
    user.publish(&tagged(Entry::whole(Request::Deflate, page(100), 4096, page(400), 8192), 3));
    user.publish(&job(4, 4096));
    user.announce();
    let bad = Status::Translation as u8;
    for (tag, status) in [(1, bad), (2, Status::Ok as u8), (3, bad), (4, Status::Ok as u8)] {
        let (results, told) = user.wait();
        assert_eq!((told, results.ended.status), (tag, status));
    }
}

#[test]
fn many_jobs_go_round_the_rings() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 512));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    let batch = u32::from(DEPTH) - 1;
    for round in 0..9 {
        for n in 0..batch {
            user.publish(&job(round * batch + n, 512));
        }
        user.announce();
        for n in 0..batch {
            let (results, tag) = user.wait();
            assert_eq!((results.ended.status, tag), (Status::Ok as u8, round * batch + n));
        }
        let done = (round + 1) * batch;
        let tail = ((done % u32::from(DEPTH)) as u16, done / u32::from(DEPTH) % 2 != 0);
        assert_eq!(kernel.tails(0), [tail; 2], "the kernel sees that it is drained");
    }
    assert_eq!(kernel.get(registers::ERRORS), 0);
    assert_eq!([registers::counter::ENTRIES, registers::counter::COMPLETIONS].map(|at| kernel.get(at)), [9 * batch; 2]);
}

#[test]
fn completions_that_are_not_taken_are_not_written_over() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 64));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    // The user takes what comes and says nothing about it: entries are free, completions are not.
    for tag in 0..u32::from(DEPTH) - 1 {
        user.submit(&job(tag, 64));
    }
    kernel.machine.live_until(|| user.peek().is_some());
    let mut seen = 0;
    kernel.machine.live_until(|| {
        seen += core::iter::from_fn(|| user.take()).count() as u32;
        seen == u32::from(DEPTH) - 1
    });
    user.submit(&job(500, 64));
    user.submit(&job(501, 64));
    kernel.machine.run();
    assert!(user.peek().is_none());
    user.taken(false);
    assert_eq!([user.wait().1, user.wait().1], [500, 501]);
}

#[test]
fn an_event_comes_when_it_was_demanded_and_at_once_if_there_is_something_already() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 4096));
    let mut user = ZipUser::open(&kernel, 5, 1, COMPRESS);
    assert_eq!(kernel.machine.interrupts(), []);
    // The kernel demands one with the context.
    user.submit(&job(1, 4096));
    user.wait();
    assert_eq!((kernel.event(0), kernel.machine.interrupts()), (Some(5), vec![0]));
    kernel.take_events(DoorbellCommand::Event, 1);
    user.submit(&job(2, 4096));
    user.wait();
    assert_eq!((kernel.event(1), kernel.machine.interrupts()), (None, vec![]), "not demanded again");
    user.taken(true);
    assert_eq!(kernel.event(1), None, "nothing lies beyond");
    user.submit(&job(3, 4096));
    kernel.machine.live_until(|| user.peek().is_some());
    assert_eq!((kernel.event(1), kernel.machine.interrupts()), (Some(5), vec![0]));
    kernel.take_events(DoorbellCommand::Event, 2);
    // The same head again: one completion lies beyond it.
    user.taken(true);
    assert_eq!((kernel.event(2), kernel.machine.interrupts()), (Some(5), vec![0]));
}

#[test]
fn what_is_no_doorbell_of_that_queue_does_nothing() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 4096));
    let mut user = ZipUser::open(&kernel, 1, 1, COMPRESS);
    let mut other = ZipUser::open(&kernel, 2, 1, COMPRESS);
    user.publish(&job(1, 4096));
    other.publish(&job(2, 4096));
    let value = Doorbell { queue: 2, command: DoorbellCommand::Submission, index: 1, priority: 0 }.encode();
    let page = |queue: usize| queue * Doorbell::REGION + Doorbell::OFFSET;
    for (offset, size) in [(page(1), 8), (page(2) + 8, 8), (page(2), 4), (page(QUEUES.into()), 8), (usize::MAX, 8)] {
        kernel.host.write(pci::DOORBELLS_BAR, offset, size, value);
    }
    kernel.host.write(pci::REGISTERS_BAR, registers::DOORBELLS, 8, value);
    user.ring(DoorbellCommand::Submission, DEPTH, 0);
    user.ring(DoorbellCommand::Event, 1, 0);
    kernel.machine.run();
    let accesses = kernel.machine.accesses();
    kernel.machine.run();
    assert_eq!(kernel.machine.accesses(), accesses);
    assert_eq!(kernel.host.read(pci::DOORBELLS_BAR, page(2), 8), 0);
    kernel.host.write(pci::DOORBELLS_BAR, page(2), 8, value);
    assert_eq!(other.wait().1, 2);
    user.announce();
    assert_eq!(user.wait().1, 1);
}

#[test]
fn stopping_a_queue_waits_for_a_job_that_waits_for_a_page() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 4096));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    user.submit(&job(1, 4096));
    let machine = &kernel.machine;
    machine.run_until(|| !machine.requests().is_empty());
    assert!(kernel.stop(0).busy);
    machine.run();
    assert!(kernel.mailbox().busy);
    user.submit(&job(2, 4096));
    machine.live_until(|| !kernel.mailbox().busy);
    assert_eq!(kernel.mailbox().status, 0);
    let (results, tag) = user.take().expect("the job that was in work is answered");
    assert_eq!((results.ended.status, tag), (Status::Ok as u8, 1));
    assert!(user.take().is_none(), "and none was taken after the stop");
    assert_eq!((kernel.host.queues_of(1), machine.watched()), (0, vec![NO_PASID]), "the address space is free");
}

#[test]
fn a_process_that_dies_with_jobs_waiting_leaves_its_queue_to_the_next() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 4096));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    let mut other = ZipUser::open(&kernel, 1, 2, COMPRESS);
    give_memory(&kernel, 2, &text(2, 4096));
    for tag in 0..100 {
        user.publish(&job(tag, 4096));
    }
    user.announce();
    let machine = &kernel.machine;
    machine.run_until(|| !machine.requests().is_empty());
    let asked = machine.kill(1);
    // The kernel answers what it had taken before the address space went, and stops the queue afterwards.
    assert!(kernel.stop(0).busy);
    asked.into_iter().for_each(|request| machine.refuse(request));
    machine.run_until(|| !kernel.mailbox().busy);
    assert_eq!((kernel.mailbox().status, kernel.host.queues_of(1)), (0, 0));
    other.submit(&job(7, 4096));
    assert_eq!(other.wait().0.ended.status, Status::Ok as u8);
    // The PASID is another's now, and so is the queue.
    machine.revive(1);
    give_memory(&kernel, 1, &text(3, 4096));
    let mut next = ZipUser::open(&kernel, 0, 1, COMPRESS);
    next.submit(&job(8, 4096));
    let (results, tag) = next.wait();
    assert_eq!((results.ended.status, tag), (Status::Ok as u8, 8));
}

#[test]
fn a_queue_is_not_drained_while_pages_are_asked_for_that_no_job_waits_for_any_more() {
    let kernel = Kunpeng::started();
    let machine = &kernel.machine;
    machine.reserve(1, page(100), 8, Rights::Write);
    machine.reserve(1, page(200), 32, Rights::Write);
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    user.submit(&job(1, 8 * 4096));
    machine.run_until(|| machine.requests().len() == 8);
    let (first, ahead) = (machine.requests()[0], machine.requests()[1..].to_vec());
    machine.refuse(first);
    machine.run_until(|| user.peek().is_some());
    // Another process's requests do not count.
    machine.reserve(2, page(100), 1, Rights::Write);
    let mut other = ZipUser::open(&kernel, 1, 2, COMPRESS);
    other.submit(&job(2, 4096));
    machine.run_until(|| machine.requests().len() == 8);
    assert!(kernel.stop(0).busy);
    for request in ahead {
        machine.run();
        assert!(kernel.mailbox().busy);
        machine.refuse(request);
    }
    machine.run();
    assert_eq!((kernel.mailbox().busy, kernel.mailbox().status, kernel.host.queues_of(1)), (false, 0, 0));
    assert_eq!(machine.watched(), [2, NO_PASID]);
}

#[test]
fn a_queue_of_an_address_space_that_is_gone_is_refused() {
    let kernel = Kunpeng::started();
    kernel.machine.kill(4);
    assert!(!kernel.open(0, Some(4), COMPRESS));
    assert!(kernel.stop(0).status == 0, "there is nothing to stop");
    assert!(!kernel.open(0, Some(1), 9), "a kind that there is not");
    assert_eq!(kernel.machine.watched(), vec![NO_PASID]);
}

#[test]
fn a_reset_under_load_drops_the_jobs_and_the_function_starts_again() {
    let kernel = Kunpeng::started();
    let mut users = [0, 1, 2, 3].map(|queue| {
        let pasid = u32::from(queue / 2) + 1;
        give_memory(&kernel, pasid, &text(1, 65_536));
        ZipUser::open(&kernel, queue, pasid, COMPRESS)
    });
    for user in &mut users {
        for tag in 0..50 {
            user.publish(&job(tag, 65_536));
        }
        user.announce();
    }
    let machine = &kernel.machine;
    machine.live_until(|| users[0].peek().is_some());
    machine.interrupts();
    kernel.host.raise_error(1);
    assert_eq!((machine.interrupts(), kernel.get(registers::ERRORS)), (vec![3], 1));
    let accesses = machine.accesses();
    machine.run();
    assert_eq!(machine.accesses(), accesses, "nothing goes on after an error");
    let mailbox = kernel.stop(0);
    assert!(!mailbox.busy && mailbox.status != 0);
    kernel.stop_for_reset();
    kernel.prepare();
    let asked = machine.requests();
    assert!(!asked.is_empty(), "or nothing comes late");
    asked.into_iter().for_each(|request| {
        machine.answer(request);
    });
    machine.run();
    assert_eq!((machine.accesses(), machine.watched()), (accesses, vec![NO_PASID]));
    kernel.start();
    let mut again = [0, 1].map(|queue| ZipUser::open(&kernel, queue, 2, COMPRESS));
    for user in &mut again {
        user.submit(&job(9, 4 * KIB));
        let (results, tag) = user.wait();
        assert_eq!((results.ended.status, tag), (Status::Ok as u8, 9));
        assert!(user.take().is_none(), "nothing of before");
    }
}

#[test]
fn an_error_comes_after_exactly_as_many_jobs_as_was_asked_for() {
    let kernel = Kunpeng::with_error_after(Some(70));
    give_memory(&kernel, 1, &text(1, 512));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    for tag in 0..100 {
        user.publish(&job(tag, 512));
    }
    user.announce();
    kernel.machine.live_until(|| kernel.get(registers::ERRORS) != 0);
    kernel.machine.run();
    assert!(kernel.machine.interrupts().contains(&3));
    let answered = core::iter::from_fn(|| user.take()).count();
    assert_eq!(answered, 70);
    kernel.stop_for_reset();
    kernel.prepare();
    kernel.start();
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    for tag in 0..100 {
        user.submit(&job(tag, 512));
        assert_eq!(user.wait().1, tag, "once is enough");
    }
}

#[test]
fn rings_that_are_nowhere_end_that_queue_and_the_kernel_is_told() {
    let kernel = Kunpeng::started();
    let mut user = ZipUser::open(&kernel, 6, 1, COMPRESS);
    let mut other = ZipUser::open(&kernel, 5, 1, COMPRESS);
    give_memory(&kernel, 1, &text(1, 512));
    user.publish(&job(1, 512));
    kernel.machine.unmap(NO_PASID, 0xe000_0000 + 6 * 0x1_0000, 8);
    kernel.machine.allow_requests(0);
    user.announce();
    kernel.machine.run();
    let expected = AsyncEvent { queue: 6, phase: true, kind: AsyncKind::CompletionError };
    assert_eq!((kernel.async_event(0), kernel.machine.interrupts()), (expected.encode(), vec![1]));
    let mailbox = kernel.stop(6);
    assert_eq!((mailbox.busy, mailbox.status), (false, 0));
    kernel.machine.allow_requests(32);
    other.submit(&job(2, 512));
    assert_eq!(other.wait().1, 2);
}

#[test]
fn a_reset_of_the_machine_leaves_nothing() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 65_536));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    user.submit(&job(1, 65_536));
    kernel.host.reset();
    kernel.machine.run();
    assert!(user.peek().is_none());
    assert_eq!(kernel.machine.watched(), vec![NO_PASID]);
    let mailbox = kernel.send(MailboxCommand::FunctionQueues, MailboxOperation::Read, 0, 0);
    assert_eq!((mailbox.status, mailbox.address), (0, 0));
}

#[test]
fn a_job_on_the_functions_own_registers_is_harmless() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 4096));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    kernel.machine.during_read(|host| {
        let stop = MailboxCommand::StopQueue as u64 | 1 << 13;
        host.write(pci::REGISTERS_BAR, registers::MAILBOX, 8, stop);
        host.write(pci::REGISTERS_BAR, registers::MAILBOX + 8, 8, 0);
        host.write(pci::REGISTERS_BAR, registers::MEMORY_START, 4, 1);
        host.write(pci::DOORBELLS_BAR, Doorbell::OFFSET, 8, 1 << 32);
        host.run();
    });
    user.submit(&job(1, 4096));
    assert_eq!(user.wait().1, 1, "it was ignored");
    // What the queue manager knows of the queue is still so.
    assert_eq!((kernel.stop(0).busy, kernel.machine.watched()), (false, vec![NO_PASID]));
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    user.submit(&job(2, 4096));
    assert_eq!(user.wait().1, 2);
}

#[test]
fn a_reset_in_the_middle_of_an_access_is_done_when_that_is_over() {
    let kernel = Kunpeng::started();
    give_memory(&kernel, 1, &text(1, 4096));
    // An access of the queue manager's.
    let user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    kernel.machine.during_read(|host| host.reset());
    assert!(!kernel.open(1, Some(1), COMPRESS), "it is over before the next command");
    assert_eq!(kernel.machine.watched(), vec![NO_PASID]);
    assert_eq!(kernel.get(registers::SHUTDOWN_ERRORS), 0);
    user.announce();
    kernel.machine.run();
    // One for a queue.
    kernel.prepare();
    kernel.start();
    let mut user = ZipUser::open(&kernel, 0, 1, COMPRESS);
    user.submit(&job(1, 4096));
    kernel.machine.during_read(|host| host.reset());
    kernel.machine.run();
    assert!(user.peek().is_none());
    assert_eq!((kernel.machine.watched(), kernel.get(registers::SHUTDOWN_ERRORS)), (vec![NO_PASID], 0));
}

#[test]
fn a_function_that_may_not_access_memory_carries_no_command_out() {
    let kernel = Kunpeng::started();
    kernel.machine.set_master(false);
    let before = kernel.machine.accesses();
    assert!(!kernel.open(0, Some(1), COMPRESS));
    let mailbox = kernel.send(MailboxCommand::EventContext, MailboxOperation::Read, 0, page(1));
    assert_ne!(mailbox.status, 0);
    assert_eq!(kernel.machine.accesses(), before);
    kernel.machine.set_master(true);
    kernel.prepare();
    kernel.start();
    assert!(kernel.open(0, Some(1), COMPRESS));
}

//! Address spaces, invalidations, registers: who may reach what, and until when.

mod support;

use support::user::{copy, fill, is_ok};
use support::{Rights, User, assign, page, plug, revoke};
use uaccel_qemu::{Function, NO_PASID};
use uaccel_queue::{Algorithm, Status};
use uaccel_warp_abi::{
    Answer, Assignment, Descriptor, Features, Geometry, SessionEntry, State, control_ident, control_page, pci,
    user_page,
};

#[test]
fn the_same_address_in_two_address_spaces_is_two_places() {
    let (machine, host) = plug();
    let mut users = [1, 2].map(|pasid| User::open(&machine, &host, pasid as usize - 1, pasid, page(0)));
    for (user, byte) in users.iter_mut().zip([b'a', b'b']) {
        machine.map(user.pasid, page(100), 2, Rights::Write);
        machine.poke(user.pasid, page(100), &[byte; 64]);
    }
    // Both at once, and twice, so that the second time finds cached translations.
    for round in 0..2 {
        for user in &mut users {
            user.submit(&copy(round, page(100), page(101), 64));
        }
        for user in &mut users {
            assert!(is_ok(&user.wait(), round));
        }
    }
    assert_eq!(machine.peek(1, page(101), 64), [b'a'; 64]);
    assert_eq!(machine.peek(2, page(101), 64), [b'b'; 64]);
}

#[test]
fn the_functions_own_address_space_is_not_that_of_pasid_0() {
    let (machine, host) = plug();
    let mut users = [NO_PASID, 0].map(|pasid| User::open(&machine, &host, usize::from(pasid == 0), pasid, page(0)));
    assert_eq!([0, 1].map(|queue| host.read(control_page::assign(queue))), [0xa << 60, 8 << 60]);
    for (user, byte) in users.iter_mut().zip([b'a', b'b']) {
        machine.map(user.pasid, page(100), 2, Rights::Write);
        machine.poke(user.pasid, page(100), &[byte; 64]);
        user.submit(&copy(1, page(100), page(101), 64));
        assert!(is_ok(&user.wait(), 1));
        assert_eq!(machine.peek(user.pasid, page(101), 64), [byte; 64]);
    }
    // An invalidation without a PASID is of the one, not of the other.
    let before = host.counters().translations.get();
    host.invalidated(NO_PASID, page(100), 4095);
    for user in &mut users {
        user.submit(&copy(2, page(100), page(101), 64));
        assert!(is_ok(&user.wait(), 2));
    }
    assert_eq!(host.counters().translations.get(), before + 1);
}

#[test]
fn a_translation_is_asked_for_once_and_again_after_its_invalidation() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 1, Rights::Write);
    machine.map(1, page(200), 1, Rights::Write);
    machine.poke(1, page(100), &[1; 64]);
    let mut run = |token| {
        let before = host.counters().translations.get();
        user.submit(&copy(token, page(100), page(200), 64));
        assert!(is_ok(&user.wait(), token));
        host.counters().translations.get() - before
    };
    assert!(run(1) > 0);
    assert_eq!(run(2), 0, "all is in the cache");
    // Another frame at the same address.
    machine.unmap(1, page(100), 1);
    machine.map(1, page(100), 1, Rights::Write);
    machine.poke(1, page(100), &[2; 64]);
    assert_eq!(run(3), 1, "the invalidated page, and no other");
    assert_eq!(machine.peek(1, page(200), 64), [2; 64], "a stale translation would read the old frame");
    assert_eq!(host.counters().invalidations.get(), 1);
}

#[test]
fn a_large_page_is_translated_once_and_any_part_of_it_invalidates_it() {
    let (machine, host) = plug();
    let base = page(0) & !((2 << 20) - 1);
    machine.map_large(1, base, 0);
    machine.map_large(1, base + (2 << 20), 5);
    machine.map_large(1, base + (4 << 20), 0);
    let mut user = User::idle(&machine, &host, 0, 1, base);
    user.enable();
    machine.run();
    let (source, destination) = (base + (2 << 20), base + (4 << 20));
    user.submit(&copy(1, source + 100, destination + 7, 1 << 20));
    assert!(is_ok(&user.wait(), 1));
    assert_eq!(machine.peek(1, destination, (1 << 20) + 8), [&[0; 7][..], &[5; 1 << 20], &[0]].concat());
    // The rings, the source, the destination.
    assert_eq!(host.counters().translations.get(), 3);
    host.invalidated(1, source + (1 << 20), 4095);
    user.submit(&copy(2, source, destination, 64));
    assert!(is_ok(&user.wait(), 2));
    assert_eq!(host.counters().translations.get(), 4);
}

#[test]
fn an_invalidation_of_one_address_space_leaves_the_others_alone() {
    let (machine, host) = plug();
    let mut users = [1, 2].map(|pasid| User::open(&machine, &host, pasid as usize - 1, pasid, page(0)));
    for user in &mut users {
        machine.map(user.pasid, page(100), 1, Rights::Write);
        user.submit(&fill(1, page(100), 64));
        assert!(is_ok(&user.wait(), 1));
    }
    host.invalidated(1, 0, u64::MAX);
    let before = host.counters().translations.get();
    users[1].submit(&fill(2, page(100), 64));
    assert!(is_ok(&users[1].wait(), 2));
    assert_eq!(host.counters().translations.get(), before);
    users[0].submit(&fill(2, page(100), 64));
    assert!(is_ok(&users[0].wait(), 2));
    assert!(host.counters().translations.get() > before);
}

#[test]
fn a_translation_that_is_invalidated_while_it_is_under_way_is_not_kept() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 1, Rights::Write);
    // The rings are cached by this, so that the next translation is that of the page.
    user.submit(&Descriptor::default());
    user.wait();
    machine.during_translation(|host| host.invalidated(1, page(100), 4095));
    user.submit(&fill(1, page(100), 64));
    assert!(is_ok(&user.wait(), 1));
    let before = host.counters().translations.get();
    user.submit(&fill(2, page(100), 64));
    assert!(is_ok(&user.wait(), 2));
    assert_eq!(host.counters().translations.get(), before + 1);
}

#[test]
fn a_revoked_queue_touches_nothing_and_shows_nothing() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 1, Rights::Write);
    user.submit(&fill(1, page(100), 64));
    revoke(&host, 0);
    let accesses = machine.accesses();
    user.set(user_page::SUBMIT, 2);
    machine.run();
    assert_eq!(machine.accesses(), accesses, "neither the job nor a word of the rings");
    assert_eq!(user.state(), State::Ready, "not even the state word");
    assert_eq!(user.register(user_page::IDENT), 0);
    user.set(user_page::RING_BASE, 5);
    assign(&host, 0, 1);
    assert_eq!(user.register(user_page::RING_BASE), 0, "writes were ignored");
}

#[test]
fn results_that_workers_bring_after_a_reset_are_dropped() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 100, Rights::Write);
    for token in 0..20 {
        user.submit(&fill(token, page(100), 300_000));
    }
    host.run();
    // Some are with the worker now. The same queue, the same address space, the same tokens.
    assign(&host, 0, 1);
    let mut next = User::open(&machine, &host, 0, 1, page(300));
    machine.map(1, page(400), 1, Rights::Write);
    next.submit(&fill(0, page(400), 64));
    assert!(is_ok(&next.wait(), 0));
    assert!(next.poll().is_none(), "one job, one answer");
}

#[test]
fn an_assigned_queue_is_as_after_opening() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    assert_eq!(user.open_session(0, &digest()), Status::Ok as u8);
    assign(&host, 0, 2);
    assert_eq!(Assignment::decode(host.read(control_page::assign(0))), Assignment::to(2).expect("20 bits"));
    assert_eq!(State::decode(host.read(control_page::queue_state(0))), State::Off);
    assert_eq!(machine.watched(), [2]);
    let mut next = User::open(&machine, &host, 0, 2, page(0));
    assert_eq!(State::decode(host.read(control_page::queue_state(0))), State::Ready);
    let opcode = uaccel_queue::Operation::Digest as u8;
    next.submit(&Descriptor { token: 1, opcode, ..Descriptor::default() });
    assert_eq!(next.wait().status, Status::BadSession as u8, "no session of the one before");
}

fn digest() -> SessionEntry {
    SessionEntry {
        algorithm: Algorithm::Sha256 as u16,
        direction: 0,
        level: 0,
        key_len: 0,
        key: [0; SessionEntry::MAX_KEY],
    }
}

#[test]
fn workers_compute_what_needs_a_session() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    assert_eq!(user.open_session(1, &digest()), Status::Ok as u8);
    machine.map(1, page(100), 1, Rights::Read);
    machine.map(1, page(101), 1, Rights::Write);
    machine.poke(1, page(100), b"abc");
    user.submit(&Descriptor {
        source: page(100),
        source_len: 3,
        destination: page(101) + 7,
        destination_len: 32,
        token: 1,
        opcode: uaccel_queue::Operation::Digest as u8,
        session: 1,
        ..Descriptor::default()
    });
    assert!(is_ok(&user.wait(), 1));
    // FIPS 180-4, the example of SHA-256.
    let expected = [
        0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03,
        0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
    ];
    assert_eq!(machine.peek(1, page(101) + 7, 32), expected);
}

#[test]
fn rings_may_lie_in_memory_that_was_never_touched() {
    let (machine, host) = plug();
    let mut user = User::idle(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(0), 8, Rights::Write);
    user.enable();
    machine.run();
    assert_eq!(user.state(), State::Off, "the word waits for its page");
    machine.live_until(|| user.state() == State::Ready);
    assert_eq!(machine.word(1, page(0) + Geometry::NEED_WAKEUP as u64), 1, "this device wants every doorbell");
    user.submit(&Descriptor { token: 5, ..Descriptor::default() });
    assert!(is_ok(&user.wait(), 5));
}

#[test]
fn a_queue_whose_ring_goes_fails_and_the_others_work_on() {
    let (machine, host) = plug();
    let user = User::open(&machine, &host, 0, 1, page(0));
    let mut other = User::open(&machine, &host, 1, 1, page(50));
    machine.interrupts();
    machine.unmap(1, page(0), 2);
    user.set(user_page::SUBMIT, 1);
    machine.live_until(|| matches!(State::decode(host.read(control_page::queue_state(0))), State::Failed(3)));
    assert_eq!(machine.interrupts(), [0], "its user is told to look");
    other.submit(&Descriptor { token: 5, ..Descriptor::default() });
    assert!(is_ok(&other.wait(), 5));
}

#[test]
fn a_ring_base_that_nobody_has_makes_the_queue_fail_with_its_reason() {
    let (machine, host) = plug();
    let user = User::idle(&machine, &host, 0, 1, page(0));
    user.enable();
    machine.live_until(|| State::decode(host.read(control_page::queue_state(0))) == State::Failed(2));
    assert_eq!(machine.interrupts(), [0]);
}

#[test]
fn a_geometry_that_cannot_be_is_refused_in_the_state_word() {
    let (machine, host) = plug();
    let user = User::idle(&machine, &host, 0, 1, page(0));
    machine.map(1, page(0), 2, Rights::Write);
    user.set(user_page::RING_BASE, page(0));
    user.set(user_page::GEOMETRY, 14);
    user.set(user_page::ENABLE, 1);
    machine.run();
    assert_eq!(user.state(), State::Failed(1));
    assert_eq!(State::decode(host.read(control_page::queue_state(0))), State::Failed(1));
}

#[test]
fn completions_wait_for_the_page_of_their_ring() {
    let (machine, host) = plug();
    // So that the completion ring begins with a page of its own.
    let base = page(1) - 0x100 - 32 * 64;
    let mut user = User::idle(&machine, &host, 0, 1, base);
    machine.map(1, page(0), 1, Rights::Write);
    machine.reserve(1, page(1), 1, Rights::Write);
    user.enable();
    user.submit(&Descriptor { token: 6, ..Descriptor::default() });
    machine.run();
    assert_eq!(user.state(), State::Ready);
    assert!(user.poll().is_none());
    let [request] = machine.requests()[..] else { panic!("one page is missing") };
    assert_eq!((request.page, request.write), (page(1), true));
    assert!(is_ok(&user.wait(), 6));
}

#[test]
fn a_queue_is_stopped_with_jobs_waiting_for_pages() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.reserve(1, page(100), 4, Rights::Write);
    for token in 0..4 {
        user.submit(&fill(token, page(100 + u64::from(token)), 64));
    }
    machine.run_until(|| !machine.requests().is_empty());
    user.set(user_page::ENABLE, 0);
    assert_eq!(user.state(), State::Stopped);
    let accesses = machine.accesses();
    machine.requests().into_iter().for_each(|request| {
        machine.answer(request);
    });
    machine.run();
    assert_eq!(machine.accesses(), accesses, "the state word was the last access");
    user.enable();
    machine.run();
    assert_eq!(user.state(), State::Stopped, "only the kernel side brings it back");
}

#[test]
fn a_sleeper_is_told_once() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 2, 1, page(0));
    machine.interrupts();
    user.submit(&Descriptor { token: 1, ..Descriptor::default() });
    user.wait();
    assert_eq!(machine.interrupts(), [], "nobody sleeps");
    user.arm();
    for token in 2..4 {
        user.submit(&Descriptor { token, ..Descriptor::default() });
        user.wait();
    }
    assert_eq!(machine.interrupts(), [2]);
}

#[test]
fn a_device_that_reads_its_own_registers_gets_nowhere() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 2, Rights::Write);
    machine.during_read(|host| {
        // In the middle of a job of queue 0, as if its source were the function's own registers.
        let bar = pci::PAGES_BAR;
        assert_eq!(host.read(bar, pci::user_page(0) + user_page::IDENT, 8), 0);
        host.write(bar, control_page::assign(0), 8, 0);
        host.write(bar, pci::user_page(0) + user_page::ENABLE, 8, 0);
    });
    user.submit(&copy(1, page(100), page(101), 64));
    assert!(is_ok(&user.wait(), 1));
    assert_eq!(user.state(), State::Ready);
}

#[test]
fn a_queue_whose_address_space_cannot_be_had_is_revoked_and_failed() {
    let (machine, host) = plug();
    machine.kill(1);
    let user = User::idle(&machine, &host, 0, 1, page(0));
    assert_eq!(host.read(control_page::assign(0)), 0);
    assert_eq!(State::decode(host.read(control_page::queue_state(0))), State::Failed(4));
    assert_eq!(user.register(user_page::IDENT), 0);
    assert_eq!(machine.watched(), []);
    // It is as good as any other afterwards.
    User::open(&machine, &host, 0, 2, page(0));
}

#[test]
fn the_bottom_half_called_in_the_middle_of_an_access_is_run_afterwards() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    let mut other = User::open(&machine, &host, 1, 2, page(0));
    machine.map(1, page(100), 2, Rights::Write);
    // Whichever of the two comes first in a run.
    for round in 1..=8 {
        let machine_inside = machine.clone();
        machine.during_read(move |host| {
            // As if the source were another device, which waits for something and has all bottom halves run meanwhile.
            host.write(pci::PAGES_BAR, pci::user_page(1) + user_page::SUBMIT, 8, round);
            assert!(machine_inside.step(), "the doorbell scheduled it");
        });
        user.submit(&copy(1, page(100), page(101), 64));
        other.publish(&Descriptor { token: 2, ..Descriptor::default() });
        assert!(is_ok(&user.wait(), 1));
        assert!(is_ok(&other.wait(), 2));
    }
}

#[test]
fn nothing_is_accessed_without_bus_mastering() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.set_master(false);
    let accesses = machine.accesses();
    user.submit(&Descriptor { token: 1, ..Descriptor::default() });
    machine.run();
    let other = User::idle(&machine, &host, 1, 1, page(50));
    machine.map(1, page(50), 2, Rights::Write);
    other.enable();
    assert_eq!(State::decode(host.read(control_page::queue_state(1))), State::Failed(2));
    assert_eq!(machine.accesses(), accesses);
    machine.set_master(true);
    user.set(user_page::SUBMIT, 1);
    assert!(is_ok(&user.wait(), 1));
}

#[test]
fn the_control_page_says_what_the_specification_says() {
    let (machine, host) = plug();
    assert_eq!(host.read(control_page::IDENT), control_ident(1));
    assert_eq!(host.read(control_page::QUEUES), 4);
    assert_eq!(host.read(control_page::RESET), 0);
    for offset in [0x18, 0x48, 0x3f8, 0x410, 0xc00, 0xff8] {
        assert_eq!(host.read(offset), 0, "{offset:#x} is reserved");
    }
    for wrong in [1 << 62, 1 << 63 | 1 << 20, 3] {
        host.write(control_page::assign(1), wrong);
        assert_eq!(host.read(control_page::assign(1)), 0, "{wrong:#x} is reserved");
    }
    let user = User::open(&machine, &host, 3, 9, page(0));
    assert_eq!(host.read(control_page::assign(3)), 1 << 63 | 9);
    assert_eq!(user.register(user_page::FEATURES) & Features::FAULTS_RESOLVED.bits(), Features::FAULTS_RESOLVED.bits());
    machine.allow_requests(0);
    assert_eq!(user.register(user_page::FEATURES) & Features::FAULTS_RESOLVED.bits(), 0, "only while they are enabled");
    user.set(user_page::IDENT, 0);
    assert_ne!(user.register(user_page::IDENT), 0, "read only");
    host.write(control_page::RESET, 1);
    assert_eq!(host.read(control_page::assign(3)), 0);
    assert_eq!(machine.watched(), []);
    // Beyond the last queue, and beyond the last page.
    host.write(control_page::assign(4), 1 << 63 | 1);
    assert_eq!(host.read(control_page::assign(4)), 0);
    assert_eq!(host.read(pci::user_page(4)), 0);
}

#[test]
fn long_jobs_let_go_of_the_lock_and_let_others_have_their_turn() {
    let (machine, host) = plug();
    let mut users = [1, 2].map(|pasid| User::open(&machine, &host, pasid as usize - 1, pasid, page(0)));
    for user in &mut users {
        machine.map(user.pasid, page(1000), 512, Rights::Write);
    }
    for token in 0..8 {
        users[0].submit(&copy(token, page(1000), page(1256), 1 << 20));
    }
    users[1].submit(&copy(100, page(1000), page(1256), 1 << 20));
    let (mut steps, mut finished) = (0, 0);
    loop {
        let before = machine.accesses();
        if !machine.step() {
            break;
        }
        steps += 1;
        assert!(machine.accesses() - before < 300, "jobs of 512 pages are not carried out in one go");
        finished += users[0].poll().map_or(0, |_| 1);
        if users[1].poll().is_some() {
            assert!(finished < 8, "one job of this queue waits for all of the other one");
            steps += 100;
        }
    }
    assert!(steps > 100, "both were served");
}

#[test]
fn a_full_ring_of_mixed_fates_is_answered_job_by_job() {
    let (machine, host) = plug();
    let mut user = User::open(&machine, &host, 0, 1, page(0));
    machine.map(1, page(100), 1, Rights::Write);
    machine.reserve(1, page(200), 32, Rights::Write);
    for round in 0..3 {
        for token in 0..32 {
            let token = round * 32 + token;
            match token % 3 {
                0 => user.submit(&fill(token, page(100), 64)),
                1 => user.submit(&fill(token, page(200 + u64::from(token % 32)) + 4060, 64)),
                _ => user.submit(&fill(token, page(900 + u64::from(token % 32)), 64)),
            }
        }
        let mut seen = [false; 32];
        for _ in 0..32 {
            let completion = user.wait();
            let at = (completion.token - round * 32) as usize;
            assert!(!std::mem::replace(&mut seen[at], true), "answered once");
            match completion.token % 3 {
                2 => assert_eq!(completion.answer, Answer::WriteFault(page(900 + u64::from(completion.token % 32)))),
                1 if completion.token % 32 == 31 => assert_eq!(completion.answer, Answer::WriteFault(page(232))),
                _ => assert_eq!(completion.status, Status::Ok as u8, "{completion:?}"),
            }
        }
    }
}

//! What a user can write wrong, and what comes of it: a completion or a failed queue, never a crash.

mod support;

use support::{Hand, PATIENCE, copy, device, device_with, failed, job, ok, open, over, pattern, with_aux};
use uaccel_queue::{Algorithm, Direction, Operation, Status};
use uaccel_sim::{Plan, ThreadHostConfig, WarpConfig};
use uaccel_warp_abi::{Command, Descriptor, DescriptorFlags, FailReason, Geometry, Mode, SessionEntry, State};

#[test]
fn descriptors_that_break_the_rules_are_answered() {
    for mode in [Mode::Ring, Mode::Mailbox] {
        let device = device(Plan::default());
        let mut hand = Hand::new(&device, mode);
        let (source, mut out) = (pattern(100), vec![0; 100]);
        let good = copy(1, &source, &mut out);
        let bad = [
            (Descriptor { opcode: 6, ..good }, Status::Unsupported),
            (Descriptor { opcode: 0x83, ..good }, Status::Unsupported),
            (Descriptor { opcode: 0xff, ..good }, Status::Unsupported),
            (Descriptor { context: 8, ..good }, Status::InvalidJob),
            (Descriptor { flags: DescriptorFlags::CHAINED, ..good }, Status::InvalidJob),
            (Descriptor { source_len: (4 << 20) + 1, destination_len: (4 << 20) + 1, ..good }, Status::InvalidJob),
            (Descriptor { destination_len: u32::MAX, ..good }, Status::InvalidJob),
            (Descriptor { destination_len: 99, ..good }, Status::InvalidJob),
            (Descriptor { source: u64::MAX - 50, ..good }, Status::InvalidJob),
            (Descriptor { source: 0, flags: DescriptorFlags::VOUCHED, source_len: 0, ..good }, Status::InvalidJob),
            (with_aux(over(job(1, Operation::Compare), &source, &mut []), &source[1..]), Status::InvalidJob),
            (
                Descriptor { session: 0x7fff, ..over(job(1, Operation::Compress), &source, &mut out) },
                Status::BadSession,
            ),
        ];
        for (descriptor, status) in bad {
            assert_eq!(hand.run(&descriptor), failed(1, status), "{descriptor:?}");
        }
        for reserved in 43..48 {
            let mut words = good.encode(hand.geometry.phase(hand.tail));
            words[7] |= 1 << reserved;
            if mode == Mode::Mailbox && reserved == 47 {
                // Looks like an answer to the hand itself, so it cannot wait for one.
                continue;
            }
            hand.submit_words(words);
            assert_eq!(hand.wait(), failed(1, Status::InvalidJob), "bit {reserved}");
        }
        // Fields that an operation does not use are not looked at.
        let untidy = Descriptor { source_len: u32::MAX, aux_len: u32::MAX, session: 900, ..job(1, Operation::Nop) };
        assert_eq!(hand.run(&untidy), ok(1, 0, 0));
        assert_eq!(hand.run(&good), ok(1, 100, 100));
    }
}

#[test]
fn any_line_of_noise_is_answered() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    let mut noise = 0x1234_5678_9abc_def0_u64;
    let mut next = move || {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise
    };
    for _ in 0..20_000 {
        let mut words = [(); 8].map(|()| next());
        // Small lengths, so that it is not all refused; addresses that are never mapped and never vouched for.
        words[0] |= 1 << 63;
        words[1] |= 1 << 63;
        words[3] |= 1 << 63;
        words[2] &= 0x0000_0fff_0000_0fff;
        words[7] &= !(Descriptor::PHASE | 0xff << 40);
        words[7] = words[7] & !(0x60 << 32) | if hand.geometry.phase(hand.tail) { Descriptor::PHASE } else { 0 };
        hand.submit_words(words);
        assert_eq!(hand.wait().token, Descriptor::token_of(words[7]));
    }
}

#[test]
fn sessions_are_opened_and_closed_in_order() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    let sha = (Algorithm::Sha256, Direction::Forward);
    assert_eq!(hand.open_session(16, sha.0, sha.1, 0, &[]), Status::BadSession as u8, "beyond the geometry");
    assert_eq!(hand.open_session(0, sha.0, Direction::Inverse, 0, &[]), Status::Unsupported as u8);
    assert_eq!(hand.open_session(0, sha.0, sha.1, 0, b"key"), Status::InvalidJob as u8);
    assert_eq!(hand.open_session(0, Algorithm::Aes128Gcm, sha.1, 0, &[1; 15]), Status::InvalidJob as u8);
    assert_eq!(hand.open_session(0, Algorithm::Deflate, sha.1, 10, &[]), Status::InvalidJob as u8);
    assert_eq!(hand.command(Command::CloseSession, 0, 0), Status::BadSession as u8);
    assert_eq!(hand.open_session(0, sha.0, sha.1, 0, &[]), 0);
    assert_eq!(hand.open_session(0, sha.0, sha.1, 0, &[]), Status::InvalidJob as u8, "open already");
    assert_eq!(hand.command(Command::CloseSession, 0, 0), 0);

    let entry = SessionEntry { algorithm: 500, direction: 0, level: 0, key_len: 0, key: [0; 248] };
    hand.write_entry(1, &entry);
    assert_eq!(hand.command(Command::OpenSession, 1, 0), Status::Unsupported as u8);
    hand.write_entry(1, &SessionEntry { direction: 2, ..entry.clone() });
    assert_eq!(hand.command(Command::OpenSession, 1, 0), Status::InvalidJob as u8);
    hand.write_entry(1, &SessionEntry { key_len: 249, ..entry });
    assert_eq!(hand.command(Command::OpenSession, 1, 0), Status::InvalidJob as u8);

    // Published in one go: open, use, close, use. The order of the ring is the order of the sessions.
    let mut digests = [[0; 32]; 2];
    hand.write_entry(2, &SessionEntry { algorithm: 64, direction: 0, level: 0, key_len: 0, key: [0; 248] });
    let [first, second] = &mut digests;
    for descriptor in [
        hand.command_descriptor(Command::OpenSession, 2, 0),
        Descriptor { session: 2, ..over(job(1, Operation::Digest), b"abc", first) },
        hand.command_descriptor(Command::CloseSession, 2, 0),
        Descriptor { session: 2, ..over(job(2, Operation::Digest), b"abc", second) },
    ] {
        hand.publish(&descriptor);
    }
    hand.ring_if_wanted();
    let mut statuses = [(); 4].map(|()| hand.wait()).map(|done| (done.token, done.status));
    statuses.sort_unstable();
    assert_eq!(statuses, [(2, 0), (2, 0), (0x1001, 0), (0x1002, Status::BadSession as u8)]);
    assert_eq!(digests[0][0], 0xba);
}

#[test]
fn a_set_up_that_makes_no_sense_fails_the_queue() {
    let device = device(Plan::default());
    let geometry = Geometry::new(4, 4, Mode::Ring).unwrap();
    let attempt = |base: &dyn Fn(&Hand) -> u64, register: u64| {
        let hand = Hand::idle(open(&device), geometry);
        hand.enable(base(&hand), register);
        hand.state()
    };
    let good = geometry.register();
    let end = |hand: &Hand| hand.ring.device_address(0) + hand.ring.len() as u64;
    assert_eq!(attempt(&|hand| hand.ring.device_address(0), good), State::Ready);
    let bad_base = State::Failed(FailReason::RingBase as u32);
    assert_eq!(attempt(&|_| 0, good), bad_base);
    assert_eq!(attempt(&|_| u64::MAX - 4000, good), bad_base);
    assert_eq!(attempt(&|hand| hand.ring.device_address(0) + 1, good), bad_base);
    assert_eq!(attempt(&end, good), bad_base);
    let other = open(&device).ring_memory(geometry.size()).unwrap();
    assert_eq!(attempt(&|_| other.device_address(0), good), bad_base, "another queue's memory");
    let bad_geometry = State::Failed(FailReason::Geometry as u32);
    for register in [0, 14, 13, 1 << 9 | good, 0xffff << 16 | good, 1 << 40 | good] {
        assert_eq!(attempt(&|hand| hand.ring.device_address(0), register), bad_geometry, "{register:#x}");
    }
    let small =
        device_with(WarpConfig { entries: 16, ..WarpConfig::default() }, ThreadHostConfig::default(), Plan::default());
    let hand = Hand::with(open(&small), Geometry::new(5, 0, Mode::Ring).unwrap());
    assert_eq!(hand.state(), bad_geometry, "more entries than offered");
}

#[test]
fn the_enable_register_stops_and_starts() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    hand.run(&job(1, Operation::Nop));
    hand.transport.ring_doorbell(uaccel_warp_abi::user_page::ENABLE, 0);
    let begun = std::time::Instant::now();
    while hand.state() != State::Stopped {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::yield_now();
    }
    hand.submit(&job(2, Operation::Nop));
    hand.expect_silence();
}

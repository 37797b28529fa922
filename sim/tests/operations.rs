//! Every operation, through the ring, in both modes, in place and by copy.

mod support;

use support::{Hand, copy, device, failed, job, ok, over, pattern, vouched, with_aux};
use uaccel_queue::{Algorithm, Direction, Operation, Status};
use uaccel_sim::Plan;
use uaccel_warp_abi::{Answer, Command, Completion, Descriptor, DescriptorFlags, Mode, State};

/// Runs a test in both modes, with memory the host vouches for and with memory it does not.
fn everywhere(test: impl Fn(&mut Hand, fn(Descriptor) -> Descriptor)) {
    for mode in [Mode::Ring, Mode::Mailbox] {
        let device = device(Plan::default());
        let mut hand = Hand::new(&device, mode);
        assert_eq!(hand.state(), State::Ready);
        test(&mut hand, |descriptor| descriptor);
        test(&mut hand, vouched);
    }
}

#[test]
fn nop() {
    everywhere(|hand, flags| {
        for token in 0..200 {
            assert_eq!(hand.run(&flags(job(token, Operation::Nop))), ok(token, 0, 0));
        }
    });
}

#[test]
fn copying() {
    everywhere(|hand, flags| {
        for len in [0, 1, 64, 4096, 100_000] {
            let source = pattern(len);
            let mut destination = vec![0; len];
            assert_eq!(hand.run(&flags(copy(1, &source, &mut destination))), ok(1, len, len));
            assert_eq!(source, destination);
        }
    });
}

#[test]
fn a_copy_onto_itself_changes_nothing() {
    everywhere(|hand, flags| {
        let mut bytes = pattern(5000);
        let descriptor = copy(1, &bytes.clone(), &mut bytes);
        let onto_itself = Descriptor { source: descriptor.destination, ..descriptor };
        assert_eq!(hand.run(&flags(onto_itself)), ok(1, 5000, 5000));
        assert_eq!(bytes, pattern(5000));
    });
}

#[test]
fn filling() {
    everywhere(|hand, flags| {
        let mut destination = vec![0; 20];
        let mut descriptor = over(job(1, Operation::Fill), &[], &mut destination);
        descriptor.operand = *b"abcdefgh----";
        assert_eq!(hand.run(&flags(descriptor)), ok(1, 0, 20));
        assert_eq!(&destination, b"abcdefghabcdefghabcd");
    });
}

#[test]
fn comparing() {
    everywhere(|hand, flags| {
        let (one, mut other) = (pattern(1000), pattern(1000));
        let descriptor = flags(with_aux(over(job(1, Operation::Compare), &one, &mut []), &other));
        assert_eq!(hand.run(&descriptor), ok(1, 1000, 1000));
        other[777] ^= 1;
        assert_eq!(hand.run(&descriptor), ok(1, 1000, 777));
    });
}

#[test]
fn checksums() {
    everywhere(|hand, flags| {
        for (operation, whole, first) in
            [(Operation::Crc32c, 0xe306_9283_u32, b"1234"), (Operation::Crc32, 0xcbf4_3926, b"1234")]
        {
            let checksum = |completion: Completion| match completion.answer {
                Answer::Counts { produced, .. } if completion.status == 0 => produced,
                other => panic!("{other:?}"),
            };
            let at_once = hand.run(&flags(over(job(1, operation), b"123456789", &mut [])));
            assert_eq!(checksum(at_once), whole);
            let begun = hand.run(&flags(over(job(2, operation), first, &mut [])));
            let mut rest = over(job(3, operation), b"56789", &mut []);
            rest.operand[..4].copy_from_slice(&checksum(begun).to_le_bytes());
            assert_eq!(checksum(hand.run(&flags(rest))), whole);
        }
    });
}

#[test]
fn compressing_and_decompressing() {
    everywhere(|hand, flags| {
        let text = b"to be, or not to be, ".repeat(500);
        for algorithm in [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip, Algorithm::Lz4Block, Algorithm::Zstd] {
            let level = algorithm.levels().map_or(0, |levels| levels.default);
            assert_eq!(hand.open_session(0, algorithm, Direction::Forward, level, &[]), 0, "{algorithm}");
            assert_eq!(hand.open_session(1, algorithm, Direction::Inverse, 0, &[]), 0, "{algorithm}");
            let mut stream = vec![0; text.len() * 2];
            let done = hand.run(&flags(over(job(1, Operation::Compress), &text, &mut stream)));
            let Answer::Counts { consumed, produced } = done.answer else { panic!("{done:?}") };
            assert_eq!((done.status, consumed as usize), (0, text.len()), "{algorithm}");
            stream.truncate(produced as usize);
            assert!(stream.len() < text.len() / 5);
            let mut back = vec![0; text.len()];
            let inverse = Descriptor { session: 1, ..over(job(2, Operation::Decompress), &stream, &mut back) };
            assert_eq!(hand.run(&flags(inverse)), ok(2, stream.len(), text.len()), "{algorithm}");
            assert_eq!(back, text);
            let mut short = vec![0x55; text.len() - 1];
            let inverse = Descriptor { session: 1, ..over(job(3, Operation::Decompress), &stream, &mut short) };
            assert_eq!(hand.run(&flags(inverse)).status, Status::OutputTooSmall as u8, "{algorithm}");
            assert_eq!(hand.command(Command::CloseSession, 0, 0), 0);
            assert_eq!(hand.command(Command::CloseSession, 1, 0), 0);
        }
    });
}

#[test]
fn sealing_and_opening() {
    everywhere(|hand, flags| {
        let (text, associated, key) = (pattern(3000), b"header".as_slice(), pattern(32));
        for (algorithm, key) in
            [(Algorithm::Aes128Gcm, &key[..16]), (Algorithm::Aes256Gcm, &key), (Algorithm::ChaCha20Poly1305, &key)]
        {
            assert_eq!(hand.open_session(2, algorithm, Direction::Forward, 0, key), 0);
            assert_eq!(hand.open_session(3, algorithm, Direction::Inverse, 0, key), 0);
            let mut sealed = vec![0; text.len() + 16];
            let seal = Descriptor {
                session: 2,
                operand: *b"nonce-nonce!",
                ..over(job(1, Operation::Seal), &text, &mut sealed)
            };
            assert_eq!(hand.run(&flags(with_aux(seal, associated))), ok(1, text.len(), sealed.len()), "{algorithm}");
            let mut opened = vec![0xaa; text.len()];
            let open = Descriptor {
                session: 3,
                operand: *b"nonce-nonce!",
                ..over(job(2, Operation::Open), &sealed, &mut opened)
            };
            assert_eq!(hand.run(&flags(with_aux(open, associated))).status, 0, "{algorithm}");
            assert_eq!(opened, text);
            opened.fill(0xaa);
            assert_eq!(hand.run(&flags(with_aux(open, b"HEADER"))).status, Status::TagMismatch as u8, "{algorithm}");
            assert!(
                opened.iter().all(|byte| *byte == 0) || opened.iter().all(|byte| *byte == 0xaa),
                "no plaintext may be seen"
            );
            assert_eq!(hand.command(Command::CloseSession, 2, 0), 0);
            assert_eq!(hand.command(Command::CloseSession, 3, 0), 0);
        }
    });
}

#[test]
fn encrypting_and_decrypting() {
    // NIST SP 800-38A, F.2.1 (CBC) and F.5.1 (CTR): key, and the first block of text and ciphertext.
    let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
    let text = 0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128.to_be_bytes();
    let count = |from: u8| std::array::from_fn(|at| from + u8::try_from(at).expect("16 of them"));
    let examples = [
        (Algorithm::Aes128Cbc, count(0), 0x7649_abac_8119_b246_cee9_8e9b_12e9_197d_u128),
        (Algorithm::Aes128Ctr, count(0xf0), 0x874d_6191_b620_e326_1bef_6864_990d_b6ce),
    ];
    everywhere(|hand, flags| {
        for (algorithm, iv, ciphertext) in examples {
            assert_eq!(hand.open_session(2, algorithm, Direction::Forward, 0, &key), 0);
            assert_eq!(hand.open_session(3, algorithm, Direction::Inverse, 0, &key), 0);
            let with_iv = |mut descriptor: Descriptor, session| {
                descriptor.session = session;
                descriptor.set_wide_operand(iv);
                // No second source is read, whatever stands in the fields of one.
                descriptor.aux = 0xdead_0000;
                flags(descriptor)
            };
            let mut made = [0; 20];
            let encrypt = with_iv(over(job(1, Operation::Encrypt), &text, &mut made), 2);
            assert_eq!(hand.run(&encrypt), ok(1, 16, 16), "{algorithm}");
            assert_eq!((&made[..16], &made[16..]), (&ciphertext.to_be_bytes()[..], &[0; 4][..]), "{algorithm}");
            let mut back = [0; 16];
            let decrypt = with_iv(over(job(2, Operation::Decrypt), &made[..16], &mut back), 3);
            assert_eq!(hand.run(&decrypt), ok(2, 16, 16), "{algorithm}");
            assert_eq!(back, text, "{algorithm}");

            // In place, and overlapping by a part: all of the source is read first.
            let mut memory = [text, [0; 16]].concat();
            let mut onto = with_iv(over(job(3, Operation::Encrypt), &[], &mut memory[..16]), 2);
            (onto.source, onto.source_len) = (onto.destination, 16);
            assert_eq!(hand.run(&onto), ok(3, 16, 16), "{algorithm}");
            assert_eq!(memory[..16], ciphertext.to_be_bytes(), "{algorithm}");
            let mut shifted = with_iv(over(job(4, Operation::Decrypt), &[], &mut memory[..16]), 3);
            (shifted.source, shifted.source_len) = (shifted.destination, 16);
            shifted.destination += 5;
            assert_eq!(hand.run(&shifted), ok(4, 16, 16), "{algorithm}");
            assert_eq!(memory[5..21], text, "{algorithm}");

            let odd = with_iv(over(job(5, Operation::Encrypt), &text[..15], &mut back), 2);
            let takes = algorithm == Algorithm::Aes128Ctr;
            assert_eq!(hand.run(&odd), if takes { ok(5, 15, 15) } else { failed(5, Status::InvalidJob) });
            let mut small = [0; 15];
            let small = with_iv(over(job(6, Operation::Encrypt), &text, &mut small), 2);
            assert_eq!(hand.run(&small).status, Status::OutputTooSmall as u8, "{algorithm}");
            assert_eq!(hand.command(Command::CloseSession, 2, 0), 0);
            assert_eq!(hand.command(Command::CloseSession, 3, 0), 0);
        }
        let twice = [7; 64];
        let refused = hand.open_session(2, Algorithm::Aes256Xts, Direction::Forward, 0, &twice);
        assert_eq!(refused, Status::InvalidJob as u8, "one key twice");
    });
}

#[test]
fn digesting() {
    everywhere(|hand, flags| {
        assert_eq!(hand.open_session(5, Algorithm::Sha256, Direction::Forward, 0, &[]), 0);
        let mut digest = [0; 40];
        let descriptor = Descriptor { session: 5, ..over(job(1, Operation::Digest), b"abc", &mut digest) };
        assert_eq!(hand.run(&flags(descriptor)), ok(1, 3, 32));
        assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert_eq!(digest[32..], [0; 8]);
        assert_eq!(hand.command(Command::CloseSession, 5, 0), 0);
    });
}

#[test]
fn an_uninitialised_destination_is_written_only() {
    let device = device(Plan::default());
    let mut hand = Hand::new(&device, Mode::Ring);
    assert_eq!(hand.open_session(0, Algorithm::Sha512, Direction::Forward, 0, &[]), 0);
    let mut digest: Vec<u8> = Vec::with_capacity(64);
    let mut descriptor = Descriptor {
        destination: digest.as_mut_ptr().expose_provenance() as u64,
        destination_len: 64,
        ..over(job(1, Operation::Digest), b"abc", &mut [])
    };
    descriptor.flags = DescriptorFlags::VOUCHED | DescriptorFlags::UNINIT_DESTINATION;
    assert_eq!(hand.run(&descriptor), ok(1, 3, 64));
    // SAFETY: the device has written 64 bytes, as its completion says.
    unsafe { digest.set_len(64) };
    assert_eq!(digest[..4], [0xdd, 0xaf, 0x35, 0xa1]);
}

#[test]
fn the_ring_goes_round_many_times() {
    everywhere(|hand, flags| {
        let source = pattern(48);
        let entries = u32::try_from(hand.geometry.entries()).unwrap();
        // Batches that do not divide the ring, so that every line is once the first of a batch.
        for batch in [1, 7, entries - 1, entries].into_iter().cycle().take(160) {
            let mut outputs = vec![vec![0; 48]; batch as usize];
            for (token, output) in (0..).zip(&mut outputs) {
                hand.submit(&flags(copy(token, &source, output)));
            }
            let mut tokens: Vec<u32> = outputs
                .iter()
                .map(|_| hand.wait())
                .map(|done| (assert_eq!(done.status, 0), done.token).1 & 0xfff)
                .collect();
            tokens.sort_unstable();
            assert_eq!(tokens, (0..batch).collect::<Vec<_>>());
            assert!(outputs.iter().all(|output| *output == source));
        }
    });
}

#[test]
fn an_operation_with_the_wrong_session_is_refused() {
    everywhere(|hand, flags| {
        let mut out = [0; 64];
        assert_eq!(hand.run(&flags(over(job(1, Operation::Digest), b"abc", &mut out))), failed(1, Status::BadSession));
        assert_eq!(hand.open_session(0, Algorithm::Sha256, Direction::Forward, 0, &[]), 0);
        assert_eq!(
            hand.run(&flags(over(job(2, Operation::Compress), b"abc", &mut out))),
            failed(2, Status::BadSession)
        );
        assert_eq!(hand.command(Command::CloseSession, 0, 0), 0);
        assert_eq!(hand.run(&flags(over(job(3, Operation::Digest), b"abc", &mut out))), failed(3, Status::BadSession));
    });
}

//! Texts, encrypted as an application would have them, beside another library.

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use uaccel_queue::{Algorithm, Bus, Direction, SessionSpec, TransportError};
use uaccel_runtime::vfio::VfioBus;
use uaccel_runtime::{AddressMode, Error, Operation, OwnedWork, RawWork, Runtime, Session, Work};

use crate::bench::{device, runtime};
use crate::guest::child::Child;
use crate::guest::jobs::{eventually, noise, run};

/// What QEMU's own cipher says that it has.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::Aes128Cbc, Algorithm::Aes256Cbc];

const IV: [u8; 16] = *b"a block of sixte";

fn key(algorithm: Algorithm, seed: u64) -> Vec<u8> {
    noise(seed, algorithm.key_len().expect("a cipher"))
}

fn session(runtime: &Runtime, algorithm: Algorithm, direction: Direction, seed: u64) -> Session {
    let spec = SessionSpec::keyed(algorithm, direction, &key(algorithm, seed)).expect("a key");
    runtime.session(spec).expect("it is offered")
}

/// As AWS-LC has it.
fn encrypted(algorithm: Algorithm, seed: u64, iv: [u8; 16], text: &[u8]) -> Vec<u8> {
    let cipher = if algorithm == Algorithm::Aes128Cbc { &AES_128 } else { &AES_256 };
    let key = UnboundCipherKey::new(cipher, &key(algorithm, seed)).expect("a key");
    let mut text = text.to_vec();
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    EncryptingKey::cbc(key).expect("a key").less_safe_encrypt(&mut text, context).expect("whole blocks");
    text
}

#[test]
fn the_queue_offers_what_the_device_says_by_plain_pointers() {
    let runtime = runtime();
    let granted = runtime.granted();
    assert_eq!(granted.address_mode, AddressMode::IdentityPinned);
    let found: Vec<_> = granted.algorithms.iter().collect();
    let expected = ALGORITHMS.map(|algorithm| [Direction::Forward, Direction::Inverse].map(|way| (algorithm, way)));
    assert_eq!(found, expected.as_flattened());
}

#[test]
fn texts_of_all_lengths_and_alignments_agree_with_another_library() {
    let runtime = runtime();
    let longest = usize::try_from(runtime.granted().max_transfer).unwrap() / 16 * 16;
    let pinned = || VfioBus::new().counts(device()).expect("the device is open").bytes;
    let rings = pinned();
    for algorithm in ALGORITHMS {
        let encrypt = session(&runtime, algorithm, Direction::Forward, 1);
        let decrypt = session(&runtime, algorithm, Direction::Inverse, 1);
        for (from, to, len) in
            [(0, 0, 16), (1, 2, 32), (4090, 7, 4096), (3, 4096, 65_536), (15, 1, 300_000), (1, 1, longest)]
        {
            let iv = noise(len as u64, 16).try_into().unwrap();
            let (text, mut room) = (noise(2, from + len), vec![0xee; to + len + 32]);
            let expected = encrypted(algorithm, 1, iv, &text[from..]);
            let work = Work::session(&encrypt, &text[from..], &mut room[to..to + len]).with_iv(iv);
            let outcome = runtime.run(work).unwrap();
            assert_eq!((outcome.consumed, outcome.produced), (len as u64, len as u64));
            assert!(room[to..to + len] == expected, "{algorithm} encrypts {len} bytes");
            let around = room[..to].iter().chain(&room[to + len..]);
            assert!(around.into_iter().all(|byte| *byte == 0xee), "{algorithm}: around {len} bytes");
            let mut back = vec![0; len];
            runtime.run(Work::session(&decrypt, &expected, &mut back).with_iv(iv)).unwrap();
            assert!(back == text[from..], "{algorithm} decrypts {len} bytes");
        }
    }
    assert_eq!(pinned(), rings, "nothing of the jobs' stays pinned");
}

#[test]
fn texts_are_transformed_where_they_stand() {
    let runtime = runtime();
    for algorithm in ALGORITHMS {
        let mut text = noise(3, 100_000 / 16 * 16);
        let expected = encrypted(algorithm, 3, IV, &text);
        let encrypt = session(&runtime, algorithm, Direction::Forward, 3);
        runtime.run(Work::session_in_place(&encrypt, &mut text).with_iv(IV)).unwrap();
        assert!(text == expected, "{algorithm}");
    }
}

#[test]
fn owned_jobs_of_several_keys_go_side_by_side_and_keep_apart() {
    let runtime = runtime();
    let sessions: Vec<_> =
        (0..8).map(|seed| session(&runtime, Algorithm::Aes256Cbc, Direction::Forward, seed)).collect();
    for _ in 0..10 {
        let jobs: Vec<_> = (0..64_u64)
            .map(|number| {
                let session = &sessions[usize::try_from(number % 8).unwrap()];
                let work = OwnedWork::session(session, noise(number, 8192), vec![0; 8192]).with_iv(IV);
                runtime.submit(work).unwrap_or_else(|rejected| panic!("{}", rejected.error))
            })
            .collect();
        for (number, job) in (0..).zip(jobs) {
            let (_, destination) = job.wait().into_output().unwrap();
            let expected = encrypted(Algorithm::Aes256Cbc, number % 8, IV, &noise(number, 8192));
            assert!(destination == expected, "job {number}");
        }
    }
}

#[test]
fn sessions_that_were_closed_make_room_on_the_device() {
    let runtime = runtime();
    // QEMU's cipher has 256, and each that is lost would be so for good.
    for seed in 0..600 {
        let encrypt = session(&runtime, Algorithm::Aes128Cbc, Direction::Forward, seed);
        let (text, mut room) = ([7; 16], [0; 16]);
        runtime.run(Work::session(&encrypt, &text, &mut room).with_iv(IV)).unwrap();
        assert_eq!(room[..], encrypted(Algorithm::Aes128Cbc, seed, IV, &text));
    }
}

#[test]
fn queues_that_were_closed_leave_no_session_behind() {
    for round in 0..8 {
        let runtime = runtime();
        let sessions: Vec<_> =
            (0..50).map(|seed| session(&runtime, Algorithm::Aes128Cbc, Direction::Forward, seed)).collect();
        for (seed, session) in (0..).zip(&sessions) {
            let (text, mut room) = ([7; 16], [0; 16]);
            runtime.run(Work::session(session, &text, &mut room).with_iv(IV)).unwrap();
            assert_eq!(room[..], encrypted(Algorithm::Aes128Cbc, seed, IV, &text), "round {round}");
        }
    }
}

#[test]
fn what_it_does_not_offer_is_an_error_that_names_it() {
    let runtime = runtime();
    for algorithm in [Algorithm::Aes128Ctr, Algorithm::Aes256Xts] {
        let spec = SessionSpec::keyed(algorithm, Direction::Forward, &key(algorithm, 1)).expect("a key");
        match runtime.session(spec) {
            Err(Error::UnsupportedAlgorithm { algorithm: named, .. }) => assert_eq!(named, algorithm),
            other => panic!("{other:?}"),
        }
    }
    match runtime.run(Work::fill(&mut [0; 10], 7)) {
        Err(Error::UnsupportedOperation { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn pointers_that_lead_nowhere_are_told_and_the_queue_goes_on() {
    let runtime = runtime();
    let encrypt = session(&runtime, Algorithm::Aes128Cbc, Direction::Forward, 5);
    let (text, mut room) = ([7; 64], [0; 64]);
    for _ in 0..3 {
        let mut work = RawWork::new(Operation::Encrypt);
        work.session = Some(&encrypt);
        (work.source, work.source_len) = (std::ptr::without_provenance(0x10_0000), 64);
        (work.destination, work.destination_len) = (room.as_mut_ptr(), 64);
        let error = run(&runtime, &work).expect_err("nothing is there");
        assert!(matches!(error, Error::BadPointer { fault, .. } if fault.address == 0x10_0000), "{error:?}");
        runtime.run(Work::session(&encrypt, &text, &mut room).with_iv(IV)).unwrap();
        assert_eq!(room[..], encrypted(Algorithm::Aes128Cbc, 5, IV, &text));
    }
}

#[test]
fn a_process_killed_in_the_middle_of_its_jobs_leaves_the_device_usable() {
    let opens = || match VfioBus::new().open(device()) {
        Ok(_) => true,
        Err(TransportError::Busy(_)) => false,
        Err(error) => panic!("{error}"),
    };
    eventually("the device is free", opens);
    let child = Child::run(|| {
        let runtime = runtime();
        let encrypt = session(&runtime, Algorithm::Aes128Cbc, Direction::Forward, 1);
        let (text, mut room) = (vec![1; 1 << 18], vec![0; 1 << 18]);
        loop {
            runtime.run(Work::session(&encrypt, &text, &mut room).with_iv(IV)).unwrap();
        }
    });
    eventually("the child has the device", || !opens());
    child.kill();
    eventually("the device is free", opens);
    let runtime = runtime();
    let encrypt = session(&runtime, Algorithm::Aes128Cbc, Direction::Forward, 6);
    let (text, mut room) = ([9; 4096], [0; 4096]);
    runtime.run(Work::session(&encrypt, &text, &mut room).with_iv(IV)).unwrap();
    assert_eq!(room[..], encrypted(Algorithm::Aes128Cbc, 6, IV, &text));
}

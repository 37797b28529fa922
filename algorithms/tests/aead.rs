//! Authenticated encryption against other libraries.

mod support;

use aes_gcm::aead::{Aead as _, KeyInit, Payload};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use chacha20poly1305::ChaCha20Poly1305;
use support::{SMALL, noise, runtimes, simulator, small, software};
use uaccel_algorithms::{Aead, AeadAlgorithm, Error};
use uaccel_runtime::{Fallback, Operation, SpecError};

const NONCE: [u8; 12] = [9; 12];

/// Seals with a library that is none of ours.
fn seal(algorithm: AeadAlgorithm, key: &[u8], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    let payload = Payload { msg, aad };
    let nonce = &NONCE.into();
    match algorithm {
        AeadAlgorithm::Aes128Gcm => Aes128Gcm::new_from_slice(key).unwrap().encrypt(nonce, payload),
        AeadAlgorithm::Aes256Gcm => Aes256Gcm::new_from_slice(key).unwrap().encrypt(nonce, payload),
        AeadAlgorithm::ChaCha20Poly1305 => ChaCha20Poly1305::new_from_slice(key).unwrap().encrypt(nonce, payload),
        _ => unreachable!("{algorithm:?} has no oracle"),
    }
    .unwrap()
}

fn key(algorithm: AeadAlgorithm) -> Vec<u8> {
    noise(algorithm.algorithm().key_len().unwrap(), 1)
}

#[test]
fn seals_and_opens_as_other_libraries_do() {
    for runtime in runtimes() {
        for algorithm in AeadAlgorithm::ALL {
            let key = key(algorithm);
            let aead = Aead::new(&runtime, algorithm, &key).unwrap();
            for len in [0, 1, 15, 16, 17, 4096, SMALL - 16, SMALL - 15, SMALL, 3 * SMALL] {
                for aad in [&b""[..], b"header", &noise(1000, 2)] {
                    let message = noise(len, 3);
                    let sealed = aead.seal(NONCE, aad, &message).unwrap();
                    assert_eq!(
                        sealed,
                        seal(algorithm, &key, aad, &message),
                        "{algorithm:?}, {len} bytes on {}",
                        runtime.device()
                    );
                    assert_eq!(aead.open(NONCE, aad, &sealed).unwrap(), message);
                }
            }
        }
    }
}

#[test]
fn anything_altered_leaves_no_plaintext() {
    for runtime in runtimes() {
        for algorithm in AeadAlgorithm::ALL {
            let aead = Aead::new(&runtime, algorithm, &key(algorithm)).unwrap();
            for len in [0, 40, 2 * SMALL] {
                let sealed = aead.seal(NONCE, b"header", &vec![b'p'; len]).unwrap();
                let fails = |nonce: [u8; 12], aad: &[u8], sealed: &[u8]| {
                    let mut room = vec![0x5a; len + 3];
                    let error = aead.open_into(nonce, aad, sealed, &mut room).unwrap_err();
                    assert!(matches!(error, Error::TagMismatch(Operation::Open)), "{algorithm:?}: {error}");
                    assert!(room[..len].iter().all(|byte| *byte == 0), "{algorithm:?} on {}", runtime.device());
                    assert_eq!(room[len..], [0x5a; 3]);
                };
                for at in [0, sealed.len() / 2, sealed.len() - 1] {
                    let mut altered = sealed.clone();
                    altered[at] ^= 0x80;
                    fails(NONCE, b"header", &altered);
                }
                fails(NONCE, b"hender", &sealed);
                fails([8; 12], b"header", &sealed);
                let mut owned = sealed.clone();
                owned[0] ^= 1;
                let finished = aead.submit_open(NONCE, b"header".to_vec(), owned, vec![0x5a; len].into_boxed_slice());
                // What the device does not take at once was done by the CPU.
                let finished = finished.unwrap().wait();
                assert!(matches!(finished.result, Err(Error::TagMismatch(Operation::Open))));
                assert!(finished.buffers.unwrap().1.iter().all(|byte| *byte == 0));
            }
        }
    }
}

#[test]
fn owned_messages_come_back_sealed() {
    for runtime in runtimes() {
        let aead = Aead::new(&runtime, AeadAlgorithm::Aes128Gcm, &[1; 16]).unwrap();
        let jobs: Vec<_> = (0..20u8)
            .map(|n| aead.submit_seal([n; 12], (), vec![n; 1000], Vec::with_capacity(1016)).unwrap())
            .collect();
        for (n, job) in (0..20u8).zip(jobs) {
            let (_, sealed) = job.wait().into_output().unwrap();
            assert_eq!(sealed, aead.seal([n; 12], b"", &[n; 1000]).unwrap());
        }
    }
}

#[test]
fn rooms_and_keys_of_the_wrong_length_are_named() {
    for runtime in runtimes() {
        let aead = Aead::new(&runtime, AeadAlgorithm::Aes256Gcm, &[1; 32]).unwrap();
        let error = aead.seal_into(NONCE, b"", &[0; 100], &mut [0; 115]).unwrap_err();
        assert!(
            matches!(error, Error::OutputTooSmall { operation: Operation::Seal, needed: Some(116), room: 115 }),
            "{error}"
        );
        let sealed = aead.seal(NONCE, b"", &[0; 100]).unwrap();
        let error = aead.open_into(NONCE, b"", &sealed, &mut [0; 99]).unwrap_err();
        assert!(
            matches!(error, Error::OutputTooSmall { operation: Operation::Open, needed: Some(100), room: 99 }),
            "{error}"
        );
        assert!(matches!(
            aead.open(NONCE, b"", &sealed[..15]),
            Err(Error::InvalidInput { operation: Operation::Open, .. })
        ));
        for (algorithm, actual) in
            [(AeadAlgorithm::Aes128Gcm, 32), (AeadAlgorithm::Aes256Gcm, 16), (AeadAlgorithm::ChaCha20Poly1305, 0)]
        {
            let error = Aead::new(&runtime, algorithm, &vec![1; actual]).unwrap_err();
            let expected = algorithm.algorithm().key_len().unwrap();
            let named = SpecError::KeyLength { algorithm: algorithm.algorithm(), expected, actual };
            assert!(matches!(&error, Error::Session(error) if *error == named), "{error}");
        }
    }
}

#[test]
fn messages_above_the_limit_go_to_the_cpu_or_are_refused() {
    let message = vec![1; SMALL - 15];
    let runtime = small().build().unwrap();
    Aead::new(&runtime, AeadAlgorithm::Aes128Gcm, &[1; 16]).unwrap().seal(NONCE, b"", &message).unwrap();
    let counters = runtime.counters();
    assert_eq!((counters.fallbacks, counters.fallback_bytes), (1, message.len() as u64));
    let never = small().fallback(Fallback::Never).build().unwrap();
    let aead = Aead::new(&never, AeadAlgorithm::Aes128Gcm, &[1; 16]).unwrap();
    assert!(matches!(aead.seal(NONCE, b"", &message), Err(Error::TooLarge { operation: Operation::Seal, .. })));
    // On the CPU nothing is too large.
    let cpu = software().fallback(Fallback::Never).build().unwrap();
    Aead::new(&cpu, AeadAlgorithm::Aes128Gcm, &[1; 16]).unwrap().seal(NONCE, b"", &message).unwrap();
    assert_eq!((cpu.counters().fallbacks, simulator().build().unwrap().counters().fallbacks), (0, 0));
}

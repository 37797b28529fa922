//! Digests, authentication codes and checksums against other libraries.

mod support;

use std::io::Write;

use aws_lc_rs::{digest, hmac};
use support::{SMALL, noise, runtimes, simulator, small, software, texts};
use uaccel_algorithms::{Checksum, Digest, DigestAlgorithm, Error, Mac, MacAlgorithm};
use uaccel_runtime::{Fallback, Operation};

fn oracle(algorithm: DigestAlgorithm, bytes: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        DigestAlgorithm::Sha256 => &digest::SHA256,
        DigestAlgorithm::Sha512 => &digest::SHA512,
        _ => unreachable!("{algorithm:?} has no oracle"),
    };
    digest::digest(algorithm, bytes).as_ref().to_vec()
}

#[test]
fn digests_are_those_of_another_library() {
    for runtime in runtimes() {
        for algorithm in DigestAlgorithm::ALL {
            let sha = Digest::new(&runtime, algorithm).unwrap();
            for text in texts() {
                let expected = oracle(algorithm, &text);
                assert_eq!(sha.digest(&text).unwrap().as_bytes(), expected);
                for piece in [1000, 70_000] {
                    let mut hasher = sha.hasher();
                    for piece in text.chunks(piece) {
                        hasher.write_all(piece).unwrap();
                    }
                    assert_eq!(hasher.finalize().unwrap().as_bytes(), expected);
                }
            }
        }
    }
}

#[test]
fn codes_are_those_of_another_library() {
    for runtime in runtimes() {
        for key in [&b""[..], b"key", &noise(64, 1), &noise(1000, 2)] {
            let mac = Mac::new(&runtime, MacAlgorithm::HmacSha256, key).unwrap();
            for text in texts() {
                let expected = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &text);
                let code = mac.code(&text).unwrap();
                assert_eq!(code.as_bytes(), expected.as_ref());
                let mut hasher = mac.hasher();
                hasher.update(&text).unwrap();
                assert_eq!(hasher.finalize().unwrap(), code);
                mac.verify(&text, code.as_bytes()).unwrap();
                let mut wrong = code.as_bytes().to_vec();
                wrong[31] ^= 1;
                for wrong in [&wrong[..], &wrong[..31], &[], &code.as_bytes()[..31], &[code.as_bytes(), &[0]].concat()]
                {
                    assert!(matches!(mac.verify(&text, wrong), Err(Error::TagMismatch(Operation::Digest))));
                }
            }
        }
    }
}

#[test]
fn long_streams_go_to_the_cpu_and_are_counted_once() {
    let runtime = simulator().build().unwrap();
    let sha = Digest::new(&runtime, DigestAlgorithm::Sha256).unwrap();
    let mut short = sha.hasher();
    short.update(&[1; 1000]).unwrap();
    short.finalize().unwrap();
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (1, 0));
    let mut long = sha.hasher();
    for _ in 0..100 {
        long.update(&[1; 1000]).unwrap();
    }
    assert_eq!(long.finalize().unwrap().as_bytes(), oracle(DigestAlgorithm::Sha256, &[1; 100_000]));
    let counters = runtime.counters();
    assert_eq!((counters.jobs, counters.fallbacks, counters.fallback_bytes), (1, 1, 100_000));

    let never = small().fallback(Fallback::Never).build().unwrap();
    let mut hasher = Digest::new(&never, DigestAlgorithm::Sha256).unwrap().hasher();
    hasher.update(&[1; SMALL]).unwrap();
    let error = hasher.update(&[1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { limit, .. } if limit == SMALL as u64), "{error}");
    assert_eq!(hasher.finalize().unwrap().as_bytes(), oracle(DigestAlgorithm::Sha256, &[1; SMALL]));
    let error = Digest::new(&never, DigestAlgorithm::Sha512).unwrap().digest(&[1; SMALL + 1]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");

    let cpu = software().fallback(Fallback::Never).build().unwrap();
    let mut hasher = Digest::new(&cpu, DigestAlgorithm::Sha256).unwrap().hasher();
    hasher.update(&[1; 100_000]).unwrap();
    hasher.finalize().unwrap();
    assert_eq!(cpu.counters().fallbacks, 0);
}

#[test]
fn checksums_of_any_length_are_those_of_another_library() {
    for fallback in [Fallback::Never, Fallback::OnError] {
        for builder in [software(), simulator(), small()] {
            let runtime = builder.fallback(fallback).build().unwrap();
            let (castagnoli, iso) = (Checksum::crc32c(&runtime), Checksum::crc32(&runtime));
            // The check values of both polynomials' published descriptions.
            assert_eq!(castagnoli.of(b"123456789").unwrap(), 0xE306_9283);
            assert_eq!(iso.of(b"123456789").unwrap(), 0xCBF4_3926);
            for len in [0, 1, 8, 1000, SMALL - 1, SMALL, SMALL + 1, 5 * SMALL + 3] {
                let bytes = noise(len, 3);
                let mut crc = flate2::Crc::new();
                crc.update(&bytes);
                assert_eq!(iso.of(&bytes).unwrap(), crc.sum());
                assert_eq!(castagnoli.of(&bytes).unwrap(), crc32c::crc32c(&bytes));
                let (a, b) = bytes.split_at(len / 3);
                assert_eq!(iso.continued(iso.of(a).unwrap(), b).unwrap(), crc.sum());
                assert_eq!(castagnoli.continued(castagnoli.of(a).unwrap(), b).unwrap(), crc32c::crc32c(&bytes));
            }
            assert_eq!(runtime.counters().fallbacks, 0);
        }
    }
}

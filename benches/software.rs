//! The CPU through the framework, beside the same library called directly with key and state reused.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use uaccel::{Algorithm, Direction, Runtime, SessionSpec, Work};

const LEN: usize = 4096;

fn software() -> Runtime {
    Runtime::builder().device("software").build().expect("the CPU is always there")
}

fn aes_gcm(criterion: &mut Criterion) {
    let runtime = software();
    let text = vec![7u8; LEN];
    let mut sealed = vec![0u8; LEN + 16];
    let mut group = criterion.benchmark_group("aes-128-gcm/4096");
    group.throughput(Throughput::Bytes(LEN as u64));

    let spec = SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Forward, &[1; 16]).expect("the key has its length");
    let session = runtime.session(spec).expect("the CPU offers it");
    group.bench_function("uaccel", |bencher| {
        bencher
            .iter(|| runtime.run(Work::session(&session, &text, &mut sealed).with_nonce([2; 12], b"")).expect("seals"));
    });

    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[1; 16]).expect("the key has its length"));
    group.bench_function("direct", |bencher| {
        bencher.iter(|| {
            sealed[..LEN].copy_from_slice(&text);
            let nonce = Nonce::assume_unique_for_key([2; 12]);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut sealed[..LEN]).expect("seals");
            sealed[LEN..].copy_from_slice(tag.as_ref());
        });
    });
}

fn deflate(criterion: &mut Criterion) {
    let runtime = software();
    let text: Vec<u8> = b"what goes in is not what comes out; ".iter().copied().cycle().take(LEN).collect();
    let mut packed = vec![0u8; 2 * LEN];
    let mut group = criterion.benchmark_group("deflate-6/4096");
    group.throughput(Throughput::Bytes(LEN as u64));

    let spec = SessionSpec::compression(Algorithm::Deflate, Direction::Forward, Some(6)).expect("the level exists");
    let session = runtime.session(spec).expect("the CPU offers it");
    group.bench_function("uaccel", |bencher| {
        bencher.iter(|| runtime.run(Work::session(&session, &text, &mut packed)).expect("packs"));
    });

    let mut compressor = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(6).expect("the level exists"));
    group.bench_function("direct", |bencher| {
        bencher.iter(|| compressor.deflate_compress(&text, &mut packed).expect("packs"));
    });
}

fn crc32c(criterion: &mut Criterion) {
    let runtime = software();
    let text = vec![7u8; LEN];
    let mut group = criterion.benchmark_group("crc-32c/4096");
    group.throughput(Throughput::Bytes(LEN as u64));
    group.bench_function("uaccel", |bencher| bencher.iter(|| runtime.run(Work::crc32c(&text, 0)).expect("sums")));
    group.bench_function("direct", |bencher| bencher.iter(|| crc_fast::checksum(Crc32Iscsi, &text)));
}

criterion_group!(benches, aes_gcm, deflate, crc32c);
criterion_main!(benches);

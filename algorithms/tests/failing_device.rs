//! A device that fails in the middle: the caller gets the right result all the same, or a clear error, as the policy says.

mod support;

use std::io::{Read, Write};

use support::{failing, noise, prose};
use uaccel_algorithms::{
    Aead, AeadAlgorithm, Checksum, Compressor, Decompressor, Digest, DigestAlgorithm, Error, Format, Memory, read,
    write,
};
use uaccel_runtime::Fallback;
use uaccel_sim::{Mishap, Plan, When};

/// So often that no operation gets by.
fn every_third() -> Plan {
    Plan::default().with(When::Every(3), Mishap::DeviceFailure(7))
}

#[test]
fn everything_comes_out_right_and_what_the_cpu_did_is_counted() {
    let (builder, plan) = failing();
    let runtime = builder.build().unwrap();
    plan.set(every_third());
    let text = [prose(300_000), noise(50_000, 1)].concat();
    for format in Format::ALL {
        let packed = Compressor::new(&runtime, format, 1)
            .or_else(|_| Compressor::new(&runtime, format, None))
            .unwrap()
            .compress(&text)
            .unwrap();
        assert_eq!(Decompressor::new(&runtime, format).unwrap().decompress(&packed, text.len()).unwrap(), text);
    }
    let aead = Aead::new(&runtime, AeadAlgorithm::Aes256Gcm, &[1; 32]).unwrap();
    let crc = Checksum::crc32c(&runtime);
    let sha = Digest::new(&runtime, DigestAlgorithm::Sha256).unwrap();
    let first = (aead.seal([0; 12], b"", &text).unwrap(), sha.digest(&text).unwrap());
    for _ in 0..10 {
        assert_eq!(aead.seal([0; 12], b"", &text).unwrap(), first.0);
        assert_eq!(aead.open([0; 12], b"", &first.0).unwrap(), text);
        assert_eq!(sha.digest(&text).unwrap(), first.1);
        assert_eq!(crc.of(&text).unwrap(), crc32c::crc32c(&text));
    }
    let counters = runtime.counters();
    assert!(counters.fallbacks >= 10 && counters.resets >= 10, "{counters:?}");
}

#[test]
fn a_batch_loses_nothing_and_does_nothing_twice_that_was_answered() {
    let (builder, plan) = failing();
    let runtime = builder.build().unwrap();
    let texts: Vec<_> = (0..100).map(|n| prose(n * 100)).collect();
    let slices: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    let zlib = Compressor::new(&runtime, Format::Zlib, 6).unwrap();
    let unzlib = Decompressor::new(&runtime, Format::Zlib).unwrap();
    plan.set(Plan::default().with(When::Nth(50), Mishap::DeviceFailure(7)));
    let batch = zlib.compress_batch(&slices);
    plan.set(Plan::default());
    for (packed, text) in batch.into_iter().zip(&texts) {
        assert_eq!(unzlib.decompress(&packed.unwrap(), text.len()).unwrap(), *text);
    }
    assert!(runtime.counters().resets == 1, "{:?}", runtime.counters());
    // Split copies go the same way.
    let memory = Memory::new(&runtime);
    let (source, mut destination) = (noise(20 << 20, 2), vec![0; 20 << 20]);
    plan.set(Plan::default().with(When::Nth(3), Mishap::DeviceFailure(7)));
    memory.copy(&source, &mut destination).unwrap();
    plan.set(Plan::default());
    assert!(source == destination);
}

#[test]
fn adaptors_go_on() {
    let (builder, plan) = failing();
    let runtime = builder.build().unwrap();
    let text = prose(1 << 20);
    plan.set(every_third());
    let mut encoder = write::GzEncoder::with_chunk(&runtime, Vec::new(), 1, 50_000).unwrap();
    encoder.write_all(&text).unwrap();
    let packed = encoder.finish().unwrap();
    let mut back = Vec::new();
    read::MultiGzDecoder::new(&runtime, &packed[..]).unwrap().read_to_end(&mut back).unwrap();
    assert!(back == text);
    assert!(runtime.counters().fallbacks > 3);
}

#[test]
fn without_fallback_the_failure_is_an_error_and_the_next_call_works() {
    let (builder, plan) = failing();
    let runtime = builder.fallback(Fallback::Never).build().unwrap();
    let gzip = Compressor::new(&runtime, Format::Gzip, 1).unwrap();
    let aead = Aead::new(&runtime, AeadAlgorithm::Aes128Gcm, &[1; 16]).unwrap();
    let sealed = aead.seal([0; 12], b"", &[b'p'; 1000]).unwrap();

    plan.set(Plan::default().with(When::Nth(1), Mishap::DeviceFailure(7)));
    assert!(matches!(gzip.compress(b"text"), Err(Error::DeviceFailed { .. })));
    gzip.compress(b"text").unwrap();

    plan.set(Plan::default().with(When::Nth(1), Mishap::ImpossibleLengths));
    let mut room = [0x5a; 1000];
    assert!(matches!(aead.open_into([0; 12], b"", &sealed, &mut room), Err(Error::DeviceFailed { .. })));
    assert!(room.iter().all(|byte| *byte == 0), "what was decrypted and not reported is wiped");
    aead.open_into([0; 12], b"", &sealed, &mut room).unwrap();

    let mut encoder = write::GzEncoder::new(&runtime, Vec::new(), 1).unwrap();
    encoder.write_all(b"text").unwrap();
    plan.set(Plan::default().with(When::Nth(1), Mishap::DeviceFailure(7)));
    let error = encoder.finish().unwrap_err();
    assert!(matches!(error.get_ref().unwrap().downcast_ref(), Some(Error::DeviceFailed { .. })), "{error}");
    assert_eq!(runtime.counters().fallbacks, 0);
}

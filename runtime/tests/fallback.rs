//! When the CPU takes the device's place, and when it must not.

#![allow(clippy::cast_possible_truncation, reason = "small numbers of the tests themselves")]

mod device;

use device::{PATIENCE, simulated};
use uaccel_runtime::{
    Algorithm, Direction, Error, Fallback, HISI_ZIP_SIMULATOR, OwnedWork, Runtime, SessionSpec, Work,
};
use uaccel_sim::{Mishap, Plan, WarpConfig, When};

#[test]
fn a_stalled_device_costs_its_deadline_and_then_the_cpu_does_the_job() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.fallback(Fallback::OnError).build().unwrap();
    plan.hold();
    let source = vec![3; 10_000];
    let mut destination = vec![0; 10_000];
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert_eq!(source, destination);
    let counters = runtime.counters();
    assert_eq!((counters.fallbacks, counters.fallback_bytes, counters.deadlines), (1, 10_000, 1));
}

#[test]
fn a_failing_device_is_replaced_job_by_job_and_nothing_is_lost() {
    let (builder, plan) = simulated(WarpConfig::default());
    let runtime = builder.fallback(Fallback::OnError).deadline(PATIENCE).build().unwrap();
    plan.set(Plan::default().with(When::Every(5), Mishap::ImpossibleLengths));
    for round in 0..50u8 {
        let source = [round; 777];
        let mut destination = [0; 777];
        runtime.run(Work::copy(&source, &mut destination)).unwrap();
        assert_eq!(source, destination);
    }
    assert_eq!(runtime.counters().fallbacks, 10);
}

#[test]
fn the_callers_own_mistakes_are_not_tried_again() {
    let (builder, _plan) = simulated(WarpConfig::default());
    let runtime = builder.fallback(Fallback::OnError).build().unwrap();
    let inflate = SessionSpec::compression(Algorithm::Zlib, Direction::Inverse, None).unwrap();
    let inflate = runtime.session(inflate).unwrap();
    let open =
        runtime.session(SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Inverse, &[0; 16]).unwrap()).unwrap();
    let mut room = [0; 100];
    assert!(matches!(runtime.run(Work::session(&inflate, b"not zlib at all", &mut room)), Err(Error::Corrupt(_))));
    let forged = Work::session(&open, &[0; 40], &mut room).with_nonce([0; 12], b"");
    assert!(matches!(runtime.run(forged), Err(Error::TagMismatch(_))));
    assert!(matches!(runtime.run(Work::copy(&[0; 10], &mut room[..9])), Err(Error::OutputTooSmall { .. })));
    assert_eq!(runtime.counters().fallbacks, 0);
}

#[test]
fn what_is_too_large_for_the_device_goes_to_the_cpu_or_is_refused_with_the_limit() {
    let small = WarpConfig { max_transfer: 4096, ..WarpConfig::default() };
    let source = vec![9; 4097];
    let mut destination = vec![0; 4097];

    let (builder, _plan) = simulated(small);
    let runtime = builder.fallback(Fallback::OnError).build().unwrap();
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert_eq!((runtime.counters().fallbacks, &source), (1, &destination));
    let finished = runtime.submit(OwnedWork::copy(source.clone(), vec![0; 4097])).unwrap().wait();
    assert_eq!(finished.into_output().unwrap().1, source);
    assert_eq!(runtime.counters().fallbacks, 2);

    let (builder, _plan) = simulated(small);
    let runtime = builder.fallback(Fallback::Never).build().unwrap();
    let refused = runtime.run(Work::copy(&source, &mut destination));
    assert!(matches!(refused, Err(Error::TooLarge { len: 4097, limit: 4096, .. })), "{refused:?}");
}

#[test]
fn what_is_too_large_does_not_wait_for_a_queue() {
    let small = WarpConfig { max_transfer: 4096, ..WarpConfig::default() };
    let (builder, _plan) = simulated(small);
    let runtime = builder.fallback(Fallback::OnError).queues(1).deadline(PATIENCE).build().unwrap();
    let _the_only_queue = runtime.lease().unwrap();
    let source = vec![9; 4097];
    let mut destination = vec![0; 4097];
    let begun = std::time::Instant::now();
    runtime.run(Work::copy(&source, &mut destination)).unwrap();
    assert_eq!(source, destination);
    assert!(begun.elapsed() < PATIENCE, "waited for the queue that is leased out");
}

#[test]
fn an_output_beyond_the_device_is_not_mistaken_for_a_small_buffer() {
    let small = WarpConfig { max_transfer: 4096, ..WarpConfig::default() };
    let text = vec![0u8; 100_000];
    let (builder, _plan) = simulated(small);
    let runtime = builder.fallback(Fallback::OnError).build().unwrap();
    let deflate =
        runtime.session(SessionSpec::compression(Algorithm::Zlib, Direction::Forward, None).unwrap()).unwrap();
    let inflate =
        runtime.session(SessionSpec::compression(Algorithm::Zlib, Direction::Inverse, None).unwrap()).unwrap();
    let mut packed = vec![0; 4000];
    let len = runtime.run(Work::session(&deflate, &text, &mut packed)).unwrap().produced;
    packed.truncate(len.try_into().unwrap());
    let mut back = vec![1; 100_000];
    runtime.run(Work::session(&inflate, &packed, &mut back)).unwrap();
    assert_eq!(text, back);
}

#[test]
fn small_jobs_stay_on_the_cpu_when_asked_to() {
    let (builder, _plan) = simulated(WarpConfig::default());
    let runtime = builder.fallback(Fallback::Auto { below: 1000 }).build().unwrap();
    let mut destination = vec![0; 1000];
    runtime.run(Work::copy(&[1; 999], &mut destination)).unwrap();
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (0, 1));
    runtime.run(Work::copy(&[1; 1000], &mut destination)).unwrap();
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (1, 1));
    let small = runtime.submit(OwnedWork::crc32c(vec![1; 10], 0)).unwrap().wait();
    assert!(small.result.is_ok());
    assert_eq!((runtime.counters().jobs, runtime.counters().fallbacks), (1, 2));
}

#[test]
fn the_cpu_offers_every_algorithm() {
    let runtime = Runtime::builder().device("software").build().unwrap();
    for algorithm in Algorithm::ALL {
        let spec = match algorithm.family() {
            uaccel_runtime::Family::Compression => SessionSpec::compression(algorithm, Direction::Forward, None),
            uaccel_runtime::Family::Aead | uaccel_runtime::Family::Cipher => {
                let key: Vec<u8> = (0..64).take(algorithm.key_len().unwrap()).collect();
                SessionSpec::keyed(algorithm, Direction::Forward, &key)
            }
            _ => SessionSpec::digest(algorithm, b""),
        };
        runtime.session(spec.unwrap()).unwrap_or_else(|error| panic!("{algorithm}: {error}"));
    }
}

#[test]
fn what_a_device_does_not_offer_is_refused_by_name_or_left_to_the_cpu() {
    let cipher = || SessionSpec::keyed(Algorithm::Aes128Gcm, Direction::Forward, &[1; 16]).unwrap();
    let windowed = || {
        let spec = SessionSpec::compression(Algorithm::Deflate, Direction::Forward, None).unwrap();
        spec.with_window(4096).unwrap()
    };
    let compressor = || Runtime::builder().device(HISI_ZIP_SIMULATOR);
    let (engine, _plan) = simulated(WarpConfig::default());
    for (builder, spec) in [(compressor(), cipher()), (engine, windowed())] {
        let runtime = builder.clone().fallback(Fallback::Never).build().unwrap();
        let refused = runtime.session(spec.clone()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(runtime.device()), "{refused}");
        assert!(refused.contains(spec.algorithm().name()), "{refused}");
        assert_eq!(runtime.offers(&spec).unwrap_err().to_string(), refused);

        let runtime = builder.fallback(Fallback::OnError).build().unwrap();
        runtime.session(spec.clone()).expect("the CPU has it");
        assert_eq!(runtime.offers(&spec).unwrap_err().to_string(), refused, "the device has not");
    }
    let runtime = compressor().build().unwrap();
    runtime.offers(&windowed()).expect("an engine with windows");
}

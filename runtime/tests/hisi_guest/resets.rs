//! The controller fails, and its driver resets it. Needs a guest whose device fails after some jobs, and is run by name.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use uaccel_queue::Bus;
use uaccel_runtime::uacce::UacceBus;
use uaccel_runtime::{Algorithm, Direction, Error, Fallback, OwnedWork, Runtime, SessionSpec, Verdict};

use crate::bench::{DEVICE, builder, eventually, folder, number};
use crate::formats::{session, unpacked};
use crate::round::{Rounds, text};

/// Jobs on all queues of a runtime, on several threads, until the device has failed as often as it should. Each job ends once, well or with an error that blames the
/// device. Says how many did not end well.
fn work_through(runtime: &Runtime, enough: impl Fn() -> bool + Sync) -> u64 {
    let (failed, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let (failed, over) = (&failed, &over);
            scope.spawn(move || {
                let pack = session(runtime, Algorithm::Zlib, Direction::Forward);
                let mut seed = thread * 1_000_000;
                while !over.load(Ordering::Relaxed) {
                    let start = |seed| {
                        let text = text(seed);
                        let room = vec![0; 2 * text.len()];
                        (seed, runtime.submit(OwnedWork::session(&pack, text, room)))
                    };
                    let jobs: Vec<_> = (seed..seed + 4).map(start).collect();
                    seed += 4;
                    for (seed, job) in jobs {
                        let finished = match job {
                            Ok(job) => job.wait(),
                            // There is no queue while the controller is reset.
                            Err(rejected) => {
                                assert!(rejected.error.is_device_failure(), "{:?}", rejected.error);
                                failed.fetch_add(1, Ordering::Relaxed);
                                continue;
                            }
                        };
                        match finished.result {
                            Ok(outcome) => {
                                let (_, stream, ()) = finished.buffers.expect("it ended well");
                                assert!(unpacked(Algorithm::Zlib, &stream[..outcome.produced as usize]) == text(seed));
                            }
                            Err(error) => {
                                assert!(error.is_device_failure(), "{error:?}");
                                assert!(finished.buffers.is_some(), "the kernel has taken the queue away");
                                failed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            eventually("the device has failed", &enough);
            over.store(true, Ordering::Relaxed);
        });
    });
    failed.into_inner()
}

#[test]
#[ignore = "needs a device that fails after some jobs"]
fn a_controller_reset_under_load_fails_each_job_once_and_the_work_goes_on() {
    let free = number("available_instances");
    let runtime = builder().queues(3).build().unwrap();
    let failed = work_through(&runtime, || runtime.counters().resets > 0);
    // Who was there before goes on, and so does who comes.
    eventually("the device works", || {
        let rounds = Rounds::new(&runtime);
        runtime.lease().is_ok_and(|mut lease| rounds.run(&mut lease, 7).is_ok())
    });
    let other = builder().queues(1).build().unwrap();
    Rounds::new(&other).run(&mut other.lease().unwrap(), 8).unwrap();
    assert_eq!(runtime.counters().lost, 0);
    println!("{failed} jobs failed, {} resets", runtime.counters().resets);
    assert_eq!(fs::read_to_string(folder().join("isolate")).unwrap().trim(), "0");
    drop((runtime, other));
    eventually("the queues are back", || number("available_instances") == free);
}

#[test]
#[ignore = "needs a device that fails after some jobs, and cannot be reset"]
fn a_device_whose_reset_fails_isolates_itself_and_is_refused_with_the_reason() {
    let runtime = builder().queues(2).build().unwrap();
    work_through(&runtime, || fs::read_to_string(folder().join("isolate")).is_ok_and(|text| text.trim() == "1"));
    // Nothing hangs: whoever still tries is told.
    let pack = session(&runtime, Algorithm::Zlib, Direction::Forward);
    let refused = match runtime.submit(OwnedWork::session(&pack, vec![1; 100], vec![0; 300])) {
        Ok(job) => job.wait().result.unwrap_err(),
        Err(rejected) => rejected.error,
    };
    assert!(refused.is_device_failure(), "{refused:?}");
    let info = UacceBus::new().devices().into_iter().find(|info| info.name == DEVICE).expect("it is listed");
    let unusable = info.unusable.expect("it is isolated");
    assert!(unusable.reason.contains("isolated"), "{}", unusable.reason);
    assert!(UacceBus::new().open(DEVICE).is_err_and(|error| error.to_string().contains("isolated")));
    // Who names it is told why, and who does not is served by the CPU.
    let Err(Error::NoDevice(report)) = builder().build() else { panic!("it opens") };
    let entry = report.entries().iter().find(|entry| entry.info.name == DEVICE).expect("it is listed");
    assert!(matches!(&entry.verdict, Verdict::Unusable { reason, .. } if reason.contains("isolated")), "{report}");
    assert_eq!(Runtime::new().unwrap().device(), "software");
}

#[test]
#[ignore = "needs a device that fails after some jobs"]
fn a_stream_goes_on_where_it_stood_when_the_device_was_reset() {
    let runtime = builder().queues(1).fallback(Fallback::OnError).build().unwrap();
    let text = text(11).repeat(40);
    let mut stream =
        runtime.stream(SessionSpec::compression(Algorithm::Gzip, Direction::Forward, None).unwrap()).unwrap();
    let (mut made, mut room, mut used) = (Vec::new(), vec![0; 4000], 0);
    loop {
        let piece = &text[used..text.len().min(used + 1000)];
        let step = stream.run(piece, &mut room, used + piece.len() == text.len()).unwrap();
        made.extend_from_slice(&room[..step.produced]);
        used += step.consumed;
        if step.ended {
            break;
        }
    }
    assert!(unpacked(Algorithm::Gzip, &made) == text);
    let counters = runtime.counters();
    assert!(counters.repeats > 0 && counters.resets > 0 && counters.lost == 0, "{counters:?}");
}

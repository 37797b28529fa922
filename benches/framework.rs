//! What the framework itself costs: jobs that do nothing, on the null device and on the simulated engine.
//!
//! `accel-bench raw --beside` measures the same beside the machine's limits; here are criterion's statistics and its comparison with an earlier run.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use uaccel::{Lease, OwnedWork, Runtime};

/// Runs one burst of jobs that do nothing.
fn burst(lease: &mut Lease, jobs: usize) {
    lease
        .scope(|scope| {
            for _ in 0..jobs {
                scope.nop().expect("the queue is empty");
            }
            scope.finish(|answer| assert!(answer.is_ok())).expect("the device is there");
        })
        .expect("the runtime is ours");
}

fn nops(criterion: &mut Criterion) {
    // Shallow queues are answered in the job's own line, deep ones in rings.
    for (device, depth) in [("null", 128), ("sim", 8), ("sim", 256)] {
        let runtime = Runtime::builder().device(device).depth(depth).build().expect("the device opens");
        let mut lease = runtime.lease().expect("a queue is free");
        let mut group = criterion.benchmark_group(format!("nop/{device}/depth-{depth}"));
        for jobs in [1, 32].into_iter().filter(|jobs| *jobs <= depth) {
            group.throughput(Throughput::Elements(jobs as u64));
            group.bench_function(format!("burst-{jobs}"), |bencher| bencher.iter(|| burst(&mut lease, jobs)));
        }
        group.finish();
        drop(lease);
        criterion.bench_function(&format!("nop/{device}/depth-{depth}/owned"), |bencher| {
            bencher.iter(|| runtime.submit(OwnedWork::nop()).expect("the queue is empty").wait().result.is_ok());
        });
    }
}

fn copies(criterion: &mut Criterion) {
    let runtime = Runtime::builder().device("sim").build().expect("the device opens");
    let mut group = criterion.benchmark_group("copy/sim/owned");
    for len in [4 << 10, 64 << 10, 1 << 20] {
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(format!("{len}"), |bencher| {
            bencher.iter_batched(
                || (vec![1u8; len], vec![0u8; len]),
                |(source, destination)| runtime.submit(OwnedWork::copy(source, destination)).expect("room").wait(),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, nops, copies);
criterion_main!(benches);

//! How the algorithms use a runtime: threads, futures, policies, the environment.

mod support;

use std::future::Future;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use support::{noise, prose, runtimes, simulator, software};
use uaccel_algorithms::{
    Aead, AeadAlgorithm, Checksum, Compressor, Decompressor, Digest, DigestAlgorithm, Error, Format, Hasher, Level,
    Mac, Memory,
};
use uaccel_runtime::{DEVICE_VARIABLE, Runtime};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn jobs_are_awaited_on_another_thread_than_they_were_submitted_on() {
    for runtime in runtimes() {
        let gzip = Compressor::new(&runtime, Format::Gzip, 6).unwrap();
        let gunzip = Decompressor::new(&runtime, Format::Gzip).unwrap();
        let texts: Vec<_> = (0..30).map(|n| prose(1000 * n)).collect();
        let jobs: Vec<_> = texts
            .iter()
            .map(|text| gzip.submit(text.clone(), Vec::with_capacity(gzip.bound(text.len()).unwrap())).unwrap())
            .collect();
        let unpacked = thread::spawn(move || {
            jobs.into_iter()
                .map(|job| {
                    block_on(async {
                        let (_, packed) = job.await.into_output()?;
                        // The text is at hand, so its length is known.
                        let (_, text) = gunzip
                            .submit(packed, Vec::with_capacity(30_000))
                            .map_err(|rejected| rejected.error)?
                            .await
                            .into_output()?;
                        Ok::<_, Error>(text)
                    })
                })
                .collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(unpacked.join().unwrap().unwrap(), texts);
    }
}

#[test]
fn a_full_queue_gives_the_buffers_back() {
    let runtime = simulator().depth(2).queues(1).build().unwrap();
    let zlib = Compressor::new(&runtime, Format::Zlib, 6).unwrap();
    #[allow(clippy::result_large_err, reason = "the buffers are in it")]
    let submit = |n: u8| zlib.submit(vec![n; 5000], Vec::with_capacity(6000));
    let mut jobs = vec![submit(0).unwrap(), submit(1).unwrap()];
    let rejected = submit(2).unwrap_err();
    assert!(matches!(rejected.error, Error::QueueFull));
    jobs.remove(0).wait().into_output().unwrap();
    let job = runtime.submit(rejected.work).unwrap();
    let (_, packed) = job.wait().into_output().unwrap();
    assert_eq!(Decompressor::new(&runtime, Format::Zlib).unwrap().decompress(&packed, 5000).unwrap(), [2; 5000]);
}

#[test]
fn eight_threads_share_everything() {
    for runtime in runtimes() {
        let zstd = Compressor::new(&runtime, Format::Zstd, Level::Fast).unwrap();
        let unzstd = Decompressor::new(&runtime, Format::Zstd).unwrap();
        let aead = Aead::new(&runtime, AeadAlgorithm::Aes128Gcm, &[1; 16]).unwrap();
        let sha = Digest::new(&runtime, DigestAlgorithm::Sha256).unwrap();
        let (crc, memory) = (Checksum::crc32c(&runtime), Memory::new(&runtime));
        thread::scope(|scope| {
            for thread in 0..8u8 {
                let (zstd, unzstd, aead, sha, crc, memory) = (&zstd, &unzstd, &aead, &sha, &crc, &memory);
                scope.spawn(move || {
                    for n in 0..20u8 {
                        let text = [prose(usize::from(n) * 777), noise(100, u64::from(thread))].concat();
                        let packed = zstd.compress(&text).unwrap();
                        assert_eq!(unzstd.decompress(&packed, text.len()).unwrap(), text);
                        let nonce = [thread, n, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                        let sealed = aead.seal(nonce, &[thread], &packed).unwrap();
                        assert_eq!(aead.open(nonce, &[thread], &sealed).unwrap(), packed);
                        let mut hasher = sha.hasher();
                        hasher.update(&text).unwrap();
                        assert_eq!(hasher.finalize().unwrap(), sha.digest(&text).unwrap());
                        assert_eq!(crc.of(&text).unwrap(), crc32c::crc32c(&text));
                        let mut copy = vec![0; text.len()];
                        memory.copy(&text, &mut copy).unwrap();
                        assert_eq!(memory.difference(&text, &copy).unwrap(), None);
                        let batch = zstd.compress_batch(&[&text, &packed]);
                        assert_eq!(batch[0].as_ref().unwrap(), &packed);
                    }
                });
            }
        });
        let counters = runtime.counters();
        assert!(counters.jobs >= 8 * 20 * 9 && counters.failures == 0, "{counters:?}");
    }
}

#[test]
fn the_environment_names_the_device() {
    const CHILD: &str = "UACCEL_TEST_PRINTS_ITS_DEVICE";
    if std::env::var_os(CHILD).is_some() {
        let runtime = Runtime::new().unwrap();
        Compressor::new(&runtime, Format::Gzip, 1).unwrap().compress(b"text").unwrap();
        println!("device={}", runtime.device());
        return;
    }
    let run = |device: &str| {
        let test = std::env::current_exe().unwrap();
        let mut child = Command::new(test);
        child
            .args(["--exact", "the_environment_names_the_device", "--nocapture"])
            .env(CHILD, "")
            .env(DEVICE_VARIABLE, device);
        let output = child.output().unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    for device in ["software", "sim"] {
        let (success, printed) = run(device);
        assert!(success && printed.contains(&format!("device={device}")), "{printed}");
    }
    assert!(!run("nonesuch").0);
}

#[test]
fn the_null_device_computes_nothing_and_nobody_stands_in_for_it() {
    let runtime = Runtime::builder().device("null").build().unwrap();
    assert!(Compressor::new(&runtime, Format::Gzip, 6).unwrap().compress(b"text").unwrap().is_empty());
    assert_eq!(runtime.counters().fallbacks, 0);
}

#[test]
fn handles_can_be_shared_between_threads() {
    fn shares<T: Send + Sync + Clone>() {}
    fn sends<T: Send>() {}
    shares::<Compressor>();
    shares::<Decompressor>();
    shares::<Aead>();
    shares::<Digest>();
    shares::<Mac>();
    shares::<Checksum>();
    shares::<Memory>();
    sends::<Hasher>();
    drop(software());
}

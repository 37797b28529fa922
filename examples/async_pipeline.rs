//! Keeps sixteen jobs in flight from one thread, with plain futures and no executor; results come in order.
//!
//! ```text
//! cargo run --release --example async_pipeline [DEVICE]
//! ```

use std::collections::VecDeque;
use std::error::Error;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use uaccel::{Compressor, Decompressor, Format, JobFuture, Level, Runtime};

/// Jobs in flight.
const DEPTH: usize = 16;

const BLOCKS: u32 = 400;

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = Runtime::builder();
    if let Some(device) = std::env::args().nth(1) {
        builder = builder.device(device);
    }
    let runtime = builder.build()?;
    let blocks = block_on(compress_all(&runtime))?;

    // In order: each says which one it is.
    let decompressor = Decompressor::new(&runtime, Format::Zstd)?;
    for (number, packed) in (0..).zip(&blocks) {
        if decompressor.decompress(packed, 1 << 20)? != block(number) {
            return Err(format!("block {number} came back as another one").into());
        }
    }
    let packed: usize = blocks.iter().map(Vec::len).sum();
    println!("{} blocks on device '{}', packed to {packed} bytes, in order", blocks.len(), runtime.device());
    println!("{:#?}", runtime.counters());
    Ok(())
}

/// Any executor would do. While this waits for the oldest job, those behind it are worked on.
async fn compress_all(runtime: &Runtime) -> Result<Vec<Vec<u8>>, uaccel::Error> {
    let compressor = Compressor::new(runtime, Format::Zstd, Level::Default)?;
    let mut in_flight: VecDeque<JobFuture<Vec<u8>, Vec<u8>>> = VecDeque::with_capacity(DEPTH);
    let mut done = Vec::new();
    for number in 0..BLOCKS {
        if in_flight.len() == DEPTH
            && let Some(oldest) = in_flight.pop_front()
        {
            let (_, packed) = oldest.await.into_output()?;
            done.push(packed);
        }
        // The job owns both buffers: the future can be dropped, forgotten or sent to another thread.
        let text = block(number);
        let room = Vec::with_capacity(compressor.bound(text.len()).unwrap_or_default());
        in_flight.push_back(compressor.submit(text, room).map_err(|rejected| rejected.error)?);
    }
    for job in in_flight {
        let (_, packed) = job.await.into_output()?;
        done.push(packed);
    }
    Ok(done)
}

fn block(number: u32) -> Vec<u8> {
    format!("this is block {number}, and it says so often; ").repeat(300).into_bytes()
}

/// The smallest executor: polls, and parks the thread until woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

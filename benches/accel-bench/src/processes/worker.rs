//! The process that works for another one: opens a device, and measures what it is told.

use std::cell::OnceCell;
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use accel_bench_raw::pin;
use uaccel_cli::reason::with_sources;
use uaccel_runtime::{Error, Lease};

use super::order::{CaseOrder, OpenOrder, Order, Reply, Stretch};
use crate::Interrupt;
use crate::case::{Case, CaseError};
use crate::corpus::Corpus;
use crate::device::{Device, DeviceOptions};
use crate::exit::{self, Failure};
use crate::measure::{Method, Window, measure};
use crate::run::flip_one_bit;

/// Serves orders from standard input until there are no more.
///
/// # Errors
/// [`Failure::Failed`] if an order makes no sense; [`Failure::Output`] if nobody reads the answers.
pub(crate) fn work(interrupt: &Interrupt) -> Result<u8, Failure> {
    let wire = Arc::new(Wire::default());
    let Some(order) = wire.receive()? else { return Ok(exit::DONE) };
    let Order::Open(open) = order else { return Err(Failure::Failed(format!("{order:?} before the device is open"))) };
    let worker = match Worker::open(&open, wire.clone(), interrupt) {
        Ok(worker) => worker,
        Err(failure) => {
            wire.send(&Reply::Failed(failure.to_string()))?;
            return Ok(failure.code());
        }
    };
    let _pin = open.cpu.map(pin).transpose().map_err(|error| Failure::Failed(with_sources(&error)))?;
    wire.send(&Reply::Ready)?;
    while let Some(order) = wire.receive()? {
        let reply = match order {
            Order::Case(case) => worker.measure(&case),
            Order::Nothing { burst } => worker.count(burst),
            other => return Err(Failure::Failed(format!("{other:?} in place of a case"))),
        };
        wire.send(&reply)?;
    }
    Ok(exit::DONE)
}

/// Standard input and output. Used by one thread at a time.
#[derive(Debug, Default)]
struct Wire(Mutex<()>);

impl Wire {
    /// The next order; `None` if there are no more.
    fn receive(&self) -> io::Result<Option<Order>> {
        let _turn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(serde_json::from_str(&line)?))
    }

    fn send(&self, reply: &Reply) -> io::Result<()> {
        let mut line = serde_json::to_vec(reply)?;
        line.push(b'\n');
        let mut out = io::stdout().lock();
        out.write_all(&line)?;
        out.flush()
    }

    /// Says that everything is warm, and learns when to begin. `None` if nothing is to be measured, or nobody is there any more.
    fn gate(&self) -> Option<Window> {
        self.send(&Reply::Ready).ok()?;
        match self.receive() {
            Ok(Some(Order::Begin(stretch))) => Some(Stretch::window(stretch)),
            _ => None,
        }
    }
}

/// An open device, and what inputs are cut from.
struct Worker {
    device: Device,
    /// Made when it is needed first.
    corpus: OnceCell<Corpus>,
    open: OpenOrder,
    wire: Arc<Wire>,
    interrupt: Interrupt,
}

impl Worker {
    fn open(open: &OpenOrder, wire: Arc<Wire>, interrupt: &Interrupt) -> Result<Self, Failure> {
        let options = DeviceOptions {
            depth: open.depth,
            queues: open.threads,
            socket: open.socket.clone(),
            ..DeviceOptions::default()
        };
        let device = Device::open(&open.device, &options)?;
        Ok(Self { device, corpus: OnceCell::new(), open: open.clone(), wire, interrupt: interrupt.clone() })
    }

    fn corpus(&self) -> Result<&Corpus, Failure> {
        if let Some(corpus) = self.corpus.get() {
            return Ok(corpus);
        }
        let corpus = if self.open.files.is_empty() {
            Corpus::generated(self.open.seed)
        } else {
            Corpus::of_files(&self.open.files).map_err(|(path, source)| Failure::File { path, source })?
        };
        Ok(self.corpus.get_or_init(|| corpus))
    }

    fn measure(&self, order: &CaseOrder) -> Reply {
        let corpus = match self.corpus() {
            Ok(corpus) => corpus,
            Err(failure) => return Reply::Failed(failure.to_string()),
        };
        let workload = match order.workload.parse() {
            Ok(workload) => workload,
            Err(error) => return Reply::Failed(format!("{error}")),
        };
        let case = Case::new(workload, order.size, order.level, corpus, self.open.seed);
        let case = case.and_then(|case| case.with_window(order.window));
        let case = match case {
            Ok(case) => case,
            Err(error @ CaseError::TextLength { .. }) => return Reply::Unsupported(error.to_string()),
            Err(error) => return Reply::Failed(error.to_string()),
        };
        let wire = self.wire.clone();
        let method = Method {
            depth: self.open.depth,
            threads: self.open.threads,
            // The bound of the round before the stretch.
            time: Duration::from_millis(250),
            jobs: order.jobs,
            verify: order.verify,
            interrupt: self.interrupt.clone(),
            tamper: self.open.corrupt.then(flip_one_bit),
            gate: Some(Arc::new(move || wire.gate())),
        };
        match measure(&self.device, &case, &method) {
            Ok(found) => Reply::Found(Box::new(found)),
            Err(
                error @ (Error::UnsupportedAlgorithm { .. }
                | Error::UnsupportedWindow { .. }
                | Error::UnsupportedOperation { .. }),
            ) => Reply::Unsupported(error.to_string()),
            Err(error) => Reply::Failed(with_sources(&error)),
        }
    }

    /// Jobs that do nothing, as many as there is time for, `depth` of them in flight.
    fn count(&self, burst: usize) -> Reply {
        let counted = self.device.runtime.lease().and_then(|mut lease| {
            let mut until = |ends: Instant| {
                // Once at least: who gets no processor before the end has a low rate, and not none.
                let mut jobs = stream(&mut lease, self.open.depth, burst)?;
                while Instant::now() < ends {
                    jobs += stream(&mut lease, self.open.depth, burst)?;
                }
                Ok::<_, Error>(jobs)
            };
            until(Instant::now() + WARM_UP)?;
            let Some(window) = self.wire.gate() else { return Ok((0, Duration::ZERO)) };
            std::thread::sleep(window.begins.saturating_duration_since(Instant::now()));
            let jobs = until(window.ends)?;
            Ok((jobs, window.begins.elapsed()))
        });
        match counted {
            Ok((jobs, elapsed)) => Reply::Counted { jobs, elapsed },
            Err(error) => Reply::Failed(with_sources(&error)),
        }
    }
}

/// How long jobs that do nothing are done before anything is counted.
const WARM_UP: Duration = Duration::from_millis(20);
/// Such jobs between two looks at the clock.
const PER_LOOK: u64 = 4096;

/// Keeps up to `depth` jobs that do nothing in flight, at most `burst` of them built before each doorbell. How many of [`PER_LOOK`] ended
/// well.
fn stream(lease: &mut Lease, depth: usize, burst: usize) -> Result<u64, Error> {
    lease.scope(|scope| {
        let (mut built, mut answered, mut good) = (0, 0, 0);
        while answered < PER_LOOK {
            let room = (depth as u64 - (built - answered)).min(burst as u64).min(PER_LOOK - built);
            for _ in 0..room {
                scope.nop()?;
            }
            built += room;
            scope.submit()?;
            scope.wait(|answer| {
                answered += 1;
                good += u64::from(answer.is_ok());
            });
        }
        Ok(good)
    })?
}

//! A client process: threads that work on one runtime, or one that behaves oddly.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use accel_bench::case::CaseError;
use accel_bench::corpus::Corpus;
use accel_bench::random::Random;
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork, getppid};
use uaccel_runtime::{Error, Fallback, Runtime, Work};

use crate::cases;
use crate::hand::{Hand, Tools, complain};
use crate::log::{Log, Name};

/// The file in the run's folder that tells all workers to end.
pub const STOP: &str = "stop";
/// How long a device may take to be there.
const PATIENCE: Duration = Duration::from_secs(60);
/// Threads of a child that was forked are numbered from here.
const FORKED: u32 = 1000;
/// The seed of the generated corpus, the same for all processes.
const CORPUS: u64 = 1;

/// How a client process behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// It works.
    Ordinary,
    /// It works, and forks children that open the device for themselves.
    Forks,
    /// It works, and becomes another program with jobs in flight, again and again.
    Execs,
    /// It fills its queue and does not look at it.
    Silent,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ordinary => "ordinary",
            Self::Forks => "forks",
            Self::Execs => "execs",
            Self::Silent => "silent",
        })
    }
}

/// What a worker is told.
#[derive(Clone, Debug, clap::Args)]
pub struct Orders {
    /// The run's folder.
    #[arg(long)]
    pub folder: PathBuf,
    /// The number of the process.
    #[arg(long)]
    pub process: u32,
    /// How often it was started before.
    #[arg(long)]
    pub life: u32,
    /// How often it has become another program in this life.
    #[arg(long, default_value_t = 0)]
    pub image: u32,
    /// How it behaves.
    #[arg(long)]
    pub role: Role,
    /// Threads.
    #[arg(long)]
    pub threads: u32,
    /// Where chance begins.
    #[arg(long)]
    pub seed: u64,
    /// The device.
    #[arg(long)]
    pub device: String,
    /// Cases the jobs are drawn from.
    #[arg(long)]
    pub cases: usize,
    /// How long a job may take.
    #[arg(long)]
    pub deadline_ms: u64,
    /// The CPU takes the device's place in calls.
    #[arg(long)]
    pub falls_back: bool,
    /// Who started it: if that is gone, so is the run.
    #[arg(long)]
    pub parent: i32,
    /// What to work on; generated data if nothing is named.
    #[arg(long = "file")]
    pub files: Vec<PathBuf>,
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The device cannot be used.
    #[error("no runtime on {device} within {PATIENCE:?}: {error}")]
    Runtime {
        /// The device.
        device: String,
        /// The last reason.
        error: Error,
    },
    /// A session cannot be made.
    #[error("a session: {0}")]
    Session(Error),
    /// There are no cases.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// A file cannot be read.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
    /// A history cannot be written.
    #[error("a history: {0}")]
    History(#[from] io::Error),
    /// A system call failed.
    #[error("{0}: {1}")]
    System(&'static str, nix::Error),
    /// A child did not do what it should.
    #[error("a forked child: {0}")]
    Child(String),
}

impl Orders {
    /// The arguments that say the same.
    #[must_use]
    pub fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> = ["worker", "--folder"].map(Into::into).into();
        arguments.push(self.folder.clone().into());
        for (name, value) in [
            ("--process", self.process.to_string()),
            ("--life", self.life.to_string()),
            ("--image", self.image.to_string()),
            ("--role", self.role.to_string()),
            ("--threads", self.threads.to_string()),
            ("--seed", self.seed.to_string()),
            ("--device", self.device.clone()),
            ("--cases", self.cases.to_string()),
            ("--deadline-ms", self.deadline_ms.to_string()),
            ("--parent", self.parent.to_string()),
        ] {
            arguments.extend([name.into(), value.into()]);
        }
        if self.falls_back {
            arguments.push("--falls-back".into());
        }
        for file in &self.files {
            arguments.extend(["--file".into(), file.clone().into()]);
        }
        arguments
    }

    /// Where chance begins for a thread of this life.
    fn thread_seed(&self, thread: u32) -> u64 {
        let mut random = Random::new(self.seed);
        for part in [self.process, self.life, self.image, thread] {
            random = Random::new(random.next_u64() ^ u64::from(part));
        }
        random.next_u64()
    }

    fn log(&self, thread: u32) -> io::Result<Log> {
        // Each image has the thread numbers from its own number on; those that become other programs have one thread.
        let name = Name { process: self.process, life: self.life, thread: thread + self.image, segment: 0 };
        Log::create(&self.folder, name)
    }

    fn runtime(&self) -> Result<Runtime, WorkerError> {
        let fallback = if self.falls_back { Fallback::OnError } else { Fallback::Never };
        let begun = Instant::now();
        loop {
            let builder = Runtime::builder()
                .device(&self.device)
                .fallback(fallback)
                // One for the lease and one for the calls of each thread.
                .queues(2 * self.threads as usize)
                .deadline(Duration::from_millis(self.deadline_ms));
            match builder.build() {
                Ok(runtime) => return Ok(runtime),
                // It may be gone for a moment.
                Err(error) if self.may_come(&error) && begun.elapsed() < PATIENCE && !self.is_over() => {
                    thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(WorkerError::Runtime { device: self.device.clone(), error }),
            }
        }
    }

    /// Whether the device may be there later. One that nobody knows of will not be.
    fn may_come(&self, error: &Error) -> bool {
        let Error::NoDevice(report) = error else { return true };
        report.entries().iter().any(|entry| entry.info.name == self.device)
    }

    fn is_over(&self) -> bool {
        self.folder.join(STOP).exists()
    }
}

/// Works as ordered, until the run is over.
///
/// # Errors
/// See [`WorkerError`].
pub fn work(orders: &Orders) -> Result<(), WorkerError> {
    die_with(orders.parent)?;
    let corpus = if orders.files.is_empty() {
        Corpus::generated(CORPUS)
    } else {
        Corpus::of_files(&orders.files).map_err(|(path, error)| WorkerError::File(path, error))?
    };
    // The cases are the process's, whatever its life, so that a history can be read with them.
    let seed = Random::new(orders.seed ^ u64::from(orders.process)).next_u64();
    let cases = cases::draw(&corpus, orders.cases, LARGEST, seed)?;
    drop(corpus);
    let runtime = match orders.runtime() {
        Ok(runtime) => runtime,
        // It was to end before it could begin.
        Err(_) if orders.is_over() => return Ok(()),
        Err(error) => return Err(error),
    };
    let tools = Tools::new(runtime, cases, Arc::default()).map_err(WorkerError::Session)?;
    match orders.role {
        Role::Ordinary => ordinary(orders, &tools),
        Role::Forks => forks(orders, &tools),
        Role::Execs => execs(orders, &tools),
        Role::Silent => silent(orders, &tools),
    }
}

/// The largest transfer of a case.
const LARGEST: u64 = 1 << 20;

/// Dies when the run does.
fn die_with(parent: i32) -> Result<(), WorkerError> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| WorkerError::System("prctl", error))?;
    if getppid().as_raw() != parent {
        // It went before it could be asked for.
        std::process::exit(0);
    }
    Ok(())
}

/// Sets the flag when the run is over.
fn watch(orders: &Orders, stop: &Arc<AtomicBool>) {
    let (stop, file) = (stop.clone(), orders.folder.join(STOP));
    thread::spawn(move || {
        while !file.exists() {
            thread::sleep(Duration::from_millis(50));
        }
        // Relaxed: nothing else is passed on with it.
        stop.store(true, Ordering::Relaxed);
    });
}

fn ordinary(orders: &Orders, tools: &Tools) -> Result<(), WorkerError> {
    watch(orders, &tools.stop);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..orders.threads)
            .map(|thread| scope.spawn(move || Hand::new(tools, orders.log(thread)?, orders.thread_seed(thread))?.run()))
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).map_err(WorkerError::from)
        })
    })
}

/// A process of one thread, so that its children can go on after a `fork`.
fn forks(orders: &Orders, tools: &Tools) -> Result<(), WorkerError> {
    let mut hand = Hand::new(tools, orders.log(0)?, orders.thread_seed(0))?;
    for number in FORKED.. {
        for _ in 0..50 {
            hand.step()?;
        }
        if orders.is_over() {
            break;
        }
        let own = Orders { parent: std::process::id().cast_signed(), ..orders.clone() };
        // SAFETY: there may be a thread of the runtime that waits for answers; it holds no lock that the child needs: the child makes a runtime of its
        // own, and leaves without running what belongs to its parent.
        match unsafe { fork() }.map_err(|error| WorkerError::System("fork", error))? {
            ForkResult::Child => {
                let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| child(&own, tools, number)));
                let code = match done {
                    Ok(Ok(())) => 0,
                    Ok(Err(error)) => {
                        complain("a forked child", &error);
                        1
                    }
                    Err(_) => 101,
                };
                exit_now(code);
            }
            ForkResult::Parent { child } => match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, 0)) => {}
                Ok(status) => return Err(WorkerError::Child(format!("{status:?}"))),
                Err(error) => return Err(WorkerError::System("waitpid", error)),
            },
        }
    }
    hand.end();
    Ok(())
}

/// What a forked child does: it is refused its parent's queues, and works on its own.
fn child(orders: &Orders, inherited: &Tools, number: u32) -> Result<(), WorkerError> {
    die_with(orders.parent)?;
    match inherited.runtime.run(Work::nop()) {
        Err(Error::Forked) => {}
        other => return Err(WorkerError::Child(format!("its parent's queue said {other:?}"))),
    }
    let runtime = match orders.runtime() {
        Ok(runtime) => runtime,
        Err(_) if orders.is_over() => return Ok(()),
        Err(error) => return Err(error),
    };
    let tools = Tools::new(runtime, inherited.cases, Arc::default()).map_err(WorkerError::Session)?;
    let mut hand = Hand::new(&tools, orders.log(number)?, orders.thread_seed(number))?;
    for _ in 0..100 {
        hand.step()?;
    }
    hand.end();
    Ok(())
}

fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process at once.
    unsafe { nix::libc::_exit(code) }
}

fn execs(orders: &Orders, tools: &Tools) -> Result<(), WorkerError> {
    let mut hand = Hand::new(tools, orders.log(0)?, orders.thread_seed(0))?;
    let mut random = Random::new(orders.thread_seed(u32::MAX));
    let until = Instant::now() + Duration::from_millis(500 + random.below(2500) as u64);
    while Instant::now() < until && !orders.is_over() {
        hand.step()?;
    }
    if orders.is_over() {
        hand.end();
        return Ok(());
    }
    hand.leave_open();
    let next = Orders { image: orders.image + 1, ..orders.clone() };
    let error = Command::new(std::env::current_exe()?).args(next.arguments()).exec();
    // A failed `exec` leaves a history that says otherwise, so the process must not live on.
    Err(WorkerError::History(error))
}

fn silent(orders: &Orders, tools: &Tools) -> Result<(), WorkerError> {
    watch(orders, &tools.stop);
    let mut hand = Hand::new(tools, orders.log(0)?, orders.thread_seed(0))?;
    let mut random = Random::new(orders.thread_seed(u32::MAX));
    while !tools.is_over() {
        hand.be_silent(Duration::from_millis(500 + random.below(4000) as u64));
        for _ in 0..20 {
            hand.step()?;
        }
    }
    hand.end();
    Ok(())
}

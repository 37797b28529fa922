//! One case on one device: a closed loop that keeps a number of jobs in flight, with verification between the timed rounds.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::{Arc, Barrier, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use uaccel_cli::reason::with_sources;
use uaccel_runtime::{Error, Lease, Outcome, Scope, Session, Ticket};

use crate::Interrupt;
use crate::case::Case;
use crate::cpu_time;
use crate::device::Device;
use crate::measurement::{Measurement, histogram};
use crate::verify::{Verifier, Verify};

/// How a case is measured.
#[derive(Clone)]
pub struct Method {
    /// Jobs each thread keeps in flight.
    pub depth: usize,
    /// Threads, each with a queue of its own.
    pub threads: usize,
    /// Timed seconds after which no further job begins.
    pub time: Duration,
    /// Jobs of all threads together after which no further round begins.
    pub jobs: Option<u64>,
    /// How much is verified.
    pub verify: Verify,
    /// When to stop early.
    pub interrupt: Interrupt,
    /// Does something to each result before it is verified: the only way to see that verification notices.
    pub tamper: Option<Tamper>,
    /// If several processes are to measure at the same time: says when. Then `time` does not count, and all rounds follow each other
    /// within the window; the round before it and the last one are verified.
    pub gate: Option<Gate>,
}

/// When a measurement takes place that goes on in several processes at the same time.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// No job begins before.
    pub begins: Instant,
    /// No job begins after.
    pub ends: Instant,
}

/// Called once, when everything is warm; returns when the window is known, or that there is none.
pub type Gate = Arc<dyn Fn() -> Option<Window> + Send + Sync>;

/// Does something to the results of a round: called with the number of the job and what it produced.
pub type Tamper = Arc<dyn Fn(usize, &mut [u8]) + Send + Sync>;

impl Default for Method {
    /// One thread, one job at a time, a quarter of a second, everything verified.
    fn default() -> Self {
        Self {
            depth: 1,
            threads: 1,
            time: Duration::from_millis(250),
            jobs: None,
            verify: Verify::All,
            interrupt: Interrupt::default(),
            tamper: None,
            gate: None,
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method")
            .field("depth", &self.depth)
            .field("threads", &self.threads)
            .field("time", &self.time)
            .field("jobs", &self.jobs)
            .field("verify", &self.verify)
            .field("tampers", &self.tamper.is_some())
            .field("gated", &self.gate.is_some())
            .finish_non_exhaustive()
    }
}

/// Bytes of results that a round keeps per thread for verification, unless the depth asks for more: about what a cache holds, so that it
/// is not memory that is measured.
const ROUND: usize = 4 << 20;
/// The most jobs of a round.
const MOST_JOBS: usize = 4096;
/// Rounds of a verified measurement take at most so many times the time that is to be measured, verification included.
const PATIENCE: u32 = 20;

/// Measures a case on a device.
///
/// # Errors
/// [`Error`] if there are no queues or sessions for it. Jobs that fail are no error here: they are counted.
pub fn measure(device: &Device, case: &Case, method: &Method) -> Result<Measurement, Error> {
    if let Some(spec) = &case.spec {
        // Not the CPU in its place.
        device.runtime.offers(spec)?;
    }
    let session = case.spec.clone().map(|spec| device.runtime.session(spec)).transpose()?;
    let before = device.runtime.counters().fallbacks;
    let threads = method.threads.max(1);
    let shared = Shared {
        device,
        case,
        method,
        session: session.as_ref(),
        barrier: Barrier::new(threads),
        state: Mutex::new(State {
            stop: false,
            window: None,
            begun: None,
            ended: None,
            process_cpu: None,
            jobs: 0,
            total: Measurement::empty(),
            error: None,
        }),
        since: Instant::now(),
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| shared.work());
        }
        shared.work();
    });
    let state = shared.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.error {
        Some(error) => Err(error),
        None => Ok(Measurement { fallbacks: device.runtime.counters().fallbacks - before, ..state.total }),
    }
}

/// What the threads of a measurement share.
struct Shared<'a> {
    device: &'a Device,
    case: &'a Case,
    method: &'a Method,
    session: Option<&'a Session>,
    barrier: Barrier,
    state: Mutex<State>,
    since: Instant,
}

struct State {
    stop: bool,
    /// Of a gated measurement, once the gate has opened.
    window: Option<Window>,
    /// When the first thread began the present round, and when the last one ended it.
    begun: Option<Instant>,
    ended: Option<Instant>,
    process_cpu: Option<Duration>,
    jobs: u64,
    total: Measurement,
    error: Option<Error>,
}

impl Shared<'_> {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread's part. Whatever happens it comes to each barrier, or the others would wait for ever.
    fn work(&self) {
        let Self { case, method, .. } = *self;
        let places =
            (ROUND / case.room.max(case.size.0).max(1)).clamp(method.depth.max(2), MOST_JOBS.max(method.depth));
        let mut arena = vec![0; case.room * places];
        let mut log = Log::with_capacity(places);
        let mut verifier =
            Verifier::new(case, if self.device.identity.effective { method.verify } else { Verify::None });
        let mut queue = if self.case.largest() > self.device.runtime.granted().max_transfer {
            Queue::Cpu
        } else {
            self.device.runtime.lease().map_or_else(
                |error| {
                    self.fail(error);
                    Queue::None
                },
                Queue::Leased,
            )
        };
        // Caches, sessions and page tables are warm after this; nothing of it is counted.
        if let Err(error) = self.round(&mut queue, &mut arena, &mut log, places.min(method.depth * 2), method.time) {
            self.fail(error);
        }
        let gated = method.gate.is_some();
        if gated {
            self.verify(&mut verifier, &log, &mut arena);
        }
        let mut latency = histogram();
        let mut unverified = false;
        let (mut caller_cpu, mut good) = (Duration::ZERO, Tally::default());
        loop {
            let leads = self.barrier.wait().is_leader();
            if leads {
                self.begin_round();
            }
            self.barrier.wait();
            if self.state().stop {
                break;
            }
            let left = self.time_left();
            let (cpu, begun) = (cpu_time::of_thread(), Instant::now());
            let result = self.round(&mut queue, &mut arena, &mut log, places, left);
            let ended = Instant::now();
            caller_cpu += cpu_time::of_thread().saturating_sub(cpu);
            if let Err(error) = result {
                self.fail(error);
            }
            self.note_round(begun, ended, log.outcomes.iter().flatten().count() as u64);
            self.barrier.wait();
            good.add(case, &log);
            log.latencies.iter().for_each(|ns| latency.saturating_record(*ns));
            if gated {
                // Within the window verification would leave the device to the other processes.
                unverified = true;
            } else {
                self.verify(&mut verifier, &log, &mut arena);
            }
        }
        if unverified {
            self.verify(&mut verifier, &log, &mut arena);
        }
        verifier.check_sources();
        let mut state = self.state();
        let total = &mut state.total;
        // Both have the same digits, so this cannot fail.
        let _ = total.latency.add(&latency);
        total.caller_cpu += caller_cpu;
        total.jobs += good.jobs;
        total.text_bytes += good.text_bytes;
        total.read_bytes += good.read_bytes;
        total.written_bytes += good.written_bytes;
        total.failed += good.failed;
        if total.first_failure.is_none() {
            total.first_failure = good.first_failure;
        }
        total.checked += verifier.checked();
        total.wrong += verifier.wrong();
        total.mismatches.extend_from_slice(verifier.mismatches());
    }

    /// Notes an error. The next round is then the end, for all threads alike: only [`begin_round`](Self::begin_round) decides that.
    fn fail(&self, error: Error) {
        self.state().error.get_or_insert(error);
    }

    /// Called by one thread while the others wait: closes the books of the last round, and decides whether there is another.
    fn begin_round(&self) {
        let mut state = self.state();
        let ended = state.begun.take().zip(state.ended.take());
        let method = self.method;
        let in_time = match (&method.gate, state.window) {
            (None, _) => {
                if let Some((begun, ended)) = ended {
                    state.total.elapsed += ended.saturating_duration_since(begun);
                }
                state.total.elapsed < method.time && self.since.elapsed() < method.time * PATIENCE
            }
            (Some(_), Some(window)) => {
                let now = Instant::now();
                if let Some((_, ended)) = ended {
                    // Who got no processor until the end of the window did nothing for the rest of it, and that counts.
                    let over = if now < window.ends { ended } else { ended.max(window.ends) };
                    state.total.elapsed = over.saturating_duration_since(window.begins);
                }
                now < window.ends
            }
            (Some(_), None) if state.error.is_some() => false,
            (Some(gate), None) => {
                drop(state);
                let window = gate();
                if let Some(window) = window {
                    thread::sleep(window.begins.saturating_duration_since(Instant::now()));
                }
                state = self.state();
                state.window = window;
                window.is_some()
            }
        };
        let enough = !in_time || state.error.is_some() || method.jobs.is_some_and(|jobs| state.jobs >= jobs);
        if enough || method.interrupt.is_set() {
            state.stop = true;
        }
        state.process_cpu = Some(cpu_time::of_process());
    }

    fn time_left(&self) -> Duration {
        let state = self.state();
        match state.window {
            Some(window) => window.ends.saturating_duration_since(Instant::now()),
            None => self.method.time.saturating_sub(state.total.elapsed),
        }
    }

    fn note_round(&self, begun: Instant, ended: Instant, jobs: u64) {
        let mut state = self.state();
        state.jobs += jobs;
        state.begun = Some(state.begun.map_or(begun, |first| first.min(begun)));
        if state.ended.is_none_or(|last| last <= ended) {
            state.ended = Some(ended);
        }
        // Each thread adds what has been used since somebody added last; together that is the round.
        let now = cpu_time::of_process();
        if let Some(before) = state.process_cpu.replace(now) {
            state.total.process_cpu += now.saturating_sub(before);
        }
    }

    fn verify(&self, verifier: &mut Verifier<'_>, log: &Log, arena: &mut [u8]) {
        let room = self.case.room;
        for (job, outcome) in log.outcomes.iter().enumerate() {
            let Some(outcome) = outcome else { continue };
            let place = &mut arena[job * room..(job + 1) * room];
            if let Some(tamper) = &self.method.tamper {
                tamper(job, place);
            }
            verifier.check(job, outcome, place);
        }
        verifier.next_round();
    }

    /// Up to `jobs` jobs, none begun after `time`.
    fn round(
        &self,
        queue: &mut Queue,
        arena: &mut [u8],
        log: &mut Log,
        jobs: usize,
        time: Duration,
    ) -> Result<(), Error> {
        log.begin(jobs);
        match queue {
            Queue::None => Ok(()),
            Queue::Cpu => {
                self.round_of_large(arena, log, jobs, time);
                Ok(())
            }
            Queue::Leased(lease) => lease.scope(|scope| {
                let source = Source {
                    case: self.case,
                    session: self.session,
                    rest: arena,
                    next: 0,
                    jobs,
                    until: Instant::now() + time,
                };
                source.drive(scope, self.method, log)
            })?,
        }
    }

    /// Jobs larger than the device takes, one at a time through the runtime, which leaves them to the CPU and counts them.
    fn round_of_large(&self, mut arena: &mut [u8], log: &mut Log, jobs: usize, time: Duration) {
        let until = Instant::now() + time;
        for job in 0..jobs {
            let begun = Instant::now();
            if (begun >= until && job != 0) || self.method.interrupt.is_set() {
                return;
            }
            let (room, rest) = mem::take(&mut arena).split_at_mut(self.case.room);
            arena = rest;
            log.note(job, begun, Instant::now(), self.device.runtime.run(self.case.work(job, self.session, room)));
        }
    }
}

/// Where a thread's jobs go.
enum Queue {
    /// Nowhere: there was none to be had.
    None,
    /// To a queue of the thread's own.
    Leased(Lease),
    /// To the runtime, which leaves jobs that are larger than the device takes to the CPU. No queue is held meanwhile.
    Cpu,
}

/// What is left to be submitted in a round.
struct Source<'env> {
    case: &'env Case,
    session: Option<&'env Session>,
    rest: &'env mut [u8],
    next: usize,
    jobs: usize,
    until: Instant,
}

impl<'env> Source<'env> {
    /// Keeps `depth` jobs in flight until all are answered.
    fn drive(mut self, scope: &mut Scope<'_, 'env>, method: &Method, log: &mut Log) -> Result<(), Error> {
        let mut in_flight: VecDeque<Pending> = VecDeque::with_capacity(method.depth);
        loop {
            let now = Instant::now();
            let goes_on = self.next < self.jobs && (self.next == 0 || now < self.until) && !method.interrupt.is_set();
            while goes_on && self.next < self.jobs && in_flight.len() < method.depth {
                let (room, rest) = mem::take(&mut self.rest).split_at_mut(self.case.room);
                self.rest = rest;
                match scope.push(self.case.work(self.next, self.session, room)) {
                    Ok(ticket) => in_flight.push_back(Pending { ticket, job: self.next, since: now }),
                    Err(refused) => log.fail(refused.error),
                }
                self.next += 1;
            }
            if in_flight.is_empty() {
                return Ok(());
            }
            scope.submit()?;
            let mut seen = None;
            let answered = scope.wait(|answer| {
                let seen = *seen.get_or_insert_with(Instant::now);
                // Mostly the oldest: devices answer nearly in order.
                let at = in_flight.iter().position(|pending| pending.ticket == answer.ticket());
                if let Some(pending) = at.and_then(|at| in_flight.remove(at)) {
                    log.note(pending.job, pending.since, seen, answer.outcome());
                }
            });
            if answered == 0 {
                // The device has taken nothing: give it time.
                thread::yield_now();
            }
        }
    }
}

struct Pending {
    ticket: Ticket,
    job: usize,
    since: Instant,
}

/// What happened in a round. Written while time runs, read afterwards.
struct Log {
    outcomes: Vec<Option<Outcome>>,
    latencies: Vec<u64>,
    failed: u64,
    first_failure: Option<String>,
}

impl Log {
    fn with_capacity(jobs: usize) -> Self {
        Self { outcomes: Vec::with_capacity(jobs), latencies: Vec::with_capacity(jobs), failed: 0, first_failure: None }
    }

    fn begin(&mut self, jobs: usize) {
        self.outcomes.clear();
        self.outcomes.resize(jobs, None);
        self.latencies.clear();
        self.failed = 0;
        self.first_failure = None;
    }

    fn note(&mut self, job: usize, since: Instant, seen: Instant, result: Result<Outcome, Error>) {
        match result {
            Ok(outcome) => {
                self.latencies
                    .push(u64::try_from(seen.saturating_duration_since(since).as_nanos()).unwrap_or(u64::MAX));
                self.outcomes[job] = Some(outcome);
            }
            Err(error) => self.fail(error),
        }
    }

    #[cold]
    fn fail(&mut self, error: Error) {
        self.failed += 1;
        self.first_failure.get_or_insert_with(|| with_sources(&error));
    }
}

/// Jobs and bytes of all rounds of one thread.
#[derive(Default)]
struct Tally {
    jobs: u64,
    text_bytes: u64,
    read_bytes: u64,
    written_bytes: u64,
    failed: u64,
    first_failure: Option<String>,
}

impl Tally {
    fn add(&mut self, case: &Case, log: &Log) {
        for outcome in log.outcomes.iter().flatten() {
            self.jobs += 1;
            self.text_bytes += case.text_len();
            self.read_bytes += outcome.consumed;
            self.written_bytes += outcome.produced;
        }
        self.failed += log.failed;
        if self.first_failure.is_none() {
            self.first_failure.clone_from(&log.first_failure);
        }
    }
}

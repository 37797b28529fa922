//! One thread of a worker: submits jobs by all ways, verifies what comes back, and writes its history.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use accel_bench::case::Case;
use accel_bench::random::Random;
use accel_bench::verify::{Verifier, Verify};
use uaccel_runtime::{Error, FaultHandling, Lease, Outcome, Runtime, Session, Ticket};

use crate::bad_pointer::{BadPages, Ended, KINDS};
use crate::flight::{self, Flight, Landing, Place};
use crate::guarded::Guarded;
use crate::log::{Log, State};
use crate::quarantine::Quarantine;
use crate::record::{Entry, Trespass, Verdict, Way};

/// Owned jobs that a thread has in flight at most.
const FLIGHTS: usize = 24;
/// Jobs of a scope at most.
const BATCH: usize = 16;
/// How long a destination is watched after a good end, and after a bad one.
const WATCH: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(10)];
/// A pause after a device has failed, so that histories are not made of failures.
const BREATH: Duration = Duration::from_millis(5);

/// What the threads of a worker share.
#[derive(Debug)]
pub struct Tools {
    /// The runtime.
    pub runtime: Runtime,
    /// What the jobs are.
    pub cases: &'static [Case],
    /// The session of each case that has one.
    pub sessions: Vec<Option<Session>>,
    /// Whether it is time to end.
    pub stop: Arc<AtomicBool>,
}

impl Tools {
    /// Opens the sessions of all cases.
    ///
    /// # Errors
    /// If the device does not offer an algorithm.
    pub fn new(runtime: Runtime, cases: &'static [Case], stop: Arc<AtomicBool>) -> Result<Self, Error> {
        let sessions = cases.iter().map(|case| case.spec.clone().map(|spec| runtime.session(spec)).transpose());
        Ok(Self { sessions: sessions.collect::<Result<_, _>>()?, runtime, cases, stop })
    }

    /// Whether it is time to end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        // Relaxed: nothing else is passed on with it.
        self.stop.load(Ordering::Relaxed)
    }
}

/// One thread.
#[derive(Debug)]
pub struct Hand<'t> {
    tools: &'t Tools,
    log: Log,
    random: Random,
    lease: Option<Lease>,
    flights: Vec<Flight>,
    verifiers: HashMap<usize, Verifier<'static>>,
    quarantine: Quarantine,
    pages: BadPages,
}

impl<'t> Hand<'t> {
    /// A thread that has done nothing yet.
    ///
    /// # Errors
    /// If there is no memory to be had for its bad pointers.
    pub fn new(tools: &'t Tools, log: Log, seed: u64) -> io::Result<Self> {
        Ok(Self {
            tools,
            log,
            random: Random::new(seed),
            lease: None,
            flights: Vec::new(),
            verifiers: HashMap::new(),
            quarantine: Quarantine::default(),
            pages: BadPages::new()?,
        })
    }

    /// Works until it is time to end, and ends.
    ///
    /// # Errors
    /// If the history cannot be written.
    pub fn run(mut self) -> io::Result<()> {
        while !self.tools.is_over() {
            self.step()?;
        }
        self.end();
        Ok(())
    }

    /// Does one thing, whatever chance says.
    ///
    /// # Errors
    /// If the history cannot be written.
    pub fn step(&mut self) -> io::Result<()> {
        if self.log.is_full() {
            self.land_all();
            self.log.turn()?;
        }
        match self.random.below(100) {
            0..25 => self.call(),
            25..45 => self.leased(),
            45..62 => self.scope(Duration::ZERO),
            62..90 => self.launch(),
            90..94 => self.misdirect(),
            94 => self.abandon(),
            // Another queue from now on.
            95 => self.lease = None,
            _ => self.land(),
        }
        let Self { quarantine, log, .. } = self;
        quarantine.sweep(|serial| log.note(serial, Entry::Touched(Trespass::Late)));
        Ok(())
    }

    /// Waits for what is in flight, looks at everything once more, and closes the history.
    pub fn end(mut self) {
        self.finish();
        self.log.end(State::Sealed);
    }

    /// Waits for what is in flight and looks at everything once more. Nothing is open then.
    fn finish(&mut self) {
        self.land_all();
        self.lease = None;
        let Self { quarantine, log, verifiers, .. } = self;
        quarantine.empty(|serial| log.note(serial, Entry::Touched(Trespass::Late)));
        for verifier in verifiers.values_mut() {
            let before = verifier.wrong();
            verifier.check_sources();
            if verifier.wrong() != before {
                log.note(0, Entry::Touched(Trespass::Source));
            }
        }
    }

    /// Submits as much as fits, does not look at it for some time, and ends well all the same.
    pub fn be_silent(&mut self, time: Duration) {
        self.scope(time);
    }

    /// Submits owned jobs and leaves the history as of a process that becomes another program with all of them in flight.
    pub fn leave_open(&mut self) {
        for _ in 0..FLIGHTS {
            self.launch();
        }
        self.log.end(State::Replaced);
    }

    fn draw(&mut self) -> (usize, usize) {
        let case = self.random.below(self.tools.cases.len());
        (case, self.random.below(self.tools.cases[case].inputs.len()))
    }

    fn buffer(&mut self, case: usize) -> Guarded {
        let mut room = self.tools.cases[case].room;
        // Now and then there is more room than needed, but where the room is what is to be filled.
        if self.tools.cases[case].workload.compresses() && self.random.below(4) == 0 {
            room += self.random.below(1000);
        }
        Guarded::new(room, self.random.next_u64())
    }

    fn begin(&mut self, way: Way, case: usize, job: usize) -> u64 {
        let len = u32::try_from(self.tools.cases[case].input(job).source.len()).unwrap_or(u32::MAX);
        self.log.submitted(Entry::Submitted { way, case: u16::try_from(case).unwrap_or(u16::MAX), len })
    }

    fn call(&mut self) {
        let (case, job) = self.draw();
        let mut buffer = self.buffer(case);
        let serial = self.begin(Way::Call, case, job);
        let tools = self.tools;
        let work = tools.cases[case].work(job, tools.sessions[case].as_ref(), buffer.room_mut());
        let result = tools.runtime.run(work);
        self.close(serial, (case, job), result, buffer);
    }

    /// The thread's lease, or a new one.
    fn lease(&mut self) -> Option<Lease> {
        if let Some(lease) = self.lease.take() {
            return Some(lease);
        }
        match self.tools.runtime.lease() {
            Ok(lease) => Some(lease),
            Err(error) => {
                // No job was made of it. What it is, the next call says as well.
                if !matches!(error, Error::Deadline(_) | Error::Open { .. } | Error::DeviceFailed { .. }) {
                    complain("a lease", &error);
                }
                self.log.alive();
                thread::sleep(BREATH);
                None
            }
        }
    }

    fn leased(&mut self) {
        let Some(mut lease) = self.lease() else { return };
        let (case, job) = self.draw();
        let mut buffer = self.buffer(case);
        let serial = self.begin(Way::Lease, case, job);
        let tools = self.tools;
        let work = tools.cases[case].work(job, tools.sessions[case].as_ref(), buffer.room_mut());
        let result = lease.run(work);
        self.keep(lease, result.as_ref().err());
        self.close(serial, (case, job), result, buffer);
    }

    /// Keeps a lease, unless its device has failed: then the next one is of a new queue.
    fn keep(&mut self, lease: Lease, error: Option<&Error>) {
        if !error.is_some_and(Error::is_device_failure) {
            self.lease = Some(lease);
        }
    }

    fn scope(&mut self, silence: Duration) {
        struct Job {
            serial: u64,
            case: usize,
            job: usize,
            ticket: Option<Ticket>,
            result: Option<Result<Outcome, Error>>,
        }
        let Some(mut lease) = self.lease() else { return };
        let (way, count) =
            if silence.is_zero() { (Way::Scope, 1 + self.random.below(BATCH)) } else { (Way::Silence, 4 * BATCH) };
        let draws: Vec<_> = (0..count).map(|_| self.draw()).collect();
        let mut buffers: Vec<_> = draws.iter().map(|(case, _)| self.buffer(*case)).collect();
        let mut jobs: Vec<_> = draws
            .into_iter()
            .map(|(case, job)| Job { serial: self.begin(way, case, job), case, job, ticket: None, result: None })
            .collect();
        let tools = self.tools;
        let mut extra = Vec::new();
        let ended = lease.scope(|scope| {
            for (job, buffer) in jobs.iter_mut().zip(&mut buffers) {
                let session = tools.sessions[job.case].as_ref();
                match scope.push(tools.cases[job.case].work(job.job, session, buffer.room_mut())) {
                    Ok(ticket) => job.ticket = Some(ticket),
                    Err(refused) => job.result = Some(Err(refused.error)),
                }
            }
            if !silence.is_zero() {
                // What it says is said again when the scope is finished.
                let _ = scope.submit();
                let step = Duration::from_millis(50);
                (0..silence.as_millis() / step.as_millis()).for_each(|_| {
                    if !tools.is_over() {
                        thread::sleep(step);
                    }
                });
            }
            scope.finish(|answer| {
                let known = jobs.iter_mut().find(|job| job.ticket == Some(answer.ticket()));
                match known {
                    Some(job) if job.result.is_none() => job.result = Some(answer.outcome()),
                    // Answered before, or not ours.
                    Some(job) => extra.push(job.serial),
                    None => extra.push(u64::MAX),
                }
            })
        });
        let unsubmitted = match ended {
            Ok(Ok(())) => None,
            Ok(Err(error)) | Err(error) => Some(error),
        };
        self.keep(lease, unsubmitted.as_ref().or(jobs.iter().find_map(|job| job.result.as_ref()?.as_ref().err())));
        for (job, buffer) in jobs.into_iter().zip(buffers) {
            match (job.result, &unsubmitted) {
                (Some(result), _) => self.close(job.serial, (job.case, job.job), result, buffer),
                (None, Some(error)) => self.close_badly(job.serial, error, Some(buffer)),
                // Neither answered nor said to be discarded: the history shows it.
                (None, None) => {}
            }
        }
        for serial in extra {
            self.log.note(serial, Entry::Answered(Verdict::Wrong));
        }
    }

    fn launch(&mut self) {
        let (case, job) = self.draw();
        if !flight::is_possible(self.tools.cases[case].workload) {
            return;
        }
        if self.flights.len() >= FLIGHTS {
            self.land();
        }
        let lease = if self.random.below(3) == 0 { self.lease() } else { None };
        let buffer = self.buffer(case);
        let way = if self.random.below(3) == 0 { Way::Wait } else { Way::Poll };
        let serial = self.begin(way, case, job);
        let tools = self.tools;
        let session = tools.sessions[case].as_ref();
        let job = (tools.cases, case, job);
        let submitted = match lease {
            Some(mut lease) => {
                let submitted = Flight::submit(&mut Place::Lease(&mut lease), (serial, way), job, session, buffer);
                self.keep(lease, submitted.as_ref().err().map(|(error, _)| error));
                submitted
            }
            None => Flight::submit(&mut Place::Runtime(&tools.runtime), (serial, way), job, session, buffer),
        };
        match submitted {
            Ok(flight) => self.flights.push(flight),
            Err((error, buffer)) => {
                self.close_badly(serial, &error, buffer);
                // A full queue has something to give.
                self.land();
            }
        }
    }

    /// Ends one job in flight: one that is to be waited for, or the first of those that are polled.
    fn land(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let pick = self.random.below(self.flights.len());
        if self.flights[pick].way == Way::Wait {
            let flight = self.flights.swap_remove(pick);
            let about = (flight.serial, flight.case, flight.job, flight.room);
            let landing = flight.wait();
            self.landed(about, landing);
            return;
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        loop {
            for index in 0..self.flights.len() {
                let flight = &mut self.flights[index];
                if flight.way != Way::Poll {
                    continue;
                }
                if let Poll::Ready(landing) = flight.poll(&mut context) {
                    let about = (flight.serial, flight.case, flight.job, flight.room);
                    self.flights.swap_remove(index);
                    self.landed(about, landing);
                    return;
                }
            }
            // Woken by the reactor. That it is bounded is no help to a reactor that forgets: the log says that the thread lives only after a wake-up.
            thread::park();
            self.log.alive();
        }
    }

    fn land_all(&mut self) {
        while !self.flights.is_empty() {
            self.land();
        }
    }

    fn landed(&mut self, (serial, case, job, room): (u64, usize, usize, usize), landing: Landing) {
        match (landing.result, landing.buffer) {
            (Ok(outcome), Some(buffer)) => self.close(serial, (case, job), Ok(outcome), buffer),
            (Ok(outcome), None) => self.close(serial, (case, job), Ok(outcome), Guarded::new(0, 0)),
            (Err(error), buffer) => {
                if matches!(error, Error::Lost { .. }) {
                    self.log.leaked(room as u64);
                }
                self.close_badly(serial, &error, buffer);
            }
        }
    }

    fn abandon(&mut self) {
        if self.flights.is_empty() {
            return;
        }
        let pick = self.random.below(self.flights.len());
        let flight = self.flights.swap_remove(pick);
        let serial = flight.serial;
        drop(flight);
        self.log.note(serial, Entry::Abandoned);
    }

    fn misdirect(&mut self) {
        if self.tools.runtime.granted().faults == FaultHandling::CallerVouches {
            return;
        }
        let (kind, skew) = (self.random.below(KINDS), self.random.below(1000));
        let case = u16::try_from(kind).unwrap_or_default();
        let serial = self.log.submitted(Entry::Submitted { way: Way::BadPointer, case, len: 64 });
        match self.pages.run(&self.tools.runtime, kind, skew) {
            Ended::Well => self.log.note(serial, Entry::Answered(Verdict::RightFault)),
            Ended::Otherwise(error) => self.close_badly(serial, &error, None),
            Ended::Badly(reason) => {
                eprintln!("job {serial}: {reason}");
                self.log.note(serial, Entry::Answered(Verdict::WrongFault));
            }
        }
    }

    /// Verifies a result, notes what it is, and keeps its destination under watch.
    fn close(&mut self, serial: u64, (case, job): (usize, usize), result: Result<Outcome, Error>, buffer: Guarded) {
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.close_badly(serial, &error, Some(buffer)),
        };
        let cases = self.tools.cases;
        let verifier = self.verifiers.entry(case).or_insert_with(|| Verifier::new(&cases[case], Verify::All));
        let before = verifier.wrong();
        verifier.check(job, &outcome, buffer.room());
        let verdict = if verifier.wrong() == before {
            Verdict::Right
        } else {
            let reason = verifier.mismatches().last().map_or("", |mismatch| &mismatch.reason);
            eprintln!("job {serial} ({}, {}): {reason}", cases[case].workload, cases[case].size);
            Verdict::Wrong
        };
        self.log.note(serial, Entry::Answered(verdict));
        self.watch(serial, buffer, WATCH[0]);
    }

    /// Notes an error, and keeps the destination under watch.
    fn close_badly(&mut self, serial: u64, error: &Error, buffer: Option<Guarded>) {
        let verdict = verdict(error);
        if verdict == Verdict::Undeserved {
            complain(&format!("job {serial}"), error);
        }
        self.log.note(serial, Entry::Answered(verdict));
        if let Some(buffer) = buffer {
            self.watch(serial, buffer, WATCH[1]);
        }
        if matches!(verdict, Verdict::DeviceFailed | Verdict::NoQueue) {
            thread::sleep(BREATH);
        }
    }

    fn watch(&mut self, serial: u64, buffer: Guarded, time: Duration) {
        if !buffer.is_guarded() {
            self.log.note(serial, Entry::Touched(Trespass::Outside));
        }
        self.quarantine.keep(serial, buffer, time);
    }
}

/// What an error is, for the history.
fn verdict(error: &Error) -> Verdict {
    match error {
        Error::QueueFull => Verdict::Full,
        Error::Deadline(_) => Verdict::Deadline,
        Error::DeviceFailed { .. } => Verdict::DeviceFailed,
        Error::Lost { .. } => Verdict::Lost,
        Error::Open { .. } | Error::SessionRefused { .. } | Error::NoDevice(_) => Verdict::NoQueue,
        Error::Canceled => Verdict::Canceled,
        _ => Verdict::Undeserved,
    }
}

/// Says what should not have happened, with everything behind it.
pub fn complain(what: &str, error: &dyn std::error::Error) {
    let mut text = format!("{what}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    eprintln!("process {}: {text}", std::process::id());
}

/// Wakes a thread that is parked.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

//! A run: starts daemon and clients, does to them what the schedule says, and checks what they wrote.

mod end;
mod events;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use accel_bench::random::Random;

use crate::checker::{Checker, Fate, Tally};
use crate::client::Client;
use crate::clock;
use crate::daemon::{self, Daemon, DaemonError};
use crate::disturbance::{Disturbance, Kind};
use crate::faults;
use crate::plan::Plan;
use crate::report::Report;
use crate::schedule::{Event, Frame, Schedule};
use crate::vitals::Chart;
use crate::worker::{Orders, Role};

/// After this without a sign of life a thread hangs.
const HANGS: Duration = Duration::from_secs(60);
/// How long it may take, once the device is back, until nobody notices any more that it was away.
const AFTERMATH: Duration = Duration::from_secs(5);
/// How often histories are read while the run goes on.
const READING: Duration = Duration::from_secs(20);
/// How often to look at what processes hold.
const LOOKING: Duration = Duration::from_secs(10);
/// The name of a device that a daemon of the run's own hosts.
const DAEMON: &str = "devd";

/// Why there was no run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no daemon.
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Something in the run's folder.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A client cannot be started.
    #[error("starting a client: {0}")]
    Client(io::Error),
}

/// What is to be done later.
#[derive(Clone, Copy, Debug)]
enum Action {
    Event(Event),
    ContinueClient { process: u32, life: u32 },
    ContinueDaemon,
    StartDaemon,
}

/// A run that is going on.
struct Run<'p> {
    plan: &'p Plan,
    folder: PathBuf,
    socket: PathBuf,
    program: Option<PathBuf>,
    daemon: Option<Daemon>,
    daemons: u64,
    /// The open disturbance of a daemon that is stopped or away, and of one that does things wrong.
    away: Option<usize>,
    faulty: Option<usize>,
    clients: Vec<Client>,
    fates: HashMap<(u32, u32), Fate>,
    disturbances: Vec<Disturbance>,
    actions: Vec<(Instant, Action)>,
    checker: Checker,
    chart: Chart,
    report: Report,
}

/// Makes a run in a folder that exists and is empty.
///
/// # Errors
/// If it cannot even begin. What goes wrong later stands in the report.
pub fn run(plan: &Plan, folder: &Path) -> Result<Report, RunError> {
    let mut run = Run::new(plan, folder)?;
    if run.program.is_some() {
        run.start_daemon()?;
    }
    run.start_clients()?;
    run.await_clients();
    let begun = Instant::now();
    run.schedule(begun);
    let (mut reads, mut looks, mut beats) = (begun + READING, begun + LOOKING, begun);
    let mut told = begun;
    while begun.elapsed() < plan.length && run.report.problems.is_empty() {
        thread::sleep(Duration::from_millis(10));
        run.act();
        run.reap();
        let now = Instant::now();
        if now > beats {
            beats = now + Duration::from_secs(5);
            run.feel();
        }
        if now > reads {
            reads = now + READING;
            run.read();
        }
        if now > looks {
            looks = now + LOOKING;
            let line = run.look(begun.elapsed());
            if now > told + plan.telling {
                told = now;
                println!("{line}");
            }
        }
    }
    run.finish();
    Ok(run.report())
}

impl<'p> Run<'p> {
    fn new(plan: &'p Plan, folder: &Path) -> Result<Self, RunError> {
        let program = if plan.device == DAEMON { Some(daemon::program()?) } else { None };
        let report = Report {
            tally: Tally::default(),
            findings: Vec::new(),
            problems: Vec::new(),
            events: BTreeMap::new(),
            lives: 0,
        };
        let mut run = Self {
            plan,
            folder: folder.to_owned(),
            socket: folder.join("devd.sock"),
            program,
            daemon: None,
            daemons: 0,
            away: None,
            faulty: None,
            clients: Vec::new(),
            fates: HashMap::new(),
            disturbances: Vec::new(),
            actions: Vec::new(),
            checker: Checker::new(),
            chart: Chart::default(),
            report,
        };
        let odd = if plan.odd { &[Role::Forks, Role::Execs, Role::Silent][..] } else { &[] };
        let roles = (0..plan.processes).map(|_| Role::Ordinary).chain(odd.iter().copied());
        run.clients = (0..).zip(roles).map(|(process, role)| run.client(process, role)).collect();
        Ok(run)
    }

    fn client(&self, process: u32, role: Role) -> Client {
        let plan = self.plan;
        let orders = Orders {
            folder: self.folder.clone(),
            process,
            life: 0,
            image: 0,
            role,
            threads: plan.threads,
            seed: plan.seed,
            device: plan.device.clone(),
            cases: plan.cases,
            deadline_ms: u64::try_from(plan.deadline.as_millis()).unwrap_or(u64::MAX),
            falls_back: falls_back(process),
            parent: std::process::id().cast_signed(),
            files: plan.files.clone(),
        };
        Client { orders, child: None, stopped: None }
    }

    fn start_clients(&mut self) -> Result<(), RunError> {
        (0..self.clients.len()).try_for_each(|index| self.start_client(index).map_err(RunError::Client))
    }

    /// Waits until each of them has something to do, which takes its time on a busy machine.
    fn await_clients(&mut self) {
        let begun = Instant::now();
        while self.report.problems.is_empty() {
            let histories = self.histories();
            let silent = self.clients.iter().map(|client| client.orders.process);
            let silent = silent.filter(|process| histories.iter().all(|(name, _)| name.process != *process)).count();
            if silent == 0 {
                return;
            }
            if begun.elapsed() > HANGS {
                self.problem(format!("{silent} clients have not begun within {HANGS:?}"));
            }
            thread::sleep(Duration::from_millis(10));
            self.reap();
        }
    }

    fn schedule(&mut self, begun: Instant) {
        if !self.plan.events {
            return;
        }
        let frame = Frame {
            length: self.plan.length,
            processes: u32::try_from(self.clients.len()).unwrap_or(u32::MAX),
            deadline: self.plan.deadline,
            daemon: self.program.is_some(),
            soak: self.plan.soak,
        };
        let schedule = Schedule::new(&frame, self.plan.seed);
        self.actions = schedule.events.into_iter().map(|(at, event)| (begun + at, Action::Event(event))).collect();
    }

    fn start_client(&mut self, index: usize) -> io::Result<()> {
        let client = &mut self.clients[index];
        let mut command = Command::new(std::env::current_exe()?);
        command.args(client.orders.arguments()).stdin(Stdio::null());
        // Read by the runtime: where the daemon is.
        command.env("UACCEL_DEVD", &self.socket);
        client.child = Some(command.spawn()?);
        self.report.lives += 1;
        Ok(())
    }

    fn start_daemon(&mut self) -> Result<(), RunError> {
        let Some(program) = self.program.clone() else { return Ok(()) };
        let number = self.daemons;
        self.daemons += 1;
        // The first is without fault, and every other one.
        let mut file = None;
        if self.plan.events && number % 2 == 1 {
            let path = self.folder.join("faults");
            let text = faults::draw(&mut Random::new(self.plan.seed ^ number));
            fs::write(&path, text).map_err(|source| RunError::File { path: path.clone(), source })?;
            file = Some(path);
        }
        self.faulty = file.as_ref().map(|_| self.disturb(None, Kind::Faulty));
        self.daemon = Some(Daemon::start(&program, &self.socket, file.as_deref())?);
        Ok(())
    }

    /// Opens a disturbance.
    fn disturb(&mut self, process: Option<u32>, kind: Kind) -> usize {
        self.disturbances.push(Disturbance { process, kind, from: clock::now(), until: u64::MAX });
        self.disturbances.len() - 1
    }

    /// Closes a disturbance that is felt for some time yet.
    fn calm(&mut self, disturbance: Option<usize>) {
        if let Some(index) = disturbance {
            let aftermath = AFTERMATH + self.plan.deadline;
            self.disturbances[index].until = clock::now() + u64::try_from(aftermath.as_nanos()).unwrap_or(u64::MAX);
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.report.events.entry(what).or_default() += 1;
    }

    fn problem(&mut self, problem: String) {
        eprintln!("{problem}");
        self.report.problems.push(problem);
    }

    fn report(self) -> Report {
        Report { tally: self.checker.tally().clone(), findings: self.checker.findings().to_vec(), ..self.report }
    }
}

/// Every other process lets the CPU take the device's place.
fn falls_back(process: u32) -> bool {
    process % 2 == 1
}

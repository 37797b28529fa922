//! A run: starts daemon and clients, does to them what the schedule says, and checks what they wrote.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use accel_bench::random::Random;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::checker::{Checker, Circumstances, Fate, Finding, Tally};
use crate::clock;
use crate::daemon::{self, Daemon, DaemonError};
use crate::disturbance::{Disturbance, Kind};
use crate::faults;
use crate::log::{History, Name, State};
use crate::record::Verdict;
use crate::schedule::{Event, Frame, Schedule};
use crate::vitals::{Chart, Vitals};
use crate::worker::{Orders, Role, STOP};

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

/// What a run is.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// The length.
    pub length: Duration,
    /// Ordinary processes; those that behave oddly come on top.
    pub processes: u32,
    /// Threads of each.
    pub threads: u32,
    /// The device.
    pub device: String,
    /// How long a job may take.
    pub deadline: Duration,
    /// Cases of a process.
    pub cases: usize,
    /// Whether anything is done to anybody.
    pub events: bool,
    /// Whether there are processes that behave oddly.
    pub odd: bool,
    /// How often to say what processes hold.
    pub telling: Duration,
    /// Whether the run fails if what they hold grows.
    pub soak: bool,
    /// What to work on; generated data if empty.
    pub files: Vec<PathBuf>,
    /// Whether to say what is done.
    pub verbose: bool,
}

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

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// What the histories say.
    pub tally: Tally,
    /// Rules that were broken.
    pub findings: Vec<Finding>,
    /// Whatever else went wrong.
    pub problems: Vec<String>,
    /// Events that took place, by what they were.
    pub events: BTreeMap<&'static str, u64>,
    /// Lives of clients.
    pub lives: u64,
}

impl Report {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.tally.findings == 0 && self.problems.is_empty()
    }
}

/// What is to be done later.
#[derive(Clone, Copy, Debug)]
enum Action {
    Event(Event),
    ContinueClient { process: u32, life: u32 },
    ContinueDaemon,
    StartDaemon,
}

/// A client process, whatever its life.
#[derive(Debug)]
struct Client {
    orders: Orders,
    child: Option<Child>,
    /// The open disturbance while it is stopped.
    stopped: Option<usize>,
}

impl Client {
    fn pid(&self) -> Option<i32> {
        self.child.as_ref().map(|child| child.id().cast_signed())
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // A child that was not waited for keeps its number.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
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

    fn later(&mut self, after: Duration, action: Action) {
        self.actions.push((Instant::now() + after, action));
    }

    /// Does what is due.
    fn act(&mut self) {
        let now = Instant::now();
        let mut due = Vec::new();
        self.actions.retain(|(at, action)| {
            let is_due = *at <= now;
            if is_due {
                due.push((*at, *action));
            }
            !is_due
        });
        due.sort_by_key(|(at, _)| *at);
        for (_, action) in due {
            match action {
                Action::Event(event) => {
                    if self.plan.verbose {
                        println!("{event}");
                    }
                    self.happen(event);
                }
                Action::ContinueClient { process, life } => {
                    let client = &mut self.clients[process as usize];
                    if client.orders.life == life {
                        client.signal(Signal::SIGCONT);
                        let stopped = client.stopped.take();
                        self.calm(stopped);
                    }
                }
                Action::ContinueDaemon => self.continue_daemon(),
                Action::StartDaemon => {
                    if let Err(error) = self.start_daemon() {
                        self.problem(error.to_string());
                    }
                    let away = self.away.take();
                    self.calm(away);
                }
            }
        }
    }

    fn continue_daemon(&mut self) {
        if let Some(daemon) = self.daemon.as_mut().filter(|daemon| daemon.stopped) {
            daemon.signal(Signal::SIGCONT);
            let away = self.away.take();
            self.calm(away);
        }
    }

    fn happen(&mut self, event: Event) {
        // What is stopped or away already is left alone.
        let steady = self.daemon.as_ref().is_some_and(|daemon| !daemon.stopped);
        match event {
            Event::KillClient { process } => {
                self.count("clients killed");
                let client = &mut self.clients[process as usize];
                if let Some(mut child) = client.child.take() {
                    let _ = child.kill();
                    let _ = child.wait();
                }
                self.fates.insert((process, client.orders.life), Fate::Killed);
                let stopped = client.stopped.take();
                client.orders.life += 1;
                self.calm(stopped);
                if let Err(error) = self.start_client(process as usize) {
                    self.problem(format!("starting a client: {error}"));
                }
            }
            Event::StopClient { process, time } if self.clients[process as usize].stopped.is_none() => {
                self.count("clients stopped");
                let disturbance = self.disturb(Some(process), Kind::Stopped);
                let client = &mut self.clients[process as usize];
                client.signal(Signal::SIGSTOP);
                client.stopped = Some(disturbance);
                let life = client.orders.life;
                self.later(time, Action::ContinueClient { process, life });
            }
            Event::StopDaemon { time } if steady => {
                self.count("daemons stopped");
                self.away = Some(self.disturb(None, Kind::Stopped));
                if let Some(daemon) = &mut self.daemon {
                    daemon.signal(Signal::SIGSTOP);
                }
                self.later(time, Action::ContinueDaemon);
            }
            Event::KillDaemon { away } if steady => {
                self.count("daemons killed");
                self.leave();
                if let Some(daemon) = self.daemon.take() {
                    daemon.kill();
                }
                self.later(away, Action::StartDaemon);
            }
            Event::EndDaemon { away } if steady => {
                self.count("daemons told to end");
                self.leave();
                if let Some(Err(error)) = self.daemon.take().map(Daemon::end) {
                    self.problem(error.to_string());
                }
                self.later(away, Action::StartDaemon);
            }
            Event::StopClient { .. }
            | Event::StopDaemon { .. }
            | Event::KillDaemon { .. }
            | Event::EndDaemon { .. } => {
                self.count("left out: already stopped or away");
            }
        }
    }

    /// The daemon goes away, and with it what it did wrong.
    fn leave(&mut self) {
        self.away = Some(self.disturb(None, Kind::Gone));
        let faulty = self.faulty.take();
        self.calm(faulty);
    }

    /// Sees whether somebody has ended who should not.
    fn reap(&mut self) {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if let Some(Ok(Some(status))) = client.child.as_mut().map(Child::try_wait) {
                let (process, role) = (client.orders.process, client.orders.role);
                client.child = None;
                self.fates.insert((process, client.orders.life), Fate::Ended);
                self.problem(format!("process {process} ({role}) ended by itself ({status})"));
            }
        }
        if let Some(daemon) = &mut self.daemon
            && let Ok(Some(status)) = daemon.ended()
        {
            self.daemon = None;
            self.problem(format!("the daemon ended by itself ({status})"));
        }
    }

    /// The histories there are, each thread's segments in their order.
    fn histories(&mut self) -> Vec<(Name, PathBuf)> {
        let mut found = Vec::new();
        match fs::read_dir(&self.folder) {
            Ok(entries) => {
                found.extend(
                    entries
                        .filter_map(Result::ok)
                        .filter_map(|entry| Some((Name::of_file(entry.file_name().to_str()?)?, entry.path()))),
                );
            }
            Err(error) => self.problem(format!("{}: {error}", self.folder.display())),
        }
        found.sort_unstable();
        found
    }

    /// Whether a life goes on.
    fn lives(&self, name: &Name) -> bool {
        !self.fates.contains_key(&(name.process, name.life))
    }

    /// Looks for threads that have not done anything for long.
    fn feel(&mut self) {
        let now = clock::now();
        for (name, path) in self.histories() {
            let stopped = self.clients.get(name.process as usize).is_some_and(|client| client.stopped.is_some());
            if !self.lives(&name) || stopped || self.away.is_some() {
                continue;
            }
            let Ok(glance) = History::glance(&path) else { continue };
            let silent = Duration::from_nanos(now.saturating_sub(glance.alive));
            if glance.state == State::Open && silent > HANGS {
                let Name { process, life, thread, .. } = name;
                self.problem(format!("process {process}, life {life}, thread {thread} hangs: nothing for {silent:?}"));
            }
        }
    }

    /// Reads and checks what is finished, and throws away what is good.
    fn read(&mut self) {
        let mut waits: Option<Name> = None;
        for (name, path) in self.histories() {
            let thread = Name { segment: 0, ..name };
            if waits == Some(thread) {
                continue;
            }
            let fate = self.fates.get(&(name.process, name.life)).copied();
            let sealed = History::glance(&path).is_ok_and(|glance| glance.state != State::Open);
            if fate.is_none() && !sealed {
                waits = Some(thread);
                continue;
            }
            let before = self.checker.tally().findings;
            match History::read(&path) {
                Ok(history) => {
                    let circumstances = Circumstances {
                        fate: fate.unwrap_or(Fate::Ended),
                        falls_back: falls_back(name.process),
                        disturbances: &self.disturbances,
                    };
                    self.checker.check(name, &history, &circumstances);
                }
                // Killed before it could write the first word.
                Err(_) if fate == Some(Fate::Killed) => {}
                Err(error) => self.problem(error.to_string()),
            }
            // A file that has something to say is kept, under a name that is not read again.
            let result = if self.checker.tally().findings == before {
                fs::remove_file(&path)
            } else {
                fs::rename(&path, path.with_extension("bad"))
            };
            if let Err(error) = result {
                self.problem(format!("{}: {error}", path.display()));
            }
        }
    }

    /// Looks at what everybody holds.
    fn look(&mut self, since: Duration) -> String {
        let mut leaked: HashMap<(u32, u32), u64> = HashMap::new();
        for (name, path) in self.histories() {
            if self.lives(&name)
                && let Ok(glance) = History::glance(&path)
            {
                // Each segment says what its thread has leaked so far.
                let most = leaked.entry((name.process, name.thread)).or_default();
                *most = (*most).max(glance.leaked);
            }
        }
        let mut total = Vitals::default();
        let clients = self.clients.iter().filter_map(|client| {
            // One that becomes another program is a new one each time.
            let pid = client.pid().filter(|_| client.orders.role != Role::Execs)?;
            Some((client.orders.process, pid, Vitals::of(pid)?))
        });
        for (process, pid, vitals) in clients.collect::<Vec<_>>() {
            let leaked = leaked.iter().filter(|((other, _), _)| *other == process).map(|(_, bytes)| bytes).sum();
            self.chart.note(&format!("process {process}"), pid, vitals, leaked);
            total.memory += vitals.memory;
            total.descriptors += vitals.descriptors;
            total.threads += vitals.threads;
        }
        let mut line = format!(
            "{:>6} s: clients {} MiB, {} descriptors, {} threads",
            since.as_secs(),
            total.memory >> 20,
            total.descriptors,
            total.threads
        );
        if let Some(daemon) = self.daemon.as_ref().filter(|daemon| !daemon.stopped) {
            let pid = daemon.pid().as_raw();
            if let Some(vitals) = Vitals::of(pid) {
                self.chart.note("the daemon", pid, vitals, 0);
                line += &format!(
                    "; daemon {} MiB, {} descriptors, {} threads",
                    vitals.memory >> 20,
                    vitals.descriptors,
                    vitals.threads
                );
            }
            match daemon.status() {
                Ok(status) => {
                    line += &format!(
                        ", {} address spaces (highest number {}), {} queues ({} leaked), {} jobs",
                        status.clients.len(),
                        status.highest_pasid(),
                        status.queues(),
                        status.leaked(),
                        status.devices.iter().map(|device| device.jobs).sum::<u64>()
                    );
                    // Each process has one, one that was just killed another, and a child yet another.
                    let most = 4 * self.clients.len() as u64;
                    if status.highest_pasid() > most {
                        self.problem(format!(
                            "{} clients, and an address space with the number {}: numbers do not come back",
                            self.clients.len(),
                            status.highest_pasid()
                        ));
                    }
                }
                Err(error) => self.problem(error.to_string()),
            }
        }
        line
    }

    /// Lets everybody end, and reads the rest.
    fn finish(&mut self) {
        self.actions.clear();
        let folder = self.folder.clone();
        if let Err(error) = fs::write(folder.join(STOP), "") {
            self.problem(format!("{}: {error}", folder.join(STOP).display()));
        }
        self.continue_daemon();
        if self.program.is_some() && self.daemon.is_none() && self.report.problems.is_empty() {
            if let Err(error) = self.start_daemon() {
                self.problem(error.to_string());
            }
            let away = self.away.take();
            self.calm(away);
        }
        for index in 0..self.clients.len() {
            self.clients[index].signal(Signal::SIGCONT);
            let stopped = self.clients[index].stopped.take();
            self.calm(stopped);
        }
        let begun = Instant::now();
        while self.clients.iter().any(|client| client.child.is_some()) && begun.elapsed() < HANGS {
            thread::sleep(Duration::from_millis(10));
            for index in 0..self.clients.len() {
                let client = &mut self.clients[index];
                if let Some(Ok(Some(status))) = client.child.as_mut().map(Child::try_wait) {
                    client.child = None;
                    let (process, life) = (client.orders.process, client.orders.life);
                    self.fates.insert((process, life), Fate::Ended);
                    if !status.success() {
                        self.problem(format!("process {process} ended badly ({status})"));
                    }
                }
            }
        }
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let (process, life, role) = (client.orders.process, client.orders.life, client.orders.role);
            if let Some(mut child) = client.child.take() {
                self.problem(format!("process {process} ({role}) did not end within {HANGS:?}"));
                let _ = child.kill();
                let _ = child.wait();
                // What it waited for stands in its history, and is found there.
                self.fates.insert((process, life), Fate::Ended);
            }
        }
        self.end_daemon();
        self.read();
        if self.checker.tally().with(Verdict::Right) == 0 {
            self.problem("not one job was done".to_owned());
        }
        if self.plan.soak {
            for growing in self.chart.growing() {
                self.problem(growing);
            }
        }
    }

    /// When all clients are gone, so are their address spaces and queues; and the daemon ends when it is told to.
    fn end_daemon(&mut self) {
        let Some(daemon) = self.daemon.take() else { return };
        let begun = Instant::now();
        loop {
            match daemon.status() {
                Ok(status) if status.clients.is_empty() && status.queues() == 0 => break,
                Ok(status) if begun.elapsed() > daemon::PATIENCE => {
                    self.problem(format!(
                        "all clients are gone, and the daemon has {} address spaces and {} queues: {status:?}",
                        status.clients.len(),
                        status.queues()
                    ));
                    break;
                }
                Ok(_) => thread::sleep(Duration::from_millis(20)),
                Err(error) => {
                    self.problem(error.to_string());
                    break;
                }
            }
        }
        if let Err(error) = daemon.end() {
            self.problem(error.to_string());
        }
    }

    fn report(self) -> Report {
        Report { tally: self.checker.tally().clone(), findings: self.checker.findings().to_vec(), ..self.report }
    }
}

/// Every other process lets the CPU take the device's place.
fn falls_back(process: u32) -> bool {
    process % 2 == 1
}

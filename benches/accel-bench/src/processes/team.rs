//! The processes that measure together.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::order::{CaseOrder, OpenOrder, Order, Reply, Stretch};
use crate::Interrupt;
use crate::exit::Failure;
use crate::measurement::Measurement;

/// Several processes with one device, each with a runtime of its own.
#[derive(Debug)]
pub(crate) struct Team {
    members: Vec<Member>,
    interrupt: Interrupt,
    told: bool,
}

/// What became of a case.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// What each process measured.
    Found(Vec<Measurement>),
    /// The device does not offer it.
    Unsupported(String),
    /// It could not be measured.
    Failed(String),
}

/// Time for a process to be woken and to read when it begins, for each of them.
const LEAD: Duration = Duration::from_millis(5);

impl Team {
    /// Starts so many processes, and opens the device in each.
    ///
    /// # Errors
    /// [`Failure::NoDevice`] if one of them cannot open it; [`Failure::Failed`] if one cannot be started.
    pub(crate) fn start(size: usize, open: &OpenOrder, interrupt: &Interrupt) -> Result<Self, Failure> {
        let members = (0..size).map(|_| Member::start()).collect::<Result<Vec<_>, _>>()?;
        let mut team = Self { members, interrupt: interrupt.clone(), told: false };
        for member in &mut team.members {
            member.tell(&Order::Open(open.clone()))?;
        }
        for index in 0..size {
            match team.answer(index)? {
                Reply::Ready => {}
                Reply::Failed(reason) => return Err(Failure::NoDevice(reason)),
                other => return Err(odd(&other)),
            }
        }
        Ok(team)
    }

    /// Measures a case with the first `count` processes while the others sleep.
    ///
    /// # Errors
    /// [`Failure::Failed`] if a process ends.
    pub(crate) fn measure(&mut self, case: &CaseOrder, count: usize, time: Duration) -> Result<Outcome, Failure> {
        if let Err(refusal) = self.begin(|| Order::Case(case.clone()), count, time)? {
            return Ok(refusal);
        }
        let mut found = Vec::with_capacity(count);
        let mut refusal = None;
        for index in 0..count {
            match self.answer(index)? {
                Reply::Found(measurement) => found.push(*measurement),
                Reply::Unsupported(reason) => refusal = Some(Outcome::Unsupported(reason)),
                Reply::Failed(reason) => refusal = Some(Outcome::Failed(reason)),
                other => return Err(odd(&other)),
            }
        }
        Ok(refusal.unwrap_or(Outcome::Found(found)))
    }

    /// Jobs per second that each of the first `count` processes gets done of those that do nothing, in bursts.
    ///
    /// # Errors
    /// [`Failure::Failed`] if a process ends, or cannot do them.
    pub(crate) fn count(&mut self, burst: usize, count: usize, time: Duration) -> Result<Vec<f64>, Failure> {
        if let Err(refusal) = self.begin(|| Order::Nothing { burst }, count, time)? {
            return Err(Failure::Failed(format!("{refusal:?}")));
        }
        (0..count)
            .map(|index| match self.answer(index)? {
                Reply::Counted { jobs, elapsed } if !elapsed.is_zero() => Ok(jobs as f64 / elapsed.as_secs_f64()),
                Reply::Failed(reason) => Err(Failure::Failed(reason)),
                other => Err(odd(&other)),
            })
            .collect()
    }

    /// Lets all of them do jobs that do nothing, in bursts, for longer than anybody waits.
    ///
    /// # Errors
    /// [`Failure::Failed`] if a process ends, or cannot do them.
    pub(crate) fn keep_busy(&mut self, burst: usize) -> Result<(), Failure> {
        const AN_HOUR: Duration = Duration::from_secs(3600);
        let begun = self.begin(|| Order::Nothing { burst }, self.members.len(), AN_HOUR)?;
        begun.map_err(|refusal| Failure::Failed(format!("{refusal:?}")))
    }

    /// Kills all of them as nothing can be survived, and says how they ended.
    ///
    /// # Errors
    /// [`Failure::Failed`] if one cannot be killed.
    pub(crate) fn kill_all(mut self) -> Result<Vec<ExitStatus>, Failure> {
        let failed = |error: std::io::Error| Failure::Failed(format!("a process cannot be killed: {error}"));
        self.members.iter_mut().try_for_each(|member| member.child.kill()).map_err(failed)?;
        self.members.iter_mut().map(|member| member.child.wait().map_err(failed)).collect()
    }

    /// The processes' numbers.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.child.id()).collect()
    }

    /// Tells the first `count` processes what to do, and when all of them are warm, when. If one refuses, the others are told to leave it.
    fn begin(
        &mut self,
        order: impl Fn() -> Order,
        count: usize,
        time: Duration,
    ) -> Result<Result<(), Outcome>, Failure> {
        for member in &mut self.members[..count] {
            member.tell(&order())?;
        }
        let mut refusal = None;
        let mut ready = Vec::with_capacity(count);
        for index in 0..count {
            match self.answer(index)? {
                Reply::Ready => ready.push(index),
                Reply::Unsupported(reason) => refusal = Some(Outcome::Unsupported(reason)),
                Reply::Failed(reason) => refusal = Some(Outcome::Failed(reason)),
                other => return Err(odd(&other)),
            }
        }
        let lead = LEAD * u32::try_from(count).unwrap_or(u32::MAX);
        let word = if refusal.is_none() { Order::Begin(Stretch::after(lead, time)) } else { Order::Skip };
        for index in &ready {
            self.members[*index].tell(&word)?;
        }
        let Some(refusal) = refusal else { return Ok(Ok(())) };
        for index in ready {
            // What they found in no time.
            self.answer(index)?;
        }
        Ok(Err(refusal))
    }

    /// The next answer of a process. Who waits for it when Ctrl-C comes passes that on to all of them, once.
    fn answer(&mut self, index: usize) -> Result<Reply, Failure> {
        loop {
            let member = &mut self.members[index];
            let mut fds = [PollFd::new(member.from.get_ref().as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::from(100_u8)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return member.read(index),
                Err(errno) => return Err(Failure::Failed(format!("poll: {}", errno.desc()))),
            }
            if self.interrupt.is_set() && !self.told {
                self.told = true;
                self.members.iter().for_each(|member| member.signal(Signal::SIGINT));
            }
        }
    }
}

fn odd(reply: &Reply) -> Failure {
    Failure::Failed(format!("a process answered {reply:?} to something else"))
}

/// One process. It ends when its value goes.
#[derive(Debug)]
struct Member {
    child: Child,
    /// `None` once it was told that there is nothing more.
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Member {
    fn start() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::Failed(format!("this program cannot be started again: {error}"));
        let mut child = Command::new(std::env::current_exe().map_err(failed)?)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C comes to this process alone, which passes it on.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Self { child, to: Some(to), from: BufReader::new(from) }),
            _ => Err(Failure::Failed("a process has no pipes".to_owned())),
        }
    }

    fn tell(&mut self, order: &Order) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure::Failed(format!("a process takes no orders: {error}"));
        let mut line = serde_json::to_vec(order).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.to.as_mut().map_or(Ok(()), |to| to.write_all(&line)).map_err(failed)
    }

    fn read(&mut self, index: usize) -> Result<Reply, Failure> {
        let mut line = String::new();
        let read = self.from.read_line(&mut line);
        match read {
            Ok(0) => {
                let ended = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
                Err(Failure::Failed(format!("process {} ended early: {ended}", index + 1)))
            }
            Ok(_) => serde_json::from_str(&line)
                .map_err(|error| Failure::Failed(format!("process {} says nonsense: {error}", index + 1))),
            Err(error) => Err(Failure::Failed(format!("process {}: {error}", index + 1))),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // Gone already is as good.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // It has nothing to lose, and may be in the middle of something.
        drop(self.to.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

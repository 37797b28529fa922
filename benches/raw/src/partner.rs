//! The engine as a process of its own.
//!
//! It is this program, started again: the memory that both have in common is its standard input, and the caller's `/proc/self/mem` its
//! standard output. Like the thread, it sleeps between repetitions, and is gone when its owner is.

use std::ffi::OsString;
use std::fs::File;
use std::hint::spin_loop;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::unistd::{Pid, getppid};

use crate::errand::Errand;
use crate::error::RawError;
use crate::floor::{Floor, MAGIC};
use crate::futex::{self, Reach};
use crate::placement::pin;

/// How the other process is started: a program that calls [`serve`] when it is given these arguments.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// A program, and the arguments that make it call [`serve`].
    pub fn new(program: impl Into<PathBuf>, arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self { program: program.into(), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    /// The running program.
    ///
    /// # Errors
    ///
    /// [`RawError::Os`] if its path is not known.
    pub fn of_this_program(arguments: impl IntoIterator<Item = impl Into<OsString>>) -> Result<Self, RawError> {
        let program =
            std::env::current_exe().map_err(|source| RawError::Os { call: "readlink of /proc/self/exe", source })?;
        Ok(Self::new(program, arguments))
    }
}

/// What the caller wants.
pub(crate) struct Wish;

impl Wish {
    pub(crate) const SLEEP: u32 = 0;
    pub(crate) const RUN: u32 = 1;
    pub(crate) const END: u32 = 2;
}

/// What the partner does.
pub(crate) struct State;

impl State {
    pub(crate) const STARTING: u32 = 0;
    pub(crate) const ASLEEP: u32 = 1;
    pub(crate) const RUNNING: u32 = 2;
    pub(crate) const FAILED: u32 = 3;
}

/// Longest sleep before either side looks whether the other is still there.
const LOOK: Duration = Duration::from_millis(100);
/// Idle rounds between two looks at what the other side wants, and of those between two looks whether it is there.
const ROUNDS: u32 = 256;

/// The process, as its owner sees it.
#[derive(Debug)]
pub(crate) struct Partner {
    limit: String,
    floor: Arc<Floor>,
    child: Mutex<Child>,
}

impl Partner {
    /// Starts it on `cpu`. When this returns it sleeps.
    pub(crate) fn start(
        limit: &str,
        launcher: &Launcher,
        cpu: usize,
        errand: Errand,
        prepare: impl FnOnce(&Floor),
    ) -> Result<Self, RawError> {
        let (floor, memory) = Floor::new()?;
        let head = floor.head();
        head.errand.store(errand.number(), Ordering::Relaxed);
        head.cpu.store(u32::try_from(cpu).unwrap_or(u32::MAX), Ordering::Relaxed);
        prepare(&floor);
        // Pairs with the acquire load in `serve`: what was set before is seen.
        head.magic.store(MAGIC, Ordering::Release);
        let own = File::options()
            .read(true)
            .write(true)
            .open("/proc/self/mem")
            .map_err(|source| RawError::Os { call: "open of /proc/self/mem", source })?;
        let child = Command::new(&launcher.program)
            .args(&launcher.arguments)
            .stdin(Stdio::from(memory))
            .stdout(Stdio::from(own))
            .spawn()
            .map_err(|source| RawError::Spawn { limit: limit.to_owned(), source })?;
        // From here on the process goes with this value.
        let partner = Self { limit: limit.to_owned(), floor: Arc::new(floor), child: Mutex::new(child) };
        partner.wait_while(|state| state == State::STARTING)?;
        Ok(partner)
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child().id()
    }

    /// The memory that both have in common.
    pub(crate) fn floor(&self) -> &Floor {
        &self.floor
    }

    /// Wakes it; when this returns its errand runs.
    pub(crate) fn session(&self) -> Result<Session<'_>, RawError> {
        self.want(Wish::RUN);
        self.wait_while(|state| state != State::RUNNING)?;
        Ok(Session { partner: self })
    }

    fn want(&self, wish: u32) {
        let word = &self.floor.head().wish.0;
        // Pairs with the acquire load in `Order::goes_on`.
        word.store(wish, Ordering::Release);
        // Should the call fail, the partner looks by itself.
        let _ = futex::wake(word, Reach::Everybody);
    }

    /// Sleeps while the partner's state is such, and it is there.
    fn wait_while(&self, such: impl Fn(u32) -> bool) -> Result<(), RawError> {
        let word = &self.floor.head().state.0;
        loop {
            // Pairs with the release store in `tell`: what the partner did before is seen.
            match word.load(Ordering::Acquire) {
                State::FAILED => {
                    let what = "it cannot do its errand; its standard error says why".to_owned();
                    return Err(RawError::Partner { limit: self.limit.clone(), what });
                }
                state if such(state) => {
                    self.check()?;
                    futex::wait(word, state, Reach::Everybody, Some(LOOK))
                        .map_err(|source| RawError::Os { call: "futex", source })?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is there.
    #[cold]
    fn check(&self) -> Result<(), RawError> {
        match self.child().try_wait() {
            Ok(None) => Ok(()),
            _ => Err(RawError::EngineGone { limit: self.limit.clone() }),
        }
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        self.want(Wish::END);
        let mut child = self.child();
        // It may be busy with something that takes its time; there is nothing to be lost by not waiting for that.
        let _ = child.kill();
        let _ = child.wait();
    }
}

/// The time in which the errand runs. Dropping it sends the partner to sleep, and waits until it does.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    partner: &'a Partner,
}

impl Session<'_> {
    /// A spin loop of the caller that finds out when the partner has died.
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience { partner: self.partner, rounds: 0 }
    }

    /// Whether the partner is there; for callers that sleep rather than spin.
    pub(crate) fn check(&self) -> Result<(), RawError> {
        self.partner.check()
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.partner.want(Wish::SLEEP);
        // Who sleeps on the question's word is woken, and looks at the wish.
        let _ = futex::wake(&self.partner.floor.head().there.0, Reach::Everybody);
        // If it is gone or has failed, it does nothing any more either.
        let _ = self.partner.wait_while(|state| state == State::RUNNING);
    }
}

/// Counts the empty rounds of a caller's loop.
#[derive(Debug)]
pub(crate) struct Patience<'a> {
    partner: &'a Partner,
    rounds: u32,
}

impl Patience<'_> {
    /// One more round without an answer.
    #[inline]
    pub(crate) fn round(&mut self) -> Result<(), RawError> {
        self.rounds = self.rounds.wrapping_add(1);
        spin_loop();
        if self.rounds.is_multiple_of(ROUNDS * 256) { self.partner.check() } else { Ok(()) }
    }
}

/// What its owner wants, as the partner sees it.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    floor: &'a Floor,
    owner: Pid,
    rounds: u32,
}

impl Order<'_> {
    /// One more round without work. `true` when the errand must return.
    #[inline]
    pub(crate) fn idle(&mut self) -> bool {
        self.rounds = self.rounds.wrapping_add(1);
        spin_loop();
        self.rounds.is_multiple_of(ROUNDS) && !self.goes_on()
    }

    /// Whether the errand goes on.
    pub(crate) fn goes_on(&self) -> bool {
        // Pairs with the release store in `Partner::want`.
        self.floor.head().wish.0.load(Ordering::Acquire) == Wish::RUN
            && (!self.rounds.is_multiple_of(ROUNDS * 256) || getppid() == self.owner)
    }
}

/// The other process's part: does its errand whenever its owner says so, until the owner ends it, or is gone.
///
/// A program that gives itself as [`Launcher`] calls it as soon as it sees the arguments.
///
/// # Errors
///
/// [`RawError::Partner`] if standard input is not the memory of a limit; [`RawError::Pin`]; [`RawError::Os`] if a call that is part of the
/// errand fails.
pub fn serve() -> Result<(), RawError> {
    let bad = |what: &str| RawError::Partner { limit: "somebody".to_owned(), what: what.to_owned() };
    let owner = getppid();
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(|source| RawError::Os { call: "dup", source })?;
    let is_memory = File::from(input.try_clone().map_err(|source| RawError::Os { call: "dup", source })?)
        .metadata()
        .is_ok_and(|about| about.is_file() && about.len() > 0);
    if !is_memory {
        return Err(bad("standard input is not the memory of a limit"));
    }
    let floor = Floor::map(&input)?;
    let head = floor.head();
    // Pairs with the release store in `Partner::start`.
    if head.magic.load(Ordering::Acquire) != MAGIC {
        return Err(bad("standard input is not the memory of a limit"));
    }
    let result = serve_on(&floor, owner);
    tell(&head.state.0, if result.is_ok() { State::ASLEEP } else { State::FAILED });
    result
}

fn serve_on(floor: &Floor, owner: Pid) -> Result<(), RawError> {
    let head = floor.head();
    let errand = Errand::of_number(head.errand.load(Ordering::Relaxed)).ok_or_else(|| RawError::Partner {
        limit: "somebody".to_owned(),
        what: "there is no such errand".to_owned(),
    })?;
    let cpu = usize::try_from(head.cpu.load(Ordering::Relaxed)).unwrap_or(usize::MAX);
    let _pin = pin(cpu)?;
    let mut work = errand.prepare(floor, owner)?;
    let mut order = Order { floor, owner, rounds: 0 };
    loop {
        // Pairs with the release store in `Partner::want`.
        match head.wish.0.load(Ordering::Acquire) {
            Wish::RUN => {
                tell(&head.state.0, State::RUNNING);
                order.rounds = 0;
                work.run(&mut order)?;
            }
            Wish::SLEEP => {
                tell(&head.state.0, State::ASLEEP);
                futex::wait(&head.wish.0, Wish::SLEEP, Reach::Everybody, Some(LOOK * 10))
                    .map_err(|source| RawError::Os { call: "futex", source })?;
            }
            _ => return Ok(()),
        }
        // Nobody's process any more.
        if getppid() != owner {
            return Ok(());
        }
    }
}

/// Says what the partner does.
fn tell(word: &AtomicU32, state: u32) {
    // Pairs with the acquire load in `Partner::wait_while`.
    word.store(state, Ordering::Release);
    // Should the call fail, the owner looks by itself.
    let _ = futex::wake(word, Reach::Everybody);
}

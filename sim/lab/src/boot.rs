//! One life of a guest: started, listened to, ended.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::LabError;
use crate::guest::Frame;
use crate::qemu::Machine;

/// How long one look at the port lasts: what an interrupt or a dead QEMU can go unnoticed.
const LOOK: Duration = Duration::from_millis(100);

/// Lines of the console that an error shows.
const TAIL: usize = 20;

/// What QEMU says on every translation that fails, which is part of normal work: the device asks, the IOMMU answers no.
const NORMAL: [&str; 1] = ["detected translation failure"];

/// What came of the guest.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) end: End,
    /// All that the kernel's console showed.
    pub(crate) console: String,
}

/// How a guest ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The program ended with this code.
    Code(i32),
    /// The program was ended by this signal.
    Signal(i32),
    /// The time was over.
    TimedOut,
    /// The guest is gone, and has not said how the program ended.
    Died,
    /// The guest did not even come to the program.
    NotUp,
}

/// What ends a guest early.
#[derive(Debug)]
pub(crate) struct Limits<'a> {
    /// Until the program has ended.
    pub(crate) time: Duration,
    /// Until the program is started.
    pub(crate) boot: Duration,
    pub(crate) interrupted: &'a AtomicBool,
}

/// Runs the machine until its guest has done its errand. The program's output goes to this process's output as it comes.
pub(crate) fn run(machine: &Machine, limits: &Limits<'_>, all_messages: bool) -> Result<Report, LabError> {
    // An earlier attempt may have left its socket.
    let _ = fs::remove_file(&machine.port);
    let listener = UnixListener::bind(&machine.port).map_err(LabError::io("listen at", &machine.port))?;
    let mut guest = Guest::start(machine, all_messages)?;
    let end = listen(&listener, &mut guest, limits, &machine.port);
    guest.end(matches!(end, Ok(End::Code(_) | End::Signal(_))));
    // There is none if QEMU did not come that far.
    let console = String::from_utf8_lossy(&fs::read(&machine.log).unwrap_or_default()).into_owned();
    Ok(Report { end: end?, console })
}

struct Guest {
    qemu: Child,
    messages: Option<JoinHandle<()>>,
}

impl Guest {
    fn start(machine: &Machine, all_messages: bool) -> Result<Self, LabError> {
        let mut command = machine.command()?;
        let name = command.get_program().to_string_lossy().into_owned();
        command.stderr(Stdio::piped());
        if machine.console {
            // Kept apart from the program's output.
            let errors = io::stderr().as_fd().try_clone_to_owned().map_err(LabError::io("copy", "stderr"))?;
            command.stdout(errors);
        } else {
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        let mut qemu = command.spawn().map_err(LabError::start(name))?;
        let messages = qemu.stderr.take().map(|stderr| {
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if all_messages || !NORMAL.iter().any(|normal| line.contains(normal)) {
                        eprintln!("{line}");
                    }
                }
            })
        });
        Ok(Self { qemu, messages })
    }

    fn is_dead(&mut self) -> bool {
        !matches!(self.qemu.try_wait(), Ok(None))
    }

    /// Waits for a guest that is about to end by itself, and ends another.
    fn end(mut self, by_itself: bool) {
        let begun = Instant::now();
        while by_itself && !self.is_dead() && begun.elapsed() < Duration::from_secs(10) {
            thread::sleep(Duration::from_millis(5));
        }
        // It may be gone already.
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
        if let Some(messages) = self.messages.take() {
            let _ = messages.join();
        }
    }
}

fn listen(listener: &UnixListener, guest: &mut Guest, limits: &Limits<'_>, port: &Path) -> Result<End, LabError> {
    let begun = Instant::now();
    let over = |up: bool| {
        let took = begun.elapsed();
        if !up && took >= limits.boot.min(limits.time) {
            return Some(if took >= limits.time { End::TimedOut } else { End::NotUp });
        }
        (took >= limits.time).then_some(End::TimedOut)
    };
    // Relaxed: nothing else is passed on with it.
    let interrupted = || limits.interrupted.load(Ordering::Relaxed);
    let mut line = loop {
        listener.set_nonblocking(true).map_err(LabError::io("listen at", port))?;
        match listener.accept() {
            Ok((line, _)) => break line,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
            Err(error) => return Err(LabError::io("listen at", port)(error)),
        }
        if guest.is_dead() {
            return Ok(End::Died);
        }
        if interrupted() {
            return Err(LabError::Interrupted);
        }
        if let Some(end) = over(false) {
            return Ok(end);
        }
    };
    set_up(&line).map_err(LabError::io("set up", port))?;
    let (mut arrived, mut buffer, mut up) = (Vec::new(), [0; 1 << 16], false);
    loop {
        match line.read(&mut buffer) {
            Ok(0) => {
                // Ctrl-C on a terminal is for QEMU, too, which may be the quicker one.
                thread::sleep(LOOK);
                return if interrupted() { Err(LabError::Interrupted) } else { Ok(End::Died) };
            }
            Ok(length) => arrived.extend_from_slice(&buffer[..length]),
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(LabError::io("listen at", port)(error)),
        }
        while let Some(frame) = Frame::take(&mut arrived).map_err(LabError::io("understand", port))? {
            up = true;
            if let Some(end) = obey(frame)? {
                return Ok(end);
            }
        }
        if interrupted() {
            return Err(LabError::Interrupted);
        }
        if let Some(end) = over(up) {
            return Ok(end);
        }
    }
}

fn set_up(line: &UnixStream) -> io::Result<()> {
    line.set_nonblocking(false)?;
    line.set_read_timeout(Some(LOOK))
}

fn is_pause(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn obey(frame: Frame) -> Result<Option<End>, LabError> {
    let shown = match frame {
        Frame::Started => Ok(()),
        Frame::Output(bytes) => {
            let mut output = io::stdout().lock();
            output.write_all(&bytes).and_then(|()| output.flush()).map_err(LabError::io("write to", "stdout"))
        }
        Frame::Error(bytes) => io::stderr().lock().write_all(&bytes).map_err(LabError::io("write to", "stderr")),
        Frame::Exited(code) => return Ok(Some(End::Code(code))),
        Frame::Killed(signal) => return Ok(Some(End::Signal(signal))),
        Frame::Failed(reason) => Err(LabError::Guest(reason)),
    };
    shown.map(|()| None)
}

impl Report {
    /// The last lines of the console.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<&str> = self.console.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }
}

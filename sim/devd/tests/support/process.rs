//! Other processes: the test's own program once more, in a role.
//!
//! Every test file that uses them has a test `other_process`, ignored, which plays the role that the environment names. The two talk by lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const ROLE: &str = "UACCEL_TEST_ROLE";
const ARGUMENT: &str = "UACCEL_TEST_ARGUMENT";
/// Begins the lines that are meant for the test; the test harness prints others.
const MARK: &str = "@";

/// Another process.
pub struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub fn start(role: &str, argument: &str) -> Self {
        Self::spawn(&mut command(role, argument))
    }

    /// As another user, which only root can do.
    pub fn start_as(user: u32, role: &str, argument: &str) -> Self {
        Self::spawn(command(role, argument).uid(user).gid(user))
    }

    /// Started by another program, which gets it as its last arguments.
    pub fn start_in(mut starter: Command, role: &str, argument: &str) -> Self {
        let command = command(role, argument);
        starter.arg(command.get_program()).args(command.get_args());
        starter.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::spawn(&mut starter)
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("another process");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Says a line to it.
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("a process that listens");
    }

    /// The next line it says.
    pub fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).expect("a line"), 0, "the other process ended");
            // The harness may have begun the line.
            if let Some(at) = line.find(MARK) {
                return line[at + MARK.len()..].trim_end().to_owned();
            }
        }
    }

    pub fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.hear()
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a process that is there");
    }

    /// Ends it, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().expect("a process that ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program once more, in a role.
pub fn command(role: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "other_process", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(ARGUMENT, argument);
    command
}

/// Which role to play, and with what, in the other process.
pub fn role() -> Option<(String, String)> {
    Some((std::env::var(ROLE).ok()?, std::env::var(ARGUMENT).ok()?))
}

/// Says a line to the test.
pub fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{line}").and_then(|()| out.flush()).expect("a test that listens");
}

/// The lines that the test says; ends when the test does.
pub fn orders() -> impl Iterator<Item = String> {
    std::io::stdin().lines().map_while(Result::ok)
}

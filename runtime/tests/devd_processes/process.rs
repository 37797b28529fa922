//! Other processes: this program once more, in a role. The two talk by lines.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::bench::PATIENCE;

/// The variable that says which role, and for whom.
pub(crate) const ROLE: &str = "UACCEL_TEST_ROLE";
/// Begins the lines that are meant for the other side; the test harness prints others.
const MARK: &str = "@ ";

/// Another process. Dropping it kills it.
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// This program in a role, as a command.
pub(crate) fn command(role: &str, argument: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "a_process_of_another_test", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, format!("{role} {argument}"));
    command
}

impl Process {
    pub(crate) fn start(role: &str, argument: &str) -> Self {
        Self::spawn(role, &mut command(role, argument)).expect("another process")
    }

    /// As another user, which only root can do.
    pub(crate) fn start_as(user: u32, role: &str, argument: &str) -> io::Result<Self> {
        Self::spawn(role, command(role, argument).uid(user).gid(user))
    }

    fn spawn(role: &str, command: &mut Command) -> io::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = child.stdout.take().map(BufReader::new);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in output.into_iter().flat_map(|output| output.lines().map_while(Result::ok)) {
                // The harness may have begun the line.
                if let Some(at) = line.find(MARK)
                    && sender.send(line[at + MARK.len()..].to_owned()).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { name: role.to_owned(), child, input, lines })
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Says a line to it.
    #[track_caller]
    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("its input"), "{line}").expect("a process that listens");
    }

    /// The next line it says.
    #[track_caller]
    pub(crate) fn hear(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("the process '{}' says nothing for {PATIENCE:?}", self.name),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the process '{}' has ended: {:?}", self.name, self.child.wait())
            }
        }
    }

    /// Whether it has said something.
    pub(crate) fn has_spoken(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, line: &str) {
        assert_eq!(self.hear(), line, "said by the process '{}'", self.name);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("our child");
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_some()
    }

    /// Kills it and waits for its end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// Closes its input, and waits until it has ended.
    pub(crate) fn end(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().expect("our child")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process in a role hears and says.
#[derive(Debug)]
pub(crate) struct Tongue;

impl Tongue {
    /// The next line that the test says; `None` if it says no more.
    pub(crate) fn hear(&self) -> Option<String> {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line).expect("standard input");
        (read != 0).then(|| line.trim_end().to_owned())
    }

    pub(crate) fn say(&self, line: &str) {
        let mut out = io::stdout().lock();
        // One write, so that the harness's own lines do not come between.
        out.write_all(format!("{MARK}{line}\n").as_bytes()).and_then(|()| out.flush()).expect("standard output");
    }
}

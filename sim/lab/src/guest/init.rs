//! The guest's first process: sets the system up, runs the errand, tells what came of it, and ends the guest.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{BaudRate, SetArg, cfmakeraw, cfsetspeed, tcdrain, tcgetattr, tcsetattr};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::guest::{ERRAND, Errand, Frame, WORK};
use crate::module::{name_of, normal};

/// The path under which the kernel starts this program.
pub(crate) const INIT: &str = "/init";

/// The serial port to the lab.
const PORT: &str = "/dev/ttyS1";

/// Lines of the kernel's log that a failure shows.
const TAIL: usize = 20;

/// The whole life of the guest. It returns only if the guest cannot be ended.
pub(crate) fn run() {
    if let Err(reason) = live() {
        // Without the port nobody hears more than the console.
        eprintln!("sva-lab: {reason}");
    }
    // A restart, which QEMU is told to take for an end: it needs no power management of the kernel's.
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    eprintln!("sva-lab: the guest cannot be ended: {error}");
}

fn live() -> Result<(), String> {
    mounts()?;
    let port = port()?;
    let answer = errand(&port).unwrap_or_else(Frame::Failed);
    answer.write(&mut &port).map_err(|error| format!("cannot write to {PORT}: {error}"))?;
    tcdrain(&port).map_err(|error| format!("cannot drain {PORT}: {error}"))
}

fn mounts() -> Result<(), String> {
    // The root is memory already, so these need nothing mounted, and may hold files that were brought along.
    for place in ["/tmp", "/run"] {
        fs::create_dir_all(place).map_err(|error| format!("cannot create {place}: {error}"))?;
    }
    let kinds =
        [("devtmpfs", "/dev"), ("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/dev/shm"), ("devpts", "/dev/pts")];
    for (kind, place) in kinds {
        fs::create_dir_all(place).map_err(|error| format!("cannot create {place}: {error}"))?;
        match mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>) {
            // A kernel may have mounted its devices itself, and a small one may have no devpts.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(Errno::ENODEV) if kind == "devpts" => {}
            Err(error) => return Err(format!("cannot mount {place}: {error}")),
        }
    }
    for (link, target) in
        [("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "fd/0"), ("/dev/stdout", "fd/1"), ("/dev/stderr", "fd/2")]
    {
        // Only a convenience for scripts.
        let _ = symlink(target, link);
    }
    Ok(())
}

/// Opens the port as a line for any bytes.
fn port() -> Result<File, String> {
    let port =
        OpenOptions::new().read(true).write(true).open(PORT).map_err(|error| format!("cannot open {PORT}: {error}"))?;
    let set = || -> nix::Result<()> {
        let mut line = tcgetattr(&port)?;
        cfmakeraw(&mut line);
        cfsetspeed(&mut line, BaudRate::B115200)?;
        tcsetattr(&port, SetArg::TCSANOW, &line)
    };
    set().map_err(|error| format!("cannot set up {PORT}: {error}"))?;
    Ok(port)
}

fn errand(port: &File) -> Result<Frame, String> {
    let text = fs::read_to_string(ERRAND).map_err(|error| format!("cannot read {ERRAND}: {error}"))?;
    let errand: Errand = serde_json::from_str(&text).map_err(|error| format!("cannot read {ERRAND}: {error}"))?;
    // As modprobe(8) has it: what the kernel's command line says of a module is its parameters.
    let line = fs::read_to_string("/proc/cmdline").map_err(|error| format!("cannot read /proc/cmdline: {error}"))?;
    for module in &errand.modules {
        load(module, &parameters(&line, &name_of(Path::new(module))))?;
    }
    let nodes: Vec<PathBuf> = match fs::read_dir("/dev") {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).collect(),
        Err(error) => return Err(format!("cannot list /dev: {error}")),
    };
    let is_there = |start: &str| nodes.iter().any(|node| node.to_string_lossy().starts_with(start));
    if let Some(start) = errand.nodes.iter().find(|start| !is_there(start)) {
        return Err(format!("{start}* has not appeared. The kernel said:\n{}", said(&errand.modules)));
    }
    let busybox = |arguments: &[&str]| {
        let status = Command::new("/bin/busybox").args(arguments).status();
        status.map_err(|error| format!("cannot start /bin/busybox: {error}"))
    };
    busybox(&["--install", "-s", "/bin"])?;
    // Programs may talk to themselves; a kernel without a network still runs the rest.
    let _ = busybox(&["ip", "link", "set", "lo", "up"]);
    fs::create_dir_all(WORK).map_err(|error| format!("cannot create {WORK}: {error}"))?;
    let line = Mutex::new(port);
    let send = |frame: &Frame| {
        let mut port = *line.lock().unwrap_or_else(PoisonError::into_inner);
        frame.write(&mut port)
    };
    send(&Frame::Started).map_err(|error| format!("cannot write to {PORT}: {error}"))?;
    match errand.command.split_first() {
        Some((program, arguments)) => {
            let mut command = Command::new(program);
            let input = match &errand.input {
                Some(path) => File::open(path).map_err(|error| format!("cannot open {path}: {error}"))?.into(),
                None => Stdio::null(),
            };
            command.args(arguments).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
            supervise(&mut command, &errand, send)
        }
        None => {
            let mut command = Command::new("/bin/busybox");
            command.args(["setsid", "cttyhack", "sh", "-l"]);
            let console = || OpenOptions::new().read(true).write(true).open("/dev/console");
            if let (Ok(input), Ok(output), Ok(errors)) = (console(), console(), console()) {
                command.stdin(input).stdout(output).stderr(errors);
            }
            supervise(&mut command, &errand, send)
        }
    }
}

fn load(module: &str, parameters: &str) -> Result<(), String> {
    let parameters = CString::new(parameters).map_err(|error| format!("{parameters:?}: {error}"))?;
    let file = File::open(module).map_err(|error| format!("cannot open {module}: {error}"))?;
    match finit_module(file.as_fd(), &parameters, ModuleInitFlags::empty()) {
        Ok(()) => Ok(()),
        // The kernel has it built in, or it is loaded.
        Err(Errno::EEXIST) => Ok(()),
        Err(error) => Err(format!("cannot load {}: {error}", name_of(Path::new(module)))),
    }
}

/// The parameters for a module in the kernel's command line.
fn parameters(line: &str, module: &str) -> String {
    let its = line.split_ascii_whitespace().filter_map(|word| word.split_once('.'));
    let its: Vec<&str> = its.filter(|(name, _)| normal(name) == module).map(|(_, parameter)| parameter).collect();
    its.join(" ")
}

/// The last that the kernel's log says of these modules, or at all if it does not mention them.
fn said(modules: &[String]) -> String {
    let log = match Command::new("/bin/busybox").arg("dmesg").output() {
        Ok(output) => String::from_utf8_lossy(&output.stdout).into_owned(),
        Err(error) => return format!("cannot start /bin/busybox: {error}"),
    };
    let names: Vec<String> = modules.iter().map(|module| name_of(Path::new(module))).collect();
    // That line names modules for their parameters.
    let all: Vec<&str> = log.lines().filter(|line| !line.contains("ommand line: ")).collect();
    let of_them: Vec<&str> =
        all.iter().copied().filter(|line| names.iter().any(|name| line.contains(name.as_str()))).collect();
    let lines = if of_them.is_empty() { all } else { of_them };
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Runs the program to its end, passing on what it says, and looks after every orphan as a first process must.
fn supervise(
    command: &mut Command,
    errand: &Errand,
    send: impl Fn(&Frame) -> io::Result<()> + Sync,
) -> Result<Frame, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.env_clear().envs(errand.environment.iter().map(|(name, value)| (name, value))).current_dir(WORK);
    let mut child = command.spawn().map_err(|error| format!("cannot start {name}: {error}"))?;
    let (output, errors) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let send = &send;
        let relays = [
            output.map(|output| scope.spawn(move || Frame::relay(output, Frame::Output, send))),
            errors.map(|errors| scope.spawn(move || Frame::relay(errors, Frame::Error, send))),
        ];
        let end = reap(&child);
        // What it left running ends with it: its outputs would otherwise stay open.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
        for relay in relays.into_iter().flatten() {
            match relay.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(format!("cannot pass on the program's output: {error}")),
                Err(_) => return Err("passing on the program's output has panicked".to_owned()),
            }
        }
        end
    })
}

fn reap(child: &Child) -> Result<Frame, String> {
    let wanted = i32::try_from(child.id()).map_err(|error| error.to_string())?;
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(process, code)) if process.as_raw() == wanted => return Ok(Frame::Exited(code)),
            Ok(WaitStatus::Signaled(process, signal, _)) if process.as_raw() == wanted => {
                return Ok(Frame::Killed(signal as i32));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(format!("cannot wait for the program: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_module_are_found_in_the_kernels_command_line() {
        let line = "console=ttyS0 hisi_zip.uacce_mode=1 hisi-zip.pf_q_num=64 hisi_zip2.x=1 nothing.\n";
        assert_eq!(parameters(line, "hisi_zip"), "uacce_mode=1 pf_q_num=64");
        assert_eq!(parameters(line, "uacce"), "");
    }
}

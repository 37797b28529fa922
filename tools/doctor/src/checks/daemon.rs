//! `uaccel-devd`: whether it is there, and whether whoever asks may use it.

use crate::daemon_socket::{DaemonSocket, SocketState};
use crate::finding::{Finding, Status};
use crate::machine::Machine;
use crate::person::Person;

const CHECK: &str = "devd.socket";

/// What to know of a daemon that can be used.
const USE: &str = "its accelerators are simulated, and are used when they are named (UACCEL_DEVICE=devd)";

pub(super) fn check(machine: &Machine<'_>, findings: &mut Vec<Finding>) {
    if let Some(socket) = machine.tree.daemon(machine.opens) {
        let finding = look(machine.person.as_ref(), &socket).about(&socket.path);
        findings.push(match finding.status {
            // Programs go there only if something says so.
            Status::Fail if socket.named_by.is_none() => Finding { status: Status::Warn, ..finding },
            _ => finding,
        });
    }
}

fn look(person: Option<&Person>, socket: &DaemonSocket) -> Finding {
    // What is answered counts for more than whose file it is.
    let uid = match (&socket.state, socket.owner) {
        (SocketState::Answers { uid, .. }, _) => Some(*uid),
        (SocketState::Alive | SocketState::Denied | SocketState::Silent, Some(owner)) => Some(owner.uid),
        _ => None,
    };
    if let Some(uid) = uid.filter(|uid| !trusts(person, *uid)) {
        let why = format!(
            "is user {uid}'s: a uaccel-devd gets all memory of its clients, so your programs connect to your own or to root's only"
        );
        return elsewhere(Finding::fail(CHECK, why));
    }
    let owner = socket.owner.map_or_else(String::new, |owner| format!("owner {}, mode {:04o}", owner.uid, owner.mode));
    match &socket.state {
        SocketState::Absent => absent(socket, person),
        SocketState::Hidden => hidden(socket, Finding::fail(CHECK, "its folder is closed to you")),
        SocketState::Denied => let_in(
            Finding::fail(CHECK, format!("does not let you connect ({owner})")),
            format!("sudo chmod 0666 {}", quoted(&socket.path)),
        ),
        SocketState::Dead => {
            Finding::fail(CHECK, format!("nobody listens: a uaccel-devd has left it behind ({owner})"))
                .advise("start it again: it takes the place")
                .run(start(socket))
        }
        SocketState::Foreign => elsewhere(Finding::fail(CHECK, "what is there is no uaccel-devd")),
        SocketState::Failed(error) => elsewhere(Finding::fail(CHECK, format!("nobody can connect ({error})"))),
        SocketState::Silent => {
            let is_own = person.is_none_or(|person| socket.owner.is_none_or(|owner| owner.uid == person.uid));
            let sudo = if is_own { "" } else { "sudo " };
            Finding::fail(CHECK, "is there and does not answer: stopped, or stuck")
                .advise("see in which state it is; if it is stopped (T), let it go on")
                .run("ps -C uaccel-devd -o pid,stat,user,args")
                .run(format!("{sudo}pkill -CONT -x uaccel-devd"))
        }
        SocketState::Alive => Finding::pass(CHECK, format!("a uaccel-devd listens, and lets you in ({owner}); {USE}")),
        SocketState::Answers { uid, devices } => {
            let devices = if *devices == 1 { "1 device".to_owned() } else { format!("{devices} devices") };
            Finding::pass(CHECK, format!("a uaccel-devd of user {uid} answers, with {devices}; {USE}"))
        }
    }
}

/// Whether programs of `person` connect to a daemon of this user.
fn trusts(person: Option<&Person>, daemon: u32) -> bool {
    daemon == 0 || person.is_none_or(|person| person.uid == daemon)
}

fn absent(socket: &DaemonSocket, person: Option<&Person>) -> Finding {
    let Some(named_by) = &socket.named_by else {
        return Finding::absent(
            CHECK,
            "no uaccel-devd, which serves a simulated accelerator to many processes; nothing here asks for one",
        );
    };
    let finding = Finding::fail(CHECK, format!("no uaccel-devd is there, and {named_by} asks for one"));
    if is_systems(&socket.path) && person.is_some_and(|person| person.uid != 0) {
        return finding
            .advise("start one for all users; or one of your own, and name its socket in UACCEL_DEVD")
            .run(format!("sudo --background uaccel-devd --socket {} --mode 666", quoted(&socket.path)));
    }
    finding.advise("start one; docs/devd.md has it as a service").run(start(socket))
}

/// A daemon of one's own in another place, and its clients in the same shell.
fn elsewhere(finding: Finding) -> Finding {
    finding
        .advise("start one of your own, and name its socket for your programs")
        .run(r#"export UACCEL_DEVD="${XDG_RUNTIME_DIR:-/tmp/uaccel-$(id -u)}/uaccel/own.sock""#)
        .run(START)
}

/// A folder that is closed. One of the system's can be opened; somebody's own is closed for a reason.
fn hidden(socket: &DaemonSocket, finding: Finding) -> Finding {
    match socket.path.rsplit_once('/') {
        Some((folder, _)) if is_systems(&socket.path) => {
            let command = format!("sudo chmod 0755 {} && sudo chmod 0666 {}", quoted(folder), quoted(&socket.path));
            let_in(finding, command)
        }
        _ => elsewhere(finding),
    }
}

/// Whether it lies where the system's services have their sockets.
fn is_systems(path: &str) -> bool {
    path.starts_with("/run/") && !path.starts_with("/run/user/")
}

/// What opens a socket that is there.
fn let_in(finding: Finding, command: String) -> Finding {
    finding
        .advise("let all users in, and next time start it with --mode 666 (as a service: SocketMode=0666, DirectoryMode=0755); or start one of your own, and name its socket in UACCEL_DEVD")
        .run(command)
}

const START: &str = "uaccel-devd &";

/// The command that starts a daemon there.
fn start(socket: &DaemonSocket) -> String {
    if socket.named_by.as_deref() == Some("--socket") {
        format!("uaccel-devd --socket {} &", quoted(&socket.path))
    } else {
        // It looks where its clients do.
        START.to_owned()
    }
}

/// A path as a word of a shell.
fn quoted(path: &str) -> String {
    let is_plain =
        |text: &str| text.chars().all(|letter| letter.is_ascii_alphanumeric() || "/._-+:@,".contains(letter));
    let (home, rest) = path.strip_prefix("~/").map_or(("", path), |rest| ("~/", rest));
    if is_plain(rest) { path.to_owned() } else { format!("{home}'{}'", rest.replace('\'', r"'\''")) }
}

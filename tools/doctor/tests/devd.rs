//! The socket of `uaccel-devd`: each way it can stand, on real sockets and in recordings, with what mends it.

mod common;

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use common::{examine, machine};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, bind, listen, socket_with};
use uaccel_devd_protocol::{Channel, Reply, Request};
use uaccel_doctor::Status::{Absent, Fail, Pass, Warn};
use uaccel_doctor::{DaemonSocket, Disk, Finding, Recording, SocketOwner, SocketState, Tree as _};

/// A socket at `path`. Its file stays when it is dropped.
fn listener(path: &Path, kind: SocketType) -> OwnedFd {
    let made = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("a socket");
    bind(&made, &SocketAddrUnix::new(path).expect("a path")).expect("a free path");
    if kind != SocketType::DGRAM {
        listen(&made, 4).expect("it listens");
    }
    made
}

fn state(path: &Path, ask: bool) -> SocketState {
    Disk::at("/").with_daemon(path).daemon(ask).expect("it is looked at").state
}

#[test]
fn a_socket_is_told_from_one_that_was_left_behind_and_nobody_is_disturbed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("devd.sock");
    assert_eq!(state(&path, false), SocketState::Absent);

    let listening = listener(&path, SocketType::SEQPACKET);
    assert_eq!(state(&path, false), SocketState::Alive);
    // Whoever had connected would be waiting there.
    let mut clients = [PollFd::new(&listening, PollFlags::IN)];
    assert_eq!(poll(&mut clients, Some(&Timespec::default())), Ok(0), "somebody has connected");

    drop(listening);
    assert_eq!(state(&path, false), SocketState::Dead);
    assert_eq!(state(&path, true), SocketState::Dead);
    assert_eq!(state(&path.join("below"), true), SocketState::Absent);

    fs::remove_file(&path).expect("its file");
    fs::write(&path, "").expect("a file");
    assert_eq!(state(&path, true), SocketState::Foreign, "a file that is no socket");
    for kind in [SocketType::DGRAM, SocketType::STREAM] {
        fs::remove_file(&path).expect("its file");
        let _other = listener(&path, kind);
        assert_eq!(state(&path, true), SocketState::Foreign, "{kind:?}");
    }
}

#[test]
fn a_daemon_that_is_asked_says_whose_it_is_and_one_that_talks_nonsense_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("devd.sock");
    let listening = listener(&path, SocketType::SEQPACKET);
    let answered = |reply: Option<Vec<u8>>| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let client = acceptfrom_with(&listening, SocketFlags::CLOEXEC).expect("a client").0;
                let channel = Channel::new(client).expect("a channel");
                let packet = channel.receive(Duration::from_secs(20)).expect("a question");
                let (serial, request) = Request::decode(&packet.bytes, packet.descriptors.len()).expect("a request");
                assert_eq!((serial, request), (1, Request::Device { index: 0 }));
                reply.iter().for_each(|reply| channel.send(reply, &[], Duration::from_secs(20)).expect("sent"));
            });
            state(&path, true)
        })
    };
    let device =
        Reply::Device { count: 3, queues: 8, free: 8, name: "warp0".to_owned(), interface: "warp_v1".to_owned() };
    let uid = std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").expect("this process"));
    assert_eq!(answered(Some(device.encode(1))), SocketState::Answers { uid, devices: 3 });
    assert_eq!(answered(Some(vec![7; 64])), SocketState::Foreign);
    assert_eq!(answered(None), SocketState::Foreign, "it hangs up");
}

fn socket_of(uid: u32, named_by: Option<&str>, state: SocketState) -> DaemonSocket {
    DaemonSocket {
        path: "/run/uaccel/devd.sock".to_owned(),
        named_by: named_by.map(str::to_owned),
        owner: Some(SocketOwner { uid, mode: 0o600 }),
        state,
    }
}

/// The line about a socket, for user 1000.
fn line(socket: DaemonSocket) -> Finding {
    let recording = Recording { daemon: Some(socket), ..machine("guest-uacce-open") };
    let read = Recording::parse(&serde_json::to_string(&recording).expect("JSON")).expect("a recording");
    assert_eq!(read, recording);
    let line = examine(&read).findings.into_iter().find(|finding| finding.check == "devd.socket");
    line.expect("a line about it")
}

#[test]
fn each_way_it_can_stand_is_named_with_what_mends_it() {
    use SocketState::{Alive, Answers, Dead, Denied, Failed, Foreign, Hidden, Silent};
    let named = Some("UACCEL_DEVD");
    let cases = [
        (0, named, Silent, Fail, "does not answer", "sudo pkill -CONT -x uaccel-devd"),
        (0, None, SocketState::Absent, Absent, "nothing here asks for one", ""),
        (
            0,
            named,
            SocketState::Absent,
            Fail,
            "UACCEL_DEVD asks for one",
            "sudo --background uaccel-devd --socket /run/uaccel/devd.sock --mode 666",
        ),
        (
            0,
            named,
            Hidden,
            Fail,
            "folder is closed",
            "sudo chmod 0755 /run/uaccel && sudo chmod 0666 /run/uaccel/devd.sock",
        ),
        (0, named, Denied, Fail, "owner 0, mode 0600", "sudo chmod 0666 /run/uaccel/devd.sock"),
        (0, None, Denied, Warn, "owner 0, mode 0600", "sudo chmod 0666"),
        (1001, named, Denied, Fail, "is user 1001's", "export UACCEL_DEVD="),
        (1001, named, Alive, Fail, "is user 1001's", "uaccel-devd &"),
        (1001, None, Alive, Warn, "is user 1001's", "uaccel-devd &"),
        (0, named, Answers { uid: 1001, devices: 1 }, Fail, "is user 1001's", "uaccel-devd &"),
        (1000, named, Alive, Pass, "lets you in (owner 1000, mode 0600)", ""),
        (1000, named, Answers { uid: 0, devices: 1 }, Pass, "of user 0 answers, with 1 device;", ""),
        (1000, named, Dead, Fail, "left it behind", "uaccel-devd &"),
        (1000, named, Silent, Fail, "does not answer", "pkill -CONT -x uaccel-devd"),
        (1000, named, Foreign, Fail, "no uaccel-devd", "export UACCEL_DEVD="),
        (1000, named, Failed("ENOTSUP".to_owned()), Fail, "(ENOTSUP)", "export UACCEL_DEVD="),
    ];
    for (uid, named_by, state, status, says, command) in cases {
        let line = line(socket_of(uid, named_by, state.clone()));
        let what = format!("{state:?} of {uid}, {named_by:?}: {line:?}");
        assert_eq!(line.status, status, "{what}");
        assert_eq!(line.subject.as_deref(), Some("/run/uaccel/devd.sock"));
        assert!(line.why.contains(says), "{what}");
        assert!(command.is_empty() == line.commands.is_empty(), "{what}");
        assert!(line.commands.join("\n").contains(command), "{what}");
    }
}

#[test]
fn a_path_is_one_word_in_a_command() {
    for (path, word) in [
        ("/tmp/a/devd.sock", "/tmp/a/devd.sock"),
        ("~/run/devd.sock", "~/run/devd.sock"),
        ("~/my run/devd.sock", "~/'my run/devd.sock'"),
        ("/tmp/$(reboot)/it's", r"'/tmp/$(reboot)/it'\''s'"),
    ] {
        let socket = DaemonSocket { path: path.to_owned(), ..socket_of(1000, Some("--socket"), SocketState::Dead) };
        assert_eq!(line(socket).commands, [format!("uaccel-devd --socket {word} &")]);
    }
}

#[test]
fn a_machine_that_says_nothing_of_a_socket_has_no_line_about_it() {
    let report = examine(&machine("guest-uacce-open"));
    assert!(!report.findings.iter().any(|finding| finding.check == "devd.socket"));
}

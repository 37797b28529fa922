//! The socket: who may have it, and who finds it.

mod support;

use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use uaccel_devd::{Daemon, DaemonConfig, Listener, StartError};
use uaccel_devd_protocol::{Reply, Request};

use support::Client;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn answers(path: &Path) -> bool {
    matches!(Client::connect(path).ask(&Request::Device { index: 0 }), Reply::Device { .. })
}

#[test]
fn a_folder_that_is_made_is_its_owners_alone_and_so_is_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/uaccel/devd.sock");
    let daemon = Daemon::start(DaemonConfig::new(&path)).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert!(answers(&path));
    drop(daemon);
    assert!(!path.exists(), "the socket goes with the server");
    // For all, the folder must let them through.
    let open = folder.path().join("open/devd.sock");
    let _daemon = Daemon::start(DaemonConfig { mode: 0o666, ..DaemonConfig::new(&open) }).unwrap();
    assert_eq!((mode(&open), mode(open.parent().unwrap())), (0o666, 0o755));
}

#[test]
fn a_folder_that_is_there_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o751)).unwrap();
    let _daemon = Daemon::start(DaemonConfig::new(folder.path().join("devd.sock"))).unwrap();
    assert_eq!(mode(folder.path()), 0o751);
}

#[test]
fn there_is_one_server_to_a_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devd.sock");
    let first = Daemon::start(DaemonConfig::new(&path)).unwrap();
    let before = fs::metadata(&path).unwrap().ino();
    assert!(matches!(Daemon::start(DaemonConfig::new(&path)), Err(StartError::Taken(taken)) if taken == path));
    assert_eq!(fs::metadata(&path).unwrap().ino(), before);
    assert!(answers(&path));
    assert_eq!(first.shutdown(support::hand::PATIENCE), 0);
    let _second = Daemon::start(DaemonConfig::new(&path)).unwrap();
    assert!(answers(&path));
}

#[test]
fn a_socket_that_was_left_behind_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devd.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let _daemon = Daemon::start(DaemonConfig::new(&path)).unwrap();
    assert!(answers(&path));
}

#[test]
fn what_another_program_has_there_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("devd.sock");
    // A live socket of another kind.
    let other = UnixListener::bind(&path).unwrap();
    assert!(matches!(Daemon::start(DaemonConfig::new(&path)), Err(StartError::Taken(_))));
    assert!(path.exists());
    drop(other);
    fs::remove_file(&path).unwrap();
    // No socket at all, and a link to something else.
    fs::write(&path, b"precious").unwrap();
    assert!(matches!(Daemon::start(DaemonConfig::new(&path)), Err(StartError::InTheWay(_))));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(Daemon::start(DaemonConfig::new(&link)), Err(StartError::InTheWay(_))));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    // A server does not take away what is no longer its own.
    let mine = folder.path().join("mine.sock");
    let daemon = Daemon::start(DaemonConfig::new(&mine)).unwrap();
    fs::remove_file(&mine).unwrap();
    fs::write(&mine, b"someone else's").unwrap();
    drop(daemon);
    assert_eq!(fs::read(&mine).unwrap(), b"someone else's");
}

#[test]
fn impossible_paths_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(110));
    for path in [long.as_path(), Path::new("/"), Path::new("..")] {
        assert!(matches!(Daemon::start(DaemonConfig::new(path)), Err(StartError::Path { .. })), "{path:?}");
    }
    fs::write(folder.path().join("file"), b"").unwrap();
    let below = folder.path().join("file/devd.sock");
    assert!(matches!(Daemon::start(DaemonConfig::new(below)), Err(StartError::Socket { .. })));
}

#[test]
fn devices_have_names_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let config = |devices: &[&str]| DaemonConfig {
        devices: devices.iter().map(|device| device.parse().unwrap()).collect(),
        ..DaemonConfig::new(folder.path().join("devd.sock"))
    };
    assert!(matches!(Daemon::start(config(&["a", "b", "a"])), Err(StartError::Twice(name)) if name == "a"));
    assert!(matches!(Daemon::start(config(&[])), Err(StartError::NoDevice)));
    assert!(Daemon::start(config(&["a", "b"])).is_ok());
}

fn bound(path: &Path, kind: SockType, listening: bool) -> OwnedFd {
    let fd = socket(AddressFamily::Unix, kind, SockFlag::empty(), None).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&fd), &UnixAddr::new(path).unwrap()).unwrap();
    if listening {
        listen(&fd, Backlog::new(8).unwrap()).unwrap();
    }
    fd
}

#[test]
fn a_socket_that_is_passed_is_looked_at_first() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for wrong in [
        bound(&at("stream"), SockType::Stream, true),
        bound(&at("datagram"), SockType::Datagram, false),
        bound(&at("deaf"), SockType::SeqPacket, false),
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().into(),
        fs::File::open("/dev/null").unwrap().into(),
    ] {
        assert!(matches!(Listener::adopt(wrong), Err(StartError::Activation)));
    }
    let path = at("right");
    let listener = Listener::adopt(bound(&path, SockType::SeqPacket, true)).unwrap();
    assert_eq!(listener.path(), path);
    let daemon = Daemon::serve(DaemonConfig::new("/not/used"), listener).unwrap();
    assert!(answers(&path));
    assert_eq!(daemon.status().socket, path);
    drop(daemon);
    assert!(path.exists(), "it is the manager's");
}

//! A daemon that only answers what a test tells it to.

use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, acceptfrom_with, bind, listen, socket_with};
use uaccel_devd_protocol::{Channel, Reply, Request};

/// What it answers to a request for its status.
pub(crate) enum Answer {
    /// This text, as its status.
    Status(String),
    /// A refusal.
    Refused(&'static str),
    /// Bytes that are no message.
    Nonsense,
    /// Nothing: it hangs up.
    HangUp,
}

/// Listens at `path`, and answers the requests for a status that come, in turn, whatever connections they come by.
pub(crate) fn daemon(path: &Path, answers: Vec<Answer>) -> JoinHandle<()> {
    const PATIENCE: Duration = Duration::from_secs(20);
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("a socket");
    bind(&socket, &SocketAddrUnix::new(path).expect("a path")).expect("a free path");
    listen(&socket, 4).expect("a listening socket");
    std::thread::spawn(move || {
        let mut answers = answers.into_iter().peekable();
        while answers.peek().is_some() {
            let client: OwnedFd = acceptfrom_with(&socket, flags).expect("a client").0;
            let channel = Channel::new(client).expect("a channel");
            // Until it hangs up.
            while answers.peek().is_some() {
                let Ok(packet) = channel.receive(PATIENCE) else { break };
                let (serial, request) = Request::decode(&packet.bytes, packet.descriptors.len()).expect("a request");
                assert_eq!(request, Request::Status);
                match answers.next().expect("an answer") {
                    Answer::Status(text) => {
                        let memory = memfd_create("status", MemfdFlags::CLOEXEC).expect("memory");
                        let mut file = std::fs::File::from(memory);
                        file.write_all(text.as_bytes()).expect("room");
                        // A late answer to something else is passed over.
                        let late = Reply::Done.encode(serial.wrapping_sub(1));
                        channel.send(&late, &[], PATIENCE).expect("sent");
                        let reply = Reply::Status { len: text.len() as u64 }.encode(serial);
                        channel.send(&reply, &[file.as_fd()], PATIENCE).expect("sent");
                    }
                    Answer::Refused(text) => {
                        let refusal = uaccel_devd_protocol::Refusal::NotPermitted;
                        let reply = Reply::Refused { refusal, text: text.to_owned() }.encode(serial);
                        channel.send(&reply, &[], PATIENCE).expect("sent");
                    }
                    Answer::Nonsense => channel.send(&[7; 64], &[], PATIENCE).expect("sent"),
                    Answer::HangUp => break,
                }
            }
        }
    })
}

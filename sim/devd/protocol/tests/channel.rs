//! Messages and descriptors over a real socket.

use std::fs::File;
use std::io::{IoSlice, Read, Write, pipe};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, sendmsg, socketpair,
};
use uaccel_devd_protocol::{Channel, ChannelError, DESCRIPTORS, MESSAGE};

/// Long enough that only a hang gets there.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn messages_come_whole_and_in_order_with_their_descriptors() {
    let (one, other) = Channel::pair().expect("a pair");
    let (mut reader, writer) = pipe().expect("a pipe");
    one.send(&[1; MESSAGE], &[writer.as_fd()], PATIENCE).expect("sent");
    one.send(&[2; 64], &[], PATIENCE).expect("sent");
    drop(writer);
    let first = other.receive(PATIENCE).expect("received");
    assert_eq!(first.bytes, [1; MESSAGE]);
    let [descriptor] = <[OwnedFd; 1]>::try_from(first.descriptors).expect("one descriptor");
    let mut writer = File::from(descriptor);
    writer.write_all(b"through").expect("the same pipe");
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("what was written");
    assert_eq!(text, "through");
    let second = other.receive(PATIENCE).expect("received");
    assert_eq!((second.bytes.as_slice(), second.descriptors.len()), ([2; 64].as_slice(), 0));
}

#[test]
fn waiting_ends_in_time() {
    let (one, _other) = Channel::pair().expect("a pair");
    assert!(matches!(one.receive(Duration::ZERO), Err(ChannelError::TimedOut(_))));
    assert!(matches!(one.receive(Duration::from_millis(3)), Err(ChannelError::TimedOut(_))));
    // Nobody takes them: at some time there is no room.
    let full = (0..100_000).find_map(|_| one.send(&[0; MESSAGE], &[], Duration::ZERO).err());
    assert!(matches!(full, Some(ChannelError::TimedOut(_))), "{full:?}");
}

#[test]
fn a_hang_up_is_seen_after_what_was_sent_before_it() {
    let (one, other) = Channel::pair().expect("a pair");
    assert!(!one.has_hung_up().expect("asked"));
    other.send(&[7; 64], &[], PATIENCE).expect("sent");
    drop(other);
    assert!(one.has_hung_up().expect("asked"));
    assert_eq!(one.receive(PATIENCE).expect("received").bytes, [7; 64]);
    assert!(matches!(one.receive(PATIENCE), Err(ChannelError::HungUp)));
    assert!(matches!(one.send(&[0; 64], &[], PATIENCE), Err(ChannelError::HungUp)), "and no signal");
}

#[test]
fn a_hang_up_by_who_has_not_read_everything_is_one() {
    let (one, other) = Channel::pair().expect("a pair");
    one.send(&[7; 64], &[], PATIENCE).expect("sent");
    drop(other);
    assert!(matches!(one.receive(PATIENCE), Err(ChannelError::HungUp)));
}

#[test]
fn an_empty_message_is_none_and_no_hang_up() {
    let (one, other) = Channel::pair().expect("a pair");
    one.send(&[], &[], PATIENCE).expect("sent");
    assert!(other.receive(PATIENCE).expect("a message").bytes.is_empty());
}

#[test]
fn what_is_too_large_is_refused_on_both_sides() {
    let (one, other) = Channel::pair().expect("a pair");
    assert!(matches!(one.send(&[0; MESSAGE + 1], &[], PATIENCE), Err(ChannelError::TooLong)));
    let (reader, _writer) = pipe().expect("a pipe");
    let many = [reader.as_fd(); DESCRIPTORS + 1];
    assert!(matches!(one.send(&[0; 64], &many, PATIENCE), Err(ChannelError::TooManyDescriptors)));
    // Somebody else has no such manners.
    for len in [MESSAGE + 1, 10 * MESSAGE] {
        rustix::net::send(&one, &vec![0; len], SendFlags::NOSIGNAL).expect("sent");
        assert!(matches!(other.receive(PATIENCE), Err(ChannelError::TooLong)));
    }
    one.send(&[1; 64], &[], PATIENCE).expect("sent");
    assert_eq!(other.receive(PATIENCE).expect("the next one is unharmed").bytes, [1; 64]);
}

#[test]
fn descriptors_beyond_what_belongs_to_a_message_are_closed() {
    let (one, other) = Channel::pair().expect("a pair");
    for count in [DESCRIPTORS + 1, DESCRIPTORS + 2, 200] {
        let (mut reader, writer) = pipe().expect("a pipe");
        let many = vec![writer.as_fd(); count];
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        assert!(control.push(SendAncillaryMessage::ScmRights(&many)));
        sendmsg(&one, &[IoSlice::new(&[0; 64])], &mut control, SendFlags::NOSIGNAL).expect("sent");
        assert!(matches!(other.receive(PATIENCE), Err(ChannelError::TooManyDescriptors)));
        drop(writer);
        // The end of a pipe is only seen when nobody has its other end.
        assert_eq!(reader.read(&mut [0]).expect("the end"), 0, "{count} descriptors");
    }
}

#[test]
fn only_a_local_socket_that_keeps_messages_apart_will_do() {
    let (stream, _other) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a pair");
    assert!(matches!(Channel::new(stream), Err(ChannelError::NotAChannel)));
    let (good, _other) = Channel::pair().expect("a pair");
    let channel = Channel::new(good.into()).expect("taken over");
    assert_eq!(channel.peer().expect("credentials").pid.as_raw_nonzero().get().unsigned_abs(), std::process::id());
    let file = File::open("/dev/null").expect("a file");
    assert!(matches!(Channel::new(file.into()), Err(ChannelError::System { .. })));
}

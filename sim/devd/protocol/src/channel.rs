//! The socket that carries messages.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, UCred, connect, recvmsg, sendmsg,
    socket_with, socketpair, sockopt,
};

use crate::{ChannelError, DESCRIPTORS, MESSAGE};

/// One end of a connection that keeps messages apart and can carry descriptors.
///
/// Messages may be sent and received by several threads at once, each of them whole.
#[derive(Debug)]
pub struct Channel {
    socket: OwnedFd,
}

/// A message as it came.
#[derive(Debug)]
pub struct Packet {
    /// Its bytes, at most [`MESSAGE`].
    pub bytes: Vec<u8>,
    /// The descriptors that came with it, at most [`DESCRIPTORS`]. Programs that this process starts do not inherit them.
    pub descriptors: Vec<OwnedFd>,
}

impl Channel {
    /// Takes over a connected socket.
    ///
    /// # Errors
    /// [`ChannelError::NotAChannel`] if it does not keep messages apart; [`ChannelError::System`].
    pub fn new(socket: OwnedFd) -> Result<Self, ChannelError> {
        let kind = sockopt::socket_type(&socket).map_err(|errno| failed("getsockopt of SO_TYPE", errno))?;
        let family = sockopt::socket_domain(&socket).map_err(|errno| failed("getsockopt of SO_DOMAIN", errno))?;
        if kind != SocketType::SEQPACKET || family != AddressFamily::UNIX {
            return Err(ChannelError::NotAChannel);
        }
        Ok(Self { socket })
    }

    /// Connects to the socket at `path`, which takes until the other side has room for one more to wait.
    ///
    /// # Errors
    /// [`ChannelError::TimedOut`] if it has none; [`ChannelError::System`] with what `connect` says.
    pub fn connect(path: &Path, within: Duration) -> Result<Self, ChannelError> {
        /// The kernel does not say when there is room.
        const PAUSE: Duration = Duration::from_millis(1);
        let begun = Instant::now();
        let address = SocketAddrUnix::new(path).map_err(|errno| failed("connect", errno))?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
            .map_err(|errno| failed("socket", errno))?;
        loop {
            match connect(&socket, &address) {
                Ok(()) => return Ok(Self { socket }),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) if begun.elapsed() < within => std::thread::sleep(PAUSE),
                Err(Errno::AGAIN) => return Err(ChannelError::TimedOut(within)),
                Err(errno) => return Err(failed("connect", errno)),
            }
        }
    }

    /// Two ends that are connected to each other.
    ///
    /// # Errors
    /// [`ChannelError::System`].
    pub fn pair() -> Result<(Self, Self), ChannelError> {
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map_err(|errno| failed("socketpair", errno))?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// Who is at the other end, as the kernel saw it when the connection was made.
    ///
    /// # Errors
    /// [`ChannelError::System`].
    pub fn peer(&self) -> Result<UCred, ChannelError> {
        sockopt::socket_peercred(&self.socket).map_err(|errno| failed("getsockopt of SO_PEERCRED", errno))
    }

    /// Sends one message.
    ///
    /// # Errors
    /// [`ChannelError::TimedOut`] if the other side takes none for so long; [`ChannelError::HungUp`]; [`ChannelError::TooLong`] and
    /// [`ChannelError::TooManyDescriptors`] if it is not possible.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>], within: Duration) -> Result<(), ChannelError> {
        if bytes.len() > MESSAGE {
            return Err(ChannelError::TooLong);
        }
        if descriptors.len() > DESCRIPTORS {
            return Err(ChannelError::TooManyDescriptors);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let begun = Instant::now();
        loop {
            let mut control = SendAncillaryBuffer::new(&mut space);
            // An empty list would be a message of its own kind.
            if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(ChannelError::TooManyDescriptors);
            }
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match sendmsg(&self.socket, &[IoSlice::new(bytes)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT, begun, within)?,
                Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => return Err(ChannelError::HungUp),
                Err(errno) => return Err(failed("sendmsg", errno)),
            }
        }
    }

    /// Receives one message.
    ///
    /// # Errors
    /// [`ChannelError::TimedOut`] if none comes for so long; [`ChannelError::HungUp`]; [`ChannelError::TooLong`] and
    /// [`ChannelError::TooManyDescriptors`] if it was cut off, and then it is lost.
    pub fn receive(&self, within: Duration) -> Result<Packet, ChannelError> {
        // One byte more than fits: what is too long is seen to be.
        let mut bytes = [0; MESSAGE + 1];
        // One descriptor more, too. What does not fit the kernel does not hand out.
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS + 1))];
        let begun = Instant::now();
        loop {
            // Whatever it holds is closed when it is dropped.
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let received = match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags) {
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    drop(control);
                    self.wait(PollFlags::IN, begun, within)?;
                    continue;
                }
                Err(Errno::CONNRESET | Errno::NOTCONN) => return Err(ChannelError::HungUp),
                Err(errno) => return Err(failed("recvmsg", errno)),
            };
            let mut descriptors = Vec::new();
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(some) = message {
                    descriptors.extend(some);
                }
            }
            if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > DESCRIPTORS {
                return Err(ChannelError::TooManyDescriptors);
            }
            if received.flags.contains(ReturnFlags::TRUNC) || received.bytes > MESSAGE {
                return Err(ChannelError::TooLong);
            }
            // A message may be empty; nothing at all is the end.
            if received.bytes == 0 && self.has_hung_up()? {
                return Err(ChannelError::HungUp);
            }
            return Ok(Packet { bytes: bytes[..received.bytes].to_vec(), descriptors });
        }
    }

    /// Whether the other side is gone. Messages it sent before may still be here.
    ///
    /// # Errors
    /// [`ChannelError::System`].
    pub fn has_hung_up(&self) -> Result<bool, ChannelError> {
        let mut events = [PollFd::new(&self.socket, PollFlags::RDHUP)];
        match poll(&mut events, Some(&Timespec::default())) {
            Ok(_) => Ok(events[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(failed("poll", errno)),
        }
    }

    fn wait(&self, events: PollFlags, begun: Instant, within: Duration) -> Result<(), ChannelError> {
        let left = within.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Err(ChannelError::TimedOut(within));
        }
        // Longer than the kernel can count is for ever.
        let left = Timespec::try_from(left).ok();
        match poll(&mut [PollFd::new(&self.socket, events)], left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(failed("poll", errno)),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<Channel> for OwnedFd {
    fn from(channel: Channel) -> Self {
        channel.socket
    }
}

fn failed(call: &'static str, errno: Errno) -> ChannelError {
    ChannelError::System { call, source: io::Error::from(errno) }
}

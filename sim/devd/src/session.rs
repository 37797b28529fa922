//! One connection, and the thread that looks after it.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use uaccel_devd_protocol::{Channel, ChannelError, Packet, Refusal, Reply, Request, serial_of};

use crate::alert::Alert;
use crate::house::{Entry, House};
use crate::limits::Place;
use crate::peer::Peer;
use crate::refused::Refused;
use crate::service::{self, Answer, Introduction, Service};

/// How often a session that goes on looks whether the device has let go of a queue that was given back.
const LOOK: Duration = Duration::from_millis(20);
/// The same for a session that ends: at first, and after a while.
const LOOK_AT_FIRST: Duration = Duration::from_millis(2);
const LOOK_LATER: Duration = Duration::from_millis(200);
/// How long queues are waited for in one piece when a session ends.
const PARTING: Duration = Duration::from_millis(20);

/// One connection.
pub(crate) struct Session {
    house: Arc<House>,
    /// Closed last, and not before the device has let go of everything: a hang-up is a proof of that.
    channel: ManuallyDrop<Channel>,
    peer: Peer,
    alert: Arc<Alert>,
    entry: Entry,
    /// Its place among those who have not said who they are.
    greeter: Option<Place>,
    service: Option<Service>,
    /// When the client came.
    since: Instant,
}

/// Why a session ends.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the client has hung up")]
    HungUp,
    #[error("the client's process has ended")]
    Died,
    #[error("the client said nothing for too long")]
    Silent,
    #[error("the connection is broken, or the client does not fetch its answers: {0}")]
    Broken(ChannelError),
    #[error("the client does not keep to the protocol, or cannot be served")]
    Refused,
    #[error("the client's memory does not answer")]
    GivenUp,
    #[error("the server ends")]
    Draining,
}

/// What woke a session.
enum Event {
    Message,
    /// Nothing; there may be something to look after.
    Pause,
    End(End),
}

impl Session {
    pub(crate) fn new(
        house: Arc<House>,
        channel: Channel,
        peer: Peer,
        greeter: Place,
        alert: Arc<Alert>,
        entry: Entry,
    ) -> Self {
        Self {
            house,
            channel: ManuallyDrop::new(channel),
            peer,
            alert,
            entry,
            greeter: Some(greeter),
            service: None,
            since: Instant::now(),
        }
    }

    /// Serves the connection to its end.
    pub(crate) fn run(mut self) {
        // A mistake in here is this client's alone.
        let end = panic::catch_unwind(AssertUnwindSafe(|| self.serve())).unwrap_or(End::Refused);
        tracing::debug!(pid = self.peer.pid.map(|pid| pid.as_raw()), uid = self.peer.uid, %end, "connection ends");
        if panic::catch_unwind(AssertUnwindSafe(|| self.part(&end))).is_ok() {
            // What it had is free before anybody can see the hang-up.
            drop(self.service.take());
            self.entry.bid_farewell();
            self.greeter = None;
            // SAFETY: taken once, here, at the very end; nothing uses the channel afterwards.
            drop(unsafe { ManuallyDrop::take(&mut self.channel) });
        } else {
            // Nothing is proven: the connection stays, and with it whatever the device may use.
            tracing::error!(uid = self.peer.uid, "a session is stuck; its connection is left open");
            std::mem::forget(self);
        }
    }

    /// Answers requests until there is a reason to end.
    fn serve(&mut self) -> End {
        loop {
            match self.wait() {
                Event::End(end) => return end,
                Event::Pause => {}
                Event::Message => match self.channel.receive(Duration::ZERO) {
                    Ok(packet) => {
                        if let Err(end) = self.answer(packet) {
                            return end;
                        }
                    }
                    Err(ChannelError::TimedOut(_)) => {}
                    Err(ChannelError::HungUp) => return End::HungUp,
                    Err(error @ (ChannelError::TooLong | ChannelError::TooManyDescriptors)) => {
                        return self.refuse(0, &Refused::bad(error)).err().unwrap_or(End::Refused);
                    }
                    Err(error) => return End::Broken(error),
                },
            }
            if let Err(end) = self.look_after_closing() {
                return end;
            }
        }
    }

    /// Sleeps until something happens.
    fn wait(&self) -> Event {
        let closing = self.service.as_ref().is_some_and(Service::is_closing);
        let timeout = if closing {
            Some(LOOK)
        } else if self.service.is_none() {
            let left = self.house.greeting.saturating_sub(self.since.elapsed());
            if left.is_zero() {
                return Event::End(End::Silent);
            }
            // Rounded up, so that the time is over when it is.
            Some(left + Duration::from_millis(1))
        } else {
            None
        };
        let timeout = timeout.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
        let mut events = [
            PollFd::new(self.channel.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.alert.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.life(), PollFlags::POLLIN),
        ];
        // Without a descriptor that tells of its end, the alert stands in, which is there anyway.
        let watched = if self.peer.life.is_some() { 3 } else { 2 };
        match poll(&mut events[..watched], timeout) {
            Ok(0) | Err(Errno::EINTR) => return Event::Pause,
            Ok(_) => {}
            Err(errno) => {
                return Event::End(End::Broken(ChannelError::System { call: "poll", source: errno.into() }));
            }
        }
        let [message, alert, life] = events.map(|event| event.any().unwrap_or(true));
        if alert && self.alert.is_given_up() {
            Event::End(End::GivenUp)
        } else if alert && self.alert.is_draining() {
            Event::End(End::Draining)
        } else if watched == 3 && life {
            Event::End(End::Died)
        } else if message {
            Event::Message
        } else {
            Event::Pause
        }
    }

    fn life(&self) -> BorrowedFd<'_> {
        self.peer.life.as_ref().map_or_else(|| self.alert.as_fd(), AsFd::as_fd)
    }

    /// Answers one message.
    fn answer(&mut self, packet: Packet) -> Result<(), End> {
        let (serial, request) = match Request::decode(&packet.bytes, packet.descriptors.len()) {
            Ok(decoded) => decoded,
            Err(error) => {
                self.refuse(serial_of(&packet.bytes), &Refused::bad(error))?;
                return Err(End::Refused);
            }
        };
        match self.carry_out(request, serial, packet) {
            Ok(Some(answer)) => self.send(serial, &answer),
            Ok(None) => Ok(()),
            Err(refused) => {
                self.refuse(serial, &refused)?;
                if refused.is_fatal() { Err(End::Refused) } else { Ok(()) }
            }
        }
    }

    fn carry_out(&mut self, request: Request, serial: u32, packet: Packet) -> Result<Option<Answer>, Refused> {
        match request {
            Request::Device { index } => service::describe(&self.house, index).map(|reply| Some(reply.into())),
            Request::Status => service::report(&self.house, self.peer.uid).map(Some),
            Request::Hello { version, flags, priority, gate, canary } if self.service.is_none() => {
                let descriptors = packet.descriptors;
                let hello = Introduction { version, flags, priority, gate, canary, descriptors };
                let (service, reply) = Service::bind(&self.house, &self.alert, &self.peer, hello)?;
                let client = service.client();
                tracing::info!(
                    pid = client.pid,
                    uid = client.uid,
                    pasid = client.pasid.number(),
                    access = client.memory.reach().name(),
                    "client connected"
                );
                self.entry.introduce(client);
                self.service = Some(service);
                self.greeter = None;
                Ok(Some(reply.into()))
            }
            request => match &mut self.service {
                Some(service) => service.carry_out(request, serial, packet.descriptors),
                None => Err(Refused::bad("the first request is a greeting")),
            },
        }
    }

    /// Answers requests to close queues that the device has let go of by now.
    fn look_after_closing(&mut self) -> Result<(), End> {
        let Some(service) = self.service.as_mut().filter(|service| service.is_closing()) else { return Ok(()) };
        for serial in service.closed() {
            self.send(serial, &Reply::Done.into())?;
        }
        Ok(())
    }

    fn refuse(&self, serial: u32, refused: &Refused) -> Result<(), End> {
        tracing::debug!(
            pid = self.peer.pid.map(|pid| pid.as_raw()),
            uid = self.peer.uid,
            reason = refused.text(),
            "request refused"
        );
        self.send(serial, &refused.reply().into())
    }

    /// Sends an answer. Who does not fetch its answers is not waited for.
    fn send(&self, serial: u32, answer: &Answer) -> Result<(), End> {
        let descriptors: Vec<BorrowedFd<'_>> = answer.descriptors.iter().map(AsFd::as_fd).collect();
        match self.channel.send(&answer.reply.encode(serial), &descriptors, Duration::ZERO) {
            Ok(()) => Ok(()),
            Err(ChannelError::HungUp) => Err(End::HungUp),
            Err(error) => Err(End::Broken(error)),
        }
    }

    /// Stops whatever the client has open, and waits until the device has let go of it, as long as that may take.
    fn part(&mut self, end: &End) {
        let Some(service) = &mut self.service else { return };
        if let End::GivenUp = end {
            // Its queues say so at once; it does not have to wait for its patience to end.
            service.fail();
        }
        let mut quiet = service.close_all(PARTING);
        let client = service.client().clone();
        if !quiet {
            tracing::warn!(
                pid = client.pid,
                uid = client.uid,
                pasid = client.pasid.number(),
                %end,
                "the device may still use memory of a client; its connection stays open until it does not"
            );
        }
        let mut pause = LOOK_AT_FIRST;
        while !quiet {
            self.turn_away(end, pause);
            pause = (pause * 2).min(LOOK_LATER);
            quiet = self.service.as_mut().is_none_or(|service| service.close_all(Duration::ZERO));
        }
        if let Some(service) = &self.service {
            service.drop_windows();
        }
        let stats = client.stats();
        tracing::info!(
            pid = client.pid,
            uid = client.uid,
            pasid = client.pasid.number(),
            jobs = stats.jobs,
            faults = stats.faults,
            %end,
            "client gone"
        );
    }

    /// Lets time pass, and meanwhile tells a client that is still there why nothing is done for it.
    fn turn_away(&self, end: &End, pause: Duration) {
        let why = match end {
            End::GivenUp => {
                "the memory of this client did not answer for too long (userfaultfd, FUSE), so the server has given it up; connect anew"
            }
            End::Draining => "the server ends",
            // Who broke the protocol was told; the others do not listen.
            _ => return std::thread::sleep(pause),
        };
        let mut events = [PollFd::new(self.channel.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
        if let Ok(1..) = poll(&mut events, timeout) {
            match self.channel.receive(Duration::ZERO) {
                Ok(packet) => {
                    let refused = Refused::new(Refusal::Failed, why);
                    // Whether it gets there or not: nothing follows from it.
                    let _ = self.refuse(serial_of(&packet.bytes), &refused);
                }
                // It has hung up, which is for ever: no hurry.
                Err(_) => std::thread::sleep(pause),
            }
        }
    }
}

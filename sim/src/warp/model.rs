//! The Warp engine as a device model.

use uaccel_queue::{Algorithm, Direction, Operation};
use uaccel_warp_abi::{FailReason, Features, Geometry, INTERFACE, State, VERSION, ident, user_page};

use super::ring::Ring;
use super::{Completions, Submissions, WarpConfig, WarpConfigError};
use crate::stages::computes;
use crate::{
    Budget, Control, DeviceModel, Doorbell, Fetch, Flush, MemoryPort, Nop, Opening, Span, Taken, UserPage, WorkItem,
};

/// The Warp engine.
#[derive(Debug)]
pub struct Warp {
    config: WarpConfig,
}

impl Warp {
    /// An engine of this configuration.
    ///
    /// # Errors
    /// See [`WarpConfigError`].
    pub fn new(config: WarpConfig) -> Result<Self, WarpConfigError> {
        config.check()?;
        Ok(Self { config })
    }

    /// What it was built with.
    #[must_use]
    pub fn config(&self) -> &WarpConfig {
        &self.config
    }

    /// The features register.
    #[must_use]
    pub fn features(&self) -> Features {
        Features::MAILBOX | Features::FAULTS_RESOLVED
    }

    fn start<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        completions: &mut Completions,
        port: &P,
        page: &UserPage,
    ) -> Control {
        let base = page.load(user_page::RING_BASE);
        let limits = self.config.limits();
        let geometry = Geometry::from_register(page.load(user_page::GEOMETRY)).ok().filter(|geometry| {
            geometry.entries() <= usize::from(limits.entries) && geometry.sessions() <= limits.sessions
        });
        let refusal = match geometry {
            None => FailReason::Geometry,
            Some(geometry) if !submissions.admits(port, base, geometry) => FailReason::RingBase,
            Some(geometry) => {
                let ring = Ring { base, geometry };
                submissions.start(ring);
                completions.start(ring, page.load(user_page::ARM));
                submissions.tell(port, Geometry::NEED_WAKEUP, 0);
                submissions.tell(port, Geometry::STATE, State::Ready.encode());
                return Control::Started;
            }
        };
        // The state word is where the user looks, if it can be found at all.
        let space = submissions.space;
        let state = State::Failed(refusal as u32).encode();
        let word = Span::new(base, size_of::<u64>());
        let home = if base.is_multiple_of(8) && port.ring(space, word) { Some(base) } else { port.home(space) };
        if let Some(home) = home {
            let _ = port.publish(space, home + Geometry::STATE as u64, state);
        }
        Control::Refused
    }
}

impl DeviceModel for Warp {
    type Submissions = Submissions;
    type Completions = Completions;

    fn interface(&self) -> &str {
        INTERFACE
    }

    fn queues(&self) -> usize {
        self.config.queues
    }

    fn engines(&self) -> usize {
        self.config.engines
    }

    fn describe(&self, page: &UserPage) {
        let algorithms = |direction| {
            Algorithm::ALL
                .into_iter()
                .filter(|algorithm| computes(*algorithm, direction))
                .fold(0_u128, |set, algorithm| set | 1 << algorithm as u16)
        };
        let operations = Operation::ALL.into_iter().fold(0_u64, |set, operation| set | 1 << operation as u8);
        page.store(user_page::IDENT, ident(VERSION));
        page.store(user_page::FEATURES, self.features().bits());
        page.store(user_page::LIMITS, self.config.limits().encode());
        page.store(user_page::OPERATIONS, operations);
        store_wide(page, user_page::FORWARD, algorithms(Direction::Forward));
        store_wide(page, user_page::INVERSE, algorithms(Direction::Inverse));
    }

    fn open_queue(&self, Opening { rings, jobs, .. }: Opening) -> (Submissions, Completions) {
        (Submissions::new(rings, jobs), Completions::new(rings))
    }

    fn doorbell(&self, page: &UserPage, offset: usize, value: u64) -> Doorbell {
        page.store(offset, value);
        match offset {
            user_page::ENABLE => Doorbell::Control,
            user_page::SUBMIT => Doorbell::Submit,
            _ => Doorbell::Plain,
        }
    }

    fn control<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        completions: &mut Completions,
        port: &P,
        page: &UserPage,
        offset: usize,
        value: u64,
    ) -> Control {
        match (offset, value) {
            // A queue that runs cannot be started again: its jobs would be answered into other rings.
            (user_page::ENABLE, 1) if submissions.ring.is_none() => self.start(submissions, completions, port, page),
            (user_page::ENABLE, 0) => Control::Stop,
            _ => Control::Unchanged,
        }
    }

    #[inline]
    fn fetch<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        port: &P,
        _: &UserPage,
        taken: &mut Taken,
        budget: Budget,
    ) -> Fetch {
        let fetch = submissions.fetch(port, taken, budget, self.config.max_transfer);
        if fetch == Fetch::Failed {
            self.failed(submissions, port, FailReason::RingFault as u32);
        }
        fetch
    }

    fn want_wakeup<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P, wanted: bool) {
        submissions.tell(port, Geometry::NEED_WAKEUP, u64::from(wanted));
    }

    #[inline]
    fn complete<P: MemoryPort>(&self, completions: &mut Completions, port: &P, item: &WorkItem) {
        completions.complete(port, item);
    }

    #[inline]
    fn pass<P: MemoryPort>(&self, completions: &mut Completions, port: &P, nops: &[Nop]) {
        completions.pass(port, nops);
    }

    #[inline]
    fn flush<P: MemoryPort>(&self, completions: &mut Completions, port: &P, _: &UserPage) -> Flush {
        completions.flush(port)
    }

    #[inline]
    fn signal(&self, completions: &mut Completions, page: &UserPage) -> bool {
        let armed = page.load(user_page::ARM);
        core::mem::replace(&mut completions.armed, armed) != armed
    }

    fn stopped<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P) {
        submissions.tell(port, Geometry::STATE, State::Stopped.encode());
        // Nothing is fetched any more, and nothing is told either.
        submissions.ring = None;
    }

    fn failed<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P, reason: u32) {
        submissions.tell(port, Geometry::STATE, State::Failed(reason).encode());
        submissions.ring = None;
    }
}

/// Stores a set of 128 bits in two registers.
#[allow(clippy::cast_possible_truncation, reason = "cut in halves by design")]
fn store_wide(page: &UserPage, offset: usize, set: u128) {
    page.store(offset, set as u64);
    page.store(offset + 8, (set >> 64) as u64);
}

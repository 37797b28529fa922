//! The two halves of a queue as one thread holds them.

use std::fmt;
use std::sync::Arc;

use uaccel_queue::{Capabilities, Completer, OpenQueue, SessionError, SessionId, Submitter, Transport};

use crate::absent::Absent;
use crate::queue_core::QueueCore;
use crate::recover::Verdict;
use crate::session::{DroppedSessions, SessionTable};
use crate::slot_line::SlotLine;
use crate::{Error, Session};

/// The two halves of a queue, with what belongs to whoever holds them. Whoever has the pair may submit and poll, without any lock.
pub(crate) struct Pair {
    pub(crate) submitter: Box<dyn Submitter>,
    pub(crate) completer: Box<dyn Completer>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) granted: Capabilities,
    pub(crate) sessions: SessionTable,
    /// Slots nobody uses, and those built and not yet submitted.
    pub(crate) slots: SlotLine,
    /// Jobs in flight that borrow their memory. Zero whenever nobody holds the pair.
    pub(crate) borrowed: usize,
    /// Jobs in flight that own their memory.
    pub(crate) owned: usize,
    /// Whether the queue can be used on.
    pub(crate) verdict: Verdict,
}

impl Pair {
    pub(crate) fn new(
        open: OpenQueue,
        transport: Arc<dyn Transport>,
        depth: usize,
        dropped: Arc<DroppedSessions>,
    ) -> Self {
        let depth = depth.min(open.granted.depth);
        Self {
            submitter: open.submitter,
            completer: open.completer,
            transport,
            sessions: SessionTable::new(open.granted.sessions, dropped),
            granted: open.granted,
            slots: SlotLine::new(depth),
            borrowed: 0,
            owned: 0,
            verdict: Verdict::Usable,
        }
    }

    /// The number of a session on this queue, opened if need be; counts one job in flight.
    #[inline]
    pub(crate) fn enter(&mut self, core: &QueueCore, session: &Session) -> Result<SessionId, Error> {
        let Self { sessions, submitter, .. } = self;
        match sessions.enter(session, &mut **submitter, || core.tally.sessions.add(1)) {
            Ok(Some(id)) => Ok(id),
            // Every session of the queue has jobs in flight: that passes.
            Ok(None) => Err(core.full()),
            Err(source) => Err(Error::SessionRefused { device: core.device.name().into(), source: Box::new(source) }),
        }
    }

    /// Lets go of the queue, of which the device touches nothing any more. What the slots hold stays as it is.
    pub(crate) fn let_go(&mut self) {
        self.submitter = Box::new(Absent);
        self.completer = Box::new(Absent);
        self.transport = Arc::new(Absent);
    }

    /// Puts freshly opened halves in the place of finished ones. What the slots hold stays as it is: sessions of jobs that were built and not submitted have the same numbers on
    /// the new ones.
    ///
    /// # Errors
    /// If one of those cannot be opened again; then nothing is changed.
    pub(crate) fn replace(
        &mut self,
        core: &QueueCore,
        mut open: OpenQueue,
        transport: Arc<dyn Transport>,
    ) -> Result<(), SessionError> {
        let mut sessions = SessionTable::new(open.granted.sessions, core.device.dropped.clone());
        let staged = self.slots.staged().iter().filter_map(|slot| {
            // SAFETY: a staged slot was built, and is built again only by whoever has the pair.
            let job = unsafe { core.cells.job(*slot as usize) };
            job.operation.needs_session().then_some(job.session)
        });
        sessions.carry_over(&self.sessions, staged, &mut *open.submitter, || core.tally.sessions.add(1))?;
        self.submitter = open.submitter;
        self.completer = open.completer;
        self.transport = transport;
        self.sessions = sessions;
        self.granted = open.granted;
        Ok(())
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair")
            .field("free", &self.slots.free())
            .field("borrowed", &self.borrowed)
            .finish_non_exhaustive()
    }
}

//! Sessions: opened once by the caller, and on each queue when first used there.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use uaccel_queue::{Direction, Operation, SessionError, SessionId, SessionSpec, Submitter};

/// What jobs of one kind have in common: algorithm, direction, level, key. Cheap to clone and to share between threads.
///
/// A queue keeps its own expanded form, made when the session is first used there and dropped after the last clone of this.
#[derive(Clone, Debug)]
pub struct Session {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    serial: u64,
    spec: SessionSpec,
    operation: Operation,
    /// The bytes of a digest, where the session makes digests.
    digest_len: Option<usize>,
    dropped: Arc<DroppedSessions>,
}

/// Counts sessions whose last clone is gone, so that queues know when to look for them.
#[derive(Debug, Default)]
pub(crate) struct DroppedSessions(AtomicU64);

impl Session {
    pub(crate) fn new(spec: SessionSpec, dropped: Arc<DroppedSessions>) -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        // Relaxed: only uniqueness counts.
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        // What every job is checked against, worked out once.
        let (operation, digest_len) = (spec.operation(), spec.algorithm().digest_len());
        Self { inner: Arc::new(Inner { serial, spec, operation, digest_len, dropped }) }
    }

    /// The parameters.
    #[must_use]
    pub fn spec(&self) -> &SessionSpec {
        &self.inner.spec
    }

    /// The one operation that jobs of this session perform.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.inner.operation
    }

    /// The bytes of a digest, where the session makes digests.
    #[inline]
    pub(crate) fn digest_len(&self) -> Option<usize> {
        self.inner.digest_len
    }

    /// The direction.
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.inner.spec.direction()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Relaxed: a hint; the weak reference in the table is what decides.
        self.dropped.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sessions a queue keeps open at most; more of them take turns.
const MOST: u16 = 1024;

/// The sessions open on one queue.
#[derive(Debug)]
pub(crate) struct SessionTable {
    entries: Vec<Option<Entry>>,
    dropped: Arc<DroppedSessions>,
    dropped_seen: u64,
}

#[derive(Debug)]
struct Entry {
    serial: u64,
    session: Weak<Inner>,
    in_flight: u32,
}

impl SessionTable {
    /// A table for at most `granted` sessions.
    pub(crate) fn new(granted: u16, dropped: Arc<DroppedSessions>) -> Self {
        // A power of two, so that a session's own place is found without a division; and no more than anybody has at a time.
        let size = if granted == 0 { 0 } else { 1 << granted.min(MOST).ilog2() };
        let dropped_seen = dropped.0.load(Ordering::Relaxed);
        Self { entries: (0..size).map(|_| None).collect(), dropped, dropped_seen }
    }

    /// The session's number on this queue, opened if need be; counts one job in flight. `None` if every number is busy.
    #[inline]
    pub(crate) fn enter(
        &mut self,
        session: &Session,
        submitter: &mut dyn Submitter,
        opened: impl FnOnce(),
    ) -> Result<Option<SessionId>, SessionError> {
        let home = self.home(session.inner.serial);
        if let Some(Some(entry)) = self.entries.get_mut(home)
            && entry.serial == session.inner.serial
        {
            entry.in_flight += 1;
            return Ok(Some(id(home)));
        }
        self.enter_slowly(session, submitter, opened)
    }

    #[cold]
    fn enter_slowly(
        &mut self,
        session: &Session,
        submitter: &mut dyn Submitter,
        opened: impl FnOnce(),
    ) -> Result<Option<SessionId>, SessionError> {
        self.sweep(submitter);
        let serial = session.inner.serial;
        if let Some(at) = self.entries.iter().position(|entry| entry.as_ref().is_some_and(|e| e.serial == serial)) {
            if let Some(entry) = &mut self.entries[at] {
                entry.in_flight += 1;
            }
            return Ok(Some(id(at)));
        }
        // Its own place first, so that the next job finds it at once; else any free one; else one whose session rests.
        let home = self.home(serial);
        let free = |entry: &Option<Entry>| entry.is_none();
        let rests = |entry: &Option<Entry>| entry.as_ref().is_none_or(|e| e.in_flight == 0);
        let Some(at) = Some(home)
            .filter(|at| self.entries.get(*at).is_some_and(rests))
            .or_else(|| self.entries.iter().position(free))
            .or_else(|| self.entries.iter().position(rests))
        else {
            return Ok(None);
        };
        if self.entries[at].take().is_some() {
            submitter.close_session(id(at));
        }
        submitter.open_session(id(at), session.spec())?;
        opened();
        self.entries[at] = Some(Entry { serial, session: Arc::downgrade(&session.inner), in_flight: 1 });
        Ok(Some(id(at)))
    }

    /// Opens sessions of the table before this one under the numbers they had there, one for each job that was built with it and not submitted. They are still somebody's.
    pub(crate) fn carry_over(
        &mut self,
        before: &Self,
        jobs: impl Iterator<Item = SessionId>,
        submitter: &mut dyn Submitter,
        mut opened: impl FnMut(),
    ) -> Result<(), SessionError> {
        for id in jobs {
            let at = usize::from(id.0);
            let place = self.entries.get_mut(at).ok_or(SessionError::OutOfRange(id))?;
            if let Some(entry) = place {
                entry.in_flight += 1;
                continue;
            }
            let entry = before.entries.get(at).and_then(Option::as_ref).ok_or(SessionError::OutOfRange(id))?;
            let session = entry.session.upgrade().ok_or(SessionError::OutOfRange(id))?;
            submitter.open_session(id, &session.spec)?;
            opened();
            *place = Some(Entry { serial: entry.serial, session: entry.session.clone(), in_flight: 1 });
        }
        Ok(())
    }

    /// One job of the session has been answered, or was never submitted.
    pub(crate) fn leave(&mut self, session: SessionId) {
        if let Some(Some(entry)) = self.entries.get_mut(usize::from(session.0)) {
            entry.in_flight = entry.in_flight.saturating_sub(1);
        }
    }

    /// Closes sessions that nobody has any more, if there may be some: their keys should not linger.
    #[inline]
    pub(crate) fn tidy(&mut self, submitter: &mut dyn Submitter) {
        if self.dropped.0.load(Ordering::Relaxed) != self.dropped_seen {
            self.sweep(submitter);
        }
    }

    #[cold]
    fn sweep(&mut self, submitter: &mut dyn Submitter) {
        self.dropped_seen = self.dropped.0.load(Ordering::Relaxed);
        for (at, place) in self.entries.iter_mut().enumerate() {
            if place.as_ref().is_some_and(|entry| entry.in_flight == 0 && entry.session.strong_count() == 0) {
                *place = None;
                submitter.close_session(id(at));
            }
        }
    }

    /// The place a session takes if it can.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "masked to the table")]
    fn home(&self, serial: u64) -> usize {
        serial as usize & self.entries.len().wrapping_sub(1)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "the table has at most u16::MAX entries")]
fn id(at: usize) -> SessionId {
    SessionId(at as u16)
}

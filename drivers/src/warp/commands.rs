//! The driver's own commands in flight: opening and closing sessions, cancelling.

use uaccel_queue::sync::atomic::{AtomicU32, Ordering};
use uaccel_queue::{DeviceError, SessionId, Token};

/// What a command in flight is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The session's entry is being read.
    Open(SessionId),
    /// The session is being closed.
    Close(SessionId),
    /// A job is to be dropped.
    Cancel,
}

/// The commands in flight. The submitter claims places, the completer frees them.
///
/// A command's token is the number of its place. No job has such a token.
#[derive(Debug, Default)]
pub(super) struct Commands {
    places: [AtomicU32; Commands::COUNT],
}

impl Commands {
    /// The most commands in flight. The rings have room for as many beside the jobs.
    pub(super) const COUNT: usize = 8;

    const FREE: u32 = 0;
    const OPEN: u32 = 1 << 16;
    const CLOSE: u32 = 2 << 16;
    const CANCEL: u32 = 3 << 16;

    /// Whether a token is one of commands.
    #[inline]
    pub(super) fn owns(token: Token) -> bool {
        !token.is_job()
    }

    /// Claims a place and returns the command's token, for the submitter alone. `None` if all are taken.
    pub(super) fn claim(&self, purpose: Purpose) -> Option<u32> {
        // Acquire: pairs with the release in `settle`, so that a wiped session entry is wiped before it is written
        // again.
        let number = self.places.iter().position(|place| place.load(Ordering::Acquire) == Self::FREE)?;
        let word = match purpose {
            Purpose::Open(SessionId(id)) => Self::OPEN | u32::from(id),
            Purpose::Close(SessionId(id)) => Self::CLOSE | u32::from(id),
            Purpose::Cancel => Self::CANCEL,
        };
        // Relaxed: the publication of the descriptor is a release, and the completer has acquired the device's answer
        // to it.
        self.places[number].store(word, Ordering::Relaxed);
        u32::try_from(number).ok()
    }

    /// Whether a command about this session is in flight.
    pub(super) fn concerns(&self, session: SessionId) -> bool {
        // Acquire: as in `claim`.
        let words = self.places.iter().map(|place| place.load(Ordering::Acquire));
        words
            .filter_map(Self::purpose)
            .any(|purpose| matches!(purpose, Purpose::Open(id) | Purpose::Close(id) if id == session))
    }

    /// The command that the device answered under `token`, for the completer alone.
    pub(super) fn find(&self, token: Token) -> Result<Purpose, DeviceError> {
        // Relaxed: see `claim`. A number the device made up finds nothing, or a command in flight, which is then lost
        // to it.
        let word = self.places.get(token.slot()).map_or(Self::FREE, |place| place.load(Ordering::Relaxed));
        Self::purpose(word).ok_or(DeviceError::UnknownToken(token))
    }

    /// Frees the place of an answered command, after all that its answer entails was done.
    pub(super) fn settle(&self, token: Token) {
        if let Some(place) = self.places.get(token.slot()) {
            // Release: pairs with the acquire in `claim` and `concerns`.
            place.store(Self::FREE, Ordering::Release);
        }
    }

    fn purpose(word: u32) -> Option<Purpose> {
        #[allow(clippy::cast_possible_truncation, reason = "the low half is the session")]
        let id = SessionId(word as u16);
        match word & 0xffff_0000 {
            Self::OPEN => Some(Purpose::Open(id)),
            Self::CLOSE => Some(Purpose::Close(id)),
            Self::CANCEL => Some(Purpose::Cancel),
            _ => None,
        }
    }
}

#[cfg(all(loom, test))]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A session's entry is written, answered, wiped, and written again. The entry is a cell that the checker watches.
    #[test]
    fn an_entry_is_written_only_when_it_was_wiped() {
        loom::model(|| {
            let commands = Arc::new(Commands::default());
            let entry = loom::sync::Arc::new(loom::cell::UnsafeCell::new(0_u64));
            let published = Arc::new(AtomicU32::new(u32::MAX));
            let session = SessionId(3);
            let completer = {
                let (commands, entry, published) =
                    (Arc::clone(&commands), loom::sync::Arc::clone(&entry), Arc::clone(&published));
                loom::thread::spawn(move || {
                    while published.load(Ordering::Acquire) == u32::MAX {
                        loom::thread::yield_now();
                    }
                    let token = Token::from_raw(published.load(Ordering::Relaxed));
                    assert_eq!(commands.find(token).expect("in flight"), Purpose::Open(session));
                    // SAFETY: the submitter leaves the entry alone while a command about the session is in flight.
                    entry.with_mut(|word| unsafe { *word = 0 });
                    commands.settle(token);
                })
            };
            let token = commands.claim(Purpose::Open(session)).expect("a free place");
            // SAFETY: no command about the session is in flight.
            entry.with_mut(|word| unsafe { *word = 1 });
            published.store(token, Ordering::Release);
            while commands.concerns(session) {
                loom::thread::yield_now();
            }
            // SAFETY: as above.
            entry.with_mut(|word| unsafe { *word = 2 });
            completer.join().expect("no panic inside");
        });
    }
}

//! The sessions of one queue.

use std::sync::Arc;

use uaccel_queue::{Algorithm, Direction, Family, SessionSpec, Status};
use uaccel_units::Unit;
use uaccel_warp_abi::SessionEntry;
use zeroize::Zeroize;

/// The sessions of one queue.
#[derive(Debug, Default)]
pub(super) struct Sessions(Vec<Option<Arc<Unit>>>);

impl Sessions {
    /// Room for `count` sessions, none open.
    pub(super) fn new(count: u16) -> Self {
        Self(vec![None; usize::from(count)])
    }

    /// Whether a session of this number can be opened now.
    pub(super) fn admits(&self, id: u16) -> Result<(), Status> {
        match self.0.get(usize::from(id)) {
            None => Err(Status::BadSession),
            Some(Some(_)) => Err(Status::InvalidJob),
            Some(None) => Ok(()),
        }
    }

    /// Opens a session from the words of its entry, which are wiped: they may hold a key.
    pub(super) fn open(&mut self, id: u16, mut words: [u64; SessionEntry::WORDS]) -> Result<(), Status> {
        let unit = SessionEntry::decode(&words).map_err(|_| Status::InvalidJob).and_then(expand);
        words.zeroize();
        let slot = self.0.get_mut(usize::from(id)).ok_or(Status::BadSession)?;
        *slot = Some(Arc::new(unit?));
        Ok(())
    }

    /// Closes a session. Jobs of it that are on their way keep what they need.
    pub(super) fn close(&mut self, id: u16) -> Result<(), Status> {
        let slot = self.0.get_mut(usize::from(id)).ok_or(Status::BadSession)?;
        slot.take().map(|_| ()).ok_or(Status::BadSession)
    }

    /// The unit of an open session.
    #[inline]
    pub(super) fn get(&self, id: u16) -> Option<&Arc<Unit>> {
        self.0.get(usize::from(id))?.as_ref()
    }
}

/// Makes the unit that an entry describes.
fn expand(mut entry: SessionEntry) -> Result<Unit, Status> {
    let direction = if entry.direction == 0 { Direction::Forward } else { Direction::Inverse };
    let unit = Algorithm::from_raw(entry.algorithm)
        .filter(|algorithm| Unit::supports(*algorithm, direction))
        .ok_or(Status::Unsupported)
        .and_then(|algorithm| {
            let key = &entry.key[..usize::from(entry.key_len)];
            let spec = match algorithm.family() {
                // A decompressor has no level, whatever the entry says.
                Family::Compression if direction == Direction::Inverse => {
                    SessionSpec::compression(algorithm, direction, None)
                }
                Family::Compression => SessionSpec::compression(algorithm, direction, Some(entry.level)),
                Family::Aead | Family::Cipher => SessionSpec::keyed(algorithm, direction, key),
                Family::Digest => SessionSpec::digest(algorithm, key),
                _ => return Err(Status::Unsupported),
            };
            let spec = spec.map_err(|_| Status::InvalidJob)?;
            Unit::new(&spec).map_err(|_| Status::Unsupported)
        });
    entry.key.zeroize();
    unit
}

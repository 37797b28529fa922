//! The sessions of one queue, expanded.

use uaccel_queue::{Operation, SessionError, SessionId, SessionSpec, Status};
use uaccel_units::{Unit, UnitError};

/// The sessions of one queue, by number.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// As long as the highest number in use so far.
    units: Vec<Option<Unit>>,
}

impl Sessions {
    /// The most sessions open at once: as many as a queue could want, at a few bytes each.
    pub(super) const MOST: u16 = 1 << 15;

    pub(super) fn open(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        if id.0 >= Self::MOST {
            return Err(SessionError::OutOfRange(id));
        }
        let unit = Unit::new(spec).map_err(|error| match error {
            UnitError::Unsupported(algorithm) => SessionError::Unsupported { algorithm, direction: spec.direction() },
            _ => SessionError::Refused(Status::Unsupported),
        })?;
        let place = usize::from(id.0);
        if self.units.len() <= place {
            self.units.resize_with(place + 1, || None);
        }
        self.units[place] = Some(unit);
        Ok(())
    }

    pub(super) fn close(&mut self, id: SessionId) {
        if let Some(place) = self.units.get_mut(usize::from(id.0)) {
            *place = None;
        }
    }

    /// The unit of a session, if it is open and performs this operation.
    #[inline]
    pub(super) fn get(&self, id: SessionId, operation: Operation) -> Option<&Unit> {
        self.units.get(usize::from(id.0))?.as_ref().filter(|unit| unit.operation() == operation)
    }
}

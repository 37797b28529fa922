//! The half that answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use uaccel_queue::{Cells, Completer, DeviceError, Done};

use super::desk::Desk;
use crate::alarm::Alarm;

pub(super) struct BouncedCompleter {
    desk: Arc<Mutex<Desk>>,
    alarm: Arc<Alarm>,
    inner: Box<dyn Completer>,
    cells: Arc<Cells>,
    /// Where the inner half puts the bays whose jobs it answers.
    places: Vec<u32>,
    /// Bays whose jobs were answered, and not told on yet.
    ready: VecDeque<u32>,
}

impl BouncedCompleter {
    pub(super) fn new(desk: Arc<Mutex<Desk>>, alarm: Arc<Alarm>, inner: Box<dyn Completer>, cells: Arc<Cells>) -> Self {
        let places = vec![0; cells.depth()];
        Self { desk, alarm, inner, cells, places, ready: VecDeque::new() }
    }
}

// SAFETY: a job is answered when the device has answered the one that stands for it, and it never saw the job's own memory.
unsafe impl Completer for BouncedCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        // SAFETY: this has the only completer of the inner table.
        let mut inner = unsafe { Done::new(&self.cells, &mut self.places) };
        let polled = self.inner.poll(&mut inner);
        self.ready.extend(inner.slots());
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        while done.room() > 0 {
            let Some(bay) = self.ready.pop_front() else { break };
            if let Some((token, outcome)) = desk.leave(bay as usize) {
                done.complete(token, &outcome)?;
            }
        }
        polled?;
        desk.pass_on()?;
        while done.room() > 0
            && let Some((token, outcome)) = desk.answer()
        {
            done.complete(token, &outcome)?;
        }
        Ok(())
    }

    fn arm(&mut self) {
        self.alarm.arm();
        self.inner.arm();
    }
}

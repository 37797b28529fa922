//! Destinations whose jobs have ended, kept for a while: a device that still writes there is caught.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::guarded::Guarded;

/// Bytes kept at most.
const MOST: usize = 24 << 20;

/// Destinations that must not change any more.
#[derive(Debug, Default)]
pub struct Quarantine {
    kept: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    serial: u64,
    until: Instant,
    buffer: Guarded,
}

impl Quarantine {
    /// Keeps the destination of a job that has just ended for some time, full of a pattern.
    pub fn keep(&mut self, serial: u64, mut buffer: Guarded, time: Duration) {
        buffer.refill();
        self.bytes += buffer.len();
        self.kept.push_back(Kept { serial, until: Instant::now() + time, buffer });
    }

    /// Lets go of those whose time is over, or for which there is no room, and names the jobs of those that were written to.
    pub fn sweep(&mut self, mut touched: impl FnMut(u64)) {
        let now = Instant::now();
        while self.kept.front().is_some_and(|kept| kept.until <= now || self.bytes > MOST) {
            self.release(&mut touched);
        }
    }

    /// Lets go of all of them.
    pub fn empty(&mut self, mut touched: impl FnMut(u64)) {
        while !self.kept.is_empty() {
            self.release(&mut touched);
        }
    }

    fn release(&mut self, touched: &mut impl FnMut(u64)) {
        let Some(kept) = self.kept.pop_front() else { return };
        self.bytes -= kept.buffer.len();
        if !kept.buffer.is_untouched() {
            touched(kept.serial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_after_the_end_is_named() {
        let mut quarantine = Quarantine::default();
        for serial in 0..4 {
            quarantine.keep(serial, Guarded::new(1000, serial), Duration::ZERO);
        }
        quarantine.kept[2].buffer.room_mut()[999] ^= 1;
        let mut touched = Vec::new();
        quarantine.sweep(|serial| touched.push(serial));
        assert_eq!((touched, quarantine.bytes), (vec![2], 0));
    }

    #[test]
    fn what_is_young_stays() {
        let mut quarantine = Quarantine::default();
        quarantine.keep(1, Guarded::new(10, 1), Duration::from_secs(1000));
        quarantine.sweep(|_| {});
        assert_eq!(quarantine.kept.len(), 1);
        quarantine.empty(|serial| panic!("{serial} was not touched"));
        assert_eq!(quarantine.kept.len(), 0);
    }
}

//! A queue, as one worker sees it.

use std::sync::Arc;

use super::Backing;
use super::queue::Queue;
use crate::DeviceModel;

/// After how many looks that found nothing a queue beside others is looked at seldom, and how seldom then.
const QUIET: u32 = 256;
const SELDOM: u32 = 8;

/// A queue, as one worker sees it.
pub(super) struct Place<M: DeviceModel, B: Backing> {
    pub(super) queue: Arc<Queue<M, B>>,
    /// How often in a row it had nothing.
    dry: u32,
}

impl<M: DeviceModel, B: Backing> Place<M, B> {
    pub(super) fn new(queue: Arc<Queue<M, B>>) -> Self {
        Self { queue, dry: 0 }
    }

    /// Whether it has had nothing for long.
    #[inline]
    pub(super) fn is_quiet(&self) -> bool {
        self.dry >= QUIET
    }

    /// Whether it is passed over in this turn: a look costs more than it is likely to bring.
    #[inline]
    pub(super) fn rests(&self, turn: u32) -> bool {
        self.is_quiet() && !turn.is_multiple_of(SELDOM)
    }

    /// How often it is looked at in one go, where one that is in use is looked at so often.
    #[inline]
    pub(super) fn looks(&self, looks: usize) -> usize {
        if self.is_quiet() { 1 } else { looks }
    }

    /// Forgets for how long it has had nothing.
    #[inline]
    pub(super) fn wake(&mut self) {
        self.dry = 0;
    }

    /// Notes what a look has found.
    #[inline]
    pub(super) fn note(&mut self, found: bool) -> bool {
        self.dry = if found { 0 } else { self.dry.saturating_add(1) };
        found
    }
}

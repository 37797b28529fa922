//! What the model keeps in a queue's page.
//!
//! The device has one register for all doorbells of a queue, and nothing can be read there. The page is the model's own: no user sees it.

use core::sync::atomic::{Ordering, fence};

use uaccel_hisi_abi::{Doorbell as Rung, DoorbellCommand};

use super::rings::Rings;
use crate::{Doorbell, UserPage};

/// The queue's number and the places of its rings: 0 until the queue is started.
const SHAPE: usize = 0x00;
/// The new tail of the last doorbell of the submission ring.
const TAIL: usize = 0x08;
/// The new head of the last doorbell of the completion ring.
const HEAD: usize = 0x10;
/// The new head of the last completion doorbell that demanded a signal, and above its 16 bits how many such doorbells there were.
const DEMAND: usize = 0x18;
/// Not 0 if something stands still until completions are taken.
const STALLED: usize = 0x20;

/// Marks a shape that is one.
const STARTED: u64 = 1 << 63;

/// A demand for a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Demand(u64);

impl Demand {
    /// Completions from this place on are worth a signal.
    #[allow(clippy::cast_possible_truncation, reason = "the place has 16 bits")]
    pub(super) const fn beyond(self) -> u16 {
        self.0 as u16
    }
}

/// Whether the queue is started, and doorbells are taken.
pub(super) fn is_started(page: &UserPage) -> bool {
    page.load(SHAPE) != 0
}

/// From here on doorbells of this queue are taken.
pub(super) fn start(page: &UserPage, queue: u16, rings: &Rings) {
    page.store(TAIL, u64::from(rings.first_submission));
    page.store(HEAD, u64::from(rings.first_completion));
    page.store(STALLED, 0);
    let (submissions, completions) = (u64::from(rings.submissions), u64::from(rings.completions));
    // Release: pairs with the fence in `ring`. Who sees that the queue is started does not store beneath what stands above.
    fence(Ordering::Release);
    page.store(SHAPE, u64::from(queue) | submissions << 16 | completions << 32 | STARTED);
}

/// Takes a doorbell. What makes no sense is dropped, as on hardware.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "fields are cut out of the word by design")]
pub(super) fn ring(page: &UserPage, value: u64) -> Doorbell {
    let Some(Rung { queue, command, index, priority }) = Rung::decode(value) else { return Doorbell::Plain };
    let shape = page.load(SHAPE);
    if shape == 0 {
        return Doorbell::Control;
    }
    // Acquire: pairs with the fence in `start`.
    fence(Ordering::Acquire);
    if queue != shape as u16 {
        return Doorbell::Plain;
    }
    match command {
        DoorbellCommand::Submission if index < (shape >> 16) as u16 => {
            // Release: pairs with the fence in `tail`. Who sees the new tail sees the entries before it.
            fence(Ordering::Release);
            page.store(TAIL, u64::from(index));
            Doorbell::Submit
        }
        DoorbellCommand::Completion if index < (shape >> 32) as u16 => {
            // Release: pairs with the fence in `head`. Who sees the new head may write where the caller has read.
            fence(Ordering::Release);
            page.store(HEAD, u64::from(index));
            // Full fence between saying what was taken and asking who waits for it. Pairs with the one in `stall`.
            fence(Ordering::SeqCst);
            let stalled = page.load(STALLED) != 0;
            if stalled {
                page.store(STALLED, 0);
            }
            let demands = priority == Rung::ARM;
            if demands {
                // One completer rings at a time: nobody else adds.
                demand(page, index);
            }
            match (stalled, demands) {
                (true, _) => Doorbell::Room,
                (false, true) => Doorbell::Arm,
                (false, false) => Doorbell::Plain,
            }
        }
        _ => Doorbell::Plain,
    }
}

/// Demands a signal for completions from a place on.
pub(super) fn demand(page: &UserPage, beyond: u16) {
    let count = page.load(DEMAND) >> 16;
    page.store(DEMAND, count.wrapping_add(1) << 16 | u64::from(beyond));
}

/// The last demand for a signal.
pub(super) fn demanded(page: &UserPage) -> Demand {
    Demand(page.load(DEMAND))
}

/// One past the last entry that was announced.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "what was stored has 16 bits")]
pub(super) fn tail(page: &UserPage) -> u16 {
    let tail = page.load(TAIL) as u16;
    // Acquire: pairs with the fence in `ring`.
    fence(Ordering::Acquire);
    tail
}

/// The first completion that was not taken.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "what was stored has 16 bits")]
pub(super) fn head(page: &UserPage) -> u16 {
    let head = page.load(HEAD) as u16;
    // Acquire: pairs with the fence in `ring`.
    fence(Ordering::Acquire);
    head
}

/// Says that something stands still until completions are taken. The caller then looks once more.
pub(super) fn stall(page: &UserPage) {
    page.store(STALLED, 1);
    // Full fence between saying so and looking once more. Pairs with the one in `ring`.
    fence(Ordering::SeqCst);
}

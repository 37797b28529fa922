//! How a driver that is done with a job when `submit` returns tells its other half.

use std::sync::Arc;

use uaccel_queue::Token;
use uaccel_queue::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// The two ends of a ring for the tokens of `depth` jobs.
///
/// The ring never looks whether there is room: a token stands in it from `submit` to the `poll` that takes it, which
/// is while its job is in flight, and no more than `depth` jobs are. Hence the taking end publishes nothing, and the
/// only shared word is written once per batch. A caller who broke that rule would get wrong tokens, never undefined
/// behaviour: everything here is atomic.
pub(crate) fn ring(depth: usize) -> (Giver, Taker) {
    let tokens: Arc<[_]> = (0..depth.next_power_of_two()).map(|_| AtomicU32::new(0)).collect();
    let published = Arc::new(Line(AtomicU64::new(0)));
    let giver = Giver { tokens: Arc::clone(&tokens), published: Arc::clone(&published), given: 0 };
    (giver, Taker { tokens, published, taken: 0 })
}

/// The end that puts tokens in.
#[derive(Debug)]
pub(crate) struct Giver {
    tokens: Arc<[AtomicU32]>,
    published: Arc<Line<AtomicU64>>,
    given: u64,
}

/// The end that takes tokens out.
#[derive(Debug)]
pub(crate) struct Taker {
    tokens: Arc<[AtomicU32]>,
    /// How many tokens were published since the beginning.
    published: Arc<Line<AtomicU64>>,
    taken: u64,
}

/// Keeps a value on a cache line of its own, and away from the neighbour that the prefetcher fetches with it.
#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

impl Giver {
    /// Puts tokens in and makes them visible together.
    #[inline]
    pub(crate) fn give(&mut self, tokens: impl Iterator<Item = Token>) {
        let (places, mut given) = (&*self.tokens, self.given);
        for token in tokens {
            // Relaxed: ordered by the release below.
            place(places, given).store(token.raw(), Ordering::Relaxed);
            given += 1;
        }
        self.given = given;
        // Release: pairs with the acquire load in `Taker::take`, which then sees the tokens and whatever was written to
        // the jobs' memory and to the table before.
        self.published.0.store(given, Ordering::Release);
    }
}

impl Taker {
    /// Takes the tokens that are there, at most `most`. Those that are not iterated over are lost.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "no more than the depth of the queue")]
    pub(crate) fn take(&mut self, most: usize) -> impl Iterator<Item = Token> {
        let (places, first) = (&*self.tokens, self.taken);
        // Acquire: pairs with the release store in `Giver::give`.
        let ready = self.published.0.load(Ordering::Acquire).wrapping_sub(first) as usize;
        self.taken = first + ready.min(most) as u64;
        // Relaxed: ordered by the acquire above.
        (first..self.taken).map(|number| Token::from_raw(place(places, number).load(Ordering::Relaxed)))
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "masked to the ring")]
fn place(places: &[AtomicU32], number: u64) -> &AtomicU32 {
    &places[number as usize & (places.len() - 1)]
}

#[cfg(all(loom, test))]
mod tests {
    use super::*;

    /// Two places, three tokens: the ring wraps. The giver goes on when it has seen the answer to its job of two
    /// rounds ago, as the table of jobs sees to.
    fn wraps() {
        let (mut giver, mut taker) = ring(2);
        let answered = Arc::new(AtomicU32::new(0));
        let taking = {
            let answered = Arc::clone(&answered);
            loom::thread::spawn(move || {
                let mut next = 1;
                while next <= 3 {
                    let before = next;
                    for token in taker.take(2) {
                        assert_eq!(token.raw(), next);
                        next += 1;
                        answered.store(next - 1, Ordering::Release);
                    }
                    if next == before {
                        loom::thread::yield_now();
                    }
                }
            })
        };
        giver.give([1, 2].map(Token::from_raw).into_iter());
        while answered.load(Ordering::Acquire) < 1 {
            loom::thread::yield_now();
        }
        giver.give([Token::from_raw(3)].into_iter());
        taking.join().expect("no panic inside");
    }

    #[test]
    fn tokens_arrive_in_order() {
        loom::model(wraps);
    }
}

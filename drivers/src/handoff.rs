//! How a driver that is done with a job when `submit` returns hands the answers to its other half.

use std::sync::Arc;

use uaccel_queue::sync::atomic::{AtomicU64, Ordering};

/// The two ends of a ring for `depth` answers of `WORDS` words.
///
/// The ring never looks whether there is room: an answer stands in it from `submit` to the `poll` that takes it, which
/// is while its job is in flight, and no more than `depth` jobs are. Hence the taking end publishes nothing, and the
/// only shared word is written once per batch. A caller who broke that rule would get wrong answers, never undefined
/// behaviour: everything here is atomic.
pub(crate) fn ring<const WORDS: usize>(depth: usize) -> (Giver<WORDS>, Taker<WORDS>) {
    let answers: Arc<[_]> =
        (0..depth.next_power_of_two()).map(|_| Answer(std::array::from_fn(|_| AtomicU64::new(0)))).collect();
    let published = Arc::new(Line(AtomicU64::new(0)));
    let giver = Giver { answers: Arc::clone(&answers), published: Arc::clone(&published), given: 0 };
    (giver, Taker { answers, published, taken: 0 })
}

/// The end that puts answers in.
#[derive(Debug)]
pub(crate) struct Giver<const WORDS: usize> {
    answers: Arc<[Answer<WORDS>]>,
    published: Arc<Line<AtomicU64>>,
    given: u64,
}

/// The end that takes answers out.
#[derive(Debug)]
pub(crate) struct Taker<const WORDS: usize> {
    answers: Arc<[Answer<WORDS>]>,
    /// How many answers were published since the beginning.
    published: Arc<Line<AtomicU64>>,
    taken: u64,
}

#[derive(Debug)]
struct Answer<const WORDS: usize>([AtomicU64; WORDS]);

/// Keeps a value on a cache line of its own, and away from the neighbour that the prefetcher fetches with it.
#[derive(Debug)]
#[repr(align(128))]
struct Line<T>(T);

impl<const WORDS: usize> Giver<WORDS> {
    /// Puts answers in and makes them visible together.
    #[inline]
    pub(crate) fn give(&mut self, answers: impl Iterator<Item = [u64; WORDS]>) {
        let (places, mut given) = (&*self.answers, self.given);
        for words in answers {
            for (place, word) in place(places, given).iter().zip(words) {
                // Relaxed: ordered by the release below.
                place.store(word, Ordering::Relaxed);
            }
            given += 1;
        }
        self.given = given;
        // Release: pairs with the acquire load in `Taker::take`, which then sees the answers and whatever was written to
        // the jobs' memory and to the table before.
        self.published.0.store(given, Ordering::Release);
    }
}

impl<const WORDS: usize> Taker<WORDS> {
    /// Takes the answers that are there, at most `most`. Those that are not iterated over are lost.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "no more than the depth of the queue")]
    pub(crate) fn take(&mut self, most: usize) -> impl Iterator<Item = [u64; WORDS]> {
        let (places, first) = (&*self.answers, self.taken);
        // Acquire: pairs with the release store in `Giver::give`.
        let ready = self.published.0.load(Ordering::Acquire).wrapping_sub(first) as usize;
        self.taken = first + ready.min(most) as u64;
        (first..self.taken).map(|number| {
            let answer = place(places, number);
            // Relaxed: ordered by the acquire above.
            std::array::from_fn(|word| answer[word].load(Ordering::Relaxed))
        })
    }
}

#[inline]
#[allow(clippy::cast_possible_truncation, reason = "masked to the ring")]
fn place<const WORDS: usize>(places: &[Answer<WORDS>], number: u64) -> &[AtomicU64; WORDS] {
    &places[number as usize & (places.len() - 1)].0
}

#[cfg(all(loom, test))]
mod tests {
    use super::*;

    /// Two places, three answers: the ring wraps. The giver goes on when it has seen the answer to its job of two
    /// rounds ago, as the table of jobs sees to.
    fn wraps() {
        let (mut giver, mut taker) = ring::<2>(2);
        let answered = Arc::new(AtomicU64::new(0));
        let taking = {
            let answered = Arc::clone(&answered);
            loom::thread::spawn(move || {
                let mut next = 1;
                while next <= 3 {
                    let before = next;
                    for words in taker.take(2) {
                        assert_eq!(words, [next, !next]);
                        next += 1;
                        answered.store(next - 1, Ordering::Release);
                    }
                    if next == before {
                        loom::thread::yield_now();
                    }
                }
            })
        };
        giver.give([1_u64, 2].map(|n| [n, !n]).into_iter());
        while answered.load(Ordering::Acquire) < 1 {
            loom::thread::yield_now();
        }
        giver.give([[3, !3]].into_iter());
        taking.join().expect("no panic inside");
    }

    #[test]
    fn answers_arrive_whole_and_in_order() {
        loom::model(wraps);
    }
}

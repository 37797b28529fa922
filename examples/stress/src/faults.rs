//! What a daemon is told to do wrong, in the form its option `--plan` takes.

use accel_bench::random::Random;

/// A plan with a few rare mishaps.
#[must_use]
pub fn draw(random: &mut Random) -> String {
    format!("seed = {}\n", random.next_u64() >> 1)
}

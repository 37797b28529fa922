//! What a daemon is told to do wrong, in the form its option `--plan` takes.

use accel_bench::random::Random;
use serde_json::{Value, json};

/// Mishaps that a queue is given up for, or its clients wait in vain for.
const MISHAPS: [&str; 5] =
    ["lost-completion", "duplicated-completion", "wrong-token", "impossible-lengths", "unknown-status"];

/// A plan with a few mishaps: rare ones, since after each a queue starts anew.
#[must_use]
pub fn draw(random: &mut Random) -> String {
    let mut rules: Vec<Value> = Vec::new();
    for what in MISHAPS {
        if random.below(2) == 0 {
            rules.push(json!({ "every": 3000 + random.below(20_000), "what": what }));
        }
    }
    rules.push(json!({ "every": 50 + random.below(500), "what": { "late-completion": 1 + random.below(3) } }));
    if random.below(3) == 0 {
        // The whole device, once.
        rules.push(json!({ "nth": 5000 + random.below(50_000), "what": { "device-failure": 9 } }));
    }
    json!({ "seed": random.next_u64() >> 1, "rules": rules }).to_string()
}

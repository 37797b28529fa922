//! A device that writes whatever it likes.

use proptest::prelude::*;
use uaccel_queue::{Outcome, Status};

use crate::device::DATA;
use crate::queue::Queue;

/// What the device writes: an element of the used ring, how far the index moves, and the status of one of the jobs.
#[derive(Clone, Copy, Debug)]
struct Write {
    head: u32,
    written: u32,
    steps: u16,
    status: (usize, u8),
}

/// Mostly near what would be right.
fn write() -> impl Strategy<Value = Write> {
    let head = prop_oneof![8 => (0..9_u32).prop_map(|slot| 4 * slot), 1 => 0..40_u32, 1 => any::<u32>()];
    let written = prop_oneof![8 => Just(65_u32), 1 => 0..70_u32, 1 => any::<u32>()];
    let steps = prop_oneof![8 => Just(1_u16), 1 => 0..5_u16, 1 => any::<u16>()];
    let status = (0..8_usize, prop_oneof![8 => 0..7_u8, 1 => any::<u8>()]);
    (head, written, steps, status).prop_map(|(head, written, steps, status)| Write { head, written, steps, status })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// No panic; no job is answered that was not in flight, or twice; and an error is the end.
    #[test]
    fn nothing_is_believed(jobs in 1..8_usize, writes in prop::collection::vec(write(), 1..20)) {
        let mut queue = Queue::new(8);
        // The test answers in its place.
        queue.device.lie(DATA, |_| None);
        let slots: Vec<_> = (0..jobs as u32).collect();
        queue.send_all(&slots, |_| {});
        let asked = queue.device.asked();
        let mut waiting = slots;
        for Write { head, written, steps, status: (job, status) } in writes {
            queue.device.set_status(&asked[job % jobs], status);
            queue.device.push((head, written), steps);
            let Ok(answers) = queue.poll() else { break };
            prop_assert!(answers.len() <= usize::from(steps), "more answers than the device gave");
            for (slot, outcome) in answers {
                let at = waiting.iter().position(|waiting| *waiting == slot);
                prop_assert!(at.is_some(), "slot {slot} was not in flight");
                waiting.swap_remove(at.unwrap_or(0));
                prop_assert!(outcome == Outcome::ok(64, 64) || outcome.status != Status::Ok, "{outcome:?}");
            }
        }
        let untouched = (0..jobs as u32).all(|slot| queue.written(slot) == [0; 64]);
        prop_assert!(untouched, "the driver writes no text");
    }
}

//! The two halves on two threads.

use std::sync::mpsc;

use uaccel_queue::{Algorithm, Done};

use crate::device::Device;
use crate::queue::{FORMATS, Queue, forward};

#[test]
fn halves_on_two_threads() {
    const DEPTH: u32 = 7;
    const JOBS: usize = 20_000;
    let device = Device::honest(8);
    let mut queue = Queue::over(&device, DEPTH as usize);
    // The completer's own, and the queue keeps another one that nobody uses.
    let completer = std::mem::replace(&mut queue.completer, Queue::over(&Device::new(8), 1).completer);
    let cells = queue.cells.clone();
    let (give, free) = mpsc::channel::<u32>();
    (0..DEPTH).for_each(|slot| give.send(slot).expect("open"));
    let answering = std::thread::spawn(move || {
        let mut completer = completer;
        let mut answered = 0;
        while answered < JOBS {
            let mut places = [0; DEPTH as usize];
            // SAFETY: the only completer.
            let mut done = unsafe { Done::new(&cells, &mut places) };
            completer.poll(&mut done).expect("the queue works");
            for slot in done.slots() {
                // SAFETY: just answered.
                let outcome = unsafe { cells.outcome(*slot as usize) };
                assert_eq!(outcome.status, uaccel_queue::Status::Ok, "{outcome:?}");
                answered += 1;
                // The submitting thread ends earlier than this one.
                let _ = give.send(*slot);
            }
            std::thread::yield_now();
        }
    });
    let mut sent = 0;
    while sent < JOBS {
        let mut slots = vec![free.recv().expect("slots come back")];
        slots.extend(free.try_iter());
        slots.truncate(JOBS - sent);
        for slot in &slots {
            // Nothing to compress, in between: such jobs come back another way.
            let format = FORMATS[sent % 3];
            let source: &[u8] = if sent % 5 == 0 { b"" } else { b"text" };
            let session = if sent % 7 == 0 { crate::queue::inverse(Algorithm::Deflate) } else { forward(format) };
            let source: &[u8] = if sent % 7 == 0 { &[3, 0] } else { source };
            queue.build(*slot, session, source, 40);
            sent += 1;
        }
        assert_eq!(queue.submit(&slots).expect("the queue works"), slots.len());
    }
    answering.join().expect("no panic inside");
}

//! Doorbells and arming.

use uaccel_queue::Operation;
use uaccel_warp_abi::user_page;

use crate::fake::Queue;

#[test]
fn the_doorbell_rings_only_for_a_device_that_sleeps_and_once_per_batch() {
    let mut queue = Queue::new(16);
    for slot in 0..4 {
        queue.build(slot, |job| job.operation = Operation::Nop);
    }
    assert_eq!(queue.submit(&[0]), 1);
    assert_eq!(queue.fake.doorbells(), []);
    queue.need_wakeup(true);
    assert_eq!(queue.submit(&[1, 2, 3]), 3);
    assert_eq!(queue.fake.doorbells(), [(user_page::SUBMIT, 4)]);
    assert_eq!(queue.submit(&[]), 0);
    assert_eq!(queue.fake.doorbells(), [], "nothing new, nothing to say");
    queue.need_wakeup(false);
    queue.submitter.close_session(uaccel_queue::SessionId(0));
    assert_eq!(queue.fake.doorbells(), []);
    queue.need_wakeup(true);
    queue.submitter.close_session(uaccel_queue::SessionId(1));
    assert_eq!(queue.fake.doorbells(), [(user_page::SUBMIT, 6)], "commands count as well");
}

#[test]
fn arming_changes_the_register_each_time() {
    let mut queue = Queue::new(16);
    let before = queue.fake.registers().read(user_page::ARM);
    queue.completer.arm();
    let once = queue.fake.registers().read(user_page::ARM);
    queue.completer.arm();
    let twice = queue.fake.registers().read(user_page::ARM);
    assert!(before != once && once != twice && before != twice);
    assert_eq!(queue.fake.doorbells(), [], "the register is not a doorbell");
}

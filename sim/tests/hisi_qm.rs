//! HiSilicon's queue manager, driven as the kernel's driver drives it.

mod hisi_board;

use hisi_board::{
    ASYNC_EVENTS, COMPLETION_BACKING, CONTEXT, EVENTS, Kernel, SUBMISSION_BACKING, completion, submission,
};
use uaccel_hisi_abi::zip::registers as zip;
use uaccel_hisi_abi::{
    AsyncEvent, AsyncKind, CompletionContext, DoorbellCommand, Event, EventContext, Mailbox, MailboxCommand,
    MailboxOperation, SubmissionContext, VftQueues, registers,
};
use uaccel_sim::hisi::qm::{BUS_READ, BUS_WRITE, Config, ConfigError, Position, Progress, QueueManager, Vectors};

const READ: MailboxOperation = MailboxOperation::Read;
const WRITE: MailboxOperation = MailboxOperation::Write;

#[test]
fn registers_at_power_on_are_what_the_driver_looks_for() {
    let mut kernel = Kernel::new(Config::zip(64));
    for (offset, value) in [
        (registers::ISOLATION, 1),
        (registers::SUB_VERSION, 0),
        (registers::QUEUES, 64 | 64 << 11),
        (registers::CAPABILITIES, 0x701),
        (registers::EVENT_DEPTHS, 0x0400_0800),
        (registers::QUEUE_DEPTHS, 0x0400_0400),
        (registers::EVENT_INTERRUPT, 0x1_0000),
        (registers::ASYNC_INTERRUPT, 0x1_0001),
        (registers::ERROR_INTERRUPT, 0x1_0003),
        (registers::MESSAGE_INTERRUPT, 0x1_0002),
        (registers::VECTORS, 0x4_0003),
        (registers::EXTENSION, 0x14),
        (registers::NONFATAL_ERRORS, 0x7c77),
        (registers::RESET_ERRORS, 0x6c77),
        (registers::CORRECTED_ERRORS, 0x8),
        (registers::VFT_READY, 1),
        (registers::ERRORS, 0),
        (registers::INTERRUPT_PATH, 0),
        (zip::CORES, 0x1205_0203),
        (zip::CORES_ENABLED, 0x1c_0003),
        (zip::KERNEL_ALGORITHMS, 0),
        (zip::USER_ALGORITHMS, 0x3f),
        (zip::ERRORS, 0),
        (zip::PORT_CLOSED, 0),
    ] {
        assert_eq!(kernel.get(offset), value, "{offset:#x}");
        if (registers::CAPABILITIES..registers::CAPABILITIES_END).contains(&offset) {
            kernel.set(offset, !value);
            assert_eq!(kernel.get(offset), value, "{offset:#x} is read only");
        }
    }
    // What does nothing keeps what is written, in either width.
    kernel.set(0x30_1204, 0x1234_5678);
    assert_eq!(kernel.function.read(0x30_1200, 8), 0x1234_5678_0000_0000);
    assert_eq!((kernel.function.read(1 << 22, 4), kernel.function.read(usize::MAX - 8, 8)), (0, 0));
}

#[test]
fn a_function_can_have_one_vector_and_other_numbers_of_queues() {
    let mut kernel = Kernel::new(Config { vectors: Vectors::One, ..Config::zip(5) });
    let interrupts = [registers::ASYNC_INTERRUPT, registers::ERROR_INTERRUPT, registers::MESSAGE_INTERRUPT];
    assert_eq!(interrupts.map(|offset| kernel.get(offset)), [0; 3]);
    assert_eq!((kernel.get(registers::EVENT_INTERRUPT), kernel.get(registers::VECTORS)), (0x1_0000, 0x1_0001));
    assert_eq!(kernel.get(registers::QUEUES), 5 | 5 << 11);
    kernel.prepare();
    kernel.function.raise_error(&kernel.board, BUS_READ);
    assert_eq!(kernel.board.take_interrupts(), [], "there is no vector for it");
    for queues in [0, 65] {
        assert_eq!(QueueManager::new(Config::zip(queues)).err(), Some(ConfigError::Queues(queues)));
    }
}

#[test]
fn a_queue_opens_with_the_contexts_that_the_kernel_gives() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(7, Some(3), 1));
    let contexts = kernel.board.open.borrow()[&7];
    assert_eq!((contexts.submission, contexts.completion), (submission(7, Some(3), 1), completion(7, Some(3))));
    assert_eq!(kernel.board.take_interrupts(), []);
}

#[test]
fn a_queue_that_the_function_does_not_have_cannot_be_opened() {
    let mut kernel = Kernel::new(Config::zip(64));
    kernel.prepare();
    assert!(!kernel.open(0, None, 0), "there is no table of functions");
    kernel.start(8);
    assert!(kernel.open(7, None, 0));
    assert!(!kernel.open(8, None, 0));
    assert!(!kernel.open(64, None, 0));
    kernel.set_vft(0, 0, VftQueues::encode(Some(VftQueues { first: 0, count: 0x1_0000 })));
    assert!(!kernel.open(64, None, 0), "the table cannot give what is not there");
    assert!(!kernel.give(MailboxCommand::CompletionContext, 3, &completion(3, None).encode()), "half a queue");
    let crossed = SubmissionContext { completions: 1, ..submission(0, None, 0) };
    assert!(!kernel.give(MailboxCommand::SubmissionContext, 0, &crossed.encode()));
}

#[test]
fn the_table_of_functions_is_read_back() {
    let mut kernel = Kernel::started();
    let mailbox = kernel.send(MailboxCommand::FunctionQueues, READ, 0, 0);
    assert_eq!((mailbox.busy, mailbox.status, mailbox.address), (false, 0, 0x0007_f000_0000_0000));
    assert_eq!(kernel.send(MailboxCommand::FunctionQueues, READ, 1, 0).address, 0, "another function");
    kernel.set(registers::VFT_DIRECTION, 1);
    kernel.set(registers::VFT_TYPE, 2);
    kernel.set(registers::VFT_FUNCTION, 1 << 6);
    kernel.set(registers::VFT_START, 1);
    assert_eq!(kernel.get(registers::VFT_DATA_LOW), 0x98_8696);
}

#[test]
fn new_contexts_end_what_the_queue_was() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(1, Some(1), 0));
    assert!(kernel.give(MailboxCommand::SubmissionContext, 1, &submission(1, Some(2), 1).encode()));
    assert!(!kernel.is_open(1), "it does not go on with the completion ring of before");
    assert!(kernel.give(MailboxCommand::CompletionContext, 1, &completion(1, Some(2)).encode()));
    assert_eq!(kernel.board.open.borrow()[&1].submission.pasid, Some(2));
}

#[test]
fn contexts_tell_how_far_a_queue_is() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(2, Some(9), 0));
    let submissions = Position { head: 5, tail: 9, odd: true };
    let completions = Position { head: 3, tail: 4, odd: true };
    kernel.board.progress.set(Progress { submissions, completions });
    assert!(kernel.command(MailboxCommand::SubmissionContext, READ, 2, 0x7000));
    assert!(kernel.command(MailboxCommand::CompletionContext, READ, 2, 0x8000));
    let expected = SubmissionContext { head: 5, tail: 9, ..submission(2, Some(9), 0) };
    assert_eq!(kernel.board.peek(0x7000), expected.encode_in_round(true));
    let expected = CompletionContext { head: 3, tail: 4, phase: false, ..completion(2, Some(9)) };
    assert_eq!(kernel.board.peek(0x8000), expected.encode_in_round(true));
    // Also after it was stopped.
    assert!(kernel.command(MailboxCommand::StopQueue, WRITE, 2, 0));
    kernel.board.progress.set(Progress::default());
    assert!(kernel.command(MailboxCommand::CompletionContext, READ, 2, 0x9000));
    assert_eq!(kernel.board.peek(0x9000), expected.encode_in_round(true));
    // A queue that never was has empty contexts.
    assert!(kernel.command(MailboxCommand::SubmissionContext, READ, 3, 0x7000));
    assert_eq!(kernel.board.peek(0x7000), [0; 32]);
    assert!(!kernel.command(MailboxCommand::SubmissionContext, READ, 64, 0x7000));
}

#[test]
fn contexts_are_written_back_to_where_they_may_be_kept() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(2, Some(9), 0));
    let completions = Position { head: 3, tail: 4, odd: false };
    kernel.board.progress.set(Progress { completions, ..Progress::default() });
    kernel.set(registers::WRITE_BACK_START, 1);
    assert_eq!(kernel.get(registers::WRITE_BACK_DONE), 1);
    assert_eq!(kernel.board.peek(SUBMISSION_BACKING + 64), submission(2, Some(9), 0).encode());
    let expected = CompletionContext { head: 3, tail: 4, ..completion(2, Some(9)) };
    assert_eq!(kernel.board.peek(COMPLETION_BACKING + 64), expected.encode());
    assert_eq!(kernel.board.peek(SUBMISSION_BACKING + 32), [0; 32], "a queue that never was");
}

#[test]
fn the_mailbox_is_busy_until_a_stopped_queue_is_drained() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(4, Some(1), 0) && kernel.open(5, Some(1), 0));
    kernel.board.working.borrow_mut().insert(4);
    assert!(kernel.send(MailboxCommand::StopQueue, WRITE, 4, 0).busy);
    assert_eq!(*kernel.board.stopped.borrow(), [4].into());
    // Who writes now anyway changes nothing.
    let busy = kernel.mailbox();
    assert_eq!(kernel.send(MailboxCommand::StopQueue, WRITE, 5, 0), busy);
    kernel.function.settle(&kernel.board);
    assert!(kernel.mailbox().busy && kernel.is_open(4));
    kernel.board.working.borrow_mut().clear();
    kernel.function.settle(&kernel.board);
    let mailbox = kernel.mailbox();
    assert_eq!((mailbox.busy, mailbox.status), (false, 0));
    assert!(!kernel.is_open(4) && kernel.is_open(5), "its address space is free, the other queue goes on");
    assert!(kernel.open(4, Some(2), 1), "it can be opened again");
}

#[test]
fn a_stopped_function_is_drained_as_a_whole() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(4, Some(1), 0) && kernel.open(5, Some(1), 0));
    kernel.board.working.borrow_mut().extend([4, 5]);
    assert!(kernel.send(MailboxCommand::StopFunction, WRITE, 0, 0).busy);
    kernel.board.working.borrow_mut().remove(&5);
    kernel.function.settle(&kernel.board);
    assert!(kernel.mailbox().busy);
    kernel.board.working.borrow_mut().clear();
    kernel.function.settle(&kernel.board);
    assert!(!kernel.mailbox().busy && kernel.board.open.borrow().is_empty());
}

#[test]
fn a_queue_that_is_not_open_is_stopped_at_once() {
    let mut kernel = Kernel::started();
    assert!(kernel.command(MailboxCommand::StopQueue, WRITE, 9, 0));
    assert!(kernel.command(MailboxCommand::StopFunction, WRITE, 0, 0));
    assert!(!kernel.command(MailboxCommand::StopQueue, WRITE, 64, 0), "there is no such queue");
}

#[test]
fn commands_that_are_not_known_fail() {
    let mut kernel = Kernel::started();
    for number in [7, 10, 0xc, 0xd, 0xff] {
        let mailbox = Mailbox { number, operation: WRITE, queue: 0, address: 0, busy: true, status: 0 };
        for (at, word) in (registers::MAILBOX..).step_by(4).zip(mailbox.encode()) {
            kernel.set(at, word);
        }
        let answer = kernel.mailbox();
        assert!(!answer.busy && answer.status != 0, "{number}");
    }
    // Without the busy bit nothing is asked for.
    let before = kernel.board.accesses.borrow().len();
    kernel.set(registers::MAILBOX, 0);
    kernel.set(registers::MAILBOX + 12, 0);
    assert_eq!(kernel.board.accesses.borrow().len(), before);
}

#[test]
fn an_event_raises_one_interrupt_until_the_kernel_takes_it() {
    let mut kernel = Kernel::started();
    kernel.function.completed(&kernel.board, 3);
    kernel.function.completed(&kernel.board, 5);
    assert_eq!(kernel.board.take_interrupts(), [0]);
    let event = |completions| Event { completions, phase: true }.encode();
    assert_eq!([0, 1].map(|place| kernel.board.event(EVENTS, place)), [event(3), event(5)]);
    kernel.ring(DoorbellCommand::Event, 1);
    assert_eq!(kernel.board.take_interrupts(), [0], "one is left");
    kernel.ring(DoorbellCommand::Event, 2);
    assert_eq!(kernel.board.take_interrupts(), [], "none is");
    kernel.ring(DoorbellCommand::Event, 2048);
    kernel.function.completed(&kernel.board, 3);
    assert_eq!(kernel.board.take_interrupts(), [0], "and a place outside of the ring is none");
}

#[test]
fn a_queue_has_one_event_out_and_the_next_when_that_was_taken() {
    let mut kernel = Kernel::started();
    for _ in 0..3 {
        kernel.function.completed(&kernel.board, 3);
    }
    kernel.function.completed(&kernel.board, 9);
    kernel.function.completed(&kernel.board, 9);
    let event = |completions| Event { completions, phase: true }.encode();
    let events = |kernel: &Kernel| [0, 1, 2, 3].map(|place| kernel.board.event(EVENTS, place));
    assert_eq!(events(&kernel), [event(3), event(9), 0, 0]);
    assert_eq!(kernel.board.take_interrupts(), [0]);
    kernel.ring(DoorbellCommand::Event, 1);
    assert_eq!(events(&kernel), [event(3), event(9), event(3), 0], "once for all that happened meanwhile");
    assert_eq!(kernel.board.take_interrupts(), [0]);
    kernel.ring(DoorbellCommand::Event, 3);
    assert_eq!((kernel.board.event(EVENTS, 3), kernel.board.take_interrupts()), (event(9), vec![0]));
    kernel.ring(DoorbellCommand::Event, 4);
    assert_eq!((kernel.board.event(EVENTS, 4), kernel.board.take_interrupts()), (0, vec![]));
    // A queue that was closed has nothing to tell.
    assert!(kernel.open(3, None, 0));
    kernel.function.completed(&kernel.board, 3);
    kernel.function.completed(&kernel.board, 3);
    assert!(kernel.command(MailboxCommand::StopQueue, WRITE, 3, 0));
    kernel.ring(DoorbellCommand::Event, 5);
    assert_eq!(kernel.board.event(EVENTS, 5), 0);
}

#[test]
fn a_masked_interrupt_comes_when_it_is_unmasked() {
    let mut kernel = Kernel::started();
    kernel.set(registers::EVENT_MASK, 1);
    kernel.function.completed(&kernel.board, 3);
    assert_eq!(kernel.board.take_interrupts(), []);
    kernel.set(registers::EVENT_MASK, 0);
    assert_eq!(kernel.board.take_interrupts(), [0]);
    kernel.set(registers::ASYNC_MASK, 1);
    kernel.function.went_wrong(&kernel.board, 3, AsyncKind::CompletionError);
    assert_eq!(kernel.board.take_interrupts(), []);
    kernel.set(registers::ASYNC_MASK, 0);
    assert_eq!(kernel.board.take_interrupts(), [1]);
}

#[test]
fn events_change_phase_with_each_round_and_overflow_as_asynchronous_events() {
    let mut kernel = Kernel::started();
    let ring = EventContext { head: 0, tail: 0, base: EVENTS, depth: 4, phase: true }.encode();
    assert!(kernel.give(MailboxCommand::EventContext, 0, &ring));
    kernel.ring(DoorbellCommand::Event, 0);
    for count in 0..9_u16 {
        kernel.function.completed(&kernel.board, count);
        let place = u64::from(count % 4);
        let phase = (count / 4).is_multiple_of(2);
        assert_eq!(kernel.board.event(EVENTS, place), Event { completions: count, phase }.encode());
        kernel.ring(DoorbellCommand::Event, (count + 1) % 4);
    }
    assert!(kernel.command(MailboxCommand::EventContext, READ, 0, 0x7000));
    let expected = EventContext { head: 1, tail: 1, base: EVENTS, depth: 4, phase: true };
    assert_eq!(kernel.board.peek(0x7000), expected.encode());
    (0..3).for_each(|queue| kernel.function.completed(&kernel.board, queue));
    assert_eq!(kernel.board.event(ASYNC_EVENTS, 0), 0, "three fit in");
    kernel.board.take_interrupts();
    kernel.function.completed(&kernel.board, 40);
    let overflow = AsyncEvent { queue: 40, phase: true, kind: AsyncKind::EventOverflow };
    assert_eq!(kernel.board.event(ASYNC_EVENTS, 0), overflow.encode());
    assert_eq!(kernel.board.take_interrupts(), [1]);
}

#[test]
fn a_ring_of_events_whose_positions_are_outside_of_it_is_refused() {
    let mut kernel = Kernel::started();
    for (head, tail) in [(4, 0), (0, 4)] {
        let ring = EventContext { head, tail, base: EVENTS, depth: 4, phase: true }.encode();
        assert!(!kernel.give(MailboxCommand::EventContext, 0, &ring));
        assert!(!kernel.command(MailboxCommand::EventContext, READ, 0, 0x7000), "there is none any more");
    }
    // A ring of one place never has room.
    let ring = EventContext { head: 0, tail: 0, base: EVENTS, depth: 1, phase: true }.encode();
    assert!(kernel.give(MailboxCommand::EventContext, 0, &ring));
    kernel.function.completed(&kernel.board, 1);
    assert_eq!(kernel.board.event(EVENTS, 0), 0);
}

#[test]
fn an_error_that_shuts_the_function_down_refuses_every_command() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(4, Some(1), 0) && kernel.function.is_open());
    kernel.function.raise_error(&kernel.board, BUS_READ);
    assert_eq!(kernel.board.take_interrupts(), [3]);
    assert_eq!((kernel.get(registers::ERRORS), kernel.get(registers::ERROR_SOURCE)), (1, 1));
    assert!(!kernel.function.is_open());
    assert!(!kernel.command(MailboxCommand::SubmissionContext, READ, 4, CONTEXT));
    kernel.function.raise_error(&kernel.board, BUS_READ);
    assert_eq!(kernel.board.take_interrupts(), [], "the same again is no news");
    kernel.set(registers::ERROR_SOURCE, 1);
    assert!(kernel.function.is_open() && kernel.command(MailboxCommand::SubmissionContext, READ, 4, CONTEXT));
    // The engine's errors do the same.
    kernel.function.raise_engine_error(&kernel.board, 1 << 2);
    assert_eq!((kernel.board.take_interrupts(), kernel.function.is_open()), (vec![3], false));
    kernel.set(zip::ERROR_SOURCE, 1 << 2);
    assert_eq!((kernel.get(zip::ERRORS), kernel.function.is_open()), (0, true));
}

#[test]
fn an_error_that_was_corrected_or_is_masked_shuts_nothing_down() {
    let mut kernel = Kernel::started();
    kernel.function.raise_error(&kernel.board, 1 << 3);
    assert_eq!((kernel.board.take_interrupts(), kernel.function.is_open()), (vec![3], true));
    kernel.set(registers::ERROR_MASK, u32::MAX);
    kernel.function.raise_engine_error(&kernel.board, 1 << 0);
    kernel.function.raise_error(&kernel.board, 1 << 4);
    assert_eq!((kernel.board.take_interrupts(), kernel.function.is_open()), (vec![3], false), "the engine's");
    kernel.set(registers::ERROR_MASK, 0);
    assert_eq!(kernel.board.take_interrupts(), [3]);
}

#[test]
fn a_command_that_waits_fails_when_the_function_is_shut_down() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(4, Some(1), 0));
    kernel.board.working.borrow_mut().insert(4);
    assert!(kernel.send(MailboxCommand::StopQueue, WRITE, 4, 0).busy);
    kernel.function.raise_error(&kernel.board, BUS_READ);
    kernel.function.settle(&kernel.board);
    let mailbox = kernel.mailbox();
    assert!(!mailbox.busy && mailbox.status != 0);
}

#[test]
fn memory_that_cannot_be_reached_is_an_error_of_the_bus() {
    let mut kernel = Kernel::started();
    kernel.board.hole.set(Some(CONTEXT));
    assert!(!kernel.give(MailboxCommand::SubmissionContext, 4, &submission(4, None, 0).encode()));
    assert_eq!((kernel.get(registers::ERRORS), kernel.board.take_interrupts()), (BUS_READ, vec![3]));
    kernel.set(registers::ERROR_SOURCE, u32::MAX);
    kernel.board.hole.set(Some(EVENTS));
    kernel.function.completed(&kernel.board, 4);
    assert_eq!((kernel.get(registers::ERRORS), kernel.board.take_interrupts()), (BUS_WRITE, vec![3]));
}

/// `qm_controller_reset`, from the interrupt to the restart, register by register.
#[test]
fn a_reset_forgets_all_queues_and_the_function_starts_again() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(4, Some(1), 0) && kernel.open(5, Some(2), 1));
    kernel.board.working.borrow_mut().extend([4, 5]);
    kernel.function.raise_error(&kernel.board, BUS_READ);
    // Interrupts off, table of functions emptied, no command sent.
    kernel.set(registers::EVENT_MASK, 1);
    kernel.set(registers::ASYNC_MASK, 1);
    kernel.set_vft(0, 0, 0);
    kernel.set_vft(1, 0, 0);
    assert_eq!(kernel.get(registers::INTERRUPT_PATH) & 5 | kernel.get(registers::INTERRUPTS_HELD), 0);
    kernel.set(zip::PORT_CLOSE, 1);
    assert_eq!(kernel.get(zip::PORT_CLOSED), 3);
    assert!(kernel.board.open.borrow().is_empty());
    // The reset method does nothing here. Errors cleared, memory initialised, started.
    kernel.prepare();
    assert!(kernel.function.is_open());
    assert_eq!(kernel.get(zip::PORT_CLOSED), 0);
    assert!(!kernel.open(4, Some(1), 0), "not started yet");
    kernel.board.take_interrupts();
    kernel.start(64);
    assert!(kernel.open(4, Some(1), 0));
    kernel.function.completed(&kernel.board, 4);
    assert_eq!(kernel.board.event(EVENTS, 0), Event { completions: 4, phase: true }.encode());
    assert_eq!(kernel.board.take_interrupts(), [0]);
}

#[test]
fn a_closed_port_holds_jobs_until_it_is_opened() {
    let mut kernel = Kernel::started();
    kernel.set(zip::PORT_CLOSE, 1);
    assert!(!kernel.function.is_open());
    kernel.set(zip::PORT_CLOSE, 0);
    assert!(kernel.function.is_open());
}

#[test]
fn initialising_the_memory_ends_a_command_that_waits() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(4, Some(1), 0));
    kernel.board.working.borrow_mut().insert(4);
    assert!(kernel.send(MailboxCommand::StopQueue, WRITE, 4, 0).busy);
    kernel.prepare();
    assert!(!kernel.mailbox().busy && kernel.board.open.borrow().is_empty());
    kernel.start(64);
    assert!(kernel.open(4, Some(1), 0));
}

#[test]
fn a_reset_of_the_machine_is_a_power_on() {
    let mut kernel = Kernel::started();
    assert!(kernel.open(4, Some(1), 0));
    kernel.function.raise_error(&kernel.board, BUS_READ);
    kernel.set(0x30_1204, 7);
    kernel.function.reset(&kernel.board);
    assert!(kernel.board.open.borrow().is_empty() && kernel.function.is_open());
    assert_eq!((kernel.get(0x30_1204), kernel.get(registers::QUEUES)), (0, 64 | 64 << 11));
}

#[test]
fn counters_count_and_are_cleared_by_reading() {
    let mut kernel = Kernel::started();
    let commands = kernel.get(registers::counter::COMMANDS);
    assert!(kernel.open(4, Some(1), 0));
    kernel.function.count_jobs(5, 3);
    let counters = registers::counter::ALL;
    assert_eq!(counters.map(|offset| kernel.get(offset)), [commands + 2, 2, 5, 3]);
    kernel.set(registers::counter::CLEAR_ON_READ, 1);
    let _ = counters.map(|offset| kernel.get(offset));
    kernel.set(registers::counter::CLEAR_ON_READ, 0);
    assert_eq!(counters.map(|offset| kernel.get(offset)), [0; 4]);
}

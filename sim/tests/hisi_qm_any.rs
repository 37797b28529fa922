//! Whatever a kernel does with the queue manager's registers: it stays whole, and touches no other memory than it was told of.

mod hisi_board;

use hisi_board::{ASYNC_EVENTS, COMPLETION_BACKING, CONTEXT, EVENTS, Kernel, SUBMISSION_BACKING};
use proptest::prelude::*;
use uaccel_hisi_abi::{
    AsyncKind, CompletionContext, DoorbellCommand, EventContext, Mailbox, MailboxOperation, SubmissionContext,
    registers, zip,
};
use uaccel_sim::hisi::qm::{Config, Position, Progress};

/// What a kernel, a queue or chance does.
#[derive(Clone, Debug)]
enum Act {
    Write { offset: usize, wide: bool, value: u64 },
    Read { offset: usize, wide: bool },
    Command { number: u8, read: bool, queue: u16, address: u64, context: Vec<u8> },
    Completed(u16),
    WentWrong(u16),
    Error(u32),
    Work(u16),
    Drained,
    Progress(u16, bool),
}

/// Registers that do something, but for the mailbox, which commands are for.
const REGISTERS: [usize; 17] = [
    registers::ASYNC_MASK,
    registers::EVENT_MASK,
    registers::WRITE_BACK_START,
    registers::EVENT_DOORBELLS,
    registers::ERROR_SOURCE,
    registers::ERROR_MASK,
    registers::SHUTDOWN_ERRORS,
    registers::MEMORY_START,
    registers::VFT_START,
    registers::VFT_DIRECTION,
    registers::VFT_TYPE,
    registers::VFT_FUNCTION,
    registers::VFT_DATA_LOW,
    registers::VFT_DATA_HIGH,
    registers::counter::CLEAR_ON_READ,
    zip::registers::PORT_CLOSE,
    zip::registers::ERROR_SOURCE,
];

fn offset() -> impl Strategy<Value = usize> {
    let any = (0..1_usize << 20)
        .prop_map(|word| word * 4)
        .prop_filter("commands are for the mailbox", |offset| !(0x2f8..0x310).contains(offset));
    prop_oneof![4 => prop::sample::select(&REGISTERS[..]), 1 => any]
}

fn value() -> impl Strategy<Value = u64> {
    let doorbell = (0..2_u64, 0..8_u64).prop_map(|(command, index)| 0x2000 | command << 12 | index << 32);
    prop_oneof![Just(0), Just(1), doorbell, any::<u64>()]
}

/// A context of any of the four sorts, whose ring is one of events.
fn context() -> impl Strategy<Value = Vec<u8>> {
    let base = prop::sample::select(&[EVENTS, ASYNC_EVENTS][..]);
    (base, 0..4_u16, 0..4_u16, 1..70_u32, any::<bool>(), 0..70_u16).prop_map(
        |(base, head, tail, depth, phase, queue)| {
            let mut bytes = EventContext { head, tail, base, depth, phase }.encode().to_vec();
            bytes.resize(SubmissionContext::SIZE, 0);
            // The number of the completion ring, where a submission ring's context has it.
            if queue.is_multiple_of(2) {
                bytes[0x18..0x1a].copy_from_slice(&queue.to_le_bytes());
            }
            bytes
        },
    )
}

fn act() -> impl Strategy<Value = Act> {
    let queue = || 0..70_u16;
    let address = prop::sample::select(&[CONTEXT, SUBMISSION_BACKING, COMPLETION_BACKING][..]);
    prop_oneof![
        4 => (offset(), any::<bool>(), value()).prop_map(|(offset, wide, value)| Act::Write { offset, wide, value }),
        1 => (offset(), any::<bool>()).prop_map(|(offset, wide)| Act::Read { offset, wide }),
        4 => (0..14_u8, any::<bool>(), queue(), address, context()).prop_map(|(number, read, queue, address, context)| {
            Act::Command { number, read, queue, address, context }
        }),
        2 => queue().prop_map(Act::Completed),
        1 => queue().prop_map(Act::WentWrong),
        1 => any::<u32>().prop_map(Act::Error),
        1 => queue().prop_map(Act::Work),
        1 => Just(Act::Drained),
        1 => (any::<u16>(), any::<bool>()).prop_map(|(at, odd)| Act::Progress(at, odd)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn nothing_else_is_touched(started: bool, acts in prop::collection::vec(act(), 0..200)) {
        let mut kernel = if started { Kernel::started() } else { Kernel::new(Config::zip(64)) };
        for act in acts {
            let Kernel { board, function } = &mut kernel;
            match act {
                Act::Write { offset, wide, value } => {
                    function.write(board, offset, if wide { 8 } else { 4 }, value);
                }
                Act::Read { offset, wide } => {
                    let value = function.read(offset, if wide { 8 } else { 4 });
                    prop_assert!(wide || value <= u64::from(u32::MAX));
                }
                Act::Command { number, read, queue, address, context } => {
                    board.poke(address, &context);
                    let operation = if read { MailboxOperation::Read } else { MailboxOperation::Write };
                    let mailbox = Mailbox { number, operation, queue, address, busy: true, status: 0 };
                    for (at, word) in (registers::MAILBOX..).step_by(4).zip(mailbox.encode()) {
                        function.write(board, at, 4, u64::from(word));
                    }
                }
                Act::Completed(queue) => function.completed(board, queue),
                Act::WentWrong(queue) => function.went_wrong(board, queue, AsyncKind::CompletionError),
                Act::Error(errors) => function.raise_error(board, errors),
                Act::Work(queue) => {
                    board.working.borrow_mut().insert(queue);
                }
                Act::Drained => {
                    board.working.borrow_mut().clear();
                    function.settle(board);
                    let waits = kernel.mailbox().busy;
                    prop_assert!(!waits, "a command that waits is over when its queues are drained");
                }
                Act::Progress(at, odd) => {
                    let position = Position { head: at, tail: at, odd };
                    board.progress.set(Progress { submissions: position, completions: position });
                }
            }
        }
        let rings = 70 * 4;
        let backing = 64 * CompletionContext::SIZE as u64;
        let known = [
            (CONTEXT, 32),
            (EVENTS, rings),
            (ASYNC_EVENTS, rings),
            (SUBMISSION_BACKING, backing),
            (COMPLETION_BACKING, backing),
        ];
        // Where the device may keep contexts is any of the places that commands name.
        let kept = known.map(|(start, _)| (start, backing));
        for (address, len, _) in kernel.board.accesses.borrow().iter() {
            let inside = |(start, size): &(u64, u64)| *address >= *start && address + *len as u64 <= start + size;
            prop_assert!(known.iter().chain(&kept).any(inside), "{:#x}, {} bytes", address, len);
        }
        // And the interrupts are the function's.
        prop_assert!(kernel.board.interrupts.borrow().iter().all(|vector| *vector < 4));
    }
}

#[test]
fn doorbells_of_queues_are_not_the_registers() {
    let mut kernel = Kernel::started();
    for command in [DoorbellCommand::Submission, DoorbellCommand::Completion] {
        kernel.ring(command, 1);
    }
    let accesses = kernel.board.accesses.borrow().len();
    kernel.function.completed(&kernel.board, 1);
    assert_eq!(kernel.board.accesses.borrow().len(), accesses + 1);
    assert_eq!(kernel.board.take_interrupts(), [0]);
}

//! HiSilicon's queue manager under a kernel that does anything: it stays whole, touches no other memory than it was told of, and a command that waits is over
//! when its queues are drained.
#![no_main]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use uaccel_hisi_abi::{AsyncKind, Doorbell, DoorbellCommand, Mailbox, MailboxCommand, MailboxOperation, registers};
use uaccel_sim::hisi::qm::{Config, Contexts, Host, Position, Progress, QueueManager};

/// What is around the queue manager.
#[derive(Default)]
struct Board {
    /// What stands at every address.
    context: RefCell<[u8; 32]>,
    open: RefCell<BTreeSet<u16>>,
    working: RefCell<BTreeSet<u16>>,
    position: Cell<Position>,
    refuses: Cell<bool>,
    /// Where memory may be accessed: ranges that the kernel has named.
    named: RefCell<Vec<(u64, u64)>>,
}

impl Board {
    fn check(&self, address: u64, len: usize) {
        let inside = |(start, size): &(u64, u64)| {
            address.wrapping_sub(*start).checked_add(len as u64).is_some_and(|end| end <= *size)
        };
        assert!(self.named.borrow().iter().any(inside), "{address:#x}, {len} bytes");
    }

    fn name(&self, start: u64, size: u64) {
        self.named.borrow_mut().push((start, size));
    }
}

impl Host for Board {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.check(address, into.len());
        let context = self.context.borrow();
        into.copy_from_slice(&context[..into.len()]);
        // Whatever is read may be a ring of events.
        let word = |at: usize| u64::from_le_bytes(core::array::from_fn(|n| context[at + n]));
        let depth = u64::from(u16::from_le_bytes([context[0x18], context[0x19]])) + 1;
        self.name(word(4), depth * 4);
        !self.refuses.get()
    }

    fn write(&self, address: u64, from: &[u8]) -> bool {
        self.check(address, from.len());
        !self.refuses.get()
    }

    fn start_queue(&self, queue: u16, _: &Contexts) -> bool {
        !self.refuses.get() && {
            assert!(self.open.borrow_mut().insert(queue), "a queue is opened once");
            true
        }
    }

    fn stop_queue(&self, queue: u16) {
        assert!(self.open.borrow().contains(&queue));
    }

    fn is_drained(&self, queue: u16) -> bool {
        assert!(self.open.borrow().contains(&queue));
        !self.working.borrow().contains(&queue)
    }

    fn progress(&self, queue: u16) -> Progress {
        assert!(self.open.borrow().contains(&queue));
        Progress { submissions: self.position.get(), completions: self.position.get() }
    }

    fn close_queue(&self, queue: u16) {
        assert!(self.open.borrow_mut().remove(&queue), "a queue is closed once");
    }

    fn interrupt(&self, vector: u16) {
        assert!(vector < 4);
    }
}

#[derive(Debug, Arbitrary)]
enum Action {
    Write(Place, bool, u64),
    Read(Place, bool),
    Command { number: u8, read: bool, queue: u8, address: u64, context: [u8; 32] },
    Events(bool, u16),
    Table(u32, u64),
    Initialise,
    Completed(u8),
    WentWrong(u8),
    Error(u32),
    EngineError(u32),
    Work(u8),
    Drained,
    Position(u16, u16, bool),
    Refuse(bool),
    Reset,
}

#[derive(Debug, Arbitrary)]
enum Place {
    Low(u16),
    High(u16),
    Engine(u16),
}

impl Place {
    fn offset(&self) -> usize {
        match self {
            Self::Low(word) => usize::from(*word) * 4,
            Self::High(word) => 0x10_0000 + usize::from(*word) * 4,
            Self::Engine(word) => 0x30_0000 + usize::from(*word) * 4,
        }
    }

    /// Whether it is not the mailbox, which names memory.
    fn is_tame(&self) -> bool {
        !(registers::MAILBOX - 4..registers::MAILBOX + Mailbox::SIZE).contains(&self.offset())
    }
}

const fn width(wide: bool) -> usize {
    if wide { 8 } else { 4 }
}

fuzz_target!(|actions: Vec<Action>| {
    let board = Board::default();
    let mut function = QueueManager::new(Config::zip(64)).expect("64 queues are possible");
    for action in actions {
        match action {
            Action::Write(place, wide, value) if place.is_tame() => {
                function.write(&board, place.offset(), width(wide), value);
            }
            Action::Write(..) => {}
            Action::Read(place, wide) => {
                let value = function.read(place.offset(), width(wide));
                assert!(wide || value <= u64::from(u32::MAX));
            }
            Action::Command { number, read, queue, address, context } => {
                *board.context.borrow_mut() = context;
                // One context, or where all of one sort may be kept.
                board.name(address, 64 * 32);
                let operation = if read { MailboxOperation::Read } else { MailboxOperation::Write };
                send(&mut function, &board, number % 16, operation, u16::from(queue), address);
            }
            Action::Events(asynchronous, index) => {
                let command = if asynchronous { DoorbellCommand::AsyncEvent } else { DoorbellCommand::Event };
                let value = Doorbell { queue: 0, command, index, priority: 0 }.encode();
                function.write(&board, registers::EVENT_DOORBELLS, 8, value);
            }
            Action::Table(function_number, data) => {
                function.write(&board, registers::VFT_FUNCTION, 4, u64::from(function_number % 2));
                function.write(&board, registers::VFT_DATA_LOW, 8, data);
                function.write(&board, registers::VFT_START, 4, 1);
            }
            Action::Initialise => function.write(&board, registers::MEMORY_START, 4, 1),
            Action::Completed(queue) => function.completed(&board, u16::from(queue)),
            Action::WentWrong(queue) => {
                function.went_wrong(&board, u16::from(queue), AsyncKind::CompletionError);
            }
            Action::Error(errors) => function.raise_error(&board, errors),
            Action::EngineError(errors) => function.raise_engine_error(&board, errors),
            Action::Work(queue) => {
                board.working.borrow_mut().insert(u16::from(queue));
            }
            Action::Drained => {
                board.working.borrow_mut().clear();
                function.settle(&board);
            }
            Action::Position(head, tail, odd) => board.position.set(Position { head, tail, odd }),
            Action::Refuse(refuses) => board.refuses.set(refuses),
            Action::Reset => {
                function.reset(&board);
                assert!(board.open.borrow().is_empty() && function.is_open());
            }
        }
    }
    board.working.borrow_mut().clear();
    function.settle(&board);
    // Whatever was asked before: the next command is taken, and over when it has nothing to wait for.
    send(&mut function, &board, MailboxCommand::StopFunction as u8, MailboxOperation::Write, 0, 0);
    let words = [0, 4, 8, 12].map(|at| u32::try_from(function.read(registers::MAILBOX + at, 4)).expect("four bytes"));
    let mailbox = Mailbox::decode(words);
    assert_eq!((mailbox.command(), mailbox.busy), (Some(MailboxCommand::StopFunction), false));
    assert!(mailbox.status != 0 || board.open.borrow().is_empty());
});

/// Sends a command as the kernel does.
fn send(function: &mut QueueManager, board: &Board, number: u8, operation: MailboxOperation, queue: u16, address: u64) {
    let mailbox = Mailbox { number, operation, queue, address, busy: true, status: 0 };
    for (at, word) in (registers::MAILBOX..).step_by(4).zip(mailbox.encode()) {
        function.write(board, at, 4, u64::from(word));
    }
}

//! The device.
//!
//! A model is registers, rings and descriptors; it reaches memory through the [`MemoryPort`] it is handed, and holds no reference to any.
//! It turns an entry into a [`WorkItem`], and the finished item into an answer. What lies between, bringing the bytes in, computing on a
//! worker, bringing them out, is the host's.

use std::collections::BTreeMap;
use std::sync::Arc;

use uaccel_queue::{JobFlags, Operation, Order, Outcome, Status};
use uaccel_sim::{
    Access, AddressSpace, Blemish, Budget, Compute, Control, DeviceModel, Doorbell, Fetch, Flush, MemoryPort, Opening, Scratch, Span,
    Taken, Task, UserPage, Work, WorkItem,
};

use crate::layout::{self, Answer, Entry, State, register};

/// Why the device gives up on a queue: its rings are gone.
const RING_FAULT: u32 = 1;

/// The engine.
#[derive(Debug)]
pub struct Tally {
    crc32: Arc<Crc>,
    crc32c: Arc<Crc>,
}

impl Tally {
    /// How many queues it has.
    pub const QUEUES: usize = 16;

    /// The most bytes a job may read or write.
    pub const MAX_TRANSFER: u32 = 1 << 20;

    /// An engine.
    #[must_use]
    pub fn new() -> Self {
        Self { crc32: Arc::new(Crc::new(0xedb8_8320)), crc32c: Arc::new(Crc::new(0x82f6_3b78)) }
    }

    /// The job an entry asks for, or how it ends if it cannot be one.
    fn job(&self, entry: &Entry, index: u64, space: AddressSpace) -> Result<WorkItem, Status> {
        if entry.opcode == Entry::REFUSED || entry.len > Self::MAX_TRANSFER {
            return Err(Status::InvalidJob);
        }
        let operation = Operation::from_raw(entry.opcode).ok_or(Status::Unsupported)?;
        let work = match operation {
            // The arithmetic this engine was built for is its own.
            Operation::Crc32 => Work::Own(self.crc32.clone()),
            Operation::Crc32c => Work::Own(self.crc32c.clone()),
            // What every host knows is left to it.
            Operation::Nop | Operation::Copy | Operation::Fill | Operation::Compare => Work::Plain(operation),
            _ => return Err(Status::Unsupported),
        };
        // By the cookie the item is known when it comes back.
        let mut item = WorkItem::new(index, index, space, work);
        item.flags.set(JobFlags::VOUCHED, entry.vouched);
        item.flags.set(JobFlags::UNINIT_DESTINATION, entry.uninitialised);
        let span = |address| Span::new(address, entry.len as usize);
        match operation {
            Operation::Copy => (item.source, item.destination) = (span(entry.first), span(entry.second)),
            Operation::Compare => (item.source, item.aux) = (span(entry.first), span(entry.second)),
            Operation::Fill => {
                item.destination = span(entry.second);
                item.operand[..8].copy_from_slice(&entry.first.to_le_bytes());
            }
            Operation::Crc32 | Operation::Crc32c => {
                item.source = span(entry.first);
                item.operand[..4].copy_from_slice(&entry.seed.to_le_bytes());
            }
            _ => {}
        }
        match [item.source, item.destination, item.aux].iter().all(|span| span.end().is_some()) {
            true => Ok(item),
            false => Err(Status::InvalidJob),
        }
    }
}

impl Tally {
    /// The ring cannot be read.
    fn give_up<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P) -> Fetch {
        self.failed(submissions, port, RING_FAULT);
        Fetch::Failed
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self::new()
    }
}

/// A reflected cyclic redundancy check of 32 bits, one table look-up per byte: an engine's pace is not what this is about.
#[derive(Debug)]
struct Crc {
    table: [u32; 256],
}

impl Crc {
    fn new(polynomial: u32) -> Self {
        let remainder =
            |byte: usize| (0..8).fold(byte as u32, |rest, _| (rest >> 1) ^ if rest & 1 != 0 { polynomial } else { 0 });
        Self { table: std::array::from_fn(remainder) }
    }
}

impl Compute for Crc {
    fn compute(&self, task: &Task<'_>, _: &mut Scratch, _: &mut [u8]) -> Outcome {
        let [a, b, c, d, ..] = task.operand;
        let seed = u32::from_le_bytes([a, b, c, d]);
        let step = |rest: u32, byte: &u8| (rest >> 8) ^ self.table[usize::from(rest as u8 ^ byte)];
        let checksum = !task.source.iter().fold(!seed, step);
        Outcome::ok(task.source.len() as u64, 0).with_checksum(checksum)
    }
}

/// The half of a queue that takes entries.
#[derive(Debug)]
pub struct Submissions {
    space: AddressSpace,
    /// Where the ring memory is; nothing until the queue is started.
    base: Option<u64>,
    /// Entries taken.
    head: u64,
}

impl Submissions {
    /// Writes a word of ring memory. If that is gone, there is nobody left to tell.
    fn tell<P: MemoryPort>(&self, port: &P, offset: usize, value: u64) {
        if let Some(base) = self.base {
            let _ = port.publish(self.space, base + offset as u64, value);
        }
    }

    fn state<P: MemoryPort>(&self, port: &P, state: State) {
        self.tell(port, layout::STATE, state.encode());
    }
}

/// The half of a queue that answers.
#[derive(Debug)]
pub struct Completions {
    space: AddressSpace,
    base: Option<u64>,
    /// Answers to entries behind one that is not answered yet.
    early: BTreeMap<u64, Answer>,
    /// Entries whose answer was written.
    next: u64,
    /// Entries that the user was told of.
    told: u64,
    /// The arm register when the last signal was given.
    armed: u64,
}

impl DeviceModel for Tally {
    type Submissions = Submissions;
    type Completions = Completions;

    fn interface(&self) -> &str {
        layout::INTERFACE
    }

    fn queues(&self) -> usize {
        Self::QUEUES
    }

    fn engines(&self) -> usize {
        2
    }

    fn order(&self) -> Order {
        Order::Submission
    }

    fn describe(&self, page: &UserPage) {
        page.store(register::IDENT, layout::IDENTITY);
        page.store(register::MAX_TRANSFER, u64::from(Self::MAX_TRANSFER));
    }

    fn open_queue(&self, Opening { rings: space, .. }: Opening) -> (Submissions, Completions) {
        let completions = Completions { space, base: None, early: BTreeMap::new(), next: 0, told: 0, armed: 0 };
        (Submissions { space, base: None, head: 0 }, completions)
    }

    fn doorbell(&self, page: &UserPage, offset: usize, value: u64) -> Doorbell {
        page.store(offset, value);
        match offset {
            register::START => Doorbell::Control,
            register::SUBMIT => Doorbell::Submit,
            _ => Doorbell::Plain,
        }
    }

    fn control<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        completions: &mut Completions,
        port: &P,
        page: &UserPage,
        _: usize,
        value: u64,
    ) -> Control {
        match value {
            0 => return Control::Stop,
            // A queue that runs is not started again: its answers would go to another place.
            1 if submissions.base.is_none() => {}
            _ => return Control::Unchanged,
        }
        let (space, base) = (submissions.space, page.load(register::BASE));
        // The port knows what was set aside for rings. Anything else is none of ours to write.
        if !base.is_multiple_of(64) || !port.ring(space, Span::new(base, layout::SIZE)) {
            return Control::Refused;
        }
        (*submissions, *completions) = self.open_queue(Opening::shared(space));
        (submissions.base, completions.base) = (Some(base), Some(base));
        completions.armed = page.load(register::ARM);
        submissions.state(port, State::Running);
        Control::Started
    }

    fn fetch<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        port: &P,
        _: &UserPage,
        taken: &mut Taken,
        mut budget: Budget,
    ) -> Fetch {
        let Submissions { space, base: Some(base), .. } = *submissions else { return Fetch::Dry };
        while budget.is_open() {
            let index = submissions.head;
            let at = base + layout::entry(index) as u64;
            // Acquire, pairs with the driver's release store of this word: the other three are then the entry's. The word is read
            // once and used as it was read, whatever becomes of it in the ring.
            let control = match port.observe(space, at + layout::CONTROL as u64) {
                Access::Ready(control) => control,
                Access::Pending(request) => return Fetch::Blocked(request),
                Access::Fault(_) => return self.give_up(submissions, port),
            };
            if !Entry::is_valid(control, index) {
                return Fetch::Dry;
            }
            let entry = match port.words::<3>(space, at) {
                Access::Ready([first, second, lengths]) => Entry::decode([first, second, lengths, control]),
                Access::Pending(request) => return Fetch::Blocked(request),
                Access::Fault(_) => return self.give_up(submissions, port),
            };
            let item = self
                .job(&entry, index, space)
                .unwrap_or_else(|status| WorkItem::answered(index, index, space, Outcome::failed(status)));
            if !budget.take(item.cost()) {
                return Fetch::More;
            }
            submissions.head += 1;
            taken.items.push(item);
        }
        Fetch::More
    }

    // There is no such word: the driver always rings.
    fn want_wakeup<P: MemoryPort>(&self, _: &mut Submissions, _: &P, _: bool) {}

    fn complete<P: MemoryPort>(&self, completions: &mut Completions, _: &P, item: &WorkItem) {
        let value = match &item.work {
            // What can be found at all lies within MAX_TRANSFER.
            Work::Plain(Operation::Compare) => u32::try_from(item.outcome.produced).unwrap_or(u32::MAX),
            _ => item.outcome.checksum,
        };
        let mut answer = Answer::new(&item.outcome, value);
        match item.blemish {
            Some(Blemish::UnknownStatus) => answer.status = 0xff,
            Some(Blemish::ImpossibleLengths) => answer.value = u32::MAX,
            // Answers carry no token that could be wrong.
            Some(Blemish::WrongToken) | None => {}
        }
        // A plan may repeat an answer; there is no way to say anything twice with a counter.
        if item.cookie >= completions.next {
            completions.early.insert(item.cookie, answer);
        }
    }

    fn flush<P: MemoryPort>(&self, completions: &mut Completions, port: &P, _: &UserPage) -> Flush {
        let Completions { space, base: Some(base), .. } = *completions else {
            return Flush { published: false, blocked: None };
        };
        while let Some(answer) = completions.early.get(&completions.next) {
            let at = base + layout::entry(completions.next) as u64;
            for (word, at) in answer.encode().into_iter().zip([at, at + 8]) {
                if let Access::Pending(request) = port.put(space, at, word) {
                    return Flush { published: false, blocked: Some(request) };
                }
            }
            completions.early.remove(&completions.next);
            completions.next += 1;
        }
        if completions.told == completions.next {
            return Flush { published: false, blocked: None };
        }
        // Release, pairs with the driver's acquire load: it then sees the answers, and all that the jobs wrote.
        match port.publish(space, base + layout::DONE as u64, completions.next) {
            Access::Pending(request) => Flush { published: false, blocked: Some(request) },
            // If the ring is gone, so is whoever would have read it.
            Access::Ready(()) | Access::Fault(_) => {
                completions.told = completions.next;
                Flush { published: true, blocked: None }
            }
        }
    }

    fn signal(&self, completions: &mut Completions, page: &UserPage) -> bool {
        let armed = page.load(register::ARM);
        std::mem::replace(&mut completions.armed, armed) != armed
    }

    fn stopped<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P) {
        submissions.state(port, State::Stopped);
        submissions.base = None;
    }

    fn failed<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P, reason: u32) {
        submissions.state(port, State::Failed(reason));
        submissions.base = None;
    }
}

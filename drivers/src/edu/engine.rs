//! The one engine of the device, and the jobs that wait for it: copies, a piece at a time, through the device's own buffer.

use std::collections::VecDeque;

use uaccel_queue::{Job, JobFlags, Operation, Outcome, Status, Token};

use super::registers::{PIECE, Registers, Way};

/// Does jobs in their order. Shared by the two halves of the queue.
#[derive(Debug)]
pub(super) struct Engine {
    registers: Registers,
    waiting: VecDeque<Task>,
    /// The job that the device is at.
    current: Option<Stretch>,
    answered: VecDeque<(Token, Outcome)>,
    /// Whether somebody may sleep until there is an answer.
    armed: bool,
    /// Whether the device signals for what was done without it.
    signals: bool,
}

/// A job, as far as the device is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) enum Task {
    /// It ends so without the device.
    Ends(Token, Outcome),
    /// Copies `len` bytes, not none.
    Copy { token: Token, source: u64, destination: u64, len: usize },
}

/// A piece of a copy on its way.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    token: Token,
    source: u64,
    destination: u64,
    len: usize,
    /// Bytes that are where they belong.
    done: usize,
    way: Way,
}

impl Task {
    /// What is to be done for a job.
    pub(super) fn of(job: &Job) -> Self {
        let ends = |outcome| Self::Ends(job.token, outcome);
        // Neither was granted.
        if job.flags.intersects(JobFlags::CHAINED.union(JobFlags::SCATTER)) {
            return ends(Outcome::failed(Status::InvalidJob));
        }
        let (source, destination) = (job.source.expose_provenance(), job.destination.expose_provenance());
        match job.operation {
            Operation::Nop => ends(Outcome::ok(0, 0)),
            Operation::Copy if job.source_len != job.destination_len || job.source_len > super::LONGEST => {
                ends(Outcome::failed(Status::InvalidJob))
            }
            Operation::Copy if job.source_len == 0 => ends(Outcome::ok(0, 0)),
            Operation::Copy => Self::Copy {
                token: job.token,
                source: source as u64,
                destination: destination as u64,
                len: job.source_len,
            },
            _ => ends(Outcome::failed(Status::Unsupported)),
        }
    }
}

impl Stretch {
    fn piece(&self) -> usize {
        (self.len - self.done).min(PIECE)
    }

    /// Starts the next transfer; `false` if the device was closed.
    fn start(&self, registers: &Registers) -> bool {
        let start = match self.way {
            Way::In => self.source,
            Way::Out => self.destination,
        };
        registers.start(self.way, start + self.done as u64, self.piece())
    }

    /// What comes after a transfer that has ended; `None` after the last.
    fn next(mut self) -> Option<Self> {
        if self.way == Way::In {
            return Some(Self { way: Way::Out, ..self });
        }
        self.done += self.piece();
        self.way = Way::In;
        (self.done < self.len).then_some(self)
    }
}

impl Engine {
    pub(super) fn new(registers: Registers, depth: usize) -> Self {
        let (waiting, answered) = (VecDeque::with_capacity(depth), VecDeque::with_capacity(depth));
        Self { registers, waiting, current: None, answered, armed: false, signals: false }
    }

    /// Takes jobs, behind those that are there.
    pub(super) fn add(&mut self, tasks: impl Iterator<Item = Task>) {
        self.waiting.extend(tasks);
        self.advance();
        // A transfer's end is signalled anyway.
        if !self.answered.is_empty() && std::mem::take(&mut self.armed) {
            self.registers.signal();
            self.signals = true;
        }
    }

    /// Looks what the device has done, and brings the work on.
    pub(super) fn look(&mut self) {
        self.advance();
        if std::mem::take(&mut self.signals) {
            self.registers.acknowledge();
        }
    }

    /// Demands a signal for the next answer.
    pub(super) fn arm(&mut self) {
        self.armed = true;
    }

    /// Brings the work on, as far as the device is ready for it.
    fn advance(&mut self) {
        loop {
            let next = match self.current {
                // An earlier user's transfer may still run: to nowhere, but what is written to the registers meanwhile is lost.
                _ if self.registers.is_running() => return,
                // Stopped, or gone. This look comes after the one above: if it finds the device, so did that.
                Some(_) if !self.registers.is_open() => {
                    self.current = None;
                    self.waiting.clear();
                    return;
                }
                Some(stretch) => {
                    self.registers.acknowledge();
                    let next = stretch.next();
                    if next.is_none() {
                        let len = stretch.len as u64;
                        self.answered.push_back((stretch.token, Outcome::ok(len, len)));
                    }
                    next
                }
                None => None,
            };
            self.current = None;
            let Some(stretch) = next.or_else(|| self.take()) else { return };
            if !stretch.start(&self.registers) {
                // Stopped: whoever did that knows what is in flight.
                self.waiting.clear();
                return;
            }
            self.current = Some(stretch);
        }
    }

    /// The next answer.
    pub(super) fn answer(&mut self) -> Option<(Token, Outcome)> {
        self.answered.pop_front()
    }

    /// The next job that needs the device. Those before it end.
    fn take(&mut self) -> Option<Stretch> {
        while let Some(task) = self.waiting.pop_front() {
            match task {
                Task::Ends(token, outcome) => self.answered.push_back((token, outcome)),
                Task::Copy { token, source, destination, len } => {
                    return Some(Stretch { token, source, destination, len, done: 0, way: Way::In });
                }
            }
        }
        None
    }
}

//! The host: registers, and what they do to queues.

mod bottom_half;

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use uaccel_sim::{AddressSpace, Control, DeviceModel, Doorbell, UserPage};
use uaccel_warp_abi::{
    Assignment, CONTROL_VERSION, FailReason, Features, Space, State, control_ident, control_page, pci, user_page,
};

use self::bottom_half::Kept;
use crate::counters::Counters;
use crate::emulator::{Emulator, NO_PASID};
use crate::port::Port;
use crate::queue::Queue;
use crate::trace::{Named, Trace};
use crate::translations::Translations;
use crate::workers::Workers;

/// A device model inside a machine emulator.
///
/// The emulator calls [`read`](Self::read), [`write`](Self::write), [`run`](Self::run), [`invalidated`](Self::invalidated),
/// [`page_response`](Self::page_response) and [`reset`](Self::reset), all under its big lock. All memory accesses happen in these calls; only computing
/// does not, and that sees no memory of the guest. So whatever a register write revokes is not touched any more when the write has returned.
pub struct Host<M: DeviceModel, E: Emulator> {
    model: M,
    translations: Translations<E>,
    queues: Box<[Mutex<Queue<M>>]>,
    /// What the bottom half keeps from run to run.
    kept: Mutex<Kept>,
    /// Whether the bottom half was called in the middle of an access, and has to be called again.
    missed: AtomicBool,
    workers: Workers,
}

impl<M: DeviceModel, E: Emulator> Host<M, E> {
    /// Puts a model into an emulator, with this many threads that compute.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn new(model: M, emulator: Arc<E>, workers: usize, trace: Trace) -> io::Result<Self> {
        let queues = (0..model.queues()).map(|_| Mutex::new(Queue::new(&model))).collect();
        let bell = emulator.clone();
        let workers = Workers::start(workers, move || bell.schedule())?;
        let translations = Translations::new(emulator, trace);
        Ok(Self { model, translations, queues, kept: Mutex::default(), missed: AtomicBool::new(false), workers })
    }

    /// The counters of the control page.
    pub fn counters(&self) -> &Counters {
        &self.translations.counters
    }

    /// How many queues are assigned to an address space.
    pub fn queues_of(&self, pasid: u32) -> usize {
        self.translations.queues_of(pasid)
    }

    /// Reads a register. What is not one reads as 0.
    pub fn read(&self, offset: usize) -> u64 {
        if offset < control_page::SIZE {
            return self.read_control(offset);
        }
        let (index, offset) = ((offset - pci::user_page(0)) / UserPage::SIZE, offset % UserPage::SIZE);
        let Some(queue) = self.try_queue(index) else { return 0 };
        let value = queue.page.load(offset);
        if offset == user_page::FEATURES && self.translations.emulator().page_request_allocation() == 0 {
            return value & !Features::FAULTS_RESOLVED.bits();
        }
        value
    }

    fn read_control(&self, offset: usize) -> u64 {
        match offset {
            control_page::IDENT => control_ident(CONTROL_VERSION),
            control_page::QUEUES => self.queues.len() as u64,
            _ => match control_page::queue_of(offset) {
                Some((index, register)) => self.read_queue(index, register),
                // A reset is over when the write returns.
                None => self.counters().register(offset).unwrap_or(0),
            },
        }
    }

    fn read_queue(&self, index: usize, register: usize) -> u64 {
        let Some(queue) = self.try_queue(index) else { return 0 };
        match control_page::ASSIGN + register {
            // Never busy: who can read this holds the lock under which memory is touched.
            control_page::ASSIGN => Assignment { space: queue.space.map(space), busy: false }.encode(),
            control_page::QUEUE_STATE => queue.state.encode(),
            _ => 0,
        }
    }

    /// Writes a register. What is not one ignores it.
    pub fn write(&self, offset: usize, value: u64) {
        if offset < control_page::SIZE {
            self.write_control(offset, value);
        } else {
            self.write_user(offset, value);
        }
        self.call_again();
    }

    fn write_user(&self, offset: usize, value: u64) {
        let (index, offset) = ((offset - pci::user_page(0)) / UserPage::SIZE, offset % UserPage::SIZE);
        let Some(mut queue) = self.try_queue(index) else { return };
        if queue.space.is_none() || !is_writable(offset) {
            return;
        }
        match self.model.doorbell(&queue.page, offset, value) {
            Doorbell::Submit => {
                queue.rung = true;
                self.translations.emulator().schedule();
            }
            Doorbell::Control => self.control(index, &mut queue, offset, value),
            Doorbell::Arm => self.arm(index, &mut queue),
            Doorbell::Plain => {}
        }
    }

    fn write_control(&self, offset: usize, value: u64) {
        if offset == control_page::RESET && value == 1 {
            return self.reset();
        }
        match control_page::queue_of(offset) {
            Some((index, register)) if control_page::ASSIGN + register == control_page::ASSIGN => {
                if let Ok(assignment) = Assignment::from_write(value) {
                    self.assign(index, assignment.space.map(number));
                }
            }
            _ => {}
        }
    }

    /// Gives a queue to an address space, or takes it away from all.
    fn assign(&self, index: usize, pasid: Option<u32>) {
        let Some(mut queue) = self.try_queue(index) else { return };
        let before = queue.space;
        queue.reopen(&self.model, None);
        self.workers.forget(index);
        // In this order, so that a queue that stays in its address space does not close it meanwhile.
        if let Some(pasid) = pasid {
            match self.translations.acquire(pasid) {
                Ok(()) => {
                    queue.reopen(&self.model, Some(AddressSpace(pasid)));
                    self.trace().queue(index, format_args!("assigned to {}", Named(pasid)));
                }
                Err(refusal) => {
                    queue.state = State::Failed(FailReason::Device as u32);
                    self.trace().queue(index, format_args!("cannot have {}: {refusal}", Named(pasid)));
                }
            }
        }
        if let Some(space) = before {
            self.translations.release(space.0);
            self.trace().queue(index, format_args!("revoked from {}", Named(space.0)));
        }
    }

    /// Revokes every queue.
    pub fn reset(&self) {
        (0..self.queues.len()).for_each(|index| self.assign(index, None));
    }

    /// Translations of `address` to `address` + `last`, inclusive, are no longer valid. None of them is used when this returns.
    pub fn invalidated(&self, pasid: u32, address: u64, last: u64) {
        self.translations.invalidated(pasid, address, last);
    }

    /// The system answered a page request.
    pub fn page_response(&self, pasid: u32, group: u16, granted: bool) {
        self.translations.answered(pasid, group, granted);
    }

    /// The user wants the set-up changed.
    fn control(&self, index: usize, queue: &mut Queue<M>, offset: usize, value: u64) {
        if !matches!(queue.state, State::Off | State::Ready) {
            return;
        }
        if !self.translations.emulator().may_access() {
            return self.fail(index, queue, FailReason::RingBase);
        }
        let Queue { submissions, completions, page, posted, .. } = queue;
        let port = Port::new(&self.translations).posting(posted);
        match self.model.control(submissions, completions, &port, page, offset, value) {
            Control::Started => {
                // This device never looks at rings unasked. A user who has not seen the word yet may have published without a doorbell.
                self.model.want_wakeup(submissions, &port, true);
                let unreachable = port.faulted();
                queue.state = State::Ready;
                queue.rung = true;
                self.trace().queue(index, format_args!("started"));
                if unreachable {
                    self.fail(index, queue, FailReason::RingBase);
                }
                self.translations.emulator().schedule();
            }
            Control::Stop => self.stop(index, queue),
            Control::Refused => {
                // What the model said, if there was a place to say it: else it is the place that is wrong.
                let told = port.told().map(State::decode);
                queue.state = told.unwrap_or(State::Failed(FailReason::RingBase as u32));
                self.trace().queue(index, format_args!("refused to start"));
                self.translations.emulator().interrupt(index);
            }
            Control::Unchanged => {}
        }
    }

    /// The user took answers, or wants to be told of the next one.
    fn arm(&self, index: usize, queue: &mut Queue<M>) {
        if queue.state != State::Ready || !self.translations.emulator().may_access() {
            return;
        }
        if queue.flush_gate.is_open() {
            self.flush(index, queue);
        }
        self.signal(index, queue);
    }

    /// Stops a queue on its user's request. Nothing touches memory meanwhile, so it is done when this returns, but for the words that wait for their pages.
    fn stop(&self, index: usize, queue: &mut Queue<M>) {
        self.flush(index, queue);
        if matches!(queue.state, State::Failed(_)) {
            return;
        }
        queue.drop_jobs();
        self.workers.forget(index);
        let Queue { submissions, posted, .. } = queue;
        self.model.stopped(submissions, &Port::new(&self.translations).posting(posted));
        queue.state = State::Stopped;
        self.trace().queue(index, format_args!("stopped"));
    }

    /// Gives up on a queue.
    fn fail(&self, index: usize, queue: &mut Queue<M>, reason: FailReason) {
        if matches!(queue.state, State::Failed(_)) {
            return;
        }
        queue.drop_jobs();
        self.workers.forget(index);
        if self.translations.emulator().may_access() {
            let Queue { submissions, posted, .. } = queue;
            self.model.failed(submissions, &Port::new(&self.translations).posting(posted), reason as u32);
        }
        queue.state = State::Failed(reason as u32);
        self.trace().queue(index, format_args!("failed, reason {}", reason as u32));
        self.translations.emulator().interrupt(index);
    }

    fn trace(&self) -> Trace {
        self.translations.trace()
    }

    fn queue(&self, index: usize) -> MutexGuard<'_, Queue<M>> {
        self.queues[index].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this is a call from within an access of the function: what it accesses may be another device, which may have all bottom halves run.
    fn is_accessing(&self) -> bool {
        matches!(self.kept.try_lock(), Err(TryLockError::WouldBlock))
            || self.queues.iter().any(|queue| matches!(queue.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Has the bottom half called again if it could not be run when it was.
    fn call_again(&self) {
        // Relaxed, as all of this is under the emulator's big lock.
        if self.missed.swap(false, Ordering::Relaxed) {
            self.translations.emulator().schedule();
        }
    }

    /// The queue, unless there is none of this number, or this is an access of the function to its own registers: it comes from within work for that queue,
    /// and is ignored.
    fn try_queue(&self, index: usize) -> Option<MutexGuard<'_, Queue<M>>> {
        match self.queues.get(index)?.try_lock() {
            Ok(queue) => Some(queue),
            Err(TryLockError::Poisoned(queue)) => Some(queue.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<M: DeviceModel, E: Emulator> fmt::Debug for Host<M, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("model", &self.model).field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// Whether the user may write a register of the user page.
const fn is_writable(offset: usize) -> bool {
    matches!(
        offset,
        user_page::RING_BASE | user_page::GEOMETRY | user_page::ENABLE | user_page::SUBMIT | user_page::ARM
    )
}

/// What an address space is called on the bus.
const fn number(space: Space) -> u32 {
    match space {
        Space::Own => NO_PASID,
        Space::Pasid(pasid) => pasid,
    }
}

/// The address space of that name.
const fn space(AddressSpace(number): AddressSpace) -> Space {
    match number {
        NO_PASID => Space::Own,
        pasid => Space::Pasid(pasid),
    }
}

//! HiSilicon's ZIP function: the queue manager's registers, and pages of doorbells.

use core::sync::atomic::{AtomicBool, Ordering};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use uaccel_hisi_abi::zip::KINDS;
use uaccel_hisi_abi::{AsyncKind, Doorbell, Mailbox, pci, registers};
use uaccel_sim::hisi::qm::{BUS_READ, Config, Contexts, Host, Progress, QueueManager};
use uaccel_sim::{AddressSpace, HisiZip, Opening};

use super::Function;
use crate::counters::Counters;
use crate::emulator::{Emulator, NO_PASID};
use crate::server::{News, Server};
use crate::trace::Trace;

/// Where rings, contexts and events are: in the function's own address space.
const OWN: AddressSpace = AddressSpace(NO_PASID);

/// The word of the mailbox with which a command begins.
const LAST_WORD: usize = registers::MAILBOX + Mailbox::SIZE - 4;

/// A ZIP function of HiSilicon's inside a machine emulator. Rings, contexts and events are in the function's own address space; jobs of queues with a PASID are
/// in that of the PASID.
#[derive(Debug)]
pub struct HisiZipFunction<E: Emulator> {
    server: Server<HisiZip, E>,
    manager: Mutex<Managed>,
    /// After how many jobs there is an error that needs a reset.
    error_after: Option<u64>,
    /// Whether the machine was reset in the middle of an access of the function's.
    missed_reset: AtomicBool,
}

/// The queue manager, and how many entries and completions it has counted.
#[derive(Debug)]
struct Managed {
    manager: QueueManager,
    taken: u64,
    answered: u64,
}

impl<E: Emulator> HisiZipFunction<E> {
    /// Puts an engine into an emulator, with this many threads that compute. After `error_after` jobs, if it says so, there is an error that needs a reset, once.
    ///
    /// # Errors
    /// If a thread cannot be started, or the numbers cannot be.
    pub fn new(
        model: HisiZip,
        config: Config,
        error_after: Option<u64>,
        emulator: Arc<E>,
        workers: usize,
        trace: Trace,
    ) -> io::Result<Self> {
        let manager = QueueManager::new(config).map_err(io::Error::other)?;
        let server = Server::new(model, emulator, workers, trace)?;
        server.hold(OWN).map_err(io::Error::other)?;
        server.halt_after(error_after);
        Ok(Self {
            server,
            manager: Mutex::new(Managed { manager, taken: 0, answered: 0 }),
            error_after,
            missed_reset: AtomicBool::new(false),
        })
    }

    /// The counters of the engine's way to memory.
    pub fn counters(&self) -> &Counters {
        self.server.counters()
    }

    /// How many queues are in an address space.
    pub fn queues_of(&self, pasid: u32) -> usize {
        self.server.queues_of(pasid)
    }

    /// Raises errors of the queue manager, bits as the kernel's driver names them (`qm.c`: `qm_hw_error`).
    pub fn raise_error(&self, errors: u32) {
        if let Some(mut managed) = self.managed() {
            managed.manager.raise_error(&self.hands(), errors);
            self.attend(&mut managed);
        }
    }

    /// The queue manager; nothing if this is an access of the function to its own registers, which is ignored: it comes from within work of the queue manager's,
    /// or for a queue, which could not be closed now.
    fn managed(&self) -> Option<MutexGuard<'_, Managed>> {
        if self.server.is_running() {
            return None;
        }
        match self.manager.try_lock() {
            Ok(managed) => Some(managed),
            Err(TryLockError::Poisoned(managed)) => Some(managed.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    const fn hands(&self) -> Hands<'_, E> {
        Hands(&self.server)
    }

    /// Traces the command that was just written to the mailbox.
    fn trace_command(&self, manager: &mut QueueManager) {
        let mut words = [0; 4];
        for (at, word) in (registers::MAILBOX..).step_by(4).zip(&mut words) {
            *word = u32::try_from(manager.read(at, 4)).unwrap_or(0);
        }
        let mailbox = Mailbox::decode(words);
        let Mailbox { number, operation, queue, address, busy, status } = mailbox;
        let outcome = if busy {
            "not over yet"
        } else if status == 0 {
            "done"
        } else {
            "failed"
        };
        let trace = self.server.trace();
        match mailbox.command() {
            Some(command) => {
                trace.command(format_args!("{command:?} {operation:?} queue {queue} {address:#x} -> {outcome}"));
            }
            None => trace.command(format_args!("number {number} queue {queue} {address:#x} -> {outcome}")),
        }
    }

    /// Has the queue manager do what came of what the queues did, and the other way round.
    fn attend(&self, managed: &mut Managed) {
        let hands = self.hands();
        // Relaxed, as all of this is under the emulator's big lock.
        if self.missed_reset.swap(false, Ordering::Relaxed) {
            managed.manager.reset(&hands);
            self.server.reset();
        }
        let Managed { manager, taken, answered } = managed;
        let jobs = self.server.jobs();
        let count = |now: u64, before: u64| u32::try_from(now - before).unwrap_or(u32::MAX);
        manager.count_jobs(count(jobs.taken, *taken), count(jobs.answered, *answered));
        if self.error_after.is_some_and(|after| *answered < after && after <= jobs.answered) {
            manager.raise_error(&hands, BUS_READ);
        }
        (*taken, *answered) = (jobs.taken, jobs.answered);
        for news in self.server.take_news() {
            let Ok(queue) = u16::try_from(news.queue()) else { continue };
            match news {
                News::Signal(_) => manager.completed(&hands, queue),
                News::Failed(_) => manager.went_wrong(&hands, queue, AsyncKind::CompletionError),
            }
        }
        manager.settle(&hands);
        self.server.halt(!manager.is_open());
        if self.missed_reset.load(Ordering::Relaxed) {
            self.attend(managed);
        }
    }
}

impl<E: Emulator> Function for HisiZipFunction<E> {
    fn read(&self, bar: u8, offset: usize, size: usize) -> u64 {
        if bar != pci::REGISTERS_BAR {
            return 0;
        }
        self.managed().map_or(0, |mut managed| managed.manager.read(offset, size))
    }

    fn write(&self, bar: u8, offset: usize, size: usize, value: u64) {
        let Some(mut managed) = self.managed() else { return };
        if bar == pci::REGISTERS_BAR {
            managed.manager.write(&self.hands(), offset, size, value);
            if (offset..offset.saturating_add(size)).contains(&LAST_WORD) {
                self.trace_command(&mut managed.manager);
            }
        } else if bar == pci::DOORBELLS_BAR && size == 8 && offset % Doorbell::REGION == Doorbell::OFFSET {
            managed.manager.count_doorbell();
            self.server.doorbell(offset / Doorbell::REGION, Doorbell::OFFSET, value);
        }
        self.attend(&mut managed);
        self.server.call_again();
    }

    fn run(&self) {
        match self.managed() {
            // In the middle of an access of the function's.
            None => self.server.miss(),
            Some(managed) => {
                drop(managed);
                self.server.run();
                if let Some(mut managed) = self.managed() {
                    self.attend(&mut managed);
                }
            }
        }
    }

    fn invalidated(&self, pasid: u32, address: u64, last: u64) {
        self.server.invalidated(pasid, address, last);
    }

    fn page_response(&self, pasid: u32, group: u16, granted: bool) {
        self.server.page_response(pasid, group, granted);
    }

    fn reset(&self) {
        self.missed_reset.store(true, Ordering::Relaxed);
        // In the middle of an access of the function's it is done when that is over.
        if let Some(mut managed) = self.managed() {
            self.attend(&mut managed);
        }
    }
}

/// What the queue manager reaches.
struct Hands<'a, E: Emulator>(&'a Server<HisiZip, E>);

impl<E: Emulator> Host for Hands<'_, E> {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.0.read(OWN, address, into)
    }

    fn write(&self, address: u64, from: &[u8]) -> bool {
        self.0.write(OWN, address, from)
    }

    fn start_queue(&self, queue: u16, Contexts { submission, completion }: &Contexts) -> bool {
        let index = usize::from(queue);
        if !KINDS.contains(&submission.kind) {
            return false;
        }
        let jobs = submission.pasid.map_or(OWN, |pasid| AddressSpace(u32::from(pasid)));
        let opening = Opening { queue, kind: submission.kind, rings: OWN, jobs };
        let started = self.0.assign(index, Some(opening))
            && self.0.start(index, |model, submissions, completions, page| {
                model.start(submissions, completions, page, submission, completion).is_ok()
            });
        if !started {
            self.0.assign(index, None);
        }
        started
    }

    fn stop_queue(&self, queue: u16) {
        self.0.drain(usize::from(queue));
    }

    fn is_drained(&self, queue: u16) -> bool {
        self.0.is_drained(usize::from(queue))
    }

    fn progress(&self, queue: u16) -> Progress {
        let view = self.0.view(usize::from(queue), |model, submissions, completions, page| {
            model.progress(submissions, completions, page)
        });
        view.unwrap_or_default()
    }

    fn close_queue(&self, queue: u16) {
        self.0.assign(usize::from(queue), None);
    }

    fn interrupt(&self, vector: u16) {
        self.0.emulator().interrupt(usize::from(vector));
    }
}

//! Limits between two processes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::errand::Errand;
use crate::error::{RawError, within};
use crate::floor::MOST_BYTES;
use crate::futex::{self, Reach};
use crate::limit::{Limit, after_pauses, timed};
use crate::mailbox::turns;
use crate::memory::{Pages, size};
use crate::partner::{Launcher, Partner};
use crate::placement::{Placement, pin};
use crate::slot::{job, token};

/// Before a wake-up is timed: long enough for everybody who spins for a while to have gone to sleep.
pub const PAUSE: Duration = Duration::from_millis(1);

/// A mailbox of one line between two processes that have its memory in common, with something done for each job; or, for
/// [`Errand::Wake`], two processes that sleep and wake each other in turn.
///
/// One operation is one round trip. With [`Errand::Wake`] each comes after a pause in which both sleep, and only the trips are counted.
#[derive(Debug)]
pub struct BetweenProcesses {
    name: String,
    placement: Placement,
    errand: Errand,
    source: Pages,
    destination: Pages,
    partner: Partner,
    serial: u64,
    asked: u32,
}

impl BetweenProcesses {
    /// Starts the other process. `bytes` is how much is copied per job, from 1 to 1 MiB; errands that copy nothing do not look at it.
    ///
    /// # Errors
    ///
    /// [`RawError::BadParameter`], [`RawError::NeedsTwoCpus`], [`RawError::Spawn`], [`RawError::Partner`], [`RawError::Os`].
    pub fn new(placement: Placement, launcher: &Launcher, errand: Errand, bytes: usize) -> Result<Self, RawError> {
        within("the size in bytes", bytes as u64, 1, MOST_BYTES as u64)?;
        let name = match errand {
            Errand::Answer => "processes/mailbox".to_owned(),
            Errand::CopyByCall => format!("processes/copy-by-call-{}", size(bytes)),
            Errand::CopyByFile => format!("processes/copy-by-file-{}", size(bytes)),
            Errand::CopyInPlace => format!("processes/copy-in-place-{}", size(bytes)),
            Errand::Wake => "processes/futex".to_owned(),
        };
        let (source, mut destination) = (Pages::filled(1, bytes), Pages::filled(2, bytes));
        let partner = Partner::start(&name, launcher, placement.engine_for(&name)?, errand, |floor| {
            let head = floor.head();
            let address = |address: usize| address as u64;
            head.source.store(address(source.bytes().as_ptr().expose_provenance()), Ordering::Relaxed);
            head.destination
                .store(address(destination.bytes_mut().as_mut_ptr().expose_provenance()), Ordering::Relaxed);
            head.bytes.store(bytes as u64, Ordering::Relaxed);
        })?;
        Ok(Self { name, placement, errand, source, destination, partner, serial: 0, asked: 0 })
    }

    /// The number of the other process.
    #[must_use]
    pub fn partner_id(&self) -> u32 {
        self.partner.id()
    }

    fn trips(&mut self, operations: u64) -> Result<f64, RawError> {
        let session = self.partner.session()?;
        let mut patience = session.patience();
        let floor = self.partner.floor();
        let slot = &floor.head().slot.0;
        let dirty = (self.errand == Errand::CopyInPlace).then(|| (floor.source(), self.source.bytes().len()));
        let serial = &mut self.serial;
        let mut wrong = 0;
        let ns = timed(operations, |n| {
            for _ in 0..n {
                let (question, answer) = turns(*serial, 0);
                if let Some((source, bytes)) = dirty {
                    // SAFETY: the source is that long, and the engine does not touch it before it sees the question.
                    unsafe { source.write_bytes(pattern(*serial), bytes) };
                }
                // SAFETY: the job before has been answered, and the engine waits for the next question.
                unsafe { slot.write(job(*serial)) };
                slot.publish(question);
                while !slot.holds(answer) {
                    patience.round()?;
                }
                // SAFETY: the sequence word says that the slot is the caller's again.
                wrong |= unsafe { slot.answer() } ^ token(*serial);
                *serial += 1;
            }
            Ok(())
        })?;
        drop(session);
        if wrong == 0 && self.arrived() { Ok(ns) } else { Err(RawError::OutOfOrder { limit: self.name.clone() }) }
    }

    /// Whether what the last job was to copy lies where it should.
    fn arrived(&mut self) -> bool {
        let floor = self.partner.floor();
        match self.errand {
            Errand::Answer | Errand::Wake => true,
            Errand::CopyByCall | Errand::CopyByFile => {
                let arrived = self.source.bytes() == std::hint::black_box(&mut self.destination).bytes();
                self.destination.bytes_mut().fill(2);
                arrived
            }
            Errand::CopyInPlace => {
                let (destination, expected) = (floor.destination(), pattern(self.serial.wrapping_sub(1)));
                // SAFETY: the destination is that long, and the engine writes it only between a question and its answer.
                (0..self.source.bytes().len()).all(|at| unsafe { destination.add(at).read_volatile() } == expected)
            }
        }
    }

    fn wakes(&mut self, operations: u64) -> Result<f64, RawError> {
        let os = |source| RawError::Os { call: "futex", source };
        let session = self.partner.session()?;
        let head = self.partner.floor().head();
        let (there, back) = (&head.there.0, &head.back.0);
        let asked = &mut self.asked;
        after_pauses(operations, PAUSE, || {
            *asked = asked.wrapping_add(1);
            // Pairs with the acquire load of the partner.
            there.store(*asked, Ordering::Release);
            futex::wake(there, Reach::Everybody).map_err(os)?;
            let mut slept = false;
            loop {
                // Pairs with the release store of the partner.
                let answered = back.load(Ordering::Acquire);
                if answered == *asked {
                    return Ok(());
                }
                if slept {
                    session.check()?;
                }
                futex::wait(back, answered, Reach::Everybody, Some(Duration::from_millis(100))).map_err(os)?;
                slept = true;
            }
        })
    }
}

/// What is written before the job with this number: another byte than before the last one, and never 0.
fn pattern(serial: u64) -> u8 {
    // Below 256.
    u8::try_from(serial % 255).unwrap_or_default() + 1
}

impl Limit for BetweenProcesses {
    fn name(&self) -> &str {
        &self.name
    }

    fn explanation(&self) -> &'static str {
        match self.errand {
            Errand::Answer => "round trip of a 64-byte job that another process answers in the job's own line",
            Errand::CopyByCall => "the same, and it copies caller's memory by process_vm_readv and process_vm_writev",
            Errand::CopyByFile => "the same by pread and pwrite on the caller's /proc/self/mem",
            Errand::CopyInPlace => "the same within common memory, of what the caller writes anew before each job",
            Errand::Wake => "round trip by futex between two processes that sleep, after a pause",
        }
    }

    fn suggested_operations(&self) -> u64 {
        match self.errand {
            Errand::Answer => 100_000,
            Errand::Wake => 50,
            _ => ((1 << 26) / self.source.bytes().len().max(4096) as u64).max(64),
        }
    }

    fn measure(&mut self, operations: u64) -> Result<f64, RawError> {
        let _pin = pin(self.placement.caller())?;
        if self.errand == Errand::Wake { self.wakes(operations) } else { self.trips(operations) }
    }
}

//! What a device says of missing pages, put to the proof.
//!
//! A kernel may offer shared addresses and a device still not have its page requests answered; and what stands in a register is not what happens.
//! So the first job on a fresh queue of hardware writes to a page that nobody has touched.

use std::hint;
use std::sync::Arc;
use std::time::Instant;

use uaccel_queue::{
    AddressMode, Algorithm, Batch, Capabilities, Cells, Direction, Done, FaultHandling, Job, JobFlags, OpenError,
    OpenQueue, Operation, Outcome, Quiet, SessionId, SessionSpec, Status, Transport, TransportError,
};

use crate::patience::{Next, Patience};
use crate::recover::STEP;
use crate::sys::fork_mark::ForkMark;
use crate::sys::process_memory::ProcessMemory;

/// Bytes that the job writes: less than a page of any machine.
const LEN: usize = 4096;
/// What it writes.
const PATTERN: u64 = 0x0123_4567_89ab_cdef;
/// The header of a last block of so many bytes that are stored as they are (RFC 1951, section 3.2.4).
const STORED: [u8; 5] = [0x01, 0x00, 0x10, 0xff, 0xef];
const _: () = assert!(LEN == 0x1000, "the header says so");
/// The session of a job that needs one.
const SESSION: SessionId = SessionId(0);

/// Runs one job on a fresh queue, and corrects its grant by what came of it. `cells` is the queue's own table, all free.
///
/// # Errors
/// If the device does not do the job, or writes elsewhere. The queue is gone then; if the device is not quiet, it stays for ever, as
/// does what it may use.
pub(crate) fn probe(
    mut open: OpenQueue,
    transport: &Arc<dyn Transport>,
    cells: &Arc<Cells>,
    fork: &ForkMark,
) -> Result<OpenQueue, OpenError> {
    let Some(operation) = suitable(&open.granted) else { return Ok(open) };
    let memory = |source| TransportError::System { call: "mmap of a page for a probe", source };
    let source = ProcessMemory::untouched(STORED.len() + LEN, fork.clone()).map_err(memory)?;
    let destination = ProcessMemory::untouched(LEN, fork.clone()).map_err(memory)?;
    // Touched, unlike the destination.
    let bytes: Vec<u8> = match operation {
        Operation::Fill => Vec::new(),
        Operation::Copy => pattern().collect(),
        _ => STORED.into_iter().chain(pattern()).collect(),
    };
    // SAFETY: fresh memory of ours that nobody else knows, as long as the longest of the three.
    unsafe { source.start().as_ptr().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    if operation == Operation::Decompress {
        let session = SessionSpec::compression(Algorithm::Deflate, Direction::Inverse, None);
        let opened = session.is_ok_and(|session| open.submitter.open_session(SESSION, &session).is_ok());
        if !opened {
            return Err(OpenError::Probe("has no session, though it was granted"));
        }
    }
    let outcome = run(&mut open, &**transport, cells, |job| {
        job.operation = operation;
        job.session = SESSION;
        job.flags = JobFlags::empty();
        (job.source, job.source_len) = (source.start().as_ptr(), bytes.len());
        (job.destination, job.destination_len) = (destination.start().as_ptr(), LEN);
        job.immediate = [0; 16];
        job.immediate[..8].copy_from_slice(&PATTERN.to_le_bytes());
    });
    if operation == Operation::Decompress && outcome.is_ok() {
        open.submitter.close_session(SESSION);
    }
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(Unanswered { error, quiet }) => {
            if quiet != Quiet::Proven {
                // The device may still write there and to the rings, and read what names the pages.
                tracing::error!(?quiet, "device is not quiet after its first job");
                std::mem::forget((source, destination, open, transport.clone(), cells.clone()));
            }
            return Err(error);
        }
    };
    open.granted.faults = match outcome.status {
        // SAFETY: inside a page of ours; the job is answered, so nobody else writes it.
        Status::Ok if words(&destination).all(|word| unsafe { word.read_volatile() } == PATTERN.to_le()) => {
            FaultHandling::Resolved
        }
        Status::Ok => {
            return Err(OpenError::Probe("wrote somewhere else: the device does not share this process's addresses"));
        }
        Status::Fault | Status::Partial => FaultHandling::Reported,
        _ => return Err(OpenError::Probe("was answered with an error")),
    };
    tracing::debug!(?operation, status = ?outcome.status, faults = ?open.granted.faults, "probed");
    Ok(open)
}

/// An operation by which the question can be put, where it is one.
fn suitable(granted: &Capabilities) -> Option<Operation> {
    if granted.address_mode != AddressMode::Shared
        || granted.faults == FaultHandling::CallerVouches
        || !granted.effective
    {
        return None;
    }
    let inflates = granted.algorithms.contains(Algorithm::Deflate, Direction::Inverse) && granted.sessions > 0;
    [Operation::Fill, Operation::Copy, Operation::Decompress]
        .into_iter()
        .find(|operation| granted.operations.contains(*operation) && (*operation != Operation::Decompress || inflates))
}

/// The bytes that the job writes.
fn pattern() -> impl Iterator<Item = u8> {
    PATTERN.to_le_bytes().into_iter().cycle().take(LEN)
}

/// Why the job has no outcome, and whether its memory is ours again.
struct Unanswered {
    error: OpenError,
    quiet: Quiet,
}

fn run(
    open: &mut OpenQueue,
    transport: &dyn Transport,
    cells: &Cells,
    build: impl FnOnce(&mut Job),
) -> Result<Outcome, Unanswered> {
    // SAFETY: all slots are free, and nobody else has the table yet.
    unsafe { cells.build(0, build) };
    let slots = [0];
    // SAFETY: built above.
    let batch = unsafe { Batch::new(cells, &slots) };
    let give_up = |error: OpenError| {
        let quiet = transport.stop(STEP).unwrap_or(Quiet::Unproven);
        Err(Unanswered { error, quiet })
    };
    let mut patience = Patience::new(STEP);
    let mut submitted = false;
    loop {
        if !submitted {
            // SAFETY: the pages stay until the job is answered, or the device is quiet, or for ever; nobody else touches them.
            match unsafe { open.submitter.submit(&batch) } {
                Ok(accepted) => submitted = accepted == 1,
                Err(_) => return give_up(OpenError::Probe("was not taken")),
            }
        }
        let mut places = [0];
        // SAFETY: the only completer of this table is here.
        let mut done = unsafe { Done::new(cells, &mut places) };
        if open.completer.poll(&mut done).is_err() {
            return give_up(OpenError::Probe("met a device that broke its protocol"));
        }
        if let [slot] = done.slots() {
            // SAFETY: just answered, and not built again here.
            return Ok(unsafe { cells.outcome(*slot as usize) });
        }
        match patience.next(&mut *open.completer, open.granted.wakes) {
            Next::Poll => hint::spin_loop(),
            Next::Sleep(until) => {
                if let Err(error) = sleep(transport, open.granted.wakes, until) {
                    return give_up(error.into());
                }
            }
            Next::Expired => return give_up(OpenError::Probe("was not answered")),
        }
    }
}

fn sleep(transport: &dyn Transport, wakes: bool, until: Instant) -> Result<(), TransportError> {
    if wakes {
        transport.sleep(Some(until)).map(|_| ())
    } else {
        std::thread::sleep(until.saturating_duration_since(Instant::now()));
        Ok(())
    }
}

/// The words of the part that the job writes.
fn words(memory: &ProcessMemory) -> impl Iterator<Item = *mut u64> {
    let start = memory.start().cast::<u64>().as_ptr();
    (0..LEN / size_of::<u64>()).map(move |index| start.wrapping_add(index))
}

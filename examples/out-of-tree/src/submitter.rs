//! The half that writes entries.

use std::sync::Arc;

use uaccel_queue::{
    Batch, Job, JobFlags, Operation, SessionError, SessionId, SessionSpec, DeviceError, Submitter, Transport,
};

use crate::driver::Shared;
use crate::layout::{self, CONTROL, Entry, register};

#[derive(Debug)]
pub(crate) struct TallySubmitter {
    transport: Arc<dyn Transport>,
    shared: Arc<Shared>,
    max_transfer: u32,
    submitted: u64,
}

impl TallySubmitter {
    pub(crate) fn new(transport: Arc<dyn Transport>, shared: Arc<Shared>, max_transfer: u32) -> Self {
        Self { transport, shared, max_transfer, submitted: 0 }
    }
}

/// The entry that asks for a job; `None` if there is none. The runtime sends no such jobs: who does has made a mistake, and is told
/// so by the answer.
fn entry(job: &Job, max_transfer: u32) -> Option<Entry> {
    if job.flags.intersects(JobFlags::SCATTER | JobFlags::CHAINED) {
        return None;
    }
    let opcode = job.operation as u8;
    let entry = Entry {
        opcode,
        vouched: job.flags.contains(JobFlags::VOUCHED),
        uninitialised: job.flags.contains(JobFlags::UNINIT_DESTINATION),
        ..Entry::default()
    };
    let len = |len: usize| u32::try_from(len).ok().filter(|len| *len <= max_transfer);
    // Exposed, because the device makes accesses of these numbers.
    let source = || job.source.expose_provenance() as u64;
    let destination = || job.destination.expose_provenance() as u64;
    // Only what the operation names is read: the rest is left over from an earlier job.
    Some(match job.operation {
        Operation::Nop => entry,
        Operation::Copy if job.source_len == job.destination_len => {
            Entry { first: source(), second: destination(), len: len(job.source_len)?, ..entry }
        }
        Operation::Fill => {
            Entry { first: job.pattern(), second: destination(), len: len(job.destination_len)?, ..entry }
        }
        Operation::Compare if job.source_len == job.aux_len => {
            let other = job.aux.expose_provenance() as u64;
            Entry { first: source(), second: other, len: len(job.source_len)?, ..entry }
        }
        Operation::Crc32 | Operation::Crc32c => {
            Entry { first: source(), len: len(job.source_len)?, seed: job.seed(), ..entry }
        }
        _ => return None,
    })
}

// SAFETY: only jobs of the batch are written, each is launched before its entry is valid, and each valid entry is counted.
unsafe impl Submitter for TallySubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        let memory = &self.shared.memory;
        let room = layout::ENTRIES as u64 - (self.submitted - self.shared.taken());
        let accepted = batch.len().min(room as usize);
        for job in 0..accepted {
            let index = self.submitted;
            let refused = Entry { opcode: Entry::REFUSED, ..Entry::default() };
            let words = entry(batch.job(job), self.max_transfer).unwrap_or(refused).encode(index);
            // In this order: the completer must know the job when the device answers, and that may be at once.
            self.shared.note(index, batch.launch(job));
            let at = layout::entry(index);
            let [operands @ .., control] = words;
            for (word, at) in operands.into_iter().zip((at..).step_by(8)) {
                memory.write(at, word);
            }
            memory.publish(at + CONTROL, control);
            self.submitted += 1;
        }
        if accepted > 0 {
            // One doorbell for all.
            self.transport.ring_doorbell(register::SUBMIT, self.submitted);
        }
        Ok(accepted)
    }

    fn open_session(&mut self, _: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        Err(SessionError::Unsupported { algorithm: spec.algorithm(), direction: spec.direction() })
    }

    fn close_session(&mut self, _: SessionId) {}
}

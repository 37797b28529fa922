//! The shape of a driver for a shared work queue of Intel's DSA (`idxd`).
//!
//! There is no ring: a descriptor goes through a portal, and the device may turn it down. There is no completion queue
//! and no signal: each job has a completion record, and its address is what names the job. A job may end part of the
//! way, at a page that is not there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use uaccel_queue::{
    Batch, Completer, DeviceError, Done, Fault, FaultKind, Job, Operation, Outcome, RingMemory, SessionError,
    SessionId, SessionSpec, Status, Submitter, Token, Transport,
};

/// Records are 32 bytes; each gets a line of its own, so that the device does not write where another is polled.
const RECORD: usize = 64;
const OPCODE_NOOP: u64 = 0x00;
const OPCODE_MEMMOVE: u64 = 0x03;
const OPCODE_MEMFILL: u64 = 0x04;
const OPCODE_COMPARE: u64 = 0x05;
const OPCODE_CRCGEN: u64 = 0x10;
/// The record's address is valid, and it is written on success, too.
const FLAGS: u64 = 0x4 | 0x8;

/// What both halves share.
#[derive(Debug)]
struct Shared {
    memory: RingMemory,
    /// Tokens in the order in which they were accepted.
    tokens: Box<[AtomicU32]>,
    /// How many were accepted since the beginning.
    accepted: AtomicU64,
}

impl Shared {
    fn token(&self, index: u64) -> &AtomicU32 {
        &self.tokens[usize::try_from(index % self.tokens.len() as u64).expect("below the depth")]
    }
}

#[derive(Debug)]
struct DsaSubmitter {
    transport: Arc<dyn Transport>,
    shared: Arc<Shared>,
    /// Kept for its capacity.
    staged: Vec<[u64; 8]>,
}

fn encode(job: &Job, record: u64) -> [u64; 8] {
    let source = job.source.expose_provenance() as u64;
    let destination = job.destination.expose_provenance() as u64;
    let aux = job.aux.expose_provenance() as u64;
    let (opcode, first, second, len, extra) = match job.operation {
        Operation::Copy => (OPCODE_MEMMOVE, source, destination, job.source_len, 0),
        Operation::Fill => (OPCODE_MEMFILL, job.pattern(), destination, job.destination_len, 0),
        Operation::Compare => (OPCODE_COMPARE, source, aux, job.source_len, 0),
        Operation::Crc32c => (OPCODE_CRCGEN, source, 0, job.source_len, u64::from(job.seed())),
        _ => (OPCODE_NOOP, 0, 0, 0, 0),
    };
    if len == 0 {
        // The device refuses a transfer of nothing; the contract does not.
        return [FLAGS << 32 | OPCODE_NOOP << 56, record, 0, 0, 0, 0, 0, 0];
    }
    [FLAGS << 32 | opcode << 56, record, first, second, len as u64 & 0xffff_ffff, extra, 0, 0]
}

// SAFETY: only jobs of the batch are passed on; each is launched before the portal sees it, and recalled if it was
// turned down.
unsafe impl Submitter for DsaSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        let first = self.shared.accepted.load(Ordering::Relaxed);
        self.staged.clear();
        for number in 0..batch.len() {
            let offset = batch.job(number).token.slot() * RECORD;
            self.staged.push(encode(batch.job(number), self.shared.memory.device_address(offset)));
            // Not done. Ordered before the descriptor by the portal.
            self.shared.memory.write(offset, 0);
            let token = batch.launch(number);
            self.shared.token(first + number as u64).store(token.raw(), Ordering::Relaxed);
        }
        let taken = self.transport.enqueue(&self.staged).map_err(DeviceError::from)?.min(batch.len());
        for number in taken..batch.len() {
            batch.recall(number);
        }
        // Release: pairs with the completer's acquire. It looks at a record only now, which is soon enough: nothing
        // signals here.
        self.shared.accepted.store(first + taken as u64, Ordering::Release);
        Ok(taken)
    }

    fn open_session(&mut self, _id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        Err(SessionError::Unsupported { algorithm: spec.algorithm(), direction: spec.direction() })
    }

    fn close_session(&mut self, _id: SessionId) {}
}

#[derive(Debug)]
struct DsaCompleter {
    shared: Arc<Shared>,
    seen: u64,
    /// Accepted and not answered, oldest first.
    waiting: Vec<Token>,
}

fn outcome(job: &Job, words: [u64; 3]) -> Outcome {
    let [status, address, result] = words;
    let fault = Fault { address, kind: if status & 0x80 != 0 { FaultKind::Write } else { FaultKind::Read } };
    let done = status >> 32;
    let len = match job.operation {
        Operation::Fill => job.destination_len,
        Operation::Nop => 0,
        _ => job.source_len,
    } as u64;
    match (status & 0x7f, job.operation) {
        (0x01, Operation::Nop) => Outcome::ok(0, 0),
        (0x01, Operation::Copy) => Outcome::ok(len, len),
        (0x01, Operation::Fill) => Outcome::ok(0, len),
        (0x01 | 0x02, Operation::Compare) => Outcome::ok(len, if status >> 8 & 0xff == 0 { len } else { done }),
        (0x01, Operation::Crc32c) if len == 0 => Outcome::ok(0, 0).with_checksum(job.seed()),
        (0x01, Operation::Crc32c) => {
            Outcome::ok(len, 0).with_checksum(u32::try_from(result & 0xffff_ffff).expect("a half"))
        }
        // How far it came says how to go on, except for a checksum: nobody can carry on from half of one.
        (0x03, Operation::Copy) => {
            Outcome { consumed: done, produced: done, fault: Some(fault), ..Outcome::failed(Status::Partial) }
        }
        (0x03, Operation::Fill) => Outcome { produced: done, fault: Some(fault), ..Outcome::failed(Status::Partial) },
        (0x03, Operation::Compare) => {
            Outcome { consumed: done, fault: Some(fault), ..Outcome::failed(Status::Partial) }
        }
        (0x03, Operation::Crc32c) => Outcome { fault: Some(fault), ..Outcome::failed(Status::Partial) },
        (0x04 | 0x22, _) => Outcome::faulted(fault),
        (0x10, _) => Outcome::failed(Status::Unsupported),
        (0x11..=0x1e, _) => Outcome::failed(Status::InvalidJob),
        _ => Outcome::failed(Status::DeviceError),
    }
}

// SAFETY: a job is completed when its record says so, which the device writes last.
unsafe impl Completer for DsaCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        // Acquire: pairs with the submitter's release.
        let accepted = self.shared.accepted.load(Ordering::Acquire);
        while self.seen < accepted {
            self.waiting.push(Token::from_raw(self.shared.token(self.seen).load(Ordering::Relaxed)));
            self.seen += 1;
        }
        let mut result = Ok(());
        self.waiting.retain(|token| {
            if done.room() == 0 || result.is_err() {
                return true;
            }
            let offset = token.slot() * RECORD;
            // Acquire: pairs with the device's write of the status byte, its last.
            let status = self.shared.memory.observe(offset);
            if status & 0x7f == 0 {
                return true;
            }
            let words = [status, self.shared.memory.read(offset + 8), self.shared.memory.read(offset + 16)];
            result = done.find(*token).and_then(|found| {
                let outcome = outcome(found.job(), words);
                found.complete(outcome)
            });
            result.is_err()
        });
        result.map_err(Box::new)
    }

    fn arm(&mut self) {
        // Nothing signals: the grant says so (`wakes`), and the runtime polls.
    }
}

mod tests {
    use uaccel_queue::Cells;

    use super::*;
    use crate::table::{BASE, Recorder, build, poll, ring_memory, submit};

    struct Rig {
        recorder: Arc<Recorder>,
        cells: Cells,
        submitter: DsaSubmitter,
        completer: DsaCompleter,
    }

    impl Rig {
        fn new(takes: u64) -> Self {
            let recorder = Arc::new(Recorder { takes: AtomicU64::new(takes), ..Recorder::default() });
            let shared = Arc::new(Shared {
                memory: ring_memory(8 * RECORD),
                tokens: (0..8).map(|_| AtomicU32::new(0)).collect(),
                accepted: AtomicU64::new(0),
            });
            let transport: Arc<dyn Transport> = Arc::<Recorder>::clone(&recorder);
            let submitter = DsaSubmitter { transport, shared: Arc::clone(&shared), staged: Vec::with_capacity(8) };
            Self {
                recorder,
                cells: Cells::new(8),
                submitter,
                completer: DsaCompleter { shared, seen: 0, waiting: Vec::new() },
            }
        }

        fn build(&self, slot: u32, operation: Operation) -> Token {
            build(&self.cells, slot, |job| {
                job.operation = operation;
                (job.source, job.source_len) = (std::ptr::without_provenance(0x1111_2222_3333_4444), 0x1000);
                (job.destination, job.destination_len) =
                    (std::ptr::without_provenance_mut(0x5555_6666_7777_8888), 0x1000);
                (job.aux, job.aux_len) = (std::ptr::without_provenance(0x9999_aaaa_bbbb_cccc), 0x1000);
                job.immediate = *b"01234567........";
            })
        }

        fn record(&self, slot: usize, status: u64, done: u64, address: u64, result: u64) {
            let memory = &self.completer.shared.memory;
            memory.write(slot * RECORD + 8, address);
            memory.write(slot * RECORD + 16, result);
            memory.publish(slot * RECORD, status | done << 32);
        }

        fn answer(&mut self, slot: u32) -> Outcome {
            let answers = poll(&self.cells, &mut self.completer).expect("sound");
            assert_eq!(answers.len(), 1);
            assert_eq!(answers[0].0, slot);
            answers[0].1
        }
    }

    #[test]
    fn descriptor_bytes() {
        let source = [0x44, 0x44, 0x33, 0x33, 0x22, 0x22, 0x11, 0x11];
        let destination = [0x88, 0x88, 0x77, 0x77, 0x66, 0x66, 0x55, 0x55];
        let aux = [0xcc, 0xcc, 0xbb, 0xbb, 0xaa, 0xaa, 0x99, 0x99];
        for (operation, opcode, first, second, extra) in [
            (Operation::Copy, 0x03, source, destination, [0; 4]),
            (Operation::Fill, 0x04, *b"01234567", destination, [0; 4]),
            (Operation::Compare, 0x05, source, aux, [0; 4]),
            (Operation::Crc32c, 0x10, source, [0; 8], *b"0123"),
        ] {
            let mut rig = Rig::new(8);
            rig.build(2, operation);
            assert_eq!(submit(&rig.cells, &mut rig.submitter, &[2]).expect("works"), 1);
            let descriptors = rig.recorder.descriptors.lock().expect("no panic inside");
            let bytes: Vec<u8> = descriptors[0].iter().flat_map(|word| word.to_le_bytes()).collect();
            let mut expected = vec![0, 0, 0, 0, 0x0c, 0, 0, opcode];
            expected.extend((BASE + 2 * RECORD as u64).to_le_bytes());
            expected.extend(first);
            expected.extend(second);
            expected.extend([0, 0x10, 0, 0, 0, 0, 0, 0]);
            expected.extend(extra);
            expected.resize(64, 0);
            assert_eq!(bytes, expected, "{operation}");
        }
    }

    #[test]
    fn what_is_turned_down_is_the_callers_again() {
        let mut rig = Rig::new(2);
        let tokens: Vec<_> = (0..4).map(|slot| rig.build(slot, Operation::Copy)).collect();
        assert_eq!(submit(&rig.cells, &mut rig.submitter, &[0, 1, 2, 3]).expect("works"), 2);
        assert_eq!(
            tokens.iter().map(|token| rig.cells.is_live(*token)).collect::<Vec<_>>(),
            [true, true, false, false]
        );
        // Records of jobs that were turned down are not looked at.
        rig.record(2, 0x01, 0, 0, 0);
        assert_eq!(poll(&rig.cells, &mut rig.completer).expect("sound").len(), 0);
        assert_eq!(submit(&rig.cells, &mut rig.submitter, &[2, 3]).expect("works"), 2);
        rig.record(3, 0x01, 0, 0, 0);
        assert_eq!(rig.answer(3), Outcome::ok(0x1000, 0x1000));
        rig.record(0, 0x01, 0, 0, 0);
        assert_eq!(rig.answer(0), Outcome::ok(0x1000, 0x1000));
    }

    #[test]
    fn jobs_end_part_of_the_way() {
        let mut rig = Rig::new(8);
        rig.build(0, Operation::Copy);
        submit(&rig.cells, &mut rig.submitter, &[0]).expect("works");
        rig.record(0, 0x83, 0x778, 0x5555_6666_7777_9000, 0);
        let outcome = rig.answer(0);
        assert_eq!((outcome.status, outcome.consumed, outcome.produced), (Status::Partial, 0x778, 0x778));
        assert_eq!(outcome.fault, Some(Fault { address: 0x5555_6666_7777_9000, kind: FaultKind::Write }));
    }

    #[test]
    fn results_are_where_the_operation_has_them() {
        let mut rig = Rig::new(8);
        for (operation, words, expected) in [
            (Operation::Compare, [0x0101, 0x123, 0], Outcome::ok(0x1000, 0x123)),
            (Operation::Compare, [0x0001, 0, 0], Outcome::ok(0x1000, 0x1000)),
            (Operation::Crc32c, [0x01, 0, 0xe306_9283], Outcome::ok(0x1000, 0).with_checksum(0xe306_9283)),
            (Operation::Fill, [0x01, 0, 0], Outcome::ok(0, 0x1000)),
            (Operation::Nop, [0x01, 0, 0], Outcome::ok(0, 0)),
        ] {
            rig.build(5, operation);
            submit(&rig.cells, &mut rig.submitter, &[5]).expect("works");
            rig.record(5, words[0], words[1], 0, words[2]);
            assert_eq!(rig.answer(5), expected, "{operation}");
        }
    }

    #[test]
    fn nothing_to_transfer_is_no_error() {
        let mut rig = Rig::new(8);
        build(&rig.cells, 1, |job| {
            job.operation = Operation::Crc32c;
            job.source_len = 0;
            job.immediate = [7; 16];
        });
        submit(&rig.cells, &mut rig.submitter, &[1]).expect("works");
        assert_eq!(rig.recorder.descriptors.lock().expect("no panic inside")[0][0] >> 56, OPCODE_NOOP);
        rig.record(1, 0x01, 0, 0, 0);
        assert_eq!(rig.answer(1), Outcome::ok(0, 0).with_checksum(0x0707_0707));
    }
}

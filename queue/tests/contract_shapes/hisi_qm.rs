//! The shape of a driver for HiSilicon's ZIP behind its queue manager (`hisi_qm_v3` on uacce): raw deflate, one
//! direction per queue.
//!
//! The kernel's "DUS" region is the ring memory: submission ring of 128-byte entries, completion ring of 16-byte
//! entries, and at its very end two stop words that the kernel sets before a reset. Completions come in order, and
//! results stand in the submission entry, so an entry is taken until the doorbell of the completion ring has given it
//! back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use uaccel_queue::{
    Algorithm, Batch, Completer, DeviceError, Direction, Done, Job, Outcome, RingMemory, SessionError, SessionId,
    SessionSpec, Status, Submitter, Token, Transport,
};

const ENTRY: usize = 128;
const COMPLETION: usize = 16;
const DOORBELL: usize = 0x1000;
const COMMAND_SQ: u64 = 0;
const COMMAND_CQ: u64 = 1;
const REQUEST_DEFLATE: u64 = 1;
const TYPE_V3: u64 = 3;
/// Byte 0x60: the word before the tag's. Bytes 0x68: the tag, echoed.
const TAG: usize = 0x68;

/// What both halves share.
#[derive(Debug)]
struct Shared {
    transport: Arc<dyn Transport>,
    memory: RingMemory,
    queue: u16,
    depth: u16,
    /// The token in each entry, as the host knows it.
    tokens: Box<[AtomicU32]>,
    /// Entries given back since the beginning; written by the completer.
    taken: AtomicU64,
}

impl Shared {
    fn entry(&self, index: u64) -> usize {
        self.slot(index) * ENTRY
    }

    fn completion(&self, index: u64) -> usize {
        usize::from(self.depth) * ENTRY + self.slot(index) * COMPLETION
    }

    fn slot(&self, index: u64) -> usize {
        usize::try_from(index % u64::from(self.depth)).expect("below the depth")
    }

    /// The two stop words share the last eight bytes: receive in the low half, transmit in the high half.
    fn stop_words(&self) -> (u32, u32) {
        let word = self.memory.observe(self.memory.len() - 8);
        (u32::try_from(word & 0xffff_ffff).expect("a half"), u32::try_from(word >> 32).expect("a half"))
    }

    fn doorbell(&self, command: u64, index: u64, priority: u64) {
        let index = u64::try_from(self.slot(index)).expect("a slot");
        self.transport.ring_doorbell(DOORBELL, u64::from(self.queue) | command << 12 | index << 32 | priority << 48);
    }
}

#[derive(Debug)]
struct QmSubmitter {
    shared: Arc<Shared>,
    direction: Direction,
    open: Vec<bool>,
    submitted: u64,
}

fn encode(job: &Job, token: Token) -> [u64; 16] {
    let mut words = [0; 16];
    let lo_hi = |low: u64, high: u64| low | high << 32;
    // Dwords in pairs. 4: input length. 7: finish, new stream, entry type. 9: request type, flat buffers, largest
    // window.
    words[2] = job.source_len as u64 & 0xffff_ffff;
    words[3] = lo_hi(0, 1 << 25 | 1 << 27 | TYPE_V3 << 28);
    words[4] = lo_hi(0, REQUEST_DEFLATE | 4 << 12);
    // 14: room. 18 to 21: source, destination. 26: tag.
    words[7] = job.destination_len as u64 & 0xffff_ffff;
    words[9] = job.source.expose_provenance() as u64;
    words[10] = job.destination.expose_provenance() as u64;
    words[TAG / 8] = u64::from(token.raw());
    words
}

// SAFETY: only jobs of the batch are passed on, launched before the doorbell, and counted when it is rung.
unsafe impl Submitter for QmSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        // Acquire: pairs with the completer's release: the result in an entry was read before the entry is written
        // again.
        let free = u64::from(self.shared.depth) - 1 - (self.submitted - self.shared.taken.load(Ordering::Acquire));
        let count = batch.len().min(usize::try_from(free).expect("below the depth"));
        if self.shared.stop_words().1 == 1 {
            return Err(DeviceError::Stopped(0).into());
        }
        for number in 0..count {
            let words = encode(batch.job(number), batch.job(number).token);
            let entry = self.shared.entry(self.submitted);
            for (word, value) in words.into_iter().enumerate() {
                self.shared.memory.write(entry + 8 * word, value);
            }
            let token = batch.launch(number);
            self.shared.tokens[self.shared.slot(self.submitted)].store(token.raw(), Ordering::Relaxed);
            self.submitted += 1;
        }
        if count > 0 {
            // The entries are in memory before the device hears of them. (The doorbell promises it as well.)
            fence(Ordering::SeqCst);
            self.shared.doorbell(COMMAND_SQ, self.submitted, 0);
        }
        Ok(count)
    }

    fn open_session(&mut self, id: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        // Zlib and gzip headers would be the host's to write into the destination, see the contract check.
        if spec.algorithm() != Algorithm::Deflate || spec.direction() != self.direction {
            return Err(SessionError::Unsupported { algorithm: spec.algorithm(), direction: spec.direction() });
        }
        *self.open.get_mut(usize::from(id.0)).ok_or(SessionError::OutOfRange(id))? = true;
        Ok(())
    }

    fn close_session(&mut self, id: SessionId) {
        if let Some(open) = self.open.get_mut(usize::from(id.0)) {
            *open = false;
        }
    }
}

#[derive(Debug)]
struct QmCompleter {
    shared: Arc<Shared>,
    taken: u64,
}

fn outcome(words: &[u64; 2]) -> Outcome {
    // Dwords 0 and 1: consumed, produced. Dword 3: status in its lowest byte.
    let (consumed, produced) = (words[0] & 0xffff_ffff, words[0] >> 32);
    match words[1] >> 32 & 0xff {
        // 0x0d: the output grew. 0x13: end of stream.
        0x00 | 0x0d | 0x13 => Outcome::ok(consumed, produced),
        0x0e => Outcome::failed(Status::OutputTooSmall),
        0x10 => Outcome::failed(Status::Corrupt),
        // No address is told.
        0x41 => Outcome::failed(Status::Fault),
        _ => Outcome::failed(Status::DeviceError),
    }
}

// SAFETY: a job is completed when the device has written its completion, which comes after all else.
unsafe impl Completer for QmCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        let shared = &*self.shared;
        let before = self.taken;
        let mut result = Ok(());
        while done.room() > 0 {
            if shared.stop_words().0 == 1 {
                result = Err(DeviceError::Stopped(0));
                break;
            }
            // Acquire: the result in the submission entry was written before.
            let word = shared.memory.observe(shared.completion(self.taken) + 8);
            let phase = word >> 48 & 1;
            if phase != u64::from((self.taken / u64::from(shared.depth)).is_multiple_of(2)) {
                break;
            }
            // In order, or not at all. Both numbers are the device's; neither is used as an index.
            let head = usize::try_from(word & 0xffff).expect("16 bits");
            let slot = shared.slot(self.taken);
            let token = Token::from_raw(shared.tokens[slot].load(Ordering::Relaxed));
            if head != slot || word >> 16 & 0xffff != u64::from(shared.queue) {
                result = Err(DeviceError::Malformed { token, what: "a completion out of order" });
                break;
            }
            let entry = shared.entry(self.taken);
            let words = [shared.memory.read(entry), shared.memory.read(entry + 8)];
            let echoed = shared.memory.read(entry + TAG);
            if echoed != u64::from(token.raw()) {
                result = Err(DeviceError::Malformed { token, what: "another job's tag" });
                break;
            }
            result = done.complete(token, &outcome(&words));
            if result.is_err() {
                break;
            }
            self.taken += 1;
        }
        if self.taken != before {
            // Release: pairs with the submitter's acquire.
            shared.taken.store(self.taken, Ordering::Release);
            shared.doorbell(COMMAND_CQ, self.taken, 0);
        }
        result.map_err(Box::new)
    }

    fn arm(&mut self) {
        // The same head once more, now with the bit that lets the next completion raise the interrupt.
        self.shared.doorbell(COMMAND_CQ, self.taken, 1);
    }
}

mod tests {
    use uaccel_queue::{Cells, Operation};

    use super::*;
    use crate::table::{Recorder, build, poll, ring_memory, submit};

    const DEPTH: u16 = 8;
    const QUEUE: u16 = 0x2a;

    struct Rig {
        recorder: Arc<Recorder>,
        cells: Cells,
        submitter: QmSubmitter,
        completer: QmCompleter,
        answered: u64,
    }

    impl Rig {
        fn new() -> Self {
            let recorder = Arc::new(Recorder::default());
            let rings = usize::from(DEPTH) * (ENTRY + COMPLETION);
            let shared = Arc::new(Shared {
                transport: Arc::<Recorder>::clone(&recorder),
                memory: ring_memory(rings.next_multiple_of(4096) + 4096),
                queue: QUEUE,
                depth: DEPTH,
                tokens: (0..DEPTH).map(|_| AtomicU32::new(0)).collect(),
                taken: AtomicU64::new(0),
            });
            let submitter = QmSubmitter {
                shared: Arc::clone(&shared),
                direction: Direction::Forward,
                open: vec![false; 4],
                submitted: 0,
            };
            let completer = QmCompleter { shared, taken: 0 };
            Self { recorder, cells: Cells::new(16), submitter, completer, answered: 0 }
        }

        fn compress(&mut self, slot: u32) -> usize {
            build(&self.cells, slot, |job| {
                job.operation = Operation::Compress;
                (job.source, job.source_len) = (std::ptr::without_provenance(0x1111_2222_3333_4444), 0x1000);
                (job.destination, job.destination_len) =
                    (std::ptr::without_provenance_mut(0x5555_6666_7777_8888), 0x2000);
            });
            submit(&self.cells, &mut self.submitter, &[slot]).expect("works")
        }

        /// Plays the device: the result into the entry, then the completion.
        fn answer(&mut self, status: u64, consumed: u64, produced: u64) {
            let shared = &self.submitter.shared;
            let entry = shared.entry(self.answered);
            shared.memory.write(entry, consumed | produced << 32);
            shared.memory.write(entry + 8, status << 32);
            let phase = u64::from((self.answered / u64::from(DEPTH)).is_multiple_of(2));
            let head = shared.slot(self.answered) as u64;
            shared.memory.publish(shared.completion(self.answered) + 8, head | u64::from(QUEUE) << 16 | phase << 48);
            self.answered += 1;
        }

        fn doorbells(&self) -> Vec<(usize, u64)> {
            std::mem::take(&mut self.recorder.doorbells.lock().expect("no panic inside"))
        }

        fn stop(&self, rx: u64, tx: u64) {
            let memory = &self.submitter.shared.memory;
            memory.publish(memory.len() - 8, rx | tx << 32);
        }
    }

    #[test]
    fn entry_bytes() {
        let mut rig = Rig::new();
        assert_eq!(rig.compress(3), 1);
        let mut bytes = Vec::new();
        for word in 0..16 {
            bytes.extend(rig.submitter.shared.memory.read(8 * word).to_le_bytes());
        }
        let mut expected = vec![0; 128];
        expected[0x10..0x14].copy_from_slice(&[0, 0x10, 0, 0]);
        expected[0x1c..0x20].copy_from_slice(&[0, 0, 0, 0x3a]);
        expected[0x24..0x28].copy_from_slice(&[0x01, 0x40, 0, 0]);
        expected[0x38..0x3c].copy_from_slice(&[0, 0x20, 0, 0]);
        expected[0x48..0x50].copy_from_slice(&[0x44, 0x44, 0x33, 0x33, 0x22, 0x22, 0x11, 0x11]);
        expected[0x50..0x58].copy_from_slice(&[0x88, 0x88, 0x77, 0x77, 0x66, 0x66, 0x55, 0x55]);
        expected[0x68..0x6c].copy_from_slice(&[0x03, 0x10, 0, 0x80]);
        assert_eq!(bytes, expected);
        // Queue 0x2a, command 0, index 1.
        assert_eq!(rig.doorbells(), [(0x1000, 0x0000_0001_0000_002a)]);
    }

    #[test]
    fn rounds_go_on_and_one_entry_stays_empty() {
        let mut rig = Rig::new();
        for _ in 0..5 {
            for slot in 0..u32::from(DEPTH) - 1 {
                assert_eq!(rig.compress(slot), 1);
            }
            assert_eq!(rig.compress(9), 0, "one entry stays empty");
            for _ in 1..DEPTH {
                rig.answer(0, 0x1000, 0x40);
            }
            let answers = poll(&rig.cells, &mut rig.completer).expect("sound");
            assert_eq!(answers.len(), usize::from(DEPTH) - 1);
            assert!(answers.iter().all(|(_, outcome)| *outcome == Outcome::ok(0x1000, 0x40)));
        }
    }

    #[test]
    fn completion_doorbells_give_back_and_arm() {
        let mut rig = Rig::new();
        rig.compress(0);
        rig.compress(1);
        rig.answer(0x0e, 0, 0);
        rig.answer(0x41, 0, 0);
        rig.doorbells();
        let answers = poll(&rig.cells, &mut rig.completer).expect("sound");
        assert_eq!(
            answers.iter().map(|answer| answer.1.status).collect::<Vec<_>>(),
            [Status::OutputTooSmall, Status::Fault]
        );
        rig.completer.arm();
        assert_eq!(rig.doorbells(), [(0x1000, 0x0000_0002_0000_102a), (0x1000, 0x0001_0002_0000_102a)]);
    }

    #[test]
    fn stop_words_end_the_queue() {
        let mut rig = Rig::new();
        rig.compress(0);
        rig.answer(0, 1, 1);
        rig.stop(0, 1);
        build(&rig.cells, 1, |job| job.operation = Operation::Compress);
        assert!(submit(&rig.cells, &mut rig.submitter, &[1]).is_err());
        assert_eq!(poll(&rig.cells, &mut rig.completer).expect("answers may still be taken").len(), 1);
        rig.stop(1, 1);
        assert!(matches!(poll(&rig.cells, &mut rig.completer), Err(DeviceError::Stopped(_))));
    }

    #[test]
    fn what_is_out_of_order_is_not_believed() {
        let mut rig = Rig::new();
        rig.compress(0);
        rig.compress(1);
        let shared = Arc::clone(&rig.submitter.shared);
        shared.memory.publish(shared.completion(0) + 8, 1 | u64::from(QUEUE) << 16 | 1 << 48);
        assert!(matches!(poll(&rig.cells, &mut rig.completer), Err(DeviceError::Malformed { .. })));
    }

    #[test]
    fn sessions_are_the_hosts_and_the_direction_is_the_queues() {
        let mut rig = Rig::new();
        let forward = SessionSpec::compression(Algorithm::Deflate, Direction::Forward, None).expect("a session");
        let inverse = SessionSpec::compression(Algorithm::Deflate, Direction::Inverse, None).expect("a session");
        assert!(rig.submitter.open_session(SessionId(0), &forward).is_ok());
        assert!(rig.submitter.open_session(SessionId(4), &forward).is_err());
        assert!(rig.submitter.open_session(SessionId(1), &inverse).is_err());
        rig.submitter.close_session(SessionId(0));
        assert!(!rig.submitter.open[0]);
    }
}

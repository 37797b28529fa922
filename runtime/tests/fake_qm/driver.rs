//! A driver of the fake device: copies on one hardware queue, fills on the other. As far as rings, doorbells and stop words go it does what a driver of the real one does.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use uaccel_hisi_abi::{Description, Doorbell, DoorbellCommand, QueueCompletion, StopWords};
use uaccel_queue::{
    Batch, Capabilities, Cells, Completer, DeviceError, DeviceInfo, Done, Driver, FaultHandling, OpenError, OpenQueue,
    Operation, Order, Outcome, QueueRequest, RegionKind, RingMemory, SessionError, SessionId, SessionSpec, Submitter,
    Token, Transport,
};

use super::{RINGS, entry, phase, place};

/// The driver, and the transports of the queues it has opened.
#[derive(Debug, Default)]
pub(crate) struct PairDriver {
    /// What it was told of the hardware queues, at each opening.
    pub(crate) opened: Mutex<Vec<[u16; 2]>>,
}

impl Driver for PairDriver {
    fn name(&self) -> &str {
        "pair"
    }

    fn drives(&self, device: &DeviceInfo) -> bool {
        device.interface == "hisi_qm_v3" && device.algorithms.iter().any(|name| name == "deflate")
    }

    fn advertised(&self, _: &DeviceInfo) -> Capabilities {
        // One place of a ring stays empty; all jobs may go to one of them.
        let mut offers = Capabilities::new(usize::from(RINGS.submissions) - 1, 1 << 20);
        offers.operations = [Operation::Copy, Operation::Fill].into_iter().collect();
        offers.order = Order::Any;
        offers.faults = FaultHandling::Reported;
        offers.wakes = true;
        offers
    }

    fn open(
        &self,
        transport: Arc<dyn Transport>,
        _: Arc<Cells>,
        request: &QueueRequest,
    ) -> Result<OpenQueue, OpenError> {
        let [first, second] = transport.parts() else { return Err(OpenError::MissingRegion("part")) };
        let halves = [Half::open(first)?, Half::open(second)?];
        self.opened.lock().expect("whole").push([halves[0].number, halves[1].number]);
        let halves = halves.map(Arc::new);
        let mut granted = self.advertised(&DeviceInfo::new("", ""));
        granted.depth = granted.depth.min(request.depth);
        Ok(OpenQueue {
            granted,
            submitter: Box::new(PairSubmitter { halves: halves.clone() }),
            completer: Box::new(PairCompleter { halves }),
        })
    }
}

/// One hardware queue.
struct Half {
    part: Arc<dyn Transport>,
    memory: RingMemory,
    number: u16,
    submitted: AtomicU64,
    taken: AtomicU64,
    tokens: [AtomicU32; 8],
}

impl Half {
    fn open(part: &Arc<dyn Transport>) -> Result<Self, OpenError> {
        let region = part.region(RegionKind::Description).ok_or(OpenError::MissingRegion("description"))?;
        let bytes: Vec<u8> = (0..region.len() / 8).flat_map(|word| region.read(word * 8).to_le_bytes()).collect();
        let said = Description::decode(&bytes).map_err(|_| OpenError::NotReady)?;
        assert_eq!(said.dus, RINGS);
        let memory = part.ring_memory(said.dus.rings())?;
        Ok(Self {
            part: part.clone(),
            memory,
            number: said.queue,
            submitted: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            tokens: [const { AtomicU32::new(0) }; 8],
        })
    }

    fn stop_words(&self) -> StopWords {
        StopWords::decode(self.memory.observe(self.memory.len() - StopWords::FROM_END))
    }

    fn ring(&self, command: DoorbellCommand, index: u64, priority: u16) {
        let doorbell = Doorbell { queue: self.number, command, index: place(index), priority };
        self.part.ring_doorbell(Doorbell::OFFSET, doorbell.encode());
    }
}

struct PairSubmitter {
    halves: [Arc<Half>; 2],
}

// SAFETY: only jobs of the batch are passed on, launched before the doorbell, and counted.
unsafe impl Submitter for PairSubmitter {
    unsafe fn submit(&mut self, batch: &Batch<'_>) -> Result<usize, Box<DeviceError>> {
        if self.halves.iter().any(|half| half.stop_words().transmit) {
            return Err(DeviceError::Stopped(0).into());
        }
        for number in 0..batch.len() {
            let job = batch.job(number);
            let (half, source) = match job.operation {
                Operation::Fill => (&self.halves[1], job.pattern()),
                _ => (&self.halves[0], job.source.expose_provenance() as u64),
            };
            let index = half.submitted.load(Ordering::SeqCst);
            let at = |word: usize| RINGS.submission(place(index)) + 8 * word;
            half.memory.write(at(entry::TOKEN), u64::from(job.token.raw()));
            half.memory.write(at(entry::SOURCE), source);
            half.memory.write(at(entry::DESTINATION), job.destination.expose_provenance() as u64);
            half.memory.write(at(entry::LEN), job.destination_len as u64);
            half.memory.write(at(entry::ANSWER), 0);
            half.tokens[usize::from(place(index))].store(batch.launch(number).raw(), Ordering::SeqCst);
            half.submitted.store(index + 1, Ordering::SeqCst);
            half.ring(DoorbellCommand::Submission, index + 1, 0);
        }
        Ok(batch.len())
    }

    fn open_session(&mut self, _: SessionId, spec: &SessionSpec) -> Result<(), SessionError> {
        Err(SessionError::Unsupported { algorithm: spec.algorithm(), direction: spec.direction() })
    }

    fn close_session(&mut self, _: SessionId) {}
}

struct PairCompleter {
    halves: [Arc<Half>; 2],
}

// SAFETY: a job is completed when the device has written its completion, which comes after all else.
unsafe impl Completer for PairCompleter {
    fn poll(&mut self, done: &mut Done<'_>) -> Result<(), Box<DeviceError>> {
        for (kind, half) in self.halves.iter().enumerate() {
            loop {
                if half.stop_words().receive {
                    return Err(DeviceError::Stopped(0).into());
                }
                let index = half.taken.load(Ordering::SeqCst);
                let control = half.memory.observe(RINGS.completion(place(index)) + QueueCompletion::CONTROL);
                if QueueCompletion::decode(control).phase != phase(index)
                    || index == half.submitted.load(Ordering::SeqCst)
                {
                    break;
                }
                let token = Token::from_raw(half.tokens[usize::from(place(index))].load(Ordering::SeqCst));
                let at = |word: usize| RINGS.submission(place(index)) + 8 * word;
                if half.memory.read(at(entry::ANSWER)) != entry::DONE {
                    return Err(DeviceError::Malformed { token, what: "no answer" }.into());
                }
                let len = half.memory.read(at(entry::LEN));
                let consumed = if kind == 0 { len } else { 0 };
                done.complete(token, &Outcome::ok(consumed, len))?;
                half.taken.store(index + 1, Ordering::SeqCst);
                half.ring(DoorbellCommand::Completion, index + 1, 0);
            }
        }
        Ok(())
    }

    fn arm(&mut self) {
        for half in &self.halves {
            half.ring(DoorbellCommand::Completion, half.taken.load(Ordering::SeqCst), Doorbell::ARM);
        }
    }
}

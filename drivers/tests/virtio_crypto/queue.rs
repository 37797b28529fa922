//! A queue over the device; the test is the runtime.

use std::sync::Arc;

use uaccel_drivers::virtio_crypto::VirtioCryptoDriver;
use uaccel_queue::{
    Algorithm, Batch, Capabilities, Cells, Completer, DeviceError, Direction, Done, Driver, Job, JobFlags, OpenError,
    OpenQueue, Operation, Outcome, QueueRequest, SessionId, SessionSpec, Submitter, Token,
};

use crate::device::{Device, Nature};

/// A queue, and texts for its jobs, which outlive it.
pub(crate) struct Queue {
    pub(crate) device: Arc<Device>,
    pub(crate) granted: Capabilities,
    pub(crate) submitter: Box<dyn Submitter>,
    pub(crate) completer: Box<dyn Completer>,
    cells: Arc<Cells>,
    /// By slot: what is read, and what is written.
    texts: Vec<([u8; 64], Box<[u8; 64]>)>,
}

pub(crate) fn open(device: &Arc<Device>, depth: usize) -> Result<(Arc<Cells>, OpenQueue), OpenError> {
    let cells = Arc::new(Cells::new(depth));
    let opened = VirtioCryptoDriver.open(device.clone(), cells.clone(), &QueueRequest::new(depth))?;
    Ok((cells, opened))
}

pub(crate) fn spec(algorithm: Algorithm, direction: Direction, byte: u8) -> SessionSpec {
    let key = vec![byte; algorithm.key_len().expect("a cipher")];
    SessionSpec::keyed(algorithm, direction, &key).expect("a key")
}

impl Queue {
    /// One with a session that encrypts, number 0.
    pub(crate) fn new(depth: usize) -> Self {
        let mut queue = Self::over(&Device::new(Nature::default()), depth);
        queue
            .submitter
            .open_session(SessionId(0), &spec(Algorithm::Aes128Cbc, Direction::Forward, 1))
            .expect("offered");
        queue.device.asked();
        queue.device.doorbells();
        queue
    }

    pub(crate) fn over(device: &Arc<Device>, depth: usize) -> Self {
        let (cells, opened) = open(device, depth).expect("the driver opens a queue");
        let OpenQueue { granted, submitter, completer } = opened;
        let texts = (0..depth).map(|slot| ([slot as u8; 64], Box::new([0; 64]))).collect();
        Self { device: device.clone(), granted, submitter, completer, cells, texts }
    }

    /// Submits a job of 64 bytes for each slot, changed by `change`.
    pub(crate) fn send_all(&mut self, slots: &[u32], change: impl Fn(&mut Job)) -> Vec<Token> {
        let mut tokens = Vec::new();
        for slot in slots {
            let (source, destination) = &mut self.texts[*slot as usize];
            // SAFETY: the tests use each slot for one job at a time.
            tokens.push(unsafe {
                self.cells.build(*slot as usize, |job| {
                    (job.operation, job.session, job.flags) = (Operation::Encrypt, SessionId(0), JobFlags::VOUCHED);
                    (job.source, job.source_len) = (source.as_ptr(), 64);
                    (job.destination, job.destination_len) = (destination.as_mut_ptr(), 64);
                    job.immediate = [*slot as u8; 16];
                    change(job);
                    job.token
                })
            });
        }
        // SAFETY: the slots were built and are not in flight; the texts live as long as the queue.
        let accepted = unsafe { self.submitter.submit(&Batch::new(&self.cells, slots)) };
        assert_eq!(accepted.expect("the queue works"), slots.len());
        tokens
    }

    pub(crate) fn send(&mut self, slot: u32) -> Token {
        self.send_all(&[slot], |_| {})[0]
    }

    /// What a job of this slot has written.
    pub(crate) fn written(&self, slot: u32) -> [u8; 64] {
        *self.texts[slot as usize].1
    }

    pub(crate) fn poll(&mut self) -> Result<Vec<(u32, Outcome)>, DeviceError> {
        let (answers, polled) = self.try_poll();
        polled.map(|()| answers)
    }

    /// The answers, and whether there can be more.
    pub(crate) fn try_poll(&mut self) -> (Vec<(u32, Outcome)>, Result<(), DeviceError>) {
        let mut places = vec![0; self.cells.depth()];
        // SAFETY: the only completer.
        let mut done = unsafe { Done::new(&self.cells, &mut places) };
        let result = self.completer.poll(&mut done);
        // SAFETY: just answered.
        let answers = done.slots().iter().map(|slot| (*slot, unsafe { self.cells.outcome(*slot as usize) })).collect();
        (answers, result.map_err(|error| *error))
    }

    /// Sends a changed job that ends in one way.
    pub(crate) fn outcome(&mut self, change: impl Fn(&mut Job)) -> Outcome {
        self.send_all(&[0], change);
        let answers = self.poll().expect("the queue works");
        assert_eq!(answers.len(), 1, "one job, one answer");
        answers[0].1
    }
}

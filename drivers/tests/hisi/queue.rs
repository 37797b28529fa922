//! A queue over the device; the test is the runtime.

use std::sync::Arc;

use uaccel_drivers::hisi::HisiZipDriver;
use uaccel_queue::{
    Algorithm, Batch, Capabilities, Cells, Completer, DeviceError, Direction, Done, Driver, Job, JobFlags, OpenError,
    OpenQueue, Operation, Outcome, QueueRequest, SessionId, SessionSpec, Submitter, Token,
};

use crate::device::Device;

pub(crate) const FORMATS: [Algorithm; 3] = [Algorithm::Deflate, Algorithm::Zlib, Algorithm::Gzip];

/// Compresses to LZ4, where that is listed.
pub(crate) const LZ4: SessionId = SessionId(6);

/// Compresses, by format.
pub(crate) fn forward(format: Algorithm) -> SessionId {
    SessionId(2 * FORMATS.iter().position(|other| *other == format).expect("one of these") as u16)
}

/// Decompresses, by format.
pub(crate) fn inverse(format: Algorithm) -> SessionId {
    SessionId(forward(format).0 + 1)
}

pub(crate) fn open(device: &Arc<Device>, depth: usize) -> Result<(Arc<Cells>, OpenQueue), OpenError> {
    open_for(device, &QueueRequest::new(depth))
}

pub(crate) fn open_for(device: &Arc<Device>, request: &QueueRequest) -> Result<(Arc<Cells>, OpenQueue), OpenError> {
    let cells = Arc::new(Cells::new(request.depth));
    let opened = HisiZipDriver.open(device.clone(), cells.clone(), request)?;
    Ok((cells, opened))
}

/// Bytes that a device reaches by their address.
pub(crate) struct Buffer {
    start: *mut [u8],
}

impl Buffer {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self { start: Box::into_raw(bytes.into()) }
    }

    pub(crate) fn address(&self) -> *mut u8 {
        self.start.cast()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // SAFETY: no job that names it is in flight.
        unsafe { &*self.start }.to_vec()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: made from a box, and dropped once.
        drop(unsafe { Box::from_raw(self.start) });
    }
}

// SAFETY: plain memory with one owner.
unsafe impl Send for Buffer {}

/// A queue with a session for each format and direction, and memory for its jobs, which outlives it.
pub(crate) struct Queue {
    pub(crate) granted: Capabilities,
    pub(crate) submitter: Box<dyn Submitter>,
    pub(crate) completer: Box<dyn Completer>,
    pub(crate) cells: Arc<Cells>,
    /// By slot: what is read, and what is written.
    pub(crate) memory: Vec<(Buffer, Buffer)>,
}

impl Queue {
    pub(crate) fn over(device: &Arc<Device>, depth: usize) -> Self {
        Self::open(device, &QueueRequest::new(depth))
    }

    /// One of a device that lists LZ4 as well.
    pub(crate) fn with_lz4(device: &Arc<Device>, depth: usize) -> Self {
        let both = |algorithm| [Direction::Forward, Direction::Inverse].map(|way| (algorithm, way));
        let listed = FORMATS.into_iter().flat_map(both).chain([(Algorithm::Lz4Block, Direction::Forward)]);
        let mut queue = Self::open(device, &QueueRequest::new(depth).with_algorithms(listed.collect()));
        let spec = SessionSpec::compression(Algorithm::Lz4Block, Direction::Forward, None).expect("a session");
        queue.submitter.open_session(LZ4, &spec).expect("offered");
        queue
    }

    fn open(device: &Arc<Device>, request: &QueueRequest) -> Self {
        let (cells, OpenQueue { granted, mut submitter, completer }) = open_for(device, request).expect("opens");
        let depth = request.depth;
        for format in FORMATS {
            for (id, way) in [(forward(format), Direction::Forward), (inverse(format), Direction::Inverse)] {
                let spec = SessionSpec::compression(format, way, None).expect("the default level");
                submitter.open_session(id, &spec).expect("offered");
            }
        }
        let memory = (0..depth).map(|_| (Buffer::new(b""), Buffer::new(b""))).collect();
        Self { granted, submitter, completer, cells, memory }
    }

    /// Builds a job in a slot: a session's, over a source and a room.
    pub(crate) fn build(&mut self, slot: u32, session: SessionId, source: &[u8], room: usize) -> Token {
        self.build_with(slot, session, source, room, |_| {})
    }

    pub(crate) fn build_with(
        &mut self,
        slot: u32,
        session: SessionId,
        source: &[u8],
        room: usize,
        change: impl FnOnce(&mut Job),
    ) -> Token {
        let memory = (Buffer::new(source), Buffer::new(&vec![0xa5; room]));
        // SAFETY: the tests use each slot for one job at a time.
        let token = unsafe {
            self.cells.build(slot as usize, |job| {
                job.operation = if session.0.is_multiple_of(2) { Operation::Compress } else { Operation::Decompress };
                (job.session, job.flags) = (session, JobFlags::VOUCHED);
                (job.source, job.source_len) = (memory.0.address(), source.len());
                (job.destination, job.destination_len) = (memory.1.address(), room);
                change(job);
                job.token
            })
        };
        self.memory[slot as usize] = memory;
        token
    }

    pub(crate) fn submit(&mut self, slots: &[u32]) -> Result<usize, DeviceError> {
        // SAFETY: the slots were built and are not in flight; their memory lives as long as the queue.
        let accepted = unsafe { self.submitter.submit(&Batch::new(&self.cells, slots)) };
        accepted.map_err(|error| *error)
    }

    /// Builds and submits one job.
    pub(crate) fn send(&mut self, slot: u32, session: SessionId, source: &[u8], room: usize) -> Token {
        let token = self.build(slot, session, source, room);
        assert_eq!(self.submit(&[slot]).expect("the queue works"), 1);
        token
    }

    pub(crate) fn poll(&mut self) -> Result<Vec<(u32, Outcome)>, DeviceError> {
        self.poll_room(self.cells.depth())
    }

    pub(crate) fn poll_room(&mut self, room: usize) -> Result<Vec<(u32, Outcome)>, DeviceError> {
        let mut places = vec![0; room];
        // SAFETY: the only completer.
        let mut done = unsafe { Done::new(&self.cells, &mut places) };
        let result = self.completer.poll(&mut done);
        // SAFETY: just answered.
        let answers = done.slots().iter().map(|slot| (*slot, unsafe { self.cells.outcome(*slot as usize) })).collect();
        result.map(|()| answers).map_err(|error| *error)
    }

    /// The answer to the only job in flight.
    pub(crate) fn outcome(&mut self) -> Outcome {
        let answers = self.poll().expect("the queue works");
        assert_eq!(answers.len(), 1, "one job, one answer");
        answers[0].1
    }

    /// Runs a job on a device that works by itself: how it ended, and what was written.
    pub(crate) fn run(&mut self, session: SessionId, source: &[u8], room: usize) -> (Outcome, Vec<u8>) {
        self.send(0, session, source, room);
        (self.outcome(), self.memory[0].1.bytes())
    }
}

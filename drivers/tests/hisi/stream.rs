//! A stream over a queue; the test is the runtime.

use uaccel_queue::{JobFlags, Outcome, SessionId, Status, Token};

use crate::queue::Queue;

/// Bytes of a state, by the contract's number and UADK's: 64 of the driver's, and 0x97c0 of the device's.
pub(crate) const STATE: usize = 0x9800;

#[repr(C, align(64))]
#[derive(Clone, Copy)]
struct Line([u8; 64]);

/// A stream, and its state, which a device reaches by its address.
pub(crate) struct Stream {
    session: SessionId,
    state: *mut [Line],
    /// Whether the next job is the first.
    pub(crate) first: bool,
}

impl Stream {
    /// Memory that was something else before.
    pub(crate) fn new(session: SessionId) -> Self {
        let state = Box::into_raw(vec![Line([0x5a; 64]); STATE / 64].into_boxed_slice());
        Self { session, state, first: true }
    }

    pub(crate) fn address(&self) -> *mut u8 {
        self.state.cast()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        // SAFETY: no job that names it is in flight.
        unsafe { &*self.state }.iter().flat_map(|line| line.0).collect()
    }

    /// Puts a state back.
    pub(crate) fn put(&mut self, bytes: &[u8]) {
        assert_eq!(bytes.len(), STATE);
        // SAFETY: the same, and as long.
        unsafe { self.address().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// Overwrites a word.
    pub(crate) fn set(&mut self, word: usize, value: u32) {
        let mut bytes = self.bytes();
        bytes[4 * word..][..4].copy_from_slice(&value.to_le_bytes());
        self.put(&bytes);
    }

    /// Words of the driver's part.
    pub(crate) fn words(&self) -> [u32; 6] {
        let bytes = self.bytes();
        std::array::from_fn(|at| u32::from_le_bytes(bytes[4 * at..][..4].try_into().expect("a word")))
    }

    /// Submits the next job.
    pub(crate) fn send(&mut self, queue: &mut Queue, source: &[u8], room: usize, last: bool) -> Token {
        let mut flags = JobFlags::STREAM;
        flags.set(JobFlags::FIRST, self.first);
        flags.set(JobFlags::LAST, last);
        self.first = false;
        let token = queue.build_with(0, self.session, source, room, |job| {
            job.flags |= flags;
            (job.aux, job.aux_len) = (self.address(), STATE);
        });
        assert_eq!(queue.submit(&[0]).expect("the queue works"), 1);
        token
    }

    /// The next job, on a device that works or is not asked: how it ended, and what was written.
    pub(crate) fn run(&mut self, queue: &mut Queue, source: &[u8], room: usize, last: bool) -> (Outcome, Vec<u8>) {
        self.send(queue, source, room, last);
        (queue.outcome(), queue.memory[0].1.bytes())
    }

    /// All of a source in pieces of these sizes, one after the other, to rooms of these: what came of it, or the first failure. What follows the stream is given back.
    pub(crate) fn all(
        &mut self,
        queue: &mut Queue,
        source: &[u8],
        sizes: &[usize],
        rooms: &[usize],
    ) -> Result<(Vec<u8>, usize), Status> {
        let (mut written, mut used, mut offered) = (Vec::new(), 0, 0);
        for turn in 0.. {
            offered = source.len().min(offered + sizes[turn % sizes.len()]);
            let last = offered == source.len();
            let (outcome, room) = self.run(queue, &source[used..offered], rooms[turn % rooms.len()], last);
            assert!(outcome.produced as usize <= room.len() && used + outcome.consumed as usize <= offered);
            assert!(room[outcome.produced as usize..].iter().all(|byte| *byte == 0xa5) || outcome.status != Status::Ok);
            let stands = outcome.status == Status::More && outcome.consumed == 0 && outcome.produced == 0;
            assert!(!stands || !last, "it would go on like this for ever");
            used += outcome.consumed as usize;
            written.extend_from_slice(&room[..outcome.produced as usize]);
            match outcome.status {
                Status::Ok => return Ok((written, used)),
                Status::More => {}
                other => return Err(other),
            }
        }
        unreachable!()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: made from a box, and dropped once.
        drop(unsafe { Box::from_raw(self.state) });
    }
}

pub(crate) fn more(consumed: u64, produced: u64) -> Outcome {
    Outcome { status: Status::More, ..Outcome::ok(consumed, produced) }
}

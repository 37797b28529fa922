//! A stream, whose state is its own.

use uaccel_queue::stream::STATE_ALIGN;
use uaccel_queue::{Direction, JobFlags, Operation, Outcome, SessionId, Status};

use super::ContractQueue;

/// Pages of memory that nobody has touched.
pub(crate) struct Stream {
    session: SessionId,
    direction: Direction,
    memory: Vec<u8>,
    len: usize,
    pub(crate) first: bool,
}

impl Stream {
    pub(crate) fn new(queue: &ContractQueue, session: SessionId, direction: Direction) -> Self {
        let len = queue.granted.stream_state;
        Self { session, direction, memory: vec![0; len + STATE_ALIGN], len, first: true }
    }

    /// The next job.
    pub(crate) fn run(&mut self, queue: &mut ContractQueue, source: &[u8], room: &mut [u8], last: bool) -> Outcome {
        let start = self.memory.as_mut_ptr();
        let state = start.wrapping_add(start.align_offset(STATE_ALIGN));
        let (session, direction, len) = (self.session, self.direction, self.len);
        let mut flags = JobFlags::STREAM;
        flags.set(JobFlags::FIRST, std::mem::take(&mut self.first));
        flags.set(JobFlags::LAST, last);
        queue.run(source, room, |job| {
            job.flags |= flags;
            job.operation = if direction == Direction::Forward { Operation::Compress } else { Operation::Decompress };
            job.session = session;
            (job.aux, job.aux_len) = (state, len);
        })
    }

    /// All of a source in pieces of these sizes, one after the other, to rooms of these: what came of it and how much was used, or the first failure.
    pub(crate) fn all(
        &mut self,
        queue: &mut ContractQueue,
        source: &[u8],
        sizes: &[usize],
        rooms: &[usize],
    ) -> Result<(Vec<u8>, usize), Status> {
        let (mut written, mut used, mut offered) = (Vec::new(), 0, 0);
        for turn in 0.. {
            offered = source.len().min(offered + sizes[turn % sizes.len()]);
            let mut room = vec![0xa5; rooms[turn % rooms.len()]];
            let last = offered == source.len();
            let outcome = self.run(queue, &source[used..offered], &mut room, last);
            let stands = outcome.status == Status::More && outcome.consumed == 0 && outcome.produced == 0;
            assert!(!stands || !last, "it would go on like this for ever");
            let made = usize::try_from(outcome.produced).expect("no more than there was room");
            assert!(room[made..].iter().all(|byte| *byte == 0xa5) || outcome.status != Status::Ok, "nothing behind it");
            used += usize::try_from(outcome.consumed).expect("no more than was offered");
            written.extend_from_slice(&room[..made]);
            match outcome.status {
                Status::Ok => return Ok((written, used)),
                Status::More => {}
                other => return Err(other),
            }
        }
        unreachable!()
    }
}

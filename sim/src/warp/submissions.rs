//! The half of a Warp queue that takes jobs.

use uaccel_queue::{Operation, Outcome, Status};
use uaccel_warp_abi::{Command, Descriptor, DescriptorFlags, Geometry};

use super::decode::decode;
use super::ring::Ring;
use super::sessions::Sessions;
use crate::stages::Stage;
use crate::{Access, AddressSpace, Budget, Fetch, MemoryPort, Nop, PageRequest, Span, Taken, Work, WorkItem};

/// The half of a Warp queue that takes jobs: the consumer of the submission ring, and the sessions.
#[derive(Debug)]
pub struct Submissions {
    /// Where the rings are.
    pub(super) space: AddressSpace,
    /// Where jobs read and write.
    jobs: AddressSpace,
    pub(super) ring: Option<Ring>,
    pub(super) sessions: Sessions,
    /// How many descriptors were taken since the queue was started.
    head: u64,
}

/// What became of a descriptor.
enum Taking {
    /// It is the last of the taken items.
    Taken,
    Blocked(PageRequest),
    Failed,
}

impl Submissions {
    pub(super) fn new(space: AddressSpace, jobs: AddressSpace) -> Self {
        Self { space, jobs, ring: None, sessions: Sessions::default(), head: 0 }
    }

    /// Starts to take descriptors from the first line of `ring`.
    pub(super) fn start(&mut self, ring: Ring) {
        let sessions = Sessions::new(ring.geometry.sessions());
        *self = Self { ring: Some(ring), sessions, ..Self::new(self.space, self.jobs) };
    }

    #[inline]
    pub(super) fn fetch<P: MemoryPort>(
        &mut self,
        port: &P,
        taken: &mut Taken,
        mut budget: Budget,
        max_transfer: u32,
    ) -> Fetch {
        let Some(ring) = self.ring else { return Fetch::Dry };
        while budget.is_open() {
            let line = ring.at(ring.geometry.submission(self.head));
            let phase = ring.geometry.phase(self.head);
            // The control word is last; the port's acquire load of it pairs with the driver's release store.
            let words =
                match port.take_record::<8>(self.space, line, |control| (control & Descriptor::PHASE != 0) == phase) {
                    Access::Ready(Some(words)) => words,
                    Access::Ready(None) => return Fetch::Dry,
                    Access::Pending(request) => return Fetch::Blocked(request),
                    Access::Fault(_) => return Fetch::Failed,
                };
            if budget.nops_apart() && Descriptor::is_nop(&words) {
                let token = Descriptor::token_of(words[7]);
                taken.nops.push(Nop { cookie: self.cookie(token), tag: u64::from(token) });
                budget.take(0);
                self.head += 1;
                continue;
            }
            match self.take(port, &ring, &words, taken, max_transfer) {
                Taking::Taken => {
                    if !budget.take(taken.items.last().map_or(0, WorkItem::cost)) {
                        // Read again by the next fetch: a worker of its own shall do it. Answers are free, so nothing is carried out twice.
                        taken.items.pop();
                        return Fetch::More;
                    }
                    self.head += 1;
                }
                Taking::Blocked(request) => return Fetch::Blocked(request),
                Taking::Failed => return Fetch::Failed,
            }
        }
        Fetch::More
    }

    #[inline]
    fn take<P: MemoryPort>(
        &mut self,
        port: &P,
        ring: &Ring,
        words: &[u64; 8],
        taken: &mut Taken,
        max_transfer: u32,
    ) -> Taking {
        let token = Descriptor::token_of(words[7]);
        let cookie = self.cookie(token);
        let space = self.jobs;
        if Descriptor::is_nop(words) {
            // Nothing more is to be read out of it.
            let tag = u64::from(token);
            taken.push(|| WorkItem::new(cookie, tag, space, Work::Plain(Operation::Nop)));
            return Taking::Taken;
        }
        self.take_descriptor(port, ring, words, cookie, taken, max_transfer)
    }

    /// By what the answer to the next descriptor finds its way: the token, and of the count the low half, which is enough to
    /// find line and phase again.
    #[inline]
    fn cookie(&self, token: u32) -> u64 {
        u64::from(token) | self.head << 32
    }

    /// Takes a descriptor that has more to say than that there is one.
    fn take_descriptor<P: MemoryPort>(
        &mut self,
        port: &P,
        ring: &Ring,
        words: &[u64; 8],
        cookie: u64,
        taken: &mut Taken,
        max_transfer: u32,
    ) -> Taking {
        let space = self.jobs;
        let descriptor = match Descriptor::decode(words) {
            // Chains and state are features this engine does not offer, so what asks for them is reserved.
            Ok(descriptor) if descriptor.context == 0 && !descriptor.flags.contains(DescriptorFlags::CHAINED) => {
                descriptor
            }
            _ => return answer(taken, cookie, space, Status::InvalidJob),
        };
        match Command::from_opcode(descriptor.opcode) {
            None => {
                decode(&descriptor, cookie, space, &self.sessions, max_transfer, &mut taken.items);
                Taking::Taken
            }
            Some(Command::OpenSession) => match self.open_session(port, ring, descriptor.session) {
                Access::Ready(status) => answer(taken, cookie, space, status),
                Access::Pending(request) => Taking::Blocked(request),
                Access::Fault(_) => Taking::Failed,
            },
            Some(Command::CloseSession) => {
                let status = self.sessions.close(descriptor.session).err().unwrap_or(Status::Ok);
                answer(taken, cookie, space, status)
            }
            Some(Command::Cancel) => {
                let [a, b, c, d, ..] = descriptor.operand;
                cancel(taken, u64::from(u32::from_le_bytes([a, b, c, d])), space);
                answer(taken, cookie, space, Status::Ok)
            }
        }
    }

    fn open_session<P: MemoryPort>(&mut self, port: &P, ring: &Ring, id: u16) -> Access<Status> {
        if let Err(status) = self.sessions.admits(id) {
            return Access::Ready(status);
        }
        let entry = ring.at(ring.geometry.session(id));
        port.words(self.space, entry).map(|words| self.sessions.open(id, words).err().unwrap_or(Status::Ok))
    }

    /// Writes a word of the queue's status.
    pub(super) fn tell<P: MemoryPort>(&self, port: &P, offset: usize, value: u64) {
        if let Some(ring) = self.ring {
            // A status nobody can be told is lost; there is no other way to the user.
            let _ = port.publish(self.space, ring.at(offset), value);
        }
    }

    /// Whether the rings `geometry` describes fit in at `base`.
    pub(super) fn admits<P: MemoryPort>(&self, port: &P, base: u64, geometry: Geometry) -> bool {
        base.is_multiple_of(Descriptor::SIZE as u64) && port.ring(self.space, Span::new(base, geometry.size()))
    }
}

/// Answers a descriptor at once.
fn answer(taken: &mut Taken, cookie: u64, space: AddressSpace, status: Status) -> Taking {
    // The low half of a cookie is the token.
    let tag = cookie & u64::from(u32::MAX);
    taken.items.push(WorkItem::answered(cookie, tag, space, Outcome::failed(status)));
    Taking::Taken
}

/// Cancels a job of the same batch, or asks the host to look among those it holds.
fn cancel(taken: &mut Taken, tag: u64, space: AddressSpace) {
    if let Some(at) = taken.nops.iter().position(|nop| nop.tag == tag) {
        let nop = taken.nops.swap_remove(at);
        taken.items.push(WorkItem::answered(nop.cookie, tag, space, Outcome::failed(Status::Canceled)));
        return;
    }
    match taken.items.iter_mut().find(|item| item.tag == tag && item.stage() == Stage::Gather) {
        Some(item) => item.cancel(),
        None => taken.cancels.push(tag),
    }
}

//! A job in terms of what it is to read and write, and what came of it.

use uaccel_queue::{Fault, JobFlags, Operation, Outcome, SessionId, Status};

use crate::rig::State;

/// A job to be: bytes instead of addresses.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) session: SessionId,
    pub(crate) source: Vec<u8>,
    pub(crate) aux: Vec<u8>,
    /// The state of the stream that the job is one of, in the place of `aux`.
    pub(crate) state: Option<State>,
    pub(crate) room: usize,
    pub(crate) immediate: [u8; 16],
    pub(crate) flags: JobFlags,
    /// The source stands at the start of the destination.
    pub(crate) in_place: bool,
}

impl Request {
    /// A job without anything; the memory it will get is vouched for.
    pub(crate) fn new(operation: Operation) -> Self {
        Self {
            operation,
            session: SessionId(0),
            source: Vec::new(),
            aux: Vec::new(),
            state: None,
            room: 0,
            immediate: [0; 16],
            flags: JobFlags::VOUCHED,
            in_place: false,
        }
    }

    pub(crate) fn copy(source: &[u8]) -> Self {
        Self::new(Operation::Copy).source(source).room(source.len())
    }

    pub(crate) fn source(mut self, source: &[u8]) -> Self {
        self.source = source.to_vec();
        self
    }

    pub(crate) fn aux(mut self, aux: &[u8]) -> Self {
        self.aux = aux.to_vec();
        self
    }

    pub(crate) fn room(mut self, room: usize) -> Self {
        self.room = room;
        self
    }

    pub(crate) fn session(mut self, session: SessionId) -> Self {
        self.session = session;
        self
    }

    pub(crate) fn immediate(mut self, bytes: &[u8]) -> Self {
        self.immediate[..bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn unvouched(mut self) -> Self {
        self.flags.remove(JobFlags::VOUCHED);
        self
    }

    pub(crate) fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    pub(crate) fn stream(mut self, state: State) -> Self {
        self.state = Some(state);
        self.flag(JobFlags::STREAM)
    }

    pub(crate) fn flag(mut self, flag: JobFlags) -> Self {
        self.flags.insert(flag);
        self
    }
}

/// What came of a request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) outcome: Outcome,
    /// The whole room, as it is afterwards.
    pub(crate) room: Vec<u8>,
}

impl Reply {
    /// The bytes that the outcome says were written.
    #[track_caller]
    pub(crate) fn output(&self) -> &[u8] {
        self.expect(Status::Ok);
        let produced = usize::try_from(self.outcome.produced).expect("no more than there was room");
        &self.room[..produced]
    }

    #[track_caller]
    pub(crate) fn expect(&self, status: Status) -> &Self {
        assert_eq!(self.outcome.status, status, "{:?}", self.outcome);
        self
    }

    #[track_caller]
    pub(crate) fn fault(&self) -> Fault {
        self.expect(Status::Fault).outcome.fault.expect("a fault has an address")
    }
}

//! One queue of the function.

use core::cell::RefCell;
use std::collections::VecDeque;

use uaccel_sim::stages::Parked;
use uaccel_sim::{AddressSpace, DeviceModel, Opening, PageRequest, UserPage, WorkItem};
use uaccel_warp_abi::FailReason;

use crate::port::Posted;
use crate::translations::{Asked, Missing};

/// What halves of a queue are made with that belong to nobody, and are not used.
const NOBODY: Opening = Opening::shared(AddressSpace(0));

/// Something that stands still until a page request is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gate {
    waits_for: Option<PageRequest>,
    /// The page that was refused, for whoever tries again.
    refused: Option<Missing>,
}

impl Gate {
    pub(crate) const fn is_open(&self) -> bool {
        self.waits_for.is_none()
    }

    pub(crate) const fn shut(&mut self, request: PageRequest) {
        self.waits_for = Some(request);
    }

    /// Opens the gate if it is shut for this request.
    pub(crate) fn answer(&mut self, request: PageRequest, refused: Option<Missing>) {
        if self.waits_for == Some(request) {
            *self = Self { waits_for: None, refused };
        }
    }

    /// What was refused; it counts for one try.
    pub(crate) const fn take_refused(&mut self) -> Option<Missing> {
        self.refused.take()
    }
}

/// Where a queue stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not started.
    Off,
    /// Takes jobs.
    Ready,
    /// Takes none any more; those in work go on.
    Draining,
    /// Stopped.
    Stopped,
    /// Given up.
    Failed(Failure),
}

impl Standing {
    /// Whether jobs go on.
    pub(crate) const fn is_working(self) -> bool {
        matches!(self, Self::Ready | Self::Draining)
    }
}

/// Why a queue was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Its address space cannot be had.
    Space,
    /// Its rings are nowhere.
    RingBase,
    /// Its rings are not there any more.
    RingFault,
    /// The model refused to start it, and said so with this word, if there was a place to say it.
    Refused(Option<u64>),
}

impl Failure {
    /// The number the model is told. Numbers are those of the Warp engine; other models make no use of them.
    pub(crate) const fn reason(self) -> u32 {
        (match self {
            Self::Space => FailReason::Device,
            Self::RingBase | Self::Refused(_) => FailReason::RingBase,
            Self::RingFault => FailReason::RingFault,
        }) as u32
    }
}

/// One queue of the function.
pub(crate) struct Queue<M: DeviceModel> {
    pub(crate) page: UserPage,
    /// What it was opened with, if it is open.
    pub(crate) opening: Option<Opening>,
    /// How often it was assigned, revoked or stopped.
    pub(crate) life: u64,
    pub(crate) standing: Standing,
    pub(crate) submissions: M::Submissions,
    pub(crate) completions: M::Completions,
    /// Jobs that were fetched and have no staging yet.
    pub(crate) fetched: VecDeque<WorkItem>,
    /// Jobs that wait for a page.
    pub(crate) parked: Parked,
    /// Tags of the jobs that are with the workers, and whether they are to be cancelled.
    pub(crate) computing: Vec<(u64, bool)>,
    /// Bytes named by the jobs that have staging.
    pub(crate) staged: u64,
    pub(crate) fetch_gate: Gate,
    pub(crate) flush_gate: Gate,
    pub(crate) posted: RefCell<Vec<Posted>>,
    /// Whether the ring may hold descriptors that were not looked at.
    pub(crate) rung: bool,
    /// What has to be answered before the address space may go that it is not at work in any more.
    pub(crate) asked: Option<Asked>,
}

impl<M: DeviceModel> Queue<M> {
    /// A queue that belongs to nobody.
    pub(crate) fn new(model: &M) -> Self {
        let (submissions, completions) = model.open_queue(NOBODY);
        Self {
            page: UserPage::new(),
            opening: None,
            life: 0,
            standing: Standing::Off,
            submissions,
            completions,
            fetched: VecDeque::new(),
            parked: Parked::new(),
            computing: Vec::new(),
            staged: 0,
            fetch_gate: Gate::default(),
            flush_gate: Gate::default(),
            posted: RefCell::default(),
            rung: false,
            asked: None,
        }
    }

    /// Jobs that are taken and not answered.
    pub(crate) fn in_flight(&self) -> usize {
        self.fetched.len() + self.parked.len() + self.computing.len()
    }

    /// Drops all jobs, unanswered. What is with the workers comes back to another life.
    pub(crate) fn drop_jobs(&mut self) {
        self.life += 1;
        self.fetched.clear();
        self.parked.clear();
        self.computing.clear();
        self.staged = 0;
        self.fetch_gate = Gate::default();
        self.flush_gate = Gate::default();
        self.rung = false;
    }

    /// Brings it to the state after opening, or closes it.
    pub(crate) fn reopen(&mut self, model: &M, opening: Option<Opening>) {
        self.drop_jobs();
        self.posted.get_mut().clear();
        (self.submissions, self.completions) = model.open_queue(opening.unwrap_or(NOBODY));
        self.standing = Standing::Off;
        self.opening = opening;
        self.page.clear();
        if opening.is_some() {
            self.asked = None;
            model.describe(&self.page);
        }
    }
}

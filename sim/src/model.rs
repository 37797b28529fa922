//! What makes a device the device it is.

use core::fmt;

use uaccel_queue::{Operation, Order};

use crate::{AddressSpace, Budget, MemoryPort, PageRequest, UserPage, Work, WorkItem};

/// What a doorbell asks of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doorbell {
    /// Jobs were published: make sure somebody looks.
    Submit,
    /// The queue's set-up changes: call [`DeviceModel::control`] with both halves.
    Control,
    /// An ordinary register.
    Plain,
}

/// What became of a change of the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Jobs are taken from now on.
    Started,
    /// The user wants the queue stopped.
    Stop,
    /// The set-up makes no sense; the model has said so to the user where it could.
    Refused,
    /// Nothing.
    Unchanged,
}

/// Why a fetch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// There is nothing more.
    Dry,
    /// There may be more: the budget is used up.
    More,
    /// A page of the rings is not there; fetch again when this request was answered.
    Blocked(PageRequest),
    /// The rings cannot be read. The model has failed the queue.
    Failed,
}

/// What a fetch took.
#[derive(Debug, Default)]
pub struct Taken {
    /// Jobs and answers, in order.
    pub items: Vec<WorkItem>,
    /// Jobs that do nothing, where the [budget](Budget::nops_apart) lets them stand apart. They have no order with the items.
    pub nops: Vec<Nop>,
    /// Tags of jobs to be cancelled, if they were taken earlier and have not begun.
    pub cancels: Vec<u64>,
}

/// A job that does nothing: what is needed for answering it.
#[derive(Clone, Copy, Debug)]
pub struct Nop {
    /// As [`WorkItem::cookie`].
    pub cookie: u64,
    /// As [`WorkItem::tag`].
    pub tag: u64,
}

impl Taken {
    /// Appends an item, made where it is going to stand: it is too large to be handed around on the way of a job that does nothing.
    #[inline]
    pub fn push(&mut self, item: impl FnOnce() -> WorkItem) {
        self.items.extend(core::iter::once_with(item));
    }

    /// Whether there is nothing.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty() && self.nops.is_empty() && self.cancels.is_empty()
    }

    /// Makes items of the jobs that do nothing, for a host that has to treat them like any other.
    pub fn join_nops(&mut self, space: AddressSpace) {
        let nops = self.nops.drain(..);
        self.items.extend(nops.map(|nop| WorkItem::new(nop.cookie, nop.tag, space, Work::Plain(Operation::Nop))));
    }
}

/// What became of a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flush {
    /// Whether a completion was published, so that a sleeper may have to be told.
    pub published: bool,
    /// A page of the rings is not there; flush again when this request was answered.
    pub blocked: Option<PageRequest>,
}

/// A device model: registers, rings and descriptors of one kind of device.
///
/// A host owns the queues, calls the model under its locks and runs the [`stages`](crate::stages) between [`fetch`](Self::fetch) and
/// [`complete`](Self::complete). Each queue is in two halves, so that taking jobs and answering them can go on at once. The model keeps no
/// reference to memory and calls nothing but the port.
pub trait DeviceModel: fmt::Debug + Send + Sync + 'static {
    /// The half that takes jobs.
    type Submissions: Send;
    /// The half that answers.
    type Completions: Send;

    /// The name of the programming interface, by which drivers know the device.
    fn interface(&self) -> &str;

    /// How many queues the device has.
    fn queues(&self) -> usize;

    /// How many jobs are worked on at the same time, when a plan gives them a service time.
    fn engines(&self) -> usize;

    /// In which order jobs complete. With [`Order::Submission`] the model reorders in [`complete`](Self::complete).
    fn order(&self) -> Order {
        Order::Any
    }

    /// Fills in the registers that are read only.
    fn describe(&self, page: &UserPage);

    /// A queue as it is after opening or reset: not started, no sessions.
    fn open_queue(&self, space: AddressSpace) -> (Self::Submissions, Self::Completions);

    /// What a write to the register at `offset` means. The host has stored the value in the page.
    fn doorbell(&self, offset: usize) -> Doorbell;

    /// Acts on a doorbell that changes the set-up.
    fn control<P: MemoryPort>(
        &self,
        submissions: &mut Self::Submissions,
        completions: &mut Self::Completions,
        port: &P,
        page: &UserPage,
        offset: usize,
        value: u64,
    ) -> Control;

    /// Takes descriptors from the ring, as far as the budget goes. Commands that manage the queue are carried out here, in order.
    fn fetch<P: MemoryPort>(
        &self,
        submissions: &mut Self::Submissions,
        port: &P,
        page: &UserPage,
        taken: &mut Taken,
        budget: Budget,
    ) -> Fetch;

    /// Tells the host side whether the device sleeps and wants a doorbell. The caller fences afterwards and fetches again before it sleeps. A
    /// device whose driver always rings the doorbell has nothing to tell.
    fn want_wakeup<P: MemoryPort>(&self, submissions: &mut Self::Submissions, port: &P, wanted: bool) {
        let _ = (submissions, port, wanted);
    }

    /// Records a job's end. It may stay unpublished until the next [`flush`](Self::flush).
    fn complete<P: MemoryPort>(&self, completions: &mut Self::Completions, port: &P, item: &WorkItem);

    /// Records the good end of jobs that do nothing; only those that the model has put [apart](Taken::nops).
    fn pass<P: MemoryPort>(&self, completions: &mut Self::Completions, port: &P, nops: &[Nop]) {
        let _ = (completions, port);
        debug_assert!(nops.is_empty(), "a model that puts jobs apart knows how to answer them");
    }

    /// Publishes what was completed.
    fn flush<P: MemoryPort>(&self, completions: &mut Self::Completions, port: &P) -> Flush;

    /// Whether the user demanded a signal that it has not got yet; it counts as given. Called after a flush that published and a full fence.
    fn signal(&self, completions: &mut Self::Completions, page: &UserPage) -> bool;

    /// Tells the user that the queue has stopped: nothing is touched any more.
    fn stopped<P: MemoryPort>(&self, submissions: &mut Self::Submissions, port: &P);

    /// Tells the user that the device gave up on the queue. No job is taken any more.
    fn failed<P: MemoryPort>(&self, submissions: &mut Self::Submissions, port: &P, reason: u32);
}

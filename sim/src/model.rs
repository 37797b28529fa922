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
    /// The user took answers, or wants to be told of the next one: [flush](DeviceModel::flush) the half that answers, and ask at once whether a
    /// [signal](DeviceModel::signal) is due.
    Arm,
    /// The user took answers that stood in the way of others, or of jobs: what both [`Arm`](Self::Arm) and [`Submit`](Self::Submit) ask for.
    Room,
    /// Nothing: an ordinary register, or a value that makes no sense and was dropped.
    Plain,
}

/// What a queue is opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The queue's number in the device.
    pub queue: u16,
    /// What the queue is for: one of the model's [kinds](DeviceModel::kinds).
    pub kind: u16,
    /// Where its rings are.
    pub rings: AddressSpace,
    /// Where its jobs read and write.
    pub jobs: AddressSpace,
}

impl Opening {
    /// A queue whose rings and jobs are in one address space. Number and kind are 0.
    #[must_use]
    pub const fn shared(space: AddressSpace) -> Self {
        Self { queue: 0, kind: 0, rings: space, jobs: space }
    }
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
    /// Nothing. The doorbell may have told of jobs or of answers that were taken, where the queue was started before: the host looks, as for [`Doorbell::Room`].
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

    /// What queues can be for, where the work of one queue of a driver's needs one of each kind: a host opens one of each then, and hands them out as the
    /// [parts](uaccel_queue::Transport::parts) of one way to the device. By default all queues are alike.
    fn kinds(&self) -> &[u16] {
        &[0]
    }

    /// The algorithms it has, each under the kernel's name, for a device of which the kernel gives such an account. By default none.
    fn algorithms(&self) -> &[&str] {
        &[]
    }

    /// What is told of a queue when it is opened, as [`RegionKind::Description`](uaccel_queue::RegionKind::Description), in the layout of the interface. By
    /// default nothing.
    fn description(&self, queue: u16, kind: u16) -> Vec<u8> {
        let _ = (queue, kind);
        Vec::new()
    }

    /// How many bytes of ring memory a queue has, in one piece, where the interface says so. By default users have as many as they ask for.
    fn ring_memory(&self) -> Option<usize> {
        None
    }

    /// How many bytes of registers a queue has. With more than a [page](UserPage) there is nothing but doorbells: a host shows zeroes for the rest of them, and
    /// the page is the model's own.
    fn registers(&self) -> usize {
        UserPage::SIZE
    }

    /// Fills in the registers that are read only.
    fn describe(&self, page: &UserPage);

    /// A queue as it is after opening or reset: not started, no sessions.
    fn open_queue(&self, opening: Opening) -> (Self::Submissions, Self::Completions);

    /// Takes a write to the register at `offset`, stores in the page what is to be kept of it, and says what it means. May be called by several threads at
    /// once, and while the halves are in use.
    fn doorbell(&self, page: &UserPage, offset: usize, value: u64) -> Doorbell;

    /// Acts on a doorbell that changes the set-up. The host asks for a [signal](Self::signal) at once if the queue is started.
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

    /// Publishes what was completed, as far as there is room for answers.
    fn flush<P: MemoryPort>(&self, completions: &mut Self::Completions, port: &P, page: &UserPage) -> Flush;

    /// Whether the user demanded a signal that it has not got yet; it counts as given. Called after a flush that published and a full fence.
    fn signal(&self, completions: &mut Self::Completions, page: &UserPage) -> bool;

    /// Tells the user that the queue has stopped: nothing is touched any more. It may not have been started.
    fn stopped<P: MemoryPort>(&self, submissions: &mut Self::Submissions, port: &P);

    /// Tells the user that the device gave up on the queue. No job is taken any more. It may not have been started, and this may be called again.
    fn failed<P: MemoryPort>(&self, submissions: &mut Self::Submissions, port: &P, reason: u32);
}

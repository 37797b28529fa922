//! One address space that queues of the function work in.

use uaccel_sim::PageRequest;

use crate::cache::Cache;
use crate::translations::{Answer, Missing};

/// How often the system may grant a page without there being a translation afterwards. Pages can be taken away again between the two; this is
/// the difference between bad luck and a system that never gives it.
const TRIES: u32 = 64;

/// Pages of which that is remembered.
const REMEMBERED: usize = 256;

/// One address space that queues of the function work in: what belongs to it, however many queues there are.
#[derive(Debug)]
pub(crate) struct Context {
    /// How many queues are in it.
    pub(crate) queues: usize,
    pub(crate) cache: Cache,
    /// Page requests that were not answered yet.
    pub(crate) requests: Vec<Request>,
    /// Those that were out when its last queue left. Nobody waits for them but who wants to take the address space away.
    abandoned: Vec<Request>,
    /// Whether there is nothing behind the PASID any more: its process ended before its queues were revoked. That is for good, since a PASID is
    /// given to another process only after the queues are.
    pub(crate) gone: bool,
    /// Counts invalidations, so that a translation that was under way meanwhile is not kept.
    pub(crate) epoch: u64,
    /// Pages that were granted, and for which no translation was had since.
    granted: Vec<(u64, bool, u32)>,
}

/// A page request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) id: PageRequest,
    pub(crate) page: u64,
    pub(crate) write: bool,
    /// `None` until it could be sent.
    pub(crate) group: Option<u16>,
    /// Whether others than who sent it wait for the answer.
    pub(crate) joined: bool,
}

impl Request {
    /// The name under which others wait for it.
    const fn for_others(&self) -> PageRequest {
        PageRequest(self.id.0 | 1 << 63)
    }

    /// The answers for those who wait.
    pub(crate) fn answers(&self, granted: bool) -> impl Iterator<Item = Answer> + use<> {
        let refused = (!granted).then_some(Missing { page: self.page, write: self.write });
        let others = self.joined.then_some(Answer { request: self.for_others(), refused: None });
        [Some(Answer { request: self.id, refused }), others].into_iter().flatten()
    }
}

impl Context {
    pub(crate) fn new() -> Self {
        Self {
            queues: 0,
            cache: Cache::new(),
            requests: Vec::new(),
            abandoned: Vec::new(),
            gone: false,
            epoch: 0,
            granted: Vec::new(),
        }
    }

    /// The last queue left: all goes, but for page requests that are out.
    pub(crate) fn abandon(&mut self) {
        let sent = self.requests.drain(..).filter(|request| request.group.is_some());
        let abandoned = self.abandoned.drain(..).chain(sent).collect();
        *self = Self { abandoned, epoch: self.epoch + 1, ..Self::new() };
    }

    /// Forgets the page requests that were out when its last queue left.
    pub(crate) fn forget_abandoned(&mut self) -> impl Iterator<Item = u16> {
        self.abandoned.drain(..).filter_map(|request| request.group)
    }

    /// Whether no queue is in it and none of its page requests is out.
    pub(crate) const fn is_over(&self) -> bool {
        self.queues == 0 && self.abandoned.is_empty()
    }

    /// Whether a page request is out that was sent no later than `last`.
    pub(crate) fn awaits(&self, last: PageRequest) -> bool {
        let mut sent = self.requests.iter().chain(&self.abandoned).filter(|request| request.group.is_some());
        sent.any(|request| request.id.0 <= last.0)
    }

    /// Takes the request that was answered; `None` if none is out under this group index.
    pub(crate) fn answer(&mut self, group: u16, granted: bool) -> Option<Request> {
        let is_it = |request: &Request| request.group == Some(group);
        if let Some(at) = self.abandoned.iter().position(is_it) {
            return Some(self.abandoned.swap_remove(at));
        }
        let at = self.requests.iter().position(is_it)?;
        let request = self.requests.swap_remove(at);
        if granted {
            self.note_granted(request.page, request.write);
        }
        Some(request)
    }

    /// Joins the request that is out for a page and would do for an access. Who joins is told under a name of its own that there is an answer, but not
    /// which: a refusal may be older than the right to the page that was given to a job that came later.
    pub(crate) fn join(&mut self, page: u64, write: bool) -> Option<PageRequest> {
        let request = self.requests.iter_mut().find(|request| request.page == page && (request.write || !write))?;
        request.joined = true;
        Some(request.for_others())
    }

    /// Notes that a page was granted.
    fn note_granted(&mut self, page: u64, write: bool) {
        match self.granted.iter_mut().find(|(at, wrote, _)| (*at, *wrote) == (page, write)) {
            Some((.., tries)) => *tries += 1,
            None => {
                // Pages that were asked for ahead, by jobs that ended before they got there, would stay here.
                if self.granted.len() == REMEMBERED {
                    self.granted.remove(0);
                }
                self.granted.push((page, write, 1));
            }
        }
    }

    /// Notes that there is a translation.
    pub(crate) fn note_translated(&mut self, page: u64) {
        self.granted.retain(|(at, ..)| *at != page);
    }

    /// Whether it is no use to ask again for a page. The next access begins anew.
    pub(crate) fn is_hopeless(&mut self, page: u64, write: bool) -> bool {
        let at = self.granted.iter().position(|(at, wrote, tries)| (*at, *wrote) == (page, write) && *tries >= TRIES);
        at.map(|at| self.granted.swap_remove(at)).is_some()
    }
}

//! How addresses of processes become places in memory: ATS, PRI, and what is kept of the answers.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use uaccel_sim::PageRequest;

use crate::context::{Context, Request};
use crate::counters::Counters;
use crate::emulator::{Emulator, PAGE, Place, Refusal};
use crate::groups::Groups;
use crate::trace::Trace;

/// What came of looking for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Here is the byte.
    Place(Place),
    /// It is not there yet; this request is out.
    Wait(PageRequest),
    /// It cannot be had.
    Nowhere,
}

/// A page that could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) page: u64,
    pub(crate) write: bool,
}

/// The answer to a page request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) request: PageRequest,
    /// The page, if it is not going to come.
    pub(crate) refused: Option<Missing>,
}

/// What was asked of an address space up to some moment, and has to be answered before it may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pasid: u32,
    last: PageRequest,
}

/// The address spaces of a function: translation caches, page requests, and the way to the IOMMU.
///
/// All is called under the emulator's big lock. The inner lock is never held while the emulator is called, because the emulator may call back.
#[derive(Debug)]
pub(crate) struct Translations<E> {
    emulator: Arc<E>,
    trace: Trace,
    pub(crate) counters: Counters,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    contexts: BTreeMap<u32, Context>,
    groups: Groups,
    last_request: PageRequest,
    /// Requests that wait until the system allows another one to be out, by address space.
    unsent: VecDeque<(u32, PageRequest)>,
    answers: Vec<Answer>,
}

impl<E: Emulator> Translations<E> {
    pub(crate) fn new(emulator: Arc<E>, trace: Trace) -> Self {
        let state = State {
            contexts: BTreeMap::new(),
            groups: Groups::new(),
            last_request: PageRequest(0),
            unsent: VecDeque::new(),
            answers: Vec::new(),
        };
        Self { emulator, trace, counters: Counters::default(), state: Mutex::new(state) }
    }

    pub(crate) fn emulator(&self) -> &Arc<E> {
        &self.emulator
    }

    pub(crate) fn trace(&self) -> Trace {
        self.trace
    }

    /// One more queue in an address space. The first one has the emulator watch it.
    pub(crate) fn acquire(&self, pasid: u32) -> Result<(), Refusal> {
        if !self.state().contexts.contains_key(&pasid) {
            self.emulator.watch(pasid)?;
        }
        self.state().contexts.entry(pasid).or_insert_with(Context::new).queues += 1;
        Ok(())
    }

    /// One queue less. With the last one all goes that belongs to the address space, but for page requests that are out: they are to be answered while
    /// somebody listens.
    pub(crate) fn release(&self, pasid: u32) {
        let mut state = self.state();
        let Some(context) = state.contexts.get_mut(&pasid) else { return };
        context.queues -= 1;
        if context.queues > 0 {
            return;
        }
        context.abandon();
        state.unsent.retain(|(space, _)| *space != pasid);
        drop(state);
        self.leave();
    }

    /// Leaves address spaces that no queue is in and no answer is to come from. Not to be called from within an answer: who tells of it must not be
    /// taken away meanwhile.
    pub(crate) fn leave(&self) {
        loop {
            let mut state = self.state();
            let over = state.contexts.iter().find(|(_, context)| context.is_over()).map(|(pasid, _)| *pasid);
            let Some(pasid) = over else { return };
            state.contexts.remove(&pasid);
            drop(state);
            self.emulator.unwatch(pasid);
        }
    }

    /// Waits no longer for answers to those who left: the function was reset, and its page requests with it.
    pub(crate) fn forget_requests(&self) {
        let mut guard = self.state();
        let State { contexts, groups, .. } = &mut *guard;
        contexts.values_mut().flat_map(Context::forget_abandoned).for_each(|group| groups.give_back(group));
        drop(guard);
        self.leave();
    }

    /// What was asked of an address space up to now.
    pub(crate) fn asked(&self, pasid: u32) -> Asked {
        Asked { pasid, last: self.state().last_request }
    }

    /// Whether some of it is not answered yet.
    pub(crate) fn awaits(&self, Asked { pasid, last }: Asked) -> bool {
        self.state().contexts.get(&pasid).is_some_and(|context| context.awaits(last))
    }

    /// How many queues are in an address space.
    pub(crate) fn queues_of(&self, pasid: u32) -> usize {
        self.state().contexts.get(&pasid).map_or(0, |context| context.queues)
    }

    /// Finds the place of a byte for an access that does not leave its page.
    pub(crate) fn find(&self, pasid: u32, address: u64, write: bool) -> Found {
        let (page, offset) = (address & !(PAGE - 1), address & (PAGE - 1));
        let epoch = {
            let mut state = self.state();
            let Some(context) = state.contexts.get_mut(&pasid).filter(|context| !context.gone) else {
                return Found::Nowhere;
            };
            if let Some(place) = context.cache.get(address, write) {
                return Found::Place(place);
            }
            if let Some(request) = context.join(page, write) {
                return Found::Wait(request);
            }
            context.epoch
        };
        self.counters.translations.count();
        let answer = self.emulator.translate(pasid, page, write);
        self.trace.translation(pasid, page, write, &answer);
        match answer {
            Ok(translation) if translation.allows(write) => {
                let mut state = self.state();
                if let Some(context) = state.contexts.get_mut(&pasid) {
                    context.note_translated(page);
                    if context.epoch == epoch {
                        context.cache.put(page, translation);
                    }
                }
                Found::Place(translation.place.plus(offset))
            }
            // A page that may be read only is asked for again: it may be one that is copied on write.
            Ok(_) | Err(Refusal::Untranslated) => self.request(pasid, page, write),
            Err(_) => Found::Nowhere,
        }
    }

    /// Sees to it that a page that is going to be needed is on its way; `false` if no more should be asked for. Half of the requests that may be out are
    /// left to those who wait.
    pub(crate) fn ask_ahead(&self, pasid: u32, page: u64, write: bool) -> bool {
        if self.state().groups.out() >= self.emulator.page_request_allocation() / 2 {
            return false;
        }
        self.find(pasid, page, write) != Found::Nowhere
    }

    /// Asks for a page that is not there.
    fn request(&self, pasid: u32, page: u64, write: bool) -> Found {
        let allocation = self.emulator.page_request_allocation();
        if allocation == 0 {
            self.counters.refused.count();
            return Found::Nowhere;
        }
        let (id, group) = {
            let mut guard = self.state();
            let state = &mut *guard;
            let Some(context) = state.contexts.get_mut(&pasid) else { return Found::Nowhere };
            if context.is_hopeless(page, write) {
                return Found::Nowhere;
            }
            let id = PageRequest(state.last_request.0 + 1);
            state.last_request = id;
            let group = if state.groups.out() < allocation { state.groups.take() } else { None };
            context.requests.push(Request { id, page, write, group, joined: false });
            if group.is_none() {
                state.unsent.push_back((pasid, id));
            }
            (id, group)
        };
        match group {
            Some(group) if !self.send(pasid, page, write, group) => Found::Nowhere,
            _ => Found::Wait(id),
        }
    }

    /// Sends a request that has its group; `false`, and the request is forgotten, if it could not be sent.
    fn send(&self, pasid: u32, page: u64, write: bool, group: u16) -> bool {
        let sent = self.emulator.request_page(pasid, page, group, write);
        self.trace.page_request(pasid, page, write, group, &sent);
        if sent.is_ok() {
            self.counters.page_requests.count();
            return true;
        }
        self.counters.refused.count();
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(context) = state.contexts.get_mut(&pasid) else { return false };
        // Nothing more is asked about it: each question would be a line in the system's log.
        context.gone |= sent == Err(Refusal::NoSpace);
        if context.answer(group, false).is_some() {
            state.groups.give_back(group);
        }
        false
    }

    /// Sends requests that waited for others to be answered, as many as may be out now.
    fn send_waiting(&self) {
        loop {
            let allocation = self.emulator.page_request_allocation();
            let (pasid, request, group) = {
                let mut guard = self.state();
                let state = &mut *guard;
                let Some((pasid, id)) = state.unsent.front().copied() else { return };
                let request = state
                    .contexts
                    .get_mut(&pasid)
                    .and_then(|context| context.requests.iter_mut().find(|request| request.id == id));
                let Some(request) = request else {
                    state.unsent.pop_front();
                    continue;
                };
                if allocation != 0 && state.groups.out() >= allocation {
                    return;
                }
                let Some(group) = state.groups.take() else { return };
                state.unsent.pop_front();
                request.group = Some(group);
                (pasid, *request, group)
            };
            if !self.send(pasid, request.page, request.write, group) {
                self.state().answers.extend(request.answers(false));
                self.emulator.schedule();
            }
        }
    }

    /// The system answered a page request group.
    pub(crate) fn answered(&self, pasid: u32, group: u16, granted: bool) {
        let mut guard = self.state();
        let state = &mut *guard;
        let request = state.contexts.get_mut(&pasid).and_then(|context| context.answer(group, granted));
        self.trace.page_response(pasid, group, granted, request.is_some());
        // An answer that belongs to no request is none: the group index may be another's by now.
        let Some(request) = request else { return };
        if granted {
            self.counters.granted.count();
        } else {
            self.counters.refused.count();
        }
        state.groups.give_back(group);
        state.answers.extend(request.answers(granted));
        drop(guard);
        self.emulator.schedule();
    }

    /// Translations of `address` to `address` + `last`, inclusive, are no longer valid. When this returns none of them is used: accesses translate and
    /// copy in one step under the emulator's big lock, which the caller holds.
    pub(crate) fn invalidated(&self, pasid: u32, address: u64, last: u64) {
        self.counters.invalidations.count();
        self.trace.invalidation(pasid, address, last.wrapping_add(1));
        if let Some(context) = self.state().contexts.get_mut(&pasid) {
            context.epoch += 1;
            context.cache.forget(address, last);
        }
    }

    /// Takes the answers that came since.
    pub(crate) fn take_answers(&self) -> Vec<Answer> {
        let answers = mem::take(&mut self.state().answers);
        if !answers.is_empty() {
            self.send_waiting();
        }
        answers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

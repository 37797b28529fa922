//! Model and stages over a port of their own: several address spaces, and pages that are not there yet.

mod test_port;

use test_port::{PAGE, TestPort};
use uaccel_queue::{Operation, Outcome, Status};
use uaccel_sim::stages::{self, Parked, Pool, Stage, Step};
use uaccel_sim::{
    AddressSpace, Budget, Control, DeviceModel, Fetch, Nop, Opening, PageRequest, Span, Taken, Task, UserPage, Warp,
    WarpConfig, Work, WorkItem,
};
use uaccel_units::Scratch;
use uaccel_warp_abi::{Completion, Descriptor, Geometry, Mode, State, user_page};

/// A Warp queue over the test port, with its rings at a fixed address of its own space.
struct Queue<'a> {
    model: &'a Warp,
    port: &'a TestPort,
    space: u32,
    halves: (<Warp as DeviceModel>::Submissions, <Warp as DeviceModel>::Completions),
    page: UserPage,
    geometry: Geometry,
    tail: u64,
}

const RINGS: u64 = 0x10_0000;

impl<'a> Queue<'a> {
    fn new(model: &'a Warp, port: &'a TestPort, space: u32) -> Self {
        Self::with(model, port, space, Geometry::new(3, 2, Mode::Ring).unwrap())
    }

    fn with(model: &'a Warp, port: &'a TestPort, space: u32, geometry: Geometry) -> Self {
        port.map(space, RINGS, geometry.size() as u64);
        let page = UserPage::new();
        page.store(user_page::RING_BASE, RINGS);
        page.store(user_page::GEOMETRY, geometry.register());
        let mut halves = model.open_queue(Opening::shared(AddressSpace(space)));
        assert_eq!(model.control(&mut halves.0, &mut halves.1, port, &page, user_page::ENABLE, 1), Control::Started);
        assert_eq!(State::decode(port.peek_word(space, RINGS)), State::Ready);
        Self { model, port, space, halves, page, geometry, tail: 0 }
    }

    fn submit(&mut self, descriptor: &Descriptor) {
        let line = RINGS + self.geometry.submission(self.tail) as u64;
        let words = descriptor.encode(self.geometry.phase(self.tail));
        self.port.poke(self.space, line, &words.map(u64::to_le_bytes).concat());
        self.tail += 1;
    }

    fn fetch(&mut self) -> (Fetch, Vec<WorkItem>) {
        let mut taken = Taken::default();
        let fetch = self.model.fetch(&mut self.halves.0, self.port, &self.page, &mut taken, Budget::unlimited());
        (fetch, taken.items)
    }

    fn complete(&mut self, item: &WorkItem) {
        self.model.complete(&mut self.halves.1, self.port, item);
        assert_eq!(self.model.flush(&mut self.halves.1, self.port, &self.page).blocked, None);
    }

    fn completion(&self, index: u64) -> Option<Completion> {
        let at = RINGS + self.geometry.completion(index) as u64;
        let control = self.port.peek_word(self.space, at + 8);
        (control & Descriptor::PHASE != 0).then(|| Completion::decode(self.port.peek_word(self.space, at), control))
    }
}

fn crc(token: u32, source: u64, len: u32) -> Descriptor {
    Descriptor { token, opcode: Operation::Crc32c as u8, source, source_len: len, ..Descriptor::default() }
}

fn warp() -> Warp {
    Warp::new(WarpConfig::default()).unwrap()
}

#[test]
fn the_same_pointer_in_two_address_spaces_is_two_things() {
    let (model, port) = (warp(), TestPort::default());
    let mut checksums = Vec::new();
    let mut queues = [1, 2].map(|space| Queue::new(&model, &port, space));
    for (queue, text) in queues.iter_mut().zip([b"123456789", b"987654321"]) {
        port.map(queue.space, 0x5000, 16);
        port.poke(queue.space, 0x5000, text);
        queue.submit(&crc(0x1001, 0x5000, 9));
    }
    for queue in &mut queues {
        let (fetch, mut items) = queue.fetch();
        assert_eq!((fetch, items.len()), (Fetch::Dry, 1));
        assert_eq!(stages::run(&mut items[0], &port, &mut Pool::new(), &mut Scratch::new()), Step::Done);
        queue.complete(&items[0]);
        checksums.push(queue.completion(0).unwrap());
    }
    assert_ne!(checksums[0], checksums[1]);
    assert_eq!(checksums[0].answer, uaccel_warp_abi::Answer::Counts { consumed: 9, produced: 0xe306_9283 });
}

#[test]
fn a_parked_job_is_overtaken_and_goes_on_where_it_stopped() {
    let (model, port) = (warp(), TestPort::default());
    let mut queue = Queue::new(&model, &port, 1);
    port.map(1, 0x20_0000, 3 * PAGE);
    port.map(1, 0x30_0000, 3 * PAGE);
    let text: Vec<u8> = (0..3 * PAGE).map(|index| u8::try_from(index % 253).unwrap()).collect();
    port.poke(1, 0x20_0000, &text);
    let copy = Descriptor {
        token: 0x1001,
        opcode: Operation::Copy as u8,
        source: 0x20_0000,
        source_len: 3 * 4096,
        destination: 0x30_0000,
        destination_len: 3 * 4096,
        ..Descriptor::default()
    };
    queue.submit(&copy);
    queue.submit(&crc(0x1002, 0x20_0000, 9));
    port.take_away(1, 0x20_0000 + PAGE);
    port.take_away(1, 0x30_0000 + 2 * PAGE);

    let (mut pool, mut scratch, mut parked) = (Pool::new(), Scratch::new(), Parked::new());
    let (_, items) = queue.fetch();
    for mut item in items {
        match stages::run(&mut item, &port, &mut pool, &mut scratch) {
            Step::Done => queue.complete(&item),
            Step::Parked(request) => parked.park(request, item),
        }
    }
    assert_eq!(queue.completion(0).unwrap().token, 0x1002, "the later job is through");
    assert_eq!((queue.completion(1), parked.len()), (None, 1));

    let source_request = PageRequest(0);
    assert!(parked.resume(PageRequest(99)).is_empty());
    port.answer(source_request);
    let [mut item] = parked.resume(source_request).try_into().unwrap();
    assert_eq!(item.stage(), Stage::Gather);
    let Step::Parked(target_request) = stages::run(&mut item, &port, &mut pool, &mut scratch) else {
        panic!("the destination is not there")
    };
    assert_eq!(item.stage(), Stage::Scatter);
    assert!(parked.is_empty());
    parked.park(target_request, item);
    assert!(parked.cancel(0x1001).is_none(), "part of it is written");
    port.answer(target_request);
    let [mut item] = parked.resume(target_request).try_into().unwrap();
    assert_eq!(stages::run(&mut item, &port, &mut pool, &mut scratch), Step::Done);
    queue.complete(&item);
    assert_eq!(queue.completion(1).unwrap().token, 0x1001);
    assert_eq!(port.peek(1, 0x30_0000, text.len()), text);
    assert_eq!(port.requests.borrow().len(), 2, "nothing that was in was asked for again");
}

#[test]
fn a_parked_job_that_has_not_begun_is_cancelled() {
    let port = TestPort::default();
    port.map(1, 0x5000, 8);
    port.take_away(1, 0x5000);
    let mut item = WorkItem::new(7, 0x1001, AddressSpace(1), Work::Plain(Operation::Crc32));
    item.source = Span::new(0x5000, 8);
    let (mut pool, mut parked) = (Pool::new(), Parked::new());
    let Step::Parked(request) = stages::gather(&mut item, &port, &mut pool) else { panic!("the page is not there") };
    parked.park(request, item);
    assert!(parked.cancel(0x1002).is_none());
    let item = parked.cancel(0x1001).unwrap();
    assert_eq!((item.stage(), item.outcome), (Stage::Complete, Outcome::failed(Status::Canceled)));
    assert!(parked.is_empty());
}

#[test]
fn a_page_of_the_rings_that_is_not_there_blocks_and_loses_nothing() {
    let (model, port) = (warp(), TestPort::default());
    let mut queue = Queue::new(&model, &port, 1);
    queue.submit(&crc(0x1001, 0x5000, 0));
    port.take_away(1, RINGS);
    let (fetch, items) = queue.fetch();
    let Fetch::Blocked(request) = fetch else { panic!("{fetch:?}") };
    assert!(items.is_empty());
    port.answer(request);
    let (_, mut items) = queue.fetch();
    assert_eq!(stages::run(&mut items[0], &port, &mut Pool::new(), &mut Scratch::new()), Step::Done);

    port.take_away(1, RINGS);
    model.complete(&mut queue.halves.1, &port, &items[0]);
    let flush = model.flush(&mut queue.halves.1, &port, &queue.page);
    assert!(!flush.published);
    port.answer(flush.blocked.unwrap());
    assert!(model.flush(&mut queue.halves.1, &port, &queue.page).published);
    assert_eq!(queue.completion(0).unwrap().token, 0x1001);
}

#[test]
fn jobs_that_do_nothing_are_answered_in_order_around_a_page_that_is_not_there() {
    let (model, port) = (warp(), TestPort::default());
    let geometry = Geometry::new(8, 2, Mode::Ring).unwrap();
    let mut queue = Queue::with(&model, &port, 1, geometry);
    let token = |index| 0x1000 + index;
    let nops: Vec<Nop> = (0..256).map(|index| Nop { cookie: token(index), tag: token(index) }).collect();
    // The completions from this one on are on another page than those before.
    let border = (0..256_u64).find(|index| (RINGS + geometry.completion(*index) as u64).is_multiple_of(PAGE)).unwrap();
    let (first, rest) = nops.split_at(usize::try_from(border).unwrap() + 3);
    let answered = |queue: &Queue<'_>, index| queue.completion(index).map(|completion| u64::from(completion.token));

    port.take_away(1, RINGS + geometry.completion(border) as u64);
    model.pass(&mut queue.halves.1, &port, first);
    assert_eq!(answered(&queue, border - 1), Some(token(border - 1)));
    let flush = model.flush(&mut queue.halves.1, &port, &queue.page);
    assert!(flush.published, "what is in front of the page is there");
    port.answer(flush.blocked.unwrap());

    model.pass(&mut queue.halves.1, &port, rest);
    assert!((border..256).all(|index| answered(&queue, index).is_none()), "none goes before those that wait");
    let flush = model.flush(&mut queue.halves.1, &port, &queue.page);
    assert_eq!((flush.published, flush.blocked), (true, None));
    for index in 0..256 {
        assert_eq!(answered(&queue, index), Some(token(index)));
    }
}

#[test]
fn rings_that_are_gone_fail_the_queue() {
    let (model, port) = (warp(), TestPort::default());
    let mut queue = Queue::new(&model, &port, 1);
    port.pages.borrow_mut().clear();
    assert_eq!(queue.fetch().0, Fetch::Failed);
    assert_eq!(queue.fetch().0, Fetch::Dry);
}

#[test]
fn a_model_can_compute_itself() {
    let port = TestPort::default();
    port.map(1, 0x5000, 64);
    port.poke(1, 0x5000, b"hello");
    let shout = |task: &Task<'_>, destination: &mut [u8]| {
        destination[..task.source.len()].copy_from_slice(&task.source.to_ascii_uppercase());
        Outcome::ok(task.source.len() as u64, task.source.len() as u64)
    };
    let mut item = WorkItem::new(0, 1, AddressSpace(1), Work::Own(std::sync::Arc::new(shout)));
    item.source = Span::new(0x5000, 5);
    item.destination = Span::new(0x5010, 16);
    assert_eq!(stages::run(&mut item, &port, &mut Pool::new(), &mut Scratch::new()), Step::Done);
    assert_eq!(port.peek(1, 0x5010, 6), b"HELLO\0");
}

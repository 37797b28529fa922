//! The ZIP model over a port of its own, set up by contexts as a kernel writes them: rings in one address space, jobs in another, and pages that are not there yet.

mod test_port;

use test_port::TestPort;
use uaccel_hisi_abi::zip::{
    Buffers, COMPRESS, Ended, Entry, Flow, ListEntry, ListHead, Request, Results, Status as Code,
};
use uaccel_hisi_abi::{
    CompletionContext, Doorbell as Rung, DoorbellCommand, QueueCompletion, StopWords, SubmissionContext,
};
use uaccel_sim::stages::{self, Pool, Stage, Step};
use uaccel_sim::{
    AddressSpace, Budget, Control, DeviceModel, Doorbell, Fetch, HisiZip, HisiZipConfig, Opening, Scratch, Taken,
    UserPage, WorkItem,
};

/// Where the function's own accesses go, and the process's.
const OWN: u32 = 9;
const PROCESS: u32 = 5;
const NUMBER: u16 = 17;
const SUBMISSIONS: u64 = 0xfffc_0000;
const COMPLETIONS: u64 = 0xfffe_0000;
const SOURCE: u64 = 0x7f00_0000_0f80;
const DESTINATION: u64 = 0x7f00_0010_0000;
const DEPTH: u16 = 6;

struct Queue<'a> {
    model: &'a HisiZip,
    port: &'a TestPort,
    halves: (<HisiZip as DeviceModel>::Submissions, <HisiZip as DeviceModel>::Completions),
    page: UserPage,
    tail: u16,
}

fn contexts() -> (SubmissionContext, CompletionContext) {
    let submission = SubmissionContext {
        head: 4,
        tail: 4,
        base: SUBMISSIONS,
        depth: DEPTH,
        entry_shift: 7,
        pasid: Some(5),
        completions: NUMBER,
        kind: COMPRESS,
    };
    let completion = CompletionContext {
        head: 2,
        tail: 2,
        base: COMPLETIONS,
        depth: DEPTH,
        pasid: Some(5),
        phase: true,
        armed: true,
    };
    (submission, completion)
}

impl<'a> Queue<'a> {
    fn open(model: &'a HisiZip, port: &'a TestPort) -> Self {
        let opening = Opening { queue: NUMBER, kind: COMPRESS, rings: AddressSpace(OWN), jobs: AddressSpace(PROCESS) };
        port.map(OWN, SUBMISSIONS, 4096);
        port.map(OWN, COMPLETIONS, 4096);
        port.map(PROCESS, SOURCE, 4096);
        port.map(PROCESS, DESTINATION, 8192);
        Self { model, port, halves: model.open_queue(opening), page: UserPage::new(), tail: 4 }
    }

    fn started(model: &'a HisiZip, port: &'a TestPort) -> Self {
        let mut queue = Self::open(model, port);
        let (submission, completion) = contexts();
        queue.start(&submission, &completion).unwrap();
        queue
    }

    fn start(
        &mut self,
        submission: &SubmissionContext,
        completion: &CompletionContext,
    ) -> Result<(), uaccel_sim::hisi::zip::StartError> {
        self.model.start(&mut self.halves.0, &mut self.halves.1, &self.page, submission, completion)
    }

    fn ring(&self, command: DoorbellCommand, index: u16, priority: u16) -> Doorbell {
        let value = Rung { queue: NUMBER, command, index, priority }.encode();
        self.model.doorbell(&self.page, Rung::OFFSET, value)
    }

    fn submit(&mut self, source: &[u8], destination_len: u32) {
        self.port.poke(PROCESS, SOURCE, source);
        let len = u32::try_from(source.len()).unwrap();
        let entry = Entry { tag: 77, ..Entry::whole(Request::Deflate, SOURCE, len, DESTINATION, destination_len) };
        let at = SUBMISSIONS + u64::from(self.tail) * Entry::SIZE as u64;
        self.port.poke(OWN, at, &entry.encode().map(u64::to_le_bytes).concat());
        self.tail = (self.tail + 1) % DEPTH;
        assert_eq!(self.ring(DoorbellCommand::Submission, self.tail, 0), Doorbell::Submit);
    }

    fn fetch(&mut self) -> (Fetch, Vec<WorkItem>) {
        let mut taken = Taken::default();
        let fetch = self.model.fetch(&mut self.halves.0, self.port, &self.page, &mut taken, Budget::unlimited());
        (fetch, taken.items)
    }

    fn complete(&mut self, item: &WorkItem) {
        self.model.complete(&mut self.halves.1, self.port, item);
    }

    fn flush(&mut self) -> bool {
        self.model.flush(&mut self.halves.1, self.port, &self.page).published
    }

    fn signal(&mut self) -> bool {
        self.model.signal(&mut self.halves.1, &self.page)
    }

    fn completion(&self, place: u64) -> QueueCompletion {
        let at = COMPLETIONS + place * QueueCompletion::SIZE as u64;
        QueueCompletion::decode(self.port.peek_word(OWN, at + QueueCompletion::CONTROL as u64))
    }

    fn results(&self, place: u64) -> Results {
        let at = SUBMISSIONS + place * Entry::SIZE as u64;
        Results::decode([self.port.peek_word(OWN, at), self.port.peek_word(OWN, at + 8)])
    }
}

fn model() -> HisiZip {
    HisiZip::new(HisiZipConfig::default()).unwrap()
}

fn run(item: &mut WorkItem, port: &TestPort) -> Step {
    stages::run(item, port, &mut Pool::new(), &mut Scratch::new())
}

#[test]
fn rings_are_in_one_address_space_and_jobs_in_another() {
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    let text = b"hello, ".repeat(40);
    queue.submit(&text, 100);
    let (fetch, mut items) = queue.fetch();
    assert_eq!((fetch, items.len()), (Fetch::Dry, 1));
    assert_eq!(run(&mut items[0], &port), Step::Done);
    queue.complete(&items[0]);
    // Neither result nor completion before the flush: the entry's place says nothing yet.
    assert_eq!(queue.results(4), Results { consumed: 0, produced: 0, ended: Ended::new(Code::Ok, false) });
    assert!(!queue.completion(2).phase);
    assert!(queue.flush());
    assert_eq!(queue.completion(2), QueueCompletion { entry: 4, queue: NUMBER, phase: true });
    let Results { consumed, produced, ended } = queue.results(4);
    assert_eq!((consumed, ended), (280, Ended::new(Code::Ok, false)));
    let body = port.peek(PROCESS, DESTINATION, usize::try_from(produced).unwrap());
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&body[..]), &mut back).unwrap();
    assert_eq!(back, text);
    // All but the results is as the host wrote it, the tag included.
    assert_eq!(port.peek_word(OWN, SUBMISSIONS + 4 * 128 + 0x68), 77);
}

#[test]
fn a_context_that_says_armed_is_armed() {
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    assert!(!queue.signal());
    for expected in [true, false] {
        queue.submit(b"hello", 100);
        let (_, mut items) = queue.fetch();
        let _ = run(&mut items[0], &port);
        queue.complete(&items[0]);
        assert!(queue.flush());
        assert_eq!(queue.signal(), expected);
        assert!(!queue.signal());
    }
    // Two lie there. Whoever has taken one and demands a signal gets it at once; whoever has taken both waits for the next.
    assert_eq!(queue.ring(DoorbellCommand::Completion, 3, 1), Doorbell::Arm);
    assert!(queue.signal());
    assert_eq!(queue.ring(DoorbellCommand::Completion, 4, 1), Doorbell::Arm);
    assert!(!queue.signal());
    // The same demand a second time is a demand.
    assert_eq!(queue.ring(DoorbellCommand::Completion, 3, 1), Doorbell::Arm);
    assert!(queue.signal());
    assert_eq!(queue.ring(DoorbellCommand::Completion, 4, 0), Doorbell::Plain);
    assert!(!queue.signal());
}

#[test]
fn jobs_that_wait_for_a_page_hold_up_the_answers_behind_them_and_nothing_else() {
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    queue.submit(b"first", 100);
    queue.submit(b"other", 100);
    port.take_away(PROCESS, DESTINATION);
    let (_, mut items) = queue.fetch();
    let Step::Parked(request) = run(&mut items[0], &port) else { panic!("the destination is not there") };
    assert_eq!(items[0].stage(), Stage::Scatter);
    port.answer(request);
    assert_eq!(run(&mut items[1], &port), Step::Done);
    queue.complete(&items[1]);
    assert!(!queue.flush());
    assert_eq!(run(&mut items[0], &port), Step::Done);
    queue.complete(&items[0]);
    assert!(queue.flush());
    assert_eq!((queue.completion(2).entry, queue.completion(3).entry), (4, 5));
}

#[test]
fn a_ring_that_is_not_there_is_asked_for() {
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    queue.submit(b"hello", 100);
    port.take_away(OWN, SUBMISSIONS);
    let (Fetch::Blocked(request), items) = queue.fetch() else { panic!("the ring is not there") };
    assert!(items.is_empty());
    port.answer(request);
    let (_, mut items) = queue.fetch();
    let _ = run(&mut items[0], &port);
    queue.complete(&items[0]);
    for ring in [SUBMISSIONS, COMPLETIONS] {
        port.take_away(OWN, ring);
        let flush = queue.model.flush(&mut queue.halves.1, &port, &queue.page);
        assert!(!flush.published);
        port.answer(flush.blocked.unwrap());
    }
    assert!(queue.flush());
    assert_eq!(queue.completion(2).entry, 4);
}

#[test]
fn lists_and_pieces_that_are_not_there_are_asked_for_one_by_one() {
    const LIST: u64 = 0x7f00_0020_0fc0;
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    let text = b"piece by piece, ".repeat(10);
    port.map(PROCESS, LIST, 8192);
    // The head ends where its page ends; the entries are on the next.
    port.poke(PROCESS, LIST, &ListHead { next: 0, chain: 2, entries: 2, room: 2 }.encode());
    for (at, address) in [(0, SOURCE), (1, DESTINATION + 4096)] {
        let piece = &text[80 * usize::try_from(at).unwrap()..][..80];
        port.poke(PROCESS, address, piece);
        port.poke(PROCESS, LIST + 64 + 32 * at, &ListEntry { address, len: 80 }.encode());
    }
    // The destination's list is the source's: its own bytes are written over, when they have been read.
    let listed = Buffers::Listed { source_skip: 0, destination_skip: 0 };
    let entry = Entry { buffers: listed, ..Entry::whole(Request::Deflate, LIST, 160, LIST, 160) };
    port.poke(OWN, SUBMISSIONS + 4 * 128, &entry.encode().map(u64::to_le_bytes).concat());
    let _ = queue.ring(DoorbellCommand::Submission, 5, 0);
    let missing = [LIST, LIST + 64, SOURCE, DESTINATION + 4096];
    missing.iter().for_each(|address| port.take_away(PROCESS, *address));
    let (_, mut items) = queue.fetch();
    for address in missing {
        let Step::Parked(request) = run(&mut items[0], &port) else { panic!("{address:#x} is not there") };
        assert_eq!(port.requests.borrow()[usize::try_from(request.0).unwrap()], (PROCESS, address / 4096));
        port.answer(request);
    }
    assert_eq!(run(&mut items[0], &port), Step::Done);
    queue.complete(&items[0]);
    assert!(queue.flush());
    let produced = usize::try_from(queue.results(4).produced).unwrap();
    let body = [port.peek(PROCESS, SOURCE, 80), port.peek(PROCESS, DESTINATION + 4096, 80)].concat();
    let mut back = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&body[..produced]), &mut back).unwrap();
    assert_eq!(back, text);
}

#[test]
fn the_buffer_of_a_stream_is_asked_for_before_a_job_and_after_it() {
    const CONTEXT: u64 = 0x7f00_0030_0040;
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    port.map(PROCESS, CONTEXT, 0x1_0000);
    port.poke(PROCESS, SOURCE, b"one piece and another");
    let mut entry = Entry::whole(Request::Gzip, SOURCE, 10, DESTINATION, 100);
    entry.context = CONTEXT;
    entry.flow = Flow { finish: false, stateful: true, new_stream: true };
    let mut body = Vec::new();
    // Of a stream that begins nothing is read; the buffer is written at its start, and where the window is.
    let absent = [vec![CONTEXT], vec![CONTEXT, CONTEXT + 0x7000, DESTINATION]];
    for (place, absent) in absent.iter().enumerate() {
        let at = SUBMISSIONS + (4 + place as u64) * 128;
        port.poke(OWN, at, &entry.encode().map(u64::to_le_bytes).concat());
        let _ = queue.ring(DoorbellCommand::Submission, (5 + u16::try_from(place).unwrap()) % DEPTH, 0);
        absent.iter().for_each(|address| port.take_away(PROCESS, *address));
        let (_, mut items) = queue.fetch();
        for address in absent {
            let Step::Parked(request) = run(&mut items[0], &port) else { panic!("{address:#x} is not there") };
            assert_eq!(port.requests.borrow()[usize::try_from(request.0).unwrap()], (PROCESS, address / 4096));
            port.answer(request);
        }
        assert_eq!(run(&mut items[0], &port), Step::Done);
        queue.complete(&items[0]);
        assert!(queue.flush());
        let produced = usize::try_from(queue.results(4 + place as u64).produced).unwrap();
        body.extend(port.peek(PROCESS, DESTINATION, produced));
        let words = std::array::from_fn(|word| port.peek_word(OWN, at + 8 * word as u64));
        let carried = Entry::decode(&words).unwrap();
        assert_eq!(carried.running_len, 10 + 11 * u32::try_from(place).unwrap());
        entry = Entry { source: SOURCE + 10, source_len: 11, ..carried };
        entry.flow = Flow { finish: true, new_stream: false, ..entry.flow };
    }
    let mut back = Vec::new();
    let stream = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], &body[..]].concat();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&stream[..]), &mut back).unwrap();
    assert_eq!(back, b"one piece and another");
}

#[test]
fn phases_flip_where_the_completion_ring_ends() {
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    for count in 0..20_u64 {
        queue.submit(b"hello", 100);
        let (_, mut items) = queue.fetch();
        let _ = run(&mut items[0], &port);
        queue.complete(&items[0]);
        assert!(queue.flush());
        let (place, round) = ((2 + count) % u64::from(DEPTH), (2 + count) / u64::from(DEPTH));
        let entry = u16::try_from((4 + count) % u64::from(DEPTH)).unwrap();
        assert_eq!(queue.completion(place), QueueCompletion { entry, queue: NUMBER, phase: round % 2 == 0 });
        let head = u16::try_from((3 + count) % u64::from(DEPTH)).unwrap();
        assert_eq!(queue.ring(DoorbellCommand::Completion, head, 0), Doorbell::Plain);
    }
}

#[test]
fn a_kernel_writes_the_stop_words_itself() {
    let (model, port) = (model(), TestPort::default());
    let mut queue = Queue::started(&model, &port);
    queue.submit(b"hello", 100);
    let before = (port.peek(OWN, SUBMISSIONS, 4096), port.peek(OWN, COMPLETIONS, 4096));
    model.stopped(&mut queue.halves.0, &port);
    assert_eq!(before, (port.peek(OWN, SUBMISSIONS, 4096), port.peek(OWN, COMPLETIONS, 4096)));
    assert_eq!(queue.fetch().0, Fetch::Dry);
    assert_eq!(StopWords::decode(port.peek_word(OWN, COMPLETIONS + 4096 - 8)), StopWords::default());
}

#[test]
fn contexts_that_make_no_sense_start_nothing() {
    let (model, port) = (model(), TestPort::default());
    let refused = |change: fn(&mut SubmissionContext, &mut CompletionContext)| {
        let mut queue = Queue::open(&model, &port);
        let (mut submission, mut completion) = contexts();
        change(&mut submission, &mut completion);
        let refused = queue.start(&submission, &completion).is_err();
        // A doorbell finds nothing started, and nothing to start: there is no ring memory that the host would know.
        let control = refused.then(|| {
            assert_eq!(queue.ring(DoorbellCommand::Submission, 5, 0), Doorbell::Control);
            let Queue { halves: (submissions, completions), page, .. } = &mut queue;
            model.control(submissions, completions, &port, page, Rung::OFFSET, u64::from(NUMBER) | 5 << 32)
        });
        control == Some(Control::Refused)
    };
    assert!(!refused(|_, _| {}));
    assert!(refused(|submission, _| submission.entry_shift = 6));
    assert!(refused(|submission, _| submission.depth = 1));
    assert!(refused(|submission, _| submission.head = DEPTH));
    assert!(refused(|submission, _| submission.base += 1));
    assert!(refused(|submission, _| submission.base = u64::MAX - 7));
    assert!(refused(|_, completion| completion.depth = 1));
    assert!(refused(|_, completion| completion.tail = DEPTH));
    assert!(refused(|_, completion| completion.base += 4));
    assert!(refused(|_, completion| completion.base = u64::MAX - 7));
}

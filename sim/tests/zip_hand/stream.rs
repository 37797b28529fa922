//! A stream by hand.

use uaccel_hisi_abi::zip::{Entry, Flow, Request, Results, Status};

use super::{Hand, entry};

/// A stream: its buffer, and the words that go from entry to entry.
pub struct Stream {
    pub buffer: Vec<u64>,
    pub next: Entry,
}

impl Stream {
    pub fn new(request: Request) -> Self {
        let mut buffer = vec![0; 0x1_0000 / 8];
        let context = buffer.as_mut_ptr().expose_provenance() as u64 + 64;
        let flow = Flow { finish: false, stateful: true, new_stream: true };
        Self { buffer, next: Entry { context, flow, ..Entry::whole(request, 0, 0, 0, 0) } }
    }

    /// One piece: how it ended, and what was written.
    pub fn run(&mut self, hand: &mut Hand, piece: &[u8], room: usize, finish: bool) -> (Results, Vec<u8>) {
        let mut destination = vec![0xaa; room];
        let flat = entry(self.next.request, piece, &mut destination);
        let Entry { source, source_len, destination: to, destination_len, .. } = flat;
        let flow = Flow { finish, ..self.next.flow };
        let place = hand.submission_place(hand.tail);
        let results = hand.run(&Entry { source, source_len, destination: to, destination_len, flow, ..self.next });
        destination.truncate(usize::try_from(results.produced).unwrap());
        let good = [Status::Ok, Status::Grown, Status::StreamEnd].map(|status| status as u8);
        if good.contains(&results.ended.status) {
            // What the device wrote into the entry is the next one's, as UADK does it.
            let at = hand.description.dus.submission(place);
            let words = std::array::from_fn(|word| hand.ring.read(at + 8 * word));
            let carried = Entry::decode(&words).unwrap();
            self.next.context_words = carried.context_words;
            (self.next.running_len, self.next.checksum) = (carried.running_len, carried.checksum);
            self.next.flow.new_stream = false;
            assert_eq!((carried.tag, carried.destination_len), (self.next.tag, destination_len));
        }
        (results, destination)
    }
}

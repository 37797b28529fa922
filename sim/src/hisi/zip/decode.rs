//! An entry becomes a job.

use std::sync::Arc;

use uaccel_hisi_abi::zip::{Buffers, Entry, KINDS, MAX_TRANSFER, Request, WINDOWS, stream};
use uaccel_queue::{Outcome, Status};

use super::engine::Engine;
use super::list::List;
use super::stream::{READ, StreamJob};
use crate::{AddressSpace, Extra, PieceList, Span, Work, WorkItem};

/// Requests that there is an engine for.
const REQUESTS: [Request; 4] = [Request::Deflate, Request::Zlib, Request::Gzip, Request::Lz4];

/// The engines, by kind of queue, request and window.
#[derive(Debug)]
pub(super) struct Engines([[[Option<Arc<Engine>>; WINDOWS.len()]; REQUESTS.len()]; KINDS.len()]);

impl Engines {
    pub(super) fn new() -> Self {
        let engine = |kind, request, window| Engine::new(request, kind, window).map(Arc::new);
        Self(KINDS.map(|kind| REQUESTS.map(|request| WINDOWS.map(|window| engine(kind, request, window)))))
    }

    fn get(&self, entry: &Entry, kind: u16) -> Option<&Arc<Engine>> {
        let kind = KINDS.iter().position(|other| *other == kind)?;
        let request = REQUESTS.iter().position(|other| *other == entry.request)?;
        self.0[kind][request].get(usize::from(entry.window))?.as_ref()
    }

    /// Appends the job that an entry asks for, or the answer that there can be no such job.
    pub(super) fn decode(
        &self,
        words: &[u64; Entry::WORDS],
        kind: u16,
        count: u64,
        space: AddressSpace,
        items: &mut Vec<WorkItem>,
    ) {
        let item = match self.job(words, kind) {
            Ok(job) => WorkItem {
                source: job.source,
                destination: job.destination,
                aux: job.aux,
                extra: job.extra,
                ..WorkItem::new(count, count, space, job.work)
            },
            Err(status) => WorkItem::answered(count, count, space, Outcome::failed(status)),
        };
        items.push(item);
    }

    fn job(&self, words: &[u64; Entry::WORDS], kind: u16) -> Result<Job, Status> {
        let entry = Entry::decode(words).map_err(|_| Status::InvalidJob)?;
        let engine = self.get(&entry, kind).ok_or(Status::InvalidJob)?;
        let work = Work::Own(engine.clone());
        match entry.buffers {
            Buffers::Flat => {
                let source = span(entry.source, entry.source_len)?;
                let destination = span(entry.destination, entry.destination_len)?;
                if !entry.flow.stateful {
                    return Ok(Job { work, source, destination, aux: Span::default(), extra: None });
                }
                // An LZ4 block is all of a stream.
                if entry.request == Request::Lz4 {
                    return Err(Status::InvalidJob);
                }
                let context = Span::new(entry.context, stream::LEN);
                if context.end().is_none() {
                    return Err(Status::Fault);
                }
                let aux = Span::new(entry.context, if entry.flow.new_stream { 0 } else { READ });
                let work = Work::Own(Arc::new(StreamJob::new(engine.clone(), entry)));
                let extra = Extra::default().with_second(entry.context);
                Ok(Job { work, source, destination, aux, extra: Some(Box::new(extra)) })
            }
            // UADK has no such jobs either.
            Buffers::Listed { .. } if entry.flow.stateful => Err(Status::InvalidJob),
            Buffers::Listed { source_skip, destination_skip } => {
                // Only the lengths count: where the bytes are is in the lists.
                let source = span(0, entry.source_len)?;
                let destination = span(0, entry.destination_len)?;
                let list =
                    |address, skip, len| Ok(Some(Box::new(List::new(address, skip, len)?) as Box<dyn PieceList>));
                let extra = Extra::in_pieces(
                    list(entry.source, source_skip, entry.source_len)?,
                    list(entry.destination, destination_skip, entry.destination_len)?,
                );
                Ok(Job { work, source, destination, aux: Span::default(), extra: Some(Box::new(extra)) })
            }
        }
    }
}

/// What an entry asks for.
struct Job {
    work: Work,
    source: Span,
    destination: Span,
    aux: Span,
    extra: Option<Box<Extra>>,
}

/// The memory of one side of a job.
fn span(address: u64, len: u32) -> Result<Span, Status> {
    if len > MAX_TRANSFER {
        return Err(Status::InvalidJob);
    }
    // Widening: a length has 32 bits.
    let span = Span::new(address, len as usize);
    if span.end().is_some() { Ok(span) } else { Err(Status::Fault) }
}

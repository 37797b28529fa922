//! An entry becomes a job.

use std::sync::Arc;

use uaccel_hisi_abi::zip::{Buffers, Entry, KINDS, MAX_TRANSFER, Request};
use uaccel_queue::{Outcome, Status};

use super::engine::Engine;
use crate::{AddressSpace, Span, Work, WorkItem};

/// Requests that there is an engine for.
const REQUESTS: [Request; 4] = [Request::Deflate, Request::Zlib, Request::Gzip, Request::Lz4];

/// The engines, by kind of queue and request.
#[derive(Debug)]
pub(super) struct Engines([[Option<Arc<Engine>>; REQUESTS.len()]; KINDS.len()]);

impl Engines {
    pub(super) fn new() -> Self {
        Self(KINDS.map(|kind| REQUESTS.map(|request| Engine::new(request, kind).map(Arc::new))))
    }

    fn get(&self, request: Request, kind: u16) -> Option<&Arc<Engine>> {
        let kind = KINDS.iter().position(|other| *other == kind)?;
        let request = REQUESTS.iter().position(|other| *other == request)?;
        self.0[kind][request].as_ref()
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
            Ok((work, source, destination)) => {
                WorkItem { source, destination, ..WorkItem::new(count, count, space, work) }
            }
            Err(status) => WorkItem::answered(count, count, space, Outcome::failed(status)),
        };
        items.push(item);
    }

    fn job(&self, words: &[u64; Entry::WORDS], kind: u16) -> Result<(Work, Span, Span), Status> {
        let entry = Entry::decode(words).map_err(|_| Status::InvalidJob)?;
        let engine = self.get(entry.request, kind).ok_or(Status::InvalidJob)?;
        if entry.flow.stateful || entry.buffers != Buffers::Flat {
            return Err(Status::InvalidJob);
        }
        let source = span(entry.source, entry.source_len)?;
        let destination = span(entry.destination, entry.destination_len)?;
        Ok((Work::Own(engine.clone()), source, destination))
    }
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

//! The ZIP engine as a device model.

use std::sync::Arc;

use uaccel_hisi_abi::zip::KINDS;
use uaccel_hisi_abi::{API_V3, CompletionContext, Description, Doorbell as Rung, SubmissionContext};
use uaccel_queue::Order;

use super::decode::Engines;
use super::registers;
use super::rings::Rings;
use super::{Completions, HisiZipConfig, HisiZipConfigError, Submissions};
use crate::hisi::qm::Progress;
use crate::{
    Budget, Control, DeviceModel, Doorbell, Fetch, Flush, MemoryPort, Opening, Span, Taken, UserPage, WorkItem,
};

/// Bytes of the pages that ring memory is made of, where there is no kernel.
const PAGE: usize = 4096;

/// The ZIP engine of hardware version 3.
#[derive(Debug)]
pub struct HisiZip {
    config: HisiZipConfig,
    engines: Engines,
}

/// The contexts of a queue do not make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("contexts that make no sense")]
pub struct StartError;

impl HisiZip {
    /// The interface by which drivers know it.
    pub const INTERFACE: &str = API_V3;
    /// The algorithms that the kernel's driver lists of it (`zip_main.c`: `zip_dev_algs`).
    pub const ALGORITHMS: [&str; 4] = ["zlib", "gzip", "deflate", "lz4"];

    /// An engine of this configuration.
    ///
    /// # Errors
    /// See [`HisiZipConfigError`].
    pub fn new(config: HisiZipConfig) -> Result<Self, HisiZipConfigError> {
        config.check()?;
        Ok(Self { config, engines: Engines::new() })
    }

    /// What it was built with.
    #[must_use]
    pub fn config(&self) -> &HisiZipConfig {
        &self.config
    }

    /// How long ring memory is, where there is no kernel.
    fn memory_len(&self) -> usize {
        self.config.dus().size(PAGE)
    }

    /// Starts a queue that was [opened](DeviceModel::open_queue) and not started, by the contexts that a kernel wrote. Doorbells before that are
    /// [for a host without a kernel](Doorbell::Control), and nothing comes of them here. The stop words are the kernel's.
    ///
    /// # Errors
    /// [`StartError`]; the queue is then not started.
    pub fn start(
        &self,
        submissions: &mut Submissions,
        completions: &mut Completions,
        page: &UserPage,
        submission: &SubmissionContext,
        completion: &CompletionContext,
    ) -> Result<(), StartError> {
        let rings = Rings::in_contexts(submission, completion).ok_or(StartError)?;
        start(submissions, completions, page, rings);
        if completion.armed {
            registers::demand(page, rings.first_completion);
        }
        Ok(())
    }

    /// How far a queue is.
    #[must_use]
    pub fn progress(&self, submissions: &Submissions, completions: &Completions, page: &UserPage) -> Progress {
        Progress { submissions: submissions.position(page), completions: completions.position(page) }
    }
}

fn start(submissions: &mut Submissions, completions: &mut Completions, page: &UserPage, rings: Rings) {
    submissions.start(rings);
    completions.start(rings, page);
    registers::start(page, submissions.opening.queue, &rings);
}

impl DeviceModel for HisiZip {
    type Submissions = Submissions;
    type Completions = Completions;

    fn interface(&self) -> &str {
        Self::INTERFACE
    }

    fn queues(&self) -> usize {
        self.config.queues
    }

    fn engines(&self) -> usize {
        self.config.engines
    }

    fn order(&self) -> Order {
        Order::Submission
    }

    fn kinds(&self) -> &[u16] {
        &KINDS
    }

    fn algorithms(&self) -> &[&str] {
        &Self::ALGORITHMS
    }

    fn description(&self, queue: u16, kind: u16) -> Vec<u8> {
        Description { dus: self.config.dus(), queue, kind }.encode().to_vec()
    }

    fn registers(&self) -> usize {
        Rung::REGION
    }

    fn ring_memory(&self) -> Option<usize> {
        Some(self.memory_len())
    }

    /// There is nothing to read.
    fn describe(&self, _: &UserPage) {}

    fn open_queue(&self, opening: Opening) -> (Submissions, Completions) {
        let extras = Arc::default();
        (Submissions::new(opening, Arc::clone(&extras)), Completions::new(opening, extras))
    }

    #[inline]
    fn doorbell(&self, page: &UserPage, offset: usize, value: u64) -> Doorbell {
        if offset == Rung::OFFSET { registers::ring(page, value) } else { Doorbell::Plain }
    }

    fn control<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        completions: &mut Completions,
        port: &P,
        page: &UserPage,
        _: usize,
        value: u64,
    ) -> Control {
        if registers::is_started(page) {
            // By another doorbell, meanwhile.
            registers::ring(page, value);
            return if submissions.rings.is_some() { Control::Started } else { Control::Unchanged };
        }
        let len = self.memory_len();
        let space = submissions.opening.rings;
        let Some(base) = port.home(space).filter(|base| port.ring(space, Span::new(*base, len))) else {
            return Control::Refused;
        };
        start(submissions, completions, page, Rings::in_memory(base, &self.config.dus(), len));
        registers::ring(page, value);
        Control::Started
    }

    #[inline]
    fn fetch<P: MemoryPort>(
        &self,
        submissions: &mut Submissions,
        port: &P,
        page: &UserPage,
        taken: &mut Taken,
        budget: Budget,
    ) -> Fetch {
        let fetch = submissions.fetch(port, page, &self.engines, taken, budget);
        if fetch == Fetch::Failed {
            submissions.stop(port, self.memory_len());
        }
        fetch
    }

    fn complete<P: MemoryPort>(&self, completions: &mut Completions, _: &P, item: &WorkItem) {
        completions.complete(item);
    }

    fn flush<P: MemoryPort>(&self, completions: &mut Completions, port: &P, page: &UserPage) -> Flush {
        completions.flush(port, page)
    }

    fn signal(&self, completions: &mut Completions, page: &UserPage) -> bool {
        completions.signal(page)
    }

    fn stopped<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P) {
        submissions.stop(port, self.memory_len());
    }

    fn failed<P: MemoryPort>(&self, submissions: &mut Submissions, port: &P, _: u32) {
        submissions.stop(port, self.memory_len());
    }
}

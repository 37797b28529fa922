//! Jobs that wait for a page.

use crate::{PageRequest, WorkItem};

/// The jobs of one queue that wait for pages, while later ones overtake them.
#[derive(Debug, Default)]
pub struct Parked(Vec<(PageRequest, WorkItem)>);

impl Parked {
    /// No jobs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a job aside until a request is answered.
    pub fn park(&mut self, request: PageRequest, item: WorkItem) {
        self.0.push((request, item));
    }

    /// Takes out the jobs that waited for this request, in the order they were parked.
    pub fn resume(&mut self, request: PageRequest) -> Vec<WorkItem> {
        self.0.extract_if(.., |(waits_for, _)| *waits_for == request).map(|(_, item)| item).collect()
    }

    /// Takes out a job by its tag, if no byte of its destination was written.
    pub fn cancel(&mut self, tag: u64) -> Option<WorkItem> {
        let at = self.0.iter().position(|(_, item)| item.tag == tag && item.untouched())?;
        let mut item = self.0.remove(at).1;
        item.cancel();
        Some(item)
    }

    /// Drops all jobs, unanswered.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// How many jobs wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

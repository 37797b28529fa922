//! How much a worker takes at once.

/// What one fetch may take: some jobs, and some nanoseconds of estimated work. Small jobs go in batches, large ones one to a worker.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    jobs: usize,
    cost: u64,
    fresh: bool,
    nops_apart: bool,
}

impl Budget {
    /// A budget for `jobs` jobs of together `cost` nanoseconds of [estimated](crate::WorkItem::cost) work.
    #[must_use]
    pub const fn new(jobs: usize, cost: u64) -> Self {
        Self { jobs, cost, fresh: true, nops_apart: false }
    }

    /// No bound.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self::new(usize::MAX, u64::MAX)
    }

    /// The same, for a host that answers jobs that do nothing by [`DeviceModel::pass`](crate::DeviceModel::pass).
    #[inline]
    #[must_use]
    pub const fn with_nops_apart(self) -> Self {
        Self { nops_apart: true, ..self }
    }

    /// Whether jobs that do nothing may go into [`Taken::nops`](crate::Taken::nops).
    #[inline]
    #[must_use]
    pub const fn nops_apart(&self) -> bool {
        self.nops_apart
    }

    /// Whether another job may be looked at.
    #[inline]
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.jobs != 0 && self.cost != 0
    }

    /// Takes a job of this cost; `false` if it must be left to the next fetch. The first job always fits.
    #[inline]
    pub const fn take(&mut self, cost: u64) -> bool {
        if !self.fresh && cost > self.cost {
            return false;
        }
        self.fresh = false;
        self.jobs -= 1;
        self.cost = self.cost.saturating_sub(cost);
        true
    }
}

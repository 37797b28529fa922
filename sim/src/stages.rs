//! The stages between Fetch and Complete, the same for every model: Gather → Compute → Scatter.
//!
//! [`gather`] and [`scatter`] talk to the port and are resumable: when a page is not there they answer [`Step::Parked`], and the item is
//! put aside, holding its staging and nothing else, until the request was answered. [`compute`] sees bytes only: private
//! staging, or memory the host vouched for. A host that must not compute under its lock calls the three apart; [`run`] calls them in a row.

mod access;
mod compute;
mod gather;
mod parked;
mod scatter;
mod staging;

use access::JobAccess;
pub use compute::compute;
pub(crate) use compute::computes;
pub(crate) use gather::copy_in_place;
pub use gather::{gather, gather_many};
pub use parked::Parked;
pub use scatter::{scatter, scatter_many};
pub use staging::{Pool, Staging};

use uaccel_units::Scratch;

use crate::{MemoryPort, PageRequest, WorkItem};

/// Ranges that are read or written at once, at most.
const MANY: usize = 64;

/// Where a job stands: the stage that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Its input is to be brought in.
    Gather,
    /// The work is to be done.
    Compute,
    /// Its output is to be brought out.
    Scatter,
    /// It is to be answered.
    Complete,
}

/// What came of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// The item stands at a later stage.
    Done,
    /// A page is not there: run the same stage again when this request was answered.
    Parked(PageRequest),
}

/// Takes an item as far as it goes without waiting. After [`Step::Done`] it stands at [`Stage::Complete`] and holds no staging.
#[inline]
pub fn run<P: MemoryPort>(item: &mut WorkItem, port: &P, pool: &mut Pool, scratch: &mut Scratch) -> Step {
    run_until(item, Stage::Complete, port, pool, scratch)
}

/// Takes an item as far as `stage`, or to its end if that comes earlier, without waiting. An item at [`Stage::Complete`] holds no staging
/// afterwards.
#[inline]
pub fn run_until<P: MemoryPort>(
    item: &mut WorkItem,
    stage: Stage,
    port: &P,
    pool: &mut Pool,
    scratch: &mut Scratch,
) -> Step {
    loop {
        if item.stage == Stage::Complete {
            pool.reclaim(item);
            return Step::Done;
        }
        if item.stage == stage {
            return Step::Done;
        }
        let step = match item.stage {
            Stage::Gather => gather(item, port, pool),
            Stage::Compute => {
                compute(item, scratch);
                Step::Done
            }
            Stage::Scatter | Stage::Complete => scatter(item, port),
        };
        if let Step::Parked(_) = step {
            return step;
        }
    }
}
